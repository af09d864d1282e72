"""What the console is told of the ledger: what is kept, at most seconds old, and a reason where there is nothing."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.console import asking
from proxy.console.answers import Refusal
from proxy.ledger import glance as glances
from proxy.ledger.books.book import LedgerBook
from proxy.ledger.books.coverage import BEHIND_MS
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.spans import Span
from proxy.ledger.glance import PERIODS, LedgerGlance
from proxy.ledger.plane import LedgerView
from tests.proxy.ledger.books.builders import ACCOUNT, DAY_MS, MINUTE_MS, NOW_MS, a_fill, an_income, booked, keep

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


@pytest.fixture
def book(tmp_path: Path) -> LedgerBook:
    return LedgerBook.open(tmp_path / "books.db")


async def test_it_tells_books_standing_and_what_else_was_booked(book: LedgerBook, tmp_path: Path) -> None:
    fills = [a_fill(1, NOW_MS - MINUTE_MS), a_fill(2, NOW_MS - 30 * MINUTE_MS, commission_asset="BNB")]
    keep(book, fills, [*(row for fill in fills for row in booked(fill)), an_income("TRANSFER", "5")])
    view = await LedgerGlance(tmp_path / "books.db", lambda: NOW).ledger(None, None, None)
    (books,) = view.books
    assert [each.seconds for each in books.periods] == [int(period.total_seconds()) for period in PERIODS]
    assert [each.fills for each in books.periods] == [1, 2, 2, 2]
    assert books.periods[1].fees == {"BNB": "-0.30000050", "USDT": "-0.30000050"}
    (standing,) = view.standings
    assert standing.standing == "reconciled" and "reconciled to the last digit" in standing.verdict
    assert [(each.kind, each.amounts) for each in view.booked] == [("TRANSFER", {"USDT": "5"})]
    assert [(each.bot, each.unmeasured_fills) for each in view.quality] == [("grid", 2)]
    assert view.trouble == ""


async def test_what_differs_is_told_amount_by_amount(book: LedgerBook, tmp_path: Path) -> None:
    keep(book, [a_fill(7, NOW_MS - 60 * MINUTE_MS, commission=Decimal(0))], [])
    view = await LedgerGlance(tmp_path / "books.db", lambda: NOW).ledger(ACCOUNT, None, None)
    assert view.standings[0].differences == [
        "2026-11-24 08:00:00 trading BTCUSDT 7: 1.25000001 here, 0 in the statement, USDT"
    ]


async def test_an_answer_stands_for_seconds_and_no_more_of_them_than_few(
    book: LedgerBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glance = LedgerGlance(tmp_path / "books.db", lambda: NOW)
    keep(book, [], [])
    assert (await glance.ledger(None, None, None)).books == []
    keep(book, [a_fill(1)], booked(a_fill(1)))
    assert (await glance.ledger(None, None, None)).books == []
    monkeypatch.setattr(glances, "FRESH_S", -1.0)
    assert len((await glance.ledger(None, None, None)).books) == 1
    for number in range(glances.KEPT_MAX + 5):
        await glance.ledger(None, f"bot-{number}", None)
    assert len(glance._answers) == glances.KEPT_MAX


async def test_without_a_ledger_it_says_why(tmp_path: Path) -> None:
    view = await LedgerGlance(tmp_path / "books.db", lambda: NOW).ledger(None, None, None)
    assert "there is no ledger" in view.trouble and view.books == ()


class SlowGlance(LedgerGlance):
    """Reads no faster than it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda: NOW)
        self.go_on = threading.Event()
        self.readings = 0

    def _read(self, wanted: Wanted) -> LedgerView:
        self.readings += 1
        assert self.go_on.wait(10)
        return super()._read(wanted)


async def test_whoever_waits_in_vain_starts_no_second_reading_and_the_next_gets_the_first_ones_answer(
    book: LedgerBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(book, [], [])
    glance = SlowGlance(tmp_path / "books.db")
    with monkeypatch.context() as patched:
        patched.setattr(asking, "READ_SECONDS_MAX", 0.02)
        for _ in range(5):
            with pytest.raises(Refusal, match="did not answer in time"):
                await asking.read(glance.ledger(None, None, None))
    await asyncio.wait_for(asyncio.to_thread(lambda: None), 1)
    glance.go_on.set()
    assert (await asking.read(glance.ledger(None, None, None))).trouble == ""
    assert glance.readings == 1


async def test_an_answer_stands_as_much_longer_as_it_took(
    book: LedgerBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(book, [], [])
    glance, times = SlowGlance(tmp_path / "books.db"), iter([0.0, 12.0, 28.9, 29.1, 30.0, 31.0])
    glance.go_on.set()
    monkeypatch.setattr(glance, "_standing", lambda *_: None)  # It has an age of its own.
    monkeypatch.setattr(glances, "time", SimpleNamespace(monotonic=lambda: next(times)))
    for readings in (1, 1, 2):
        await glance.ledger(None, None, None)
        assert glance.readings == readings


async def test_a_gap_of_the_last_week_is_told_and_an_older_one_is_not(book: LedgerBook, tmp_path: Path) -> None:
    book.begin(ACCOUNT, NOW_MS - 30 * DAY_MS)
    for begin, end in ((30, 20), (19, 3), (2, 0)):
        book.add_income(ACCOUNT, [], Span(NOW_MS - begin * DAY_MS, NOW_MS - end * DAY_MS))
    (standing,) = (await LedgerGlance(tmp_path / "books.db", lambda: NOW).ledger(None, None, None)).standings
    assert standing.gaps == ["the statement from 2026-11-21 09:00:00 to 2026-11-22 09:00:00"]
    assert len(standing.missing) == 2


async def test_a_ledger_that_ended_is_told_as_missing_its_last_days(book: LedgerBook, tmp_path: Path) -> None:
    keep(book, since_ms=NOW_MS - 9 * DAY_MS, until_ms=NOW_MS - 2 * DAY_MS)
    (standing,) = (await LedgerGlance(tmp_path / "books.db", lambda: NOW).ledger(None, None, None)).standings
    assert standing.gaps == ["the statement from 2026-11-22 09:00:00 to 2026-11-24 09:00:00"] == standing.missing


async def test_a_ledger_between_two_readings_misses_nothing(book: LedgerBook, tmp_path: Path) -> None:
    keep(book, until_ms=NOW_MS - BEHIND_MS)
    (standing,) = (await LedgerGlance(tmp_path / "books.db", lambda: NOW).ledger(None, None, None)).standings
    assert standing.gaps == [] == standing.missing
