"""What the console is told of the ledger: what is kept, at most seconds old, and a reason where there is nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.ledger import glance as glances
from proxy.ledger.books.book import LedgerBook
from proxy.ledger.glance import PERIODS, LedgerGlance
from tests.proxy.ledger.books.builders import ACCOUNT, MINUTE_MS, NOW_MS, a_fill, an_income, booked, keep

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
