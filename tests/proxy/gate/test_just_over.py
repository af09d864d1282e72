"""What the venue has just answered as over, until the private stream tells it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.gate.just_over import KEPT_S, JustOver
from proxy.venues.binance.replies import Reply, Reported
from rules.account import Account, OpenOrder
from rules.model import CancelAll, CancelOrder, Command, PositionSide, Side
from rules.snapshot import Snapshot
from tests.rules.builders import a_buy, a_sell, an_account, an_open_order

FILLED = Reply(outcome=Reported.ACCEPTED, order_id="8", status="FILLED")
CANCELLED = Reply(outcome=Reported.ACCEPTED, order_id="9", status="CANCELED")
EXIT = a_sell("BTCUSDT", "1", reduce_only=True)


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def known(snapshot: Snapshot) -> Account:
    assert snapshot.account is not None
    return snapshot.account


def hoped(snapshot: Snapshot, *told: tuple[Command, Reply]) -> Account:
    over = JustOver()
    for command, reply in told:
        over.told("demo", command, reply, snapshot.account)
    return known(over.hoped(snapshot))


def resting(order_id: str, symbol: str = "BTCUSDT", name: str = "") -> OpenOrder:
    return an_open_order(Side.BUY, symbol, "1", "49000", order_id=order_id, client_order_id=name)


@pytest.mark.parametrize(
    ("sold", "left"), [("0.4", "0.6"), ("1", "0"), ("3", "0")], ids=["a part", "all", "never beyond flat"]
)
def test_a_fill_closes_what_it_went_against(sold: str, left: str) -> None:
    account = hoped(an_account().long("BTCUSDT", "1").snapshot, (a_sell("BTCUSDT", sold, reduce_only=True), FILLED))
    assert sum(each.quantity for each in account.positions) == Decimal(left)


def test_a_fill_of_another_leg_closes_nothing() -> None:
    snapshot = an_account().long("BTCUSDT", "1").snapshot
    for order in (a_buy("BTCUSDT", "1"), a_sell("ETHUSDT", "1")):
        assert hoped(snapshot, (order, FILLED)) is snapshot.account


def test_what_has_moved_since_is_not_closed_a_second_time() -> None:
    over, before = JustOver(), an_account().long("BTCUSDT", "1").snapshot
    over.told("demo", a_sell("BTCUSDT", "0.5", reduce_only=True), FILLED, before.account)
    after = an_account().long("BTCUSDT", "0.5").snapshot
    assert over.hoped(after) is after


def test_two_halves_are_waited_for_one_after_the_other() -> None:
    over, whole = JustOver(), an_account().long("BTCUSDT", "1").snapshot
    for _ in range(2):
        over.told("demo", a_sell("BTCUSDT", "0.5", reduce_only=True), FILLED, whole.account)
    assert sum(each.quantity for each in known(over.hoped(whole)).positions) == 0
    half = an_account().long("BTCUSDT", "0.5").snapshot
    assert sum(each.quantity for each in known(over.hoped(half)).positions) == 0
    none = an_account().snapshot
    assert over.hoped(none) is none


def test_a_fill_that_is_told_in_parts_is_awaited_for_the_rest() -> None:
    over = JustOver()
    over.told("demo", EXIT, FILLED, an_account().long("BTCUSDT", "3").snapshot.account)
    part = an_account().long("BTCUSDT", "2.4").snapshot
    assert sum(each.quantity for each in known(over.hoped(part)).positions) == 2


def test_what_was_told_once_is_not_awaited_when_the_same_size_stands_again() -> None:
    over, long = JustOver(), an_account().long("BTCUSDT", "1").snapshot
    over.told("demo", EXIT, FILLED, long.account)
    over.seen(an_account().snapshot.account)
    assert over.hoped(long) is long


def test_what_opens_in_between_does_not_end_the_waiting() -> None:
    over = JustOver()
    over.told("demo", EXIT, FILLED, an_account().long("BTCUSDT", "1").snapshot.account)
    more = an_account().long("BTCUSDT", "3").snapshot
    assert sum(each.quantity for each in known(over.hoped(more)).positions) == 2
    told = an_account().long("BTCUSDT", "2").snapshot
    assert over.hoped(told) is told


def test_an_order_that_was_placed_after_all_were_cancelled_rests() -> None:
    over, placed = JustOver(), resting("11")
    over.told("demo", CancelAll(symbol="BTCUSDT"), Reply(outcome=Reported.ACCEPTED, code=200), None)
    over.told("demo", a_buy("BTCUSDT", "1", "49000"), Reply(outcome=Reported.ACCEPTED, order_id="11"), None)
    snapshot = an_account().resting(resting("9"), placed).snapshot
    assert known(over.hoped(snapshot)).open_orders == (placed,)


def test_of_an_account_that_was_not_known_nothing_is_closed() -> None:
    over, snapshot = JustOver(), an_account().long("BTCUSDT", "1").snapshot
    over.told("demo", EXIT, FILLED, None)
    assert over.hoped(snapshot) is snapshot


def test_an_order_goes_by_either_name_and_only_where_it_was_cancelled() -> None:
    orders = resting("9"), resting("7", name="maker"), resting("9", "ETHUSDT"), resting("3")
    snapshot = an_account().resting(*orders).snapshot
    by_id, by_name = CancelOrder(symbol="BTCUSDT", order_id="9"), CancelOrder(symbol="BTCUSDT", client_order_id="maker")
    account = hoped(snapshot, (by_id, CANCELLED), (by_name, Reply(outcome=Reported.ACCEPTED, order_id="7")))
    assert account.open_orders == (orders[2], orders[3])


def test_all_of_a_symbol_go_and_conditional_ones_by_a_call_of_their_own() -> None:
    orders = resting("9"), resting("7"), resting("5", "ETHUSDT")
    snapshot = an_account().resting(*orders).snapshot
    done = Reply(outcome=Reported.ACCEPTED, code=200)
    assert hoped(snapshot, (CancelAll(symbol="BTCUSDT"), done)).open_orders == (orders[2],)
    assert hoped(snapshot, (CancelAll(symbol="BTCUSDT", conditional=True), done)) is snapshot.account


@pytest.mark.parametrize("outcome", [Reported.REJECTED, Reported.UNKNOWN])
def test_what_is_not_said_to_be_over_stands(outcome: Reported) -> None:
    snapshot = an_account().long("BTCUSDT", "1").resting(resting("9")).snapshot
    told = Reply(outcome=outcome, status="FILLED")
    assert hoped(snapshot, (EXIT, told), (CancelOrder(symbol="BTCUSDT", order_id="9"), told)) is snapshot.account


def test_it_is_kept_for_a_second() -> None:
    clock = Clock()
    over, snapshot = JustOver(clock), an_account().long("BTCUSDT", "1").snapshot
    over.told("demo", EXIT, FILLED, snapshot.account)
    clock.at += KEPT_S
    assert over.hoped(snapshot) is not snapshot
    clock.at += 0.1
    assert over.hoped(snapshot) is snapshot


def test_a_hedge_leg_is_closed_by_its_own_side() -> None:
    snapshot = an_account().hedged().long("BTCUSDT", "1").snapshot
    (leg,) = known(snapshot).positions
    other = PositionSide.SHORT if leg.position_side is PositionSide.LONG else PositionSide.LONG
    sold = a_sell("BTCUSDT", "1", position_side=other)
    assert hoped(snapshot, (sold, FILLED)) is snapshot.account
    assert hoped(snapshot, (replace(sold, position_side=leg.position_side), FILLED)) is not snapshot.account
