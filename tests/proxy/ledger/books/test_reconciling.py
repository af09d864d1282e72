"""Whatever was traded, ledger and statement agree to the last digit; whatever is changed by one digit is found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.statement_payloads import Fill, IncomeRow
from proxy.ledger.books import rows
from proxy.ledger.books.book import INCOME, LedgerBook
from proxy.ledger.books.reconciling import Booked, Reconciliation, Standing, reconcile
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.schedule import OVERLAP_MS
from proxy.ledger.books.schema import reading
from proxy.ledger.books.spans import Span
from proxy.ledger.books.sums import summed, together
from rules.model import Side
from tests.properties.strategies import examples
from tests.proxy.ledger.books.builders import ACCOUNT, DAY_MS, MINUTE_MS, NOW_MS, a_fill, an_income, booked, keep

HOUR_MS = 60 * MINUTE_MS
MONEY = st.decimals(min_value=-(10**6), max_value=10**6, places=8)
FILLS = st.lists(
    st.builds(
        a_fill,
        trade_id=st.integers(1, 10**9),
        at_ms=st.integers(NOW_MS - DAY_MS, NOW_MS - OVERLAP_MS - 1),
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDC"]),
        realised_pnl=MONEY,
        margin_asset=st.sampled_from(["USDT", "USDC"]),
        commission=MONEY,
        commission_asset=st.sampled_from(["USDT", "BNB"]),
    ),
    unique_by=lambda fill: (fill.symbol, fill.trade_id),
    min_size=1,
    max_size=8,
)


@contextmanager
def a_book() -> Iterator[tuple[LedgerBook, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "books.db"
        book = LedgerBook.open(path)
        try:
            yield book, path
        finally:
            book.close()


def found(path: Path) -> Reconciliation:
    with reading(path) as connection:
        report = reconcile(connection, ACCOUNT)
    assert report is not None
    return report


def stated(fills: Sequence[Fill]) -> list[IncomeRow]:
    return [row for fill in fills for row in booked(fill)]


@examples(25)
@given(FILLS)
def test_a_true_statement_reconciles_and_every_sum_is_its_parts(fills: list[Fill]) -> None:
    with a_book() as (book, path):
        keep(book, fills, stated(fills))
        keep(book, reversed(fills), stated(fills))  # Read once more, in another order: nothing is there twice.
        report = found(path)
        assert (report.standing, report.compared) == (Standing.RECONCILED, len(fills))
        assert all(day.ledger == day.statement for day in report.days)
        with reading(path) as connection:
            whole = together(summed(rows.fills(connection, Wanted()), rows.fundings(connection, Wanted())).values())
    for what, sums in ((Booked.TRADING, whole.trading), (Booked.FEES, whole.fees)):
        for asset in {day.asset for day in report.days if day.what is what}:
            days = [day.ledger for day in report.days if (day.what, day.asset) == (what, asset)]
            assert sum(days) == sums.get(asset, Decimal(0))
    assert sum(whole.fees.values()) == -sum(fill.commission for fill in fills)


@examples(25)
@given(FILLS, st.data())
def test_one_digit_of_one_row_is_found(fills: list[Fill], data: st.DataObject) -> None:
    statement = stated(fills)
    if not statement:
        return
    place = data.draw(st.integers(0, len(statement) - 1))
    wrong = statement[place]
    statement[place] = replace(wrong, amount=wrong.amount + Decimal("0.00000001"))
    with a_book() as (book, path):
        keep(book, fills, statement)
        report = found(path)
    assert (report.standing, report.differing) == (Standing.DIFFERS, 1)
    (difference,) = report.differences
    assert (difference.symbol, difference.row, difference.asset) == (wrong.symbol, str(wrong.trade_id), wrong.asset)
    assert difference.statement - difference.ledger == Decimal("0.00000001")


def test_a_row_or_an_execution_that_the_other_side_lacks_is_found() -> None:
    old = NOW_MS - HOUR_MS
    with a_book() as (book, path):
        keep(book, [a_fill(1, old)], [])
        report = found(path)
    assert [(each.what, each.statement) for each in report.differences] == [
        (Booked.TRADING, Decimal(0)),
        (Booked.FEES, Decimal(0)),
    ]
    with a_book() as (book, path):
        keep(book, [], [])
        book.follow(ACCOUNT, ["BTCUSDT"])
        book.add_fills(ACCOUNT, "BTCUSDT", [], Span(NOW_MS - DAY_MS, NOW_MS))
        book.add_income(ACCOUNT, booked(a_fill(1, old)), Span(old, NOW_MS))
        report = found(path)
    assert (report.standing, report.differing) == (Standing.DIFFERS, 2)


def test_what_the_venue_has_not_listed_yet_is_pending_for_minutes_only() -> None:
    with a_book() as (book, path):
        keep(book, [a_fill(1, NOW_MS - 1)], [])
        assert (found(path).standing, found(path).pending) == (Standing.INCOMPLETE, 1)
        book.add_income(ACCOUNT, [], Span(NOW_MS - DAY_MS, NOW_MS + OVERLAP_MS))
        assert found(path).standing is Standing.DIFFERS


def test_a_time_that_was_not_read_is_said_and_nothing_of_it_differs() -> None:
    fill = a_fill(1, NOW_MS - HOUR_MS)
    with a_book() as (book, path):
        keep(book, [], stated([fill]))
        report = found(path)
        assert (report.standing, report.pending) == (Standing.INCOMPLETE, 2), "profit and commission"
        assert [each.symbol for each in report.coverage.missing] == ["BTCUSDT"]
        book.add_fills(ACCOUNT, "BTCUSDT", [fill], Span(NOW_MS - DAY_MS, NOW_MS))
        assert found(path).standing is Standing.RECONCILED


def test_a_gap_in_the_statement_is_no_reconciliation() -> None:
    with a_book() as (book, path):
        book.begin(ACCOUNT, NOW_MS - DAY_MS)
        assert found(path).standing is Standing.INCOMPLETE, "nothing has been read"
        book.add_income(ACCOUNT, [], Span(NOW_MS - DAY_MS, NOW_MS - 2 * HOUR_MS))
        book.add_income(ACCOUNT, [], Span(NOW_MS - HOUR_MS, NOW_MS))
        (gap,) = found(path).coverage.missing
        assert (gap.symbol, gap.span) == ("", Span(NOW_MS - 2 * HOUR_MS, NOW_MS - HOUR_MS))
        assert found(path).standing is Standing.INCOMPLETE
        book.add_income(ACCOUNT, [], gap.span)
        assert found(path).standing is Standing.RECONCILED


def test_parts_of_funding_that_are_not_their_row_are_found() -> None:
    row = an_income("FUNDING_FEE", "-0.75", NOW_MS - HOUR_MS, symbol="BTCUSDT")
    with a_book() as (book, path):
        keep(book, [], [row])
        assert found(path).standing is Standing.RECONCILED, "not shared out: the account's"
        book.share_funding(ACCOUNT, row.row_id, {"ada": Decimal("-0.25"), "bob": Decimal("-0.49")})
        (difference,) = found(path).differences
    assert (difference.what, difference.ledger, difference.statement) == (
        Booked.CARRY,
        Decimal("-0.74"),
        Decimal("-0.75"),
    )


@examples(30)
@given(st.permutations(range(6)))
def test_gaps_are_repaired_in_any_order(order: list[int]) -> None:
    begin, hour = NOW_MS - 6 * HOUR_MS, HOUR_MS
    fills = [a_fill(place + 1, begin + place * hour + 5) for place in range(6)]
    with a_book() as (book, path):
        book.begin(ACCOUNT, begin)
        for place in order:
            read = Span(begin + place * hour, begin + (place + 1) * hour)
            book.add_income(ACCOUNT, booked(fills[place]), read)
            book.add_fills(ACCOUNT, "BTCUSDT", [fills[place]], read)
        assert book.spans(ACCOUNT, INCOME) == (Span(begin, NOW_MS),)
        report = found(path)
    assert (report.standing, report.compared) == (Standing.RECONCILED, 6)


def a_self_trade() -> tuple[list[Fill], list[IncomeRow]]:
    """Two bots of one account meet: the venue lists two executions with one trade id, each with its own rows."""
    at_ms = NOW_MS - HOUR_MS
    taker = a_fill(7, at_ms, order_id="100", realised_pnl=Decimal(-40), commission=Decimal("0.3"))
    maker = a_fill(
        7, at_ms, order_id="200", side=Side.SELL, realised_pnl=Decimal(25), commission=Decimal("0.12"), maker=True
    )
    rows = [
        replace(row, row_id=f"{row.row_id} {fill.order_id}", amount=row.amount)
        for fill in (taker, maker)
        for row in booked(fill)
    ]
    return [taker, maker], rows


def test_both_sides_of_a_trade_with_oneself_are_kept_and_add_up_to_the_statement() -> None:
    fills, statement = a_self_trade()
    with a_book() as (book, path):
        keep(book, fills, statement, names={"100": "grid/1", "200": "trend/1"})
        keep(book, reversed(fills), statement, names={"100": "grid/1", "200": "trend/1"})
        with reading(path) as connection:
            kept = [(each.bot, each.side, each.realised_pnl) for each in rows.fills(connection, Wanted())]
        assert kept == [("grid", "BUY", Decimal(-40)), ("trend", "SELL", Decimal(25))]
        report = found(path)
        assert (report.standing, report.compared) == (Standing.RECONCILED, 1)
        assert {(each.what, each.ledger) for each in report.days} == {
            (Booked.TRADING, Decimal(-15)),
            (Booked.FEES, Decimal("-0.42")),
        }


def test_a_row_that_one_side_of_a_trade_with_oneself_lacks_is_found() -> None:
    fills, statement = a_self_trade()
    with a_book() as (book, path):
        keep(book, fills, statement[1:])
        (difference,) = found(path).differences
    assert (difference.row, difference.ledger, difference.statement) == ("7", Decimal(-15), Decimal(25))
