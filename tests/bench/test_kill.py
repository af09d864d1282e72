"""The kill's benchmark itself: that it runs, ends flat, and prints what docs/bench.md shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.kill import Book, main, measure, table
from rules.kill.events import Phase


@pytest.mark.full
async def test_one_account_is_filled_killed_and_told_of() -> None:
    book = Book(positions=4, orders=9)
    report = await measure(1, 0, book)
    printed = table(report, 0, book)
    assert report.flat, printed
    assert "9 orders cancelled, 4 positions closed" in printed
    assert "| no position left | " in printed and "UTC" in printed


def test_a_kill_that_says_flat_is_not_believed_without_the_exchange(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lies(*press: Any) -> SimpleNamespace:
        return SimpleNamespace(phase=Phase.FLAT, blocked_ms=None, accounts=[])

    monkeypatch.setattr("bench.kill.kill", lies)
    assert main(["--accounts", "1", "--positions", "2", "--orders", "2", "--latency-ms", "0"]) == 1
    told = capsys.readouterr().err
    assert "the exchange has 2 positions of a01, 1 orders of a01, 1 conditional orders of a01" in told


def test_a_time_that_nobody_knows_is_none() -> None:
    report: Any = SimpleNamespace(phase=Phase.FLAT, blocked_ms=None, accounts=[])
    assert "| entries blocked | - | - |" in table(report, 0, Book())
