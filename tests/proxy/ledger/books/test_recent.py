"""What the last minutes and hours came to is what the rows of that time add up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger.books import rows
from proxy.ledger.books.recent import recent
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.schema import reading
from proxy.ledger.books.spans import Span
from proxy.ledger.books.sums import Subject, by_kind, summed
from tests.properties.strategies import examples
from tests.proxy.ledger.books.builders import ACCOUNT, DAY_MS, MINUTE_MS, NOW_MS, a_fill, an_income, keep
from tests.proxy.ledger.books.plans import scans, steps_of
from tests.proxy.ledger.books.test_reconciling import a_book

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
PERIODS = (timedelta(minutes=15), timedelta(hours=1), timedelta(days=1))


@examples(20)
@given(st.lists(st.integers(0, 26 * 60), unique=True, max_size=8), st.lists(st.integers(0, 26 * 60), max_size=4))
def test_each_period_is_the_sum_of_its_rows(traded: list[int], funded: list[int]) -> None:
    fills = [a_fill(place + 1, NOW_MS - ago * MINUTE_MS) for place, ago in enumerate(traded)]
    incomes = [
        an_income("FUNDING_FEE", "-0.1", NOW_MS - ago * MINUTE_MS, place, symbol="BTCUSDT")
        for place, ago in enumerate(funded)
    ]
    with a_book() as (book, path):
        keep(book, fills, incomes, since_ms=NOW_MS - 2 * DAY_MS)
        with reading(path) as connection:
            found = recent(connection, Wanted(), NOW, PERIODS)
            for place, period in enumerate(PERIODS):
                window = Wanted(since=NOW - period)
                expected = summed(rows.fills(connection, window), rows.fundings(connection, window))
                told = {subject: books[place] for subject, books in found.items()}
                assert {each: books for each, books in told.items() if books.fills or books.carry} == expected


def test_only_what_is_wanted_is_counted(tmp_path: Path) -> None:
    with a_book() as (book, path):
        keep(book, [a_fill(1), a_fill(2, symbol="ETHUSDT"), a_fill(3)], names={"3": "web"})
        with reading(path) as connection:
            assert set(recent(connection, Wanted(bot=""), NOW, PERIODS)) == {Subject(ACCOUNT, "", "BTCUSDT")}
            assert set(recent(connection, Wanted(symbol="ETHUSDT"), NOW, PERIODS)) == {
                Subject(ACCOUNT, "grid", "ETHUSDT")
            }
            assert recent(connection, Wanted(account="other"), NOW, PERIODS) == {}


def test_what_else_was_booked_is_by_the_venues_word_and_asset() -> None:
    incomes = [
        an_income("TRANSFER", "-100", row=1),
        an_income("TRANSFER", "2.5", row=2, asset="BNB"),
        an_income("INSURANCE_CLEAR", "-7", row=3, symbol="BTCUSDT"),
        an_income("FUNDING_FEE", "-1", row=4, symbol="BTCUSDT"),
    ]
    with a_book() as (book, path):
        keep(book, [], incomes)
        with reading(path) as connection:
            found = by_kind(rows.others(connection, Wanted()))
    assert found == {
        (ACCOUNT, "TRANSFER"): {"USDT": Decimal(-100), "BNB": Decimal("2.5")},
        (ACCOUNT, "INSURANCE_CLEAR"): {"USDT": Decimal(-7)},
    }


def test_what_is_old_is_not_read_for_what_is_recent() -> None:
    with a_book() as (book, path):
        keep(book, [a_fill(1)])
        for wanted in (Wanted(), Wanted(bot="grid"), Wanted(account=ACCOUNT, symbol="BTCUSDT")):
            with reading(path) as connection:
                steps = steps_of(connection, lambda: recent(connection, wanted, NOW, PERIODS))  # noqa: B023
            assert scans(steps) == []
            assert [each[0] for each in steps[-2:]] == [
                "SEARCH f USING INDEX fills_by_time (account=? AND at_ms>?)",
                "SEARCH i USING INDEX incomes_by_time (account=? AND at_ms>?)",
            ]


def test_every_account_is_counted_whether_it_is_named_or_not() -> None:
    with a_book() as (book, path):
        for account in ("b", "a"):
            book.begin(account, NOW_MS - DAY_MS)
            book.add_fills(account, "BTCUSDT", [a_fill(1)], Span(NOW_MS - DAY_MS, NOW_MS))
        with reading(path) as connection:
            assert {each.account for each in recent(connection, Wanted(), NOW, PERIODS)} == {"a", "b"}
            assert [each.account for each in rows.fills(connection, Wanted())] == ["a", "b"]
