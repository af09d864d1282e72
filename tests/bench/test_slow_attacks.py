"""The bench of slow clients itself: that its report is attacked minus quiet, and that it runs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.slow_attacks import Attack, Times, _trade, main, report
from proxy.vault.keys import Secret
from tests.support.stalling_door import stalling_door


def test_the_report_is_attacked_minus_quiet() -> None:
    quiet = Times(kept_ms=[2.0] * 98 + [9.0, 9.5], new_ms=[4.0], refused=1)
    attacked = Times(kept_ms=[3.0] * 98 + [16.5] * 2, new_ms=[5.0, 8.0])
    printed = report([Attack("idle", quiet, attacked, held=[2999, 3000], opened=6001, met=6000)])
    row = "| idle | 2999 | 6001 | 6000 | 2.0 / 9.0 / 9.5 | 3.0 / 16.5 / 16.5 | +7.5 | 1 / 0 | 4.0 / 4.0 | 6.5 / 8.0 |"
    assert row in printed
    assert "Python" in printed and "UTC" in printed


@pytest.mark.full
def test_a_small_crowd_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "slow.json"
    few = ["--connections", "40", "--rounds", "1", "--orders", "20", "--kind", "slow reader", "--json", str(written)]
    assert main(few) == 0
    assert "| slow reader | " in capsys.readouterr().out
    (attack,) = json.loads(written.read_text())["attacks"]
    assert len(attack["quiet"]["kept_ms"]) == len(attack["attacked"]["kept_ms"]) == 9


def test_a_stall_is_charged_to_every_order_that_was_due_meanwhile() -> None:
    times, stall_s = Times(), 0.5
    with stalling_door(at=10, stall_s=stall_s) as gate:
        world = SimpleNamespace(
            places=SimpleNamespace(gate=gate), guard_key=SimpleNamespace(key="key", secret=Secret("secret"))
        )
        _trade(cast(Any, world), times, 40)
    # At forty a second twenty are due within half a second; those of the first half of it wait longest.
    assert sum(each > 100 for each in times.kept_ms + times.new_ms) >= 14
    assert max(times.kept_ms) > stall_s * 900
