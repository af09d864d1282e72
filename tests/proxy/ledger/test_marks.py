"""Marks and fundings on the disk: what is asked for later is what was kept."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.ledger.marks import Funding, MarkBook, MarkReader, MarksUnavailable, marks_path
from rules.snapshot import Market
from tests.rules.builders import NOW

VENUE = "binanceusdm"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return marks_path(tmp_path)


@pytest.fixture
def book(path: Path) -> Iterator[MarkBook]:
    opened = MarkBook.open(path)
    yield opened
    opened.close()


@pytest.fixture
def reader(path: Path) -> MarkReader:
    return MarkReader(path)


def a_mark(price: str, at: datetime = NOW, symbol: str = "BTCUSDT") -> Market:
    return Market(symbol=symbol, mark_price=Decimal(price), as_of=at)


def kept(reader: MarkReader, symbol: str = "BTCUSDT", venue: str = VENUE, *, at: datetime = NOW) -> tuple[Decimal, ...]:
    """The marks of that minute."""
    return tuple(price for _, price in reader.marks_between(venue, symbol, at - MINUTE / 2, at + MINUTE / 2))


def test_a_mark_comes_back_exactly(book: MarkBook, reader: MarkReader):
    book.keep_marks(VENUE, [a_mark("90000.12345678"), a_mark("0.00001234", symbol="DOGEUSDT")])
    assert kept(reader) == (Decimal("90000.12345678"),)
    assert kept(reader, "DOGEUSDT") == (Decimal("0.00001234"),)


def test_venues_and_symbols_are_apart(book: MarkBook, reader: MarkReader):
    book.keep_marks(VENUE, [a_mark("1")])
    assert kept(reader, venue="elsewhere") == ()
    assert kept(reader, "ETHUSDT") == ()


def test_the_first_mark_of_a_second_stands(book: MarkBook, reader: MarkReader):
    book.keep_marks(VENUE, [a_mark("1")])
    book.keep_marks(VENUE, [a_mark("2")])
    assert kept(reader) == (1,)


def test_fundings_between_two_moments_leave_out_the_first_and_have_the_last(book: MarkBook, reader: MarkReader):
    """Who opens at a stamp has not paid it; who holds through it has."""
    stamps = [Funding(NOW + timedelta(hours=8 * n), Decimal(f"0.000{n}")) for n in range(4)]
    book.keep_fundings(VENUE, "BTCUSDT", reversed(stamps))
    book.keep_fundings(VENUE, "BTCUSDT", stamps)
    assert reader.funding_between(VENUE, "BTCUSDT", stamps[0].at, stamps[2].at) == tuple(stamps[1:3])
    assert reader.funding_between(VENUE, "BTCUSDT", stamps[3].at, stamps[3].at + MINUTE) == ()
    assert reader.funding_between(VENUE, "ETHUSDT", NOW - MINUTE, NOW + MINUTE) == ()
    assert book.last_funding(VENUE, "BTCUSDT") == stamps[3].at
    assert book.last_funding(VENUE, "ETHUSDT") is None


def test_what_is_too_old_is_forgotten_and_nothing_else(book: MarkBook, reader: MarkReader):
    for at in (NOW - MINUTE, NOW):
        book.keep_marks(VENUE, [a_mark("1", at)])
        book.keep_fundings(VENUE, "BTCUSDT", [Funding(at, Decimal("-0.0001"))])
    book.forget_before(NOW)
    assert kept(reader, at=NOW - MINUTE) == ()
    assert kept(reader) == (1,)
    assert [each.at for each in reader.funding_between(VENUE, "BTCUSDT", NOW - 2 * MINUTE, NOW)] == [NOW]


def test_what_was_kept_is_there_after_a_restart(path: Path, reader: MarkReader):
    for price in ("1", "2"):
        book = MarkBook.open(path)
        book.keep_marks(VENUE, [a_mark(price, NOW + int(price) * MINUTE)])
        book.close()
        book.close()
    assert kept(reader, at=NOW + MINUTE) == (1,)
    assert kept(reader, at=NOW + 2 * MINUTE) == (2,)


def test_the_file_is_private(book: MarkBook, path: Path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_may_be_read_while_it_is_written(book: MarkBook, reader: MarkReader):
    failures: list[Exception] = []

    def write() -> None:
        try:
            for n in range(50):
                book.keep_marks(VENUE, [a_mark(str(n + 1), NOW + n * MINUTE)])
        except MarksUnavailable as trouble:
            failures.append(trouble)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        kept(reader)
    writer.join()
    assert failures == []
    assert kept(reader, at=NOW + 49 * MINUTE) == (50,)


def test_a_file_that_is_no_table_is_named_trouble(path: Path, reader: MarkReader):
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1_000)
    with pytest.raises(MarksUnavailable):
        MarkBook.open(path)
    with pytest.raises(MarksUnavailable):
        kept(reader)


def test_without_a_file_a_question_is_named_trouble_and_makes_none(path: Path, reader: MarkReader):
    with pytest.raises(MarksUnavailable):
        reader.funding_between(VENUE, "BTCUSDT", NOW, NOW + MINUTE)
    assert not path.exists()


def test_a_full_disk_is_named_trouble_and_what_was_kept_stays(book: MarkBook, reader: MarkReader):
    book.keep_marks(VENUE, [a_mark("1")])
    (pages,) = book._connection.execute("PRAGMA page_count").fetchone()
    book._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [a_mark("7", NOW + n * MINUTE) for n in range(1, 5_000)]
    with pytest.raises(MarksUnavailable, match="full"):
        book.keep_marks(VENUE, many)
    assert kept(reader, at=NOW + 10 * MINUTE) == ()
    book._connection.execute("PRAGMA max_page_count = 1000000")
    book.keep_marks(VENUE, many)
    assert kept(reader, at=NOW + 10 * MINUTE) == (7,)


def test_the_tables_are_strict(book: MarkBook):
    with pytest.raises(sqlite3.IntegrityError):
        book._connection.execute("INSERT INTO marks VALUES (1, 'noon', '5')")


def test_marks_between_two_moments_have_both_and_come_oldest_first(book: MarkBook, reader: MarkReader):
    for number in (3, 1, 2, 0):
        book.keep_marks(VENUE, [a_mark(str(number), NOW + number * MINUTE)])
    found = reader.marks_between(VENUE, "BTCUSDT", NOW + MINUTE, NOW + 2 * MINUTE)
    assert found == ((NOW + MINUTE, Decimal(1)), (NOW + 2 * MINUTE, Decimal(2)))
    assert reader.marks_between(VENUE, "ETHUSDT", NOW, NOW + MINUTE) == ()
