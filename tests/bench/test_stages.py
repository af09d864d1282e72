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


def test_the_whole_is_the_median_round_less_the_median_of_what_is_played_back(monkeypatch, capsys):
    async def measured(gate, orders, rounds):
        return [300.0, 1000.0, 400.0], {"(store)": 30.0, "(exchange)": 20.0, "parse": 5.0}, [100.0, 140.0, 90.0]

    monkeypatch.setattr("bench.stages.__main__.measure", measured)
    assert main(["--orders", "2", "--rounds", "1", "--json"]) == 0
    for picture in json.loads(capsys.readouterr().out)["pictures"].values():
        assert (picture["whole_us"], picture["loop_us"], picture["whole_in_loops"]) == (350, 100, 3.5)


def test_the_report_is_a_table_by_stage():
    picture = {"whole_us": 12.4, "whole_in_loops": 0.123, "loop_us": 100.0, "stages_us": {"parse": 3.6}}
    lines = report({"policy": "desk.toml", "machine": "2 x none", "pictures": {"quiet": picture}}).splitlines()
    assert lines[0] == "| stage, CPU µs of an order | quiet |"
    assert "| parse | 4 |" in lines and "| **whole** | 12 |" in lines and "| whole, x loop | 0.12 |" in lines
