"""Matching, reduce-only, amendments and conditional orders, without a network."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from decimal import Decimal

import pytest

from sandbox.engine.conditional import ConditionalStatus, ConditionalType, NewConditional, TriggerBy
from sandbox.engine.events import ConditionalChanged, Event
from sandbox.engine.exchange import Exchange
from sandbox.engine.model import NewOrder, Order, OrderStatus, OrderType, PositionSide, SelfTrade, Side, TimeInForce
from sandbox.engine.preferences import set_hedge_mode
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.stepping import jump, step
from sandbox.engine.trading import amend, arm_countdown, cancel, cancel_all, find_order, place
from sandbox.engine.triggers import (
    cancel_all_conditionals,
    cancel_conditional,
    find_conditional,
    place_conditional,
)
from tests.sandbox.builders import BTC, limit, market, stop

D = Decimal


def trade(exchange: Exchange, name: str, new: NewOrder) -> Order:
    return place(exchange, exchange.accounts[name], new)


def held(exchange: Exchange, name: str, leg: PositionSide = PositionSide.BOTH) -> Decimal:
    return exchange.accounts[name].position(BTC, leg).quantity


def refusal(exchange: Exchange, name: str, new: NewOrder) -> Reason:
    with pytest.raises(Rejected) as caught:
        trade(exchange, name, new)
    return caught.value.reason


def test_market_order_walks_the_book_and_pays_a_worse_average(exchange: Exchange) -> None:
    order = trade(exchange, "bob", market(Side.BUY, "2"))
    assert order.status is OrderStatus.FILLED
    assert order.average_price > D("90004.5")


def test_consumed_liquidity_comes_back_with_time(exchange: Exchange) -> None:
    before = next(exchange.market(BTC).levels(Side.SELL))
    trade(exchange, "bob", market(Side.BUY, "0.6"))
    worn = next(exchange.market(BTC).levels(Side.SELL))
    for _ in range(60):
        step(exchange)
    assert worn.price > before.price
    assert next(exchange.market(BTC).levels(Side.SELL)) == before


def test_an_order_larger_than_the_book_fills_partially_and_the_rest_expires(exchange: Exchange) -> None:
    order = trade(exchange, "bob", market(Side.BUY, "100"))
    assert order.status is OrderStatus.EXPIRED
    assert 0 < order.filled_quantity < 100
    assert not exchange.accounts["bob"].open_orders


def test_resting_orders_of_accounts_trade_in_price_time_order(exchange: Exchange) -> None:
    first = trade(exchange, "bob", limit(Side.SELL, "0.1", "90002"))
    better = trade(exchange, "bob", limit(Side.SELL, "0.1", "90001"))
    second = trade(exchange, "bob", limit(Side.SELL, "0.1", "90002"))
    trade(exchange, "alice", limit(Side.BUY, "0.25", "90002", time_in_force=TimeInForce.IOC))
    filled = [order.filled_quantity for order in (better, first, second)]
    assert filled == [D("0.1"), D("0.1"), D("0.05")]


def test_resting_limit_fills_as_maker_when_the_market_trades_through_it(exchange: Exchange) -> None:
    order = trade(exchange, "alice", limit(Side.BUY, "0.01", "88000"))
    jump(exchange, BTC, D("87000"))
    assert order.status is OrderStatus.FILLED
    assert order.average_price == 88000
    assert exchange.accounts["alice"].fills[-1].maker


def test_post_only_that_would_take_is_refused(exchange: Exchange) -> None:
    crossing = limit(Side.BUY, "0.01", "90100", time_in_force=TimeInForce.POST_ONLY)
    assert refusal(exchange, "alice", crossing) is Reason.POST_ONLY_WOULD_TAKE


def test_fill_or_kill_fills_whole_or_not_at_all(exchange: Exchange) -> None:
    too_big = limit(Side.BUY, "5", "90010", time_in_force=TimeInForce.FOK)
    assert refusal(exchange, "bob", too_big) is Reason.FILL_OR_KILL_UNFILLED
    assert not exchange.accounts["bob"].fills


def test_an_order_meeting_its_own_expires_the_maker(exchange: Exchange) -> None:
    own = trade(exchange, "alice", limit(Side.SELL, "0.01", "90001"))
    taker = trade(exchange, "alice", market(Side.BUY, "0.01"))
    assert own.status is OrderStatus.EXPIRED_IN_MATCH
    assert taker.average_price == D("90004.5")


def test_reduce_only_is_trimmed_to_the_position_and_never_flips(exchange: Exchange) -> None:
    trade(exchange, "alice", market(Side.BUY, "0.1"))
    order = trade(exchange, "alice", market(Side.SELL, "0.5", reduce_only=True))
    assert (order.quantity, held(exchange, "alice")) == (D("0.1"), D(0))


def test_reduce_only_without_a_position_or_in_its_direction_is_refused(exchange: Exchange) -> None:
    assert refusal(exchange, "alice", market(Side.SELL, "0.1", reduce_only=True)) is Reason.REDUCE_ONLY_REJECTED
    trade(exchange, "alice", market(Side.BUY, "0.1"))
    assert refusal(exchange, "alice", market(Side.BUY, "0.1", reduce_only=True)) is Reason.REDUCE_ONLY_REJECTED


def test_resting_reduce_only_orders_shrink_and_die_with_the_position(exchange: Exchange) -> None:
    trade(exchange, "alice", market(Side.BUY, "0.1"))
    resting = trade(exchange, "alice", limit(Side.SELL, "0.1", "91000", reduce_only=True))
    trade(exchange, "alice", market(Side.SELL, "0.04"))
    assert resting.quantity == D("0.06")
    trade(exchange, "alice", market(Side.SELL, "0.06"))
    assert resting.status is OrderStatus.EXPIRED


def test_hedge_legs_stand_side_by_side_and_a_close_may_not_exceed_its_leg(exchange: Exchange) -> None:
    set_hedge_mode(exchange.accounts["alice"], True)
    trade(exchange, "alice", market(Side.BUY, "0.1", leg=PositionSide.LONG))
    trade(exchange, "alice", market(Side.SELL, "0.05", leg=PositionSide.SHORT))
    assert held(exchange, "alice", PositionSide.LONG) == D("0.1")
    assert held(exchange, "alice", PositionSide.SHORT) == D("-0.05")
    too_much = market(Side.SELL, "0.2", leg=PositionSide.LONG)
    assert refusal(exchange, "alice", too_much) is Reason.REDUCE_ONLY_REJECTED
    assert refusal(exchange, "alice", market(Side.SELL, "0.1")) is Reason.POSITION_SIDE_MISMATCH


def test_amending_moves_the_order_and_a_refused_amendment_changes_nothing(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    order = trade(exchange, "alice", limit(Side.BUY, "0.1", "88000"))
    amend(exchange, alice, order, Side.BUY, D("0.2"), D("88500"))
    assert (order.quantity, order.price) == (D("0.2"), D("88500"))
    with pytest.raises(Rejected):
        amend(exchange, alice, order, Side.BUY, D("90"), D("88500"))
    assert (order.quantity, order.price, order.open) == (D("0.2"), D("88500"), True)
    amend(exchange, alice, order, Side.BUY, D("0.2"), D("90100"))
    assert order.status is OrderStatus.FILLED


def test_amending_below_what_was_filled_cancels(exchange: Exchange) -> None:
    order = trade(exchange, "bob", limit(Side.BUY, "5", "90010"))
    assert 0 < order.filled_quantity < 5
    amend(exchange, exchange.accounts["bob"], order, Side.BUY, order.filled_quantity, D("90010"))
    assert order.status is OrderStatus.CANCELED


@pytest.mark.parametrize("quantity", ["0", "-5"])
def test_amending_to_no_quantity_is_refused_and_leaves_the_order(exchange: Exchange, quantity: str) -> None:
    order = trade(exchange, "alice", limit(Side.BUY, "0.1", "88000"))
    with pytest.raises(Rejected) as caught:
        amend(exchange, exchange.accounts["alice"], order, Side.BUY, D(quantity), D("88000"))
    assert caught.value.reason is Reason.QUANTITY_NOT_POSITIVE
    assert (order.status, order.quantity) == (OrderStatus.NEW, D("0.1"))


def test_amending_a_post_only_order_so_that_it_would_take_cancels_it(exchange: Exchange) -> None:
    order = trade(exchange, "alice", limit(Side.BUY, "0.1", "88000", time_in_force=TimeInForce.POST_ONLY))
    amend(exchange, exchange.accounts["alice"], order, Side.BUY, D("0.1"), D("90100"))
    assert (order.status, order.price, held(exchange, "alice")) == (OrderStatus.CANCELED, D("88000"), 0)
    assert not exchange.accounts["alice"].open_orders
    assert not exchange.market(BTC).resting[Side.BUY]


def test_what_is_open_is_found_however_much_came_after_it(exchange: Exchange) -> None:
    bob = exchange.accounts["bob"]
    bob.orders, bob.conditionals = deque(maxlen=3), deque(maxlen=3)  # A history that is soon full.
    order = trade(exchange, "bob", limit(Side.BUY, "0.1", "88000", client_order_id="mine"))
    waiting = place_conditional(exchange, bob, stop(Side.SELL, "0.1", "85000"))
    for _ in range(3):
        cancel(exchange, trade(exchange, "bob", limit(Side.BUY, "0.01", "87000")))
        cancel_conditional(exchange, bob, place_conditional(exchange, bob, stop(Side.SELL, "0.01", "84000")))
    assert find_order(bob, BTC, order.order_id, None) is find_order(bob, BTC, None, "mine") is order
    assert find_conditional(bob, waiting.conditional_id, None) is waiting
    assert find_conditional(bob, None, waiting.client_order_id) is waiting


@pytest.mark.parametrize("rule", [SelfTrade.EXPIRE_TAKER, SelfTrade.EXPIRE_BOTH])
def test_fill_or_kill_that_would_end_at_its_own_order_is_refused(exchange: Exchange, rule: SelfTrade) -> None:
    own = trade(exchange, "bob", limit(Side.SELL, "0.1", "90010"))
    reaching = limit(Side.BUY, "0.5", "90050", time_in_force=TimeInForce.FOK)
    through_it = replace(reaching, self_trade=rule, quantity=D(3))
    assert refusal(exchange, "bob", through_it) is Reason.FILL_OR_KILL_UNFILLED
    short_of_it = trade(exchange, "bob", replace(reaching, self_trade=rule))
    assert (short_of_it.status, own.status) == (OrderStatus.FILLED, OrderStatus.NEW)


def test_a_fill_or_kill_is_not_kept_from_what_lies_behind_an_own_order_it_expires(exchange: Exchange) -> None:
    own = trade(exchange, "bob", limit(Side.SELL, "0.1", "90010"))
    order = trade(exchange, "bob", limit(Side.BUY, "3", "90050", time_in_force=TimeInForce.FOK))
    assert (order.status, own.status) == (OrderStatus.FILLED, OrderStatus.EXPIRED_IN_MATCH)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (limit(Side.BUY, "0.0001", "88000"), Reason.PRECISION),
        (limit(Side.BUY, "0.1", "1e30"), Reason.PRICE_TOO_HIGH),
        (limit(Side.BUY, "0.1", "88000.05"), Reason.PRECISION),
        (limit(Side.BUY, "0.001", "88000"), Reason.NOTIONAL_TOO_SMALL),
        (limit(Side.BUY, "1001", "88000"), Reason.QUANTITY_TOO_LARGE),
        (market(Side.BUY, "121"), Reason.QUANTITY_TOO_LARGE),
        (limit(Side.BUY, "0.1", "95000"), Reason.PRICE_ABOVE_BAND),
        (limit(Side.SELL, "0.1", "85000"), Reason.PRICE_BELOW_BAND),
        (limit(Side.BUY, "0", "88000"), Reason.QUANTITY_NOT_POSITIVE),
        (market(Side.BUY, "0.1", "NOPEUSDT"), Reason.UNKNOWN_SYMBOL),
        (market(Side.BUY, "100", "LUNCUSDT"), Reason.SYMBOL_NOT_TRADING),
        (limit(Side.BUY, "3", "88000"), Reason.MARGIN_INSUFFICIENT),
        (market(Side.BUY, "0.1", leg=PositionSide.LONG), Reason.POSITION_SIDE_MISMATCH),
    ],
)
def test_orders_outside_the_rules_are_refused(exchange: Exchange, new: NewOrder, reason: Reason) -> None:
    assert refusal(exchange, "alice", new) is reason
    assert not exchange.accounts["alice"].orders


def test_a_client_order_id_is_unique_among_open_orders(exchange: Exchange) -> None:
    order = trade(exchange, "alice", limit(Side.BUY, "0.01", "88000", client_order_id="mine"))
    again = limit(Side.BUY, "0.01", "88000", client_order_id="mine")
    assert refusal(exchange, "alice", again) is Reason.DUPLICATE_CLIENT_ID
    cancel(exchange, order)
    assert trade(exchange, "alice", again).open


def test_a_stop_fires_on_the_mark_and_closes_the_position(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    trade(exchange, "alice", market(Side.BUY, "0.1"))
    order = place_conditional(exchange, alice, stop(Side.SELL, None, "85000"))
    jump(exchange, BTC, D("84000"), mark_price=D("86000"))
    assert order.status is ConditionalStatus.NEW
    jump(exchange, BTC, D("84000"))
    assert order.reported_status is ConditionalStatus.FINISHED
    assert held(exchange, "alice") == 0


def test_a_stop_that_would_fire_at_once_is_refused(exchange: Exchange) -> None:
    with pytest.raises(Rejected) as caught:
        place_conditional(exchange, exchange.accounts["alice"], stop(Side.SELL, "0.1", "95000"))
    assert caught.value.reason is Reason.WOULD_TRIGGER_AT_ONCE


def test_a_protected_stop_is_not_sent_while_last_and_mark_price_are_far_apart(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    trade(exchange, "alice", market(Side.BUY, "0.1"))
    protected = replace(stop(Side.SELL, None, "85000", trigger_by=TriggerBy.LAST_PRICE), price_protect=True)
    order = place_conditional(exchange, alice, protected)
    heard: list[Event] = []
    exchange.events.subscribe(heard.append)
    jump(exchange, BTC, D("84000"), mark_price=D("89000"))
    assert (order.status, order.failure) == (ConditionalStatus.REJECTED, "PRICE_PROTECT")
    assert held(exchange, "alice") == D("0.1")
    told = [(event.order.status, event.order.failure) for event in heard if isinstance(event, ConditionalChanged)]
    assert told[-1] == (ConditionalStatus.REJECTED, "PRICE_PROTECT")


def test_a_fired_stop_without_a_position_to_reduce_is_rejected_not_opened(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    order = place_conditional(exchange, alice, stop(Side.SELL, "0.1", "85000", reduce_only=True))
    jump(exchange, BTC, D("84000"))
    assert order.status is ConditionalStatus.REJECTED
    assert held(exchange, "alice") == 0


@pytest.mark.parametrize(("traded", "left"), [("0.04", True), ("0.1", False), ("0.25", False)])
def test_a_stop_that_stands_for_a_position_ends_when_it_is_closed_or_turned(
    exchange: Exchange, traded: str, left: bool
) -> None:
    alice = exchange.accounts["alice"]
    trade(exchange, "alice", market(Side.BUY, "0.1"))
    bound = replace(stop(Side.SELL, "0.1", "85000"), expires_with_position=True)
    order = place_conditional(exchange, alice, bound)
    trade(exchange, "alice", market(Side.SELL, traded))
    assert order.status is (ConditionalStatus.NEW if left else ConditionalStatus.EXPIRED)
    assert bool(alice.open_conditionals) is left


def test_a_trailing_stop_follows_the_price_and_fires_on_the_way_back(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    trade(exchange, "alice", market(Side.BUY, "0.1"))
    trailing = NewConditional(
        symbol=BTC,
        side=Side.SELL,
        conditional_type=ConditionalType.TRAILING_STOP_MARKET,
        quantity=D("0.1"),
        trigger_price=D("91000"),
        callback_percent=D(1),
        reduce_only=True,
    )
    order = place_conditional(exchange, alice, trailing)
    for price in ("89000", "91500", "93000", "92500"):
        jump(exchange, BTC, D(price))
    assert order.open
    jump(exchange, BTC, D("92000"))
    assert order.reported_status is ConditionalStatus.FINISHED


def test_cancel_all_leaves_conditionals_and_the_other_way_round(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    plain = trade(exchange, "alice", limit(Side.BUY, "0.01", "88000"))
    waiting = place_conditional(exchange, alice, stop(Side.SELL, "0.01", "85000"))
    cancel_all(exchange, alice, BTC)
    assert (plain.open, waiting.open) == (False, True)
    plain = trade(exchange, "alice", limit(Side.BUY, "0.01", "88000"))
    cancel_all_conditionals(exchange, alice, BTC)
    assert (plain.open, waiting.open) == (True, False)


def test_the_dead_mans_switch_cancels_plain_orders_when_it_runs_out(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    order = trade(exchange, "alice", limit(Side.BUY, "0.01", "88000"))
    arm_countdown(exchange, alice, BTC, 1_000)
    for _ in range(3):
        step(exchange)
    assert order.open
    step(exchange)
    assert order.status is OrderStatus.CANCELED


def test_market_orders_carry_no_price(exchange: Exchange) -> None:
    order = trade(exchange, "alice", market(Side.BUY, "0.01"))
    assert (order.order_type, order.price) == (OrderType.MARKET, D(0))
