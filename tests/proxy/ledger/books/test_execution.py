"""Execution quality: what is measured is measured against the arrival, and what is not is counted and said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.ledger.books.book import LedgerBook
from proxy.ledger.books.execution import Quality, execution
from proxy.ledger.books.inbox import Inbox
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.schema import reading
from rules.model import Side
from tests.proxy.ledger.books.builders import ACCOUNT, DAY_MS, NOW_MS, a_fill, keep
from tests.proxy.ledger.books.plans import scans, steps_of

AT = datetime.fromtimestamp(NOW_MS / 1000, UTC)
QUOTES = {"bid_price": "99", "ask_price": "101", "mark_price": "100.5"}


def a_decision(
    request: str, name: str = "grid/1", *, verdict: str = "ALLOW", at: datetime = AT, **more: Any
) -> Mapping[str, Any]:
    """A decision record on one order."""
    command = {"type": "PlaceOrder", "symbol": "BTCUSDT", "client_order_id": name}
    return {
        "kind": "decision",
        "id": request,
        "at": at.isoformat().replace("+00:00", "Z"),
        "bot": "grid",
        "commands": [command],
        "decisions": [{"verdict": verdict}],
        "withheld": {},
        "snapshot": {"markets": {"BTCUSDT": QUOTES}},
    } | more


def an_outcome(request: str, outcome: str, after_ms: int = 20, at: datetime = AT) -> Mapping[str, Any]:
    answered = at + timedelta(milliseconds=after_ms)
    return {
        "kind": "outcome",
        "id": request,
        "result": outcome.upper(),
        "answered_at": answered.isoformat().replace("+00:00", "Z"),
        "items": [{"place": 0, "outcome": outcome}, {"note": "withheld: none"}],
    }


@pytest.fixture
def book(tmp_path: Path) -> LedgerBook:
    return LedgerBook.open(tmp_path / "books.db")


def told(book: LedgerBook, *records: Mapping[str, Any]) -> None:
    inbox = Inbox(ACCOUNT)
    for record in records:
        inbox.hear(record)
    inbox.flush(book)


def measured(tmp_path: Path, **wanted: Any) -> list[Quality]:
    with reading(tmp_path / "books.db") as connection:
        return execution(connection, Wanted(**wanted))


def test_a_taker_pays_half_the_spread_and_what_it_walks_on_top(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1"), an_outcome("r1", "accepted"))
    keep(book, [a_fill(1, NOW_MS, price=Decimal(102), quantity=Decimal(2))], names={"1": "grid/1"}, until_ms=NOW_MS + 1)
    (day,) = measured(tmp_path)
    assert (day.spread_bps, day.slippage_bps) == (Decimal("100.00"), Decimal("200.00"))
    assert (day.orders, day.measured_fills, day.latency_ms_p50) == (1, 1, Decimal("20.00"))


def test_a_maker_crosses_no_spread_and_may_gain(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1"), an_outcome("r1", "accepted"))
    sold = a_fill(1, NOW_MS, side=Side.SELL, price=Decimal(101), maker=True)
    keep(book, [sold], names={"1": "grid/1"}, until_ms=NOW_MS + 1)
    (day,) = measured(tmp_path)
    assert (day.spread_bps, day.slippage_bps) == (None, Decimal("-100.00"))


def test_refusals_here_and_rejections_there_are_counted_apart(book: LedgerBook, tmp_path: Path) -> None:
    told(
        book,
        a_decision("r1", verdict="DENY"),
        a_decision("r2", withheld={"0": {"code": "VENUE_BUDGET"}}),
        a_decision("r3"),
        an_outcome("r3", "rejected", 10),
        a_decision("r4"),
        an_outcome("r4", "unknown"),
        a_decision("r5"),
        an_outcome("r5", "accepted", 30),
        an_outcome("r1", "accepted", 900),
    )
    (day,) = measured(tmp_path)
    assert (day.orders, day.refused, day.rejected, day.unknown) == (5, 2, 1, 1)
    assert (day.latency_ms_p50, day.latency_ms_p99) == (Decimal("10.00"), Decimal("30.00"))


def test_without_quotes_the_mark_stands_in_and_is_counted(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1", snapshot={"markets": {"BTCUSDT": {"mark_price": "100"}}}))
    keep(book, [a_fill(1, NOW_MS, price=Decimal(101))], names={"1": "grid/1"}, until_ms=NOW_MS + 1)
    (day,) = measured(tmp_path)
    assert (day.measured_by_mark, day.slippage_bps, day.spread_bps) == (1, Decimal("100.00"), None)


def test_what_the_audit_does_not_know_is_not_measured_and_counted(book: LedgerBook, tmp_path: Path) -> None:
    keep(book, [a_fill(1, NOW_MS), a_fill(2, NOW_MS)], names={"1": "grid/1", "2": "autoclose-1"}, until_ms=NOW_MS + 1)
    (day,) = measured(tmp_path)
    assert (day.measured_fills, day.unmeasured_fills, day.slippage_bps) == (0, 1, None)


def test_a_day_is_held_against_the_seven_before(book: LedgerBook, tmp_path: Path) -> None:
    for back, price in ((0, 103), (1, 101), (3, 102), (8, 150)):
        at = AT - timedelta(days=back)
        told(book, a_decision(f"r{back}", f"grid/{back}", at=at))
        fill = a_fill(back + 1, NOW_MS - back * DAY_MS, order_id=str(back), price=Decimal(price), quantity=Decimal(1))
        keep(book, [fill], names={str(back): f"grid/{back}"}, since_ms=NOW_MS - 9 * DAY_MS, until_ms=NOW_MS + 1)
    (today,) = measured(tmp_path, since=AT)
    assert (today.day, today.slippage_bps, today.slippage_usual_bps) == (
        date(2026, 11, 24),
        Decimal("300.00"),
        Decimal("150.00"),
    )
    assert [each.day.day for each in measured(tmp_path)] == [24, 23, 21, 16]


def test_an_id_that_is_used_again_means_the_order_that_was_let_through(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1"), replace_prices(a_decision("r2", verdict="DENY", at=AT + timedelta(seconds=1))))
    keep(book, [a_fill(1, NOW_MS, price=Decimal(100))], names={"1": "grid/1"}, until_ms=NOW_MS + 1)
    assert measured(tmp_path)[0].slippage_bps == Decimal("0.00")


def test_an_id_that_is_used_again_means_the_newest_order_judged_before_the_fill(
    book: LedgerBook, tmp_path: Path
) -> None:
    later = timedelta(minutes=5)
    told(book, a_decision("r1"), replace_prices(a_decision("r2", at=AT + later)))
    first = a_fill(1, NOW_MS + 1_000, price=Decimal(100), quantity=Decimal(1))
    second = a_fill(2, NOW_MS + 301_000, price=Decimal(1), quantity=Decimal(1))
    keep(book, [first, second], names={"1": "grid/1", "2": "grid/1"}, until_ms=NOW_MS + DAY_MS)
    (day,) = measured(tmp_path)
    assert (day.measured_fills, day.slippage_bps) == (2, Decimal("0.00"))


@pytest.mark.parametrize(("ahead_ms", "is_measured"), [(999, 1), (1_000, 0)])
def test_an_order_is_found_while_the_guards_clock_is_less_than_a_second_ahead(
    book: LedgerBook, tmp_path: Path, ahead_ms: int, is_measured: int
) -> None:
    told(book, a_decision("r1", at=AT + timedelta(milliseconds=ahead_ms)))
    keep(book, [a_fill(1, NOW_MS, price=Decimal(100))], names={"1": "grid/1"}, until_ms=NOW_MS + 1)
    assert sum(each.measured_fills for each in measured(tmp_path)) == is_measured


def replace_prices(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**record, "snapshot": {"markets": {"BTCUSDT": {"bid_price": "1", "ask_price": "1", "mark_price": "1"}}}}


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "decision", "id": "x", "at": "yesterday", "commands": [{}], "decisions": [{}]},
        {"kind": "decision", "id": "x", "at": "2026-11-24T09:00:00Z", "commands": "none"},
        {"kind": "decision", "id": "x", "at": "2026-11-24T09:00:00Z", "commands": [1], "decisions": [1]},
        {"kind": "event", "id": "x"},
    ],
    ids=["no-time", "no-list", "no-command", "another-kind"],
)
def test_a_record_of_another_shape_is_left_out(book: LedgerBook, tmp_path: Path, record: Mapping[str, Any]) -> None:
    told(book, record)
    assert measured(tmp_path) == []


def test_told_twice_the_first_stands(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1"), an_outcome("r1", "accepted", 20))
    told(book, a_decision("r1"), an_outcome("r1", "rejected", 90))
    (day,) = measured(tmp_path)
    assert (day.orders, day.rejected, day.latency_ms_p50) == (1, 0, Decimal("20.00"))


def test_what_is_older_than_is_kept_is_forgotten(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1"))
    book.forget_judged(ACCOUNT, NOW_MS * 1000)
    assert len(measured(tmp_path)) == 1
    book.forget_judged(ACCOUNT, NOW_MS * 1000 + 1)
    assert measured(tmp_path) == []


@pytest.mark.parametrize("wanted", [Wanted(since=AT), Wanted(since=AT, symbol="BTCUSDT", bot="grid")], ids=str)
def test_a_day_is_measured_without_reading_what_is_older(book: LedgerBook, tmp_path: Path, wanted: Wanted) -> None:
    told(book, a_decision("r1"))
    keep(book, [a_fill(1, NOW_MS)], until_ms=NOW_MS + 1)
    with reading(tmp_path / "books.db") as connection:
        steps = steps_of(connection, lambda: execution(connection, wanted))
    assert scans(steps) == []
    assert [each[0] for each in steps[-2:]] == [
        "SEARCH j USING INDEX judged_by_time (account=? AND at_us>?)",
        "SEARCH f USING INDEX fills_by_time (account=? AND at_ms>?)",
    ]


def test_a_window_is_half_open_for_orders_too(book: LedgerBook, tmp_path: Path) -> None:
    for number, ms in enumerate((-1, 0, 999, 1000)):
        told(book, a_decision(f"r{number}", at=AT + timedelta(milliseconds=ms, microseconds=999)))
    until = AT + timedelta(seconds=1)
    assert sum(day.orders for day in measured(tmp_path, since=AT + timedelta(days=7), until=until)) == 0
    with reading(tmp_path / "books.db") as connection:
        days = execution(connection, Wanted(since=AT - timedelta(days=1), until=until))
    assert sum(day.orders for day in days) == 3


def test_the_first_day_of_all_calendars_has_no_days_before(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1"))
    assert len(measured(tmp_path, since=datetime.min.replace(tzinfo=UTC))) == 1


def test_both_orders_of_one_trade_are_measured(book: LedgerBook, tmp_path: Path) -> None:
    told(book, a_decision("r1", "grid/1"), a_decision("r2", "grid/2"))
    bought = a_fill(1, NOW_MS, order_id="1", price=Decimal(102), quantity=Decimal(1))
    sold = a_fill(1, NOW_MS, order_id="2", side=Side.SELL, price=Decimal(102), quantity=Decimal(1), maker=True)
    keep(book, [bought, sold], until_ms=NOW_MS + 1)
    (day,) = measured(tmp_path)
    assert (day.measured_fills, day.slippage_bps) == (2, Decimal("0.00"))


@pytest.mark.parametrize("order_type", ["STOP_MARKET", "TAKE_PROFIT", "TRAILING_STOP_MARKET"])
def test_a_conditional_orders_way_to_its_trigger_is_no_slippage(
    book: LedgerBook, tmp_path: Path, order_type: str
) -> None:
    placed = a_decision("r1", at=AT - timedelta(days=2))
    command = {**placed["commands"][0], "order_type": order_type, "trigger_price": "95"}
    told(book, {**placed, "commands": [command]}, a_decision("r2", "grid/2"))
    stopped = a_fill(1, NOW_MS, side=Side.SELL, price=Decimal(95))
    plain = a_fill(2, NOW_MS, price=Decimal(100), maker=True)
    keep(book, [stopped, plain], until_ms=NOW_MS + 1)
    today = measured(tmp_path)[0]
    assert (today.measured_fills, today.unmeasured_fills, today.slippage_bps) == (1, 1, Decimal("0.00"))
