"""The kill's benchmark itself: that it runs, ends flat, and prints what docs/bench.md shows."""

from __future__ import annotations

import pytest

from bench.kill import Book, measure, table


@pytest.mark.full
async def test_one_account_is_filled_killed_and_told_of() -> None:
    book = Book(positions=4, orders=9)
    report = await measure(1, 0, book)
    printed = table(report, 0, book)
    assert report.flat, printed
    assert "9 orders cancelled, 4 positions closed" in printed
    assert "| no position left | " in printed and "UTC" in printed
