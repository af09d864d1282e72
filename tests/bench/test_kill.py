"""The kill's benchmark itself: that it runs, ends flat, and prints what docs/bench.md shows."""

from __future__ import annotations

import pytest

from bench.kill import ORDERS, POSITIONS, measure, table


@pytest.mark.full
async def test_one_account_is_filled_killed_and_told_of() -> None:
    report = await measure(1, 0, "20")
    printed = table(report, 0)
    assert report.flat, printed
    assert f"{ORDERS} orders cancelled, {POSITIONS} positions closed" in printed
    assert "| no position left | " in printed and "UTC" in printed
