"""The benchmark of an order's stages: that every order passes, every stage is met, and what it prints."""

from __future__ import annotations

import json

from bench.stages.__main__ import main, report
from bench.stages.clock import PLAYED_BACK, STAGES


def test_it_runs_and_every_stage_is_met(capsys):
    assert main(["--orders", "20", "--rounds", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["pictures"]) == {"0 holds, 0 earlier entries", "20 holds, 200 earlier entries"}
    for picture in told["pictures"].values():
        assert set(picture["stages_us"]) == {stage for stage, *_ in STAGES} - set(PLAYED_BACK) | {"answer"}
        assert picture["whole_us"] > 0


def test_the_report_is_a_table_by_stage():
    picture = {"whole_us": 12.4, "whole_in_loops": 0.123, "loop_us": 100.0, "stages_us": {"parse": 3.6}}
    lines = report({"policy": "desk.toml", "machine": "2 x none", "pictures": {"quiet": picture}}).splitlines()
    assert lines[0] == "| stage, CPU µs of an order | quiet |"
    assert "| parse | 4 |" in lines and "| **whole** | 12 |" in lines and "| whole, x loop | 0.12 |" in lines
