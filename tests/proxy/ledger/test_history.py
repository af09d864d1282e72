"""Marks as a series: what is read an hour at a time is what the table holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.ledger.history import MarkHistory
from proxy.ledger.marks import MarkBook, MarkReader, marks_path
from rules.snapshot import Market

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
VENUE = "binanceusdm"


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A mark every 59 seconds of four hours, so that hours begin and end with one and without."""
    book = MarkBook.open(marks_path(tmp_path))
    moments = [START + timedelta(seconds=59 * number) for number in range(250)]
    moments += [START + timedelta(hours=hour) for hour in range(1, 4)]
    moments += [START + timedelta(hours=hour) - timedelta(seconds=1) for hour in range(1, 4)]
    for number, at in enumerate(moments):
        book.keep_marks(VENUE, [Market(symbol="BTCUSDT", mark_price=Decimal(number + 1), as_of=at)])
    yield marks_path(tmp_path)
    book.close()


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 14_400), (0, 3_600), (3_599, 3_600), (3_600, 3_600), (1, 58), (5_000, 9_000), (-7_200, -1)]
)
def test_any_stretch_is_what_the_table_holds(path: Path, begin: int, end: int) -> None:
    first, last = (START + timedelta(seconds=seconds) for seconds in (begin, end))
    found = MarkHistory(MarkReader(path)).marks(VENUE, "BTCUSDT", first, last)
    assert [(mark.at, mark.price) for mark in found] == list(
        MarkReader(path).marks_between(VENUE, "BTCUSDT", first, last)
    )


def test_what_was_read_is_not_asked_again(path: Path) -> None:
    history = MarkHistory(MarkReader(path))
    end = START + timedelta(hours=1)
    found = history.marks(VENUE, "BTCUSDT", START, end)
    assert found
    path.unlink()
    assert history.marks(VENUE, "BTCUSDT", START, end) == found
