"""The engine's log of what happened: complete, in order, and never rewritten by what happens later."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.engine.book_record import BookRecord
from sandbox.engine.conditional import ConditionalStatus
from sandbox.engine.events import (
    AccountChanged,
    Cause,
    ConditionalChanged,
    Event,
    Execution,
    MarginCalled,
    OrderChanged,
)
from sandbox.engine.exchange import Exchange
from sandbox.engine.house import open_house
from sandbox.engine.market import BookLevel
from sandbox.engine.model import MarginMode, OrderStatus, PositionSide, Side
from sandbox.engine.preferences import set_leverage, set_margin_mode
from sandbox.engine.stepping import jump, step
from sandbox.engine.trading import cancel, place
from sandbox.engine.triggers import place_conditional
from tests.sandbox.builders import BTC, limit, market, stop


@pytest.fixture
def told(exchange: Exchange) -> list[Event]:
    events: list[Event] = []
    exchange.events.subscribe(events.append)
    return events


def test_events_are_numbered_strictly_upwards(exchange: Exchange, told: list[Event]) -> None:
    for account in exchange.accounts.values():
        place(exchange, account, market(Side.BUY, "0.9"))
        place(exchange, account, limit(Side.SELL, "0.1", "90000", reduce_only=True))
    numbers = [event.sequence for event in told]
    assert len(numbers) > 10
    assert numbers == sorted(set(numbers))


def test_an_event_is_a_copy(exchange: Exchange, told: list[Event]) -> None:
    order = place(exchange, exchange.accounts["alice"], limit(Side.BUY, "0.01", "88000"))
    cancel(exchange, order)
    statuses = [event.order.status for event in told if isinstance(event, OrderChanged)]
    assert statuses == [OrderStatus.NEW, OrderStatus.CANCELED]


def test_each_execution_is_one_change_of_the_account(exchange: Exchange, told: list[Event]) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "0.9"))
    changed = [event for event in told if isinstance(event, AccountChanged)]
    assert [leg.quantity for event in changed for leg in event.legs] == [Decimal("0.6"), Decimal("0.9")]
    assert [event.cause for event in changed] == [Cause.ORDER, Cause.ORDER]
    assert changed[-1].wallet == alice.wallet


def test_a_resting_reduce_only_order_that_shrinks_is_told(exchange: Exchange, told: list[Event]) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "0.4"))
    place(exchange, alice, limit(Side.SELL, "0.4", "91000", reduce_only=True))
    place(exchange, alice, market(Side.SELL, "0.3"))
    amended = [event for event in told if isinstance(event, OrderChanged) and event.execution is Execution.AMENDED]
    assert [event.order.quantity for event in amended] == [Decimal("0.1")]


def test_a_triggered_stop_is_linked_before_its_order_is_told(exchange: Exchange, told: list[Event]) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "0.1"))
    place_conditional(exchange, alice, stop(Side.SELL, None, "85000"))
    told.clear()
    jump(exchange, BTC, Decimal(84_000))
    kinds = [
        event.order.reported_status if isinstance(event, ConditionalChanged) else type(event).__name__ for event in told
    ]
    assert kinds == [
        ConditionalStatus.TRIGGERING,
        ConditionalStatus.TRIGGERED,
        "OrderChanged",
        "AccountChanged",
        "OrderChanged",
        ConditionalStatus.FINISHED,
    ]


def test_margin_is_called_once_an_approach(exchange: Exchange, told: list[Event]) -> None:
    alice = exchange.accounts["alice"]
    set_leverage(exchange, alice, BTC, 50)
    place(exchange, alice, market(Side.BUY, "4"))
    told.clear()
    for price in (88_020, 88_010, 90_000, 88_020):
        jump(exchange, BTC, Decimal(price))
        step(exchange)
    called = [event for event in told if isinstance(event, MarginCalled)]
    assert len(called) == 2
    assert called[0].legs[0].quantity == 4


def test_an_isolated_position_is_not_called_with_the_cross_margin(exchange: Exchange, told: list[Event]) -> None:
    alice = exchange.accounts["alice"]
    set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    set_leverage(exchange, alice, BTC, 100)
    place(exchange, alice, market(Side.BUY, "0.5"))
    jump(exchange, BTC, Decimal(89_500))
    assert not [event for event in told if isinstance(event, MarginCalled)]


def book(**bids: str) -> list[BookLevel]:
    return [BookLevel(Decimal(price[1:]), Decimal(quantity)) for price, quantity in bids.items()]


def observe(record: BookRecord, bids: list[BookLevel]) -> None:
    record.observe(lambda side: bids if side is Side.BUY else [])


def test_a_book_counts_the_levels_that_changed() -> None:
    record = BookRecord()
    observe(record, book(p3="1", p2="1"))
    before = record.update_id
    observe(record, book(p3="1", p2="1"))
    assert record.update_id == before
    observe(record, book(p3="2", p1="1"))
    assert record.update_id == before + 3
    assert record.since(before)[Side.BUY] == {Decimal(3): 2, Decimal(1): 1, Decimal(2): 0}


def test_a_level_that_changed_and_changed_back_is_still_touched() -> None:
    record = BookRecord()
    observe(record, book(p3="1"))
    before = record.update_id
    observe(record, book(p3="2"))
    record.mark()
    observe(record, book(p3="1"))
    assert record.since(before)[Side.BUY] == {Decimal(3): 1}


@pytest.mark.parametrize(
    ("price", "fund"),
    [(85_700, 1_000_000), (80_000, 1_000_000), (80_000, 0)],
    ids=["the fee takes what is left", "the fund takes over", "deleveraging leaves less than a tick"],
)
def test_an_isolated_liquidation_tells_the_wallets_as_they_are_in_the_end(
    exchange: Exchange, told: list[Event], price: int, fund: int
) -> None:
    alice = exchange.accounts["alice"]
    exchange.set_insurance_fund(Decimal(fund))
    set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    place(exchange, alice, market(Side.BUY, "0.5"))
    spared = alice.cross_wallet
    told.clear()
    jump(exchange, BTC, Decimal(price))
    changed = [event for event in told if isinstance(event, AccountChanged)]
    assert (changed[-1].wallet, changed[-1].cross_wallet) == (alice.wallet, alice.cross_wallet)
    assert [(leg.quantity, leg.isolated_wallet) for leg in changed[-1].legs] == [(0, 0)]
    # Not on the way either: none of it was ever the cross wallet's to pay.
    assert min(event.cross_wallet for event in changed) == spared


def test_what_a_partial_liquidation_costs_is_told_with_the_leg_it_came_from(
    exchange: Exchange, told: list[Event]
) -> None:
    house = open_house(exchange, "SOLUSDT", Side.BUY, Decimal(20_000), 20)
    told.clear()
    jump(exchange, "SOLUSDT", Decimal("135.8"))
    leg = house.position("SOLUSDT", PositionSide.BOTH)
    [fee] = [event for event in told if isinstance(event, AccountChanged) and event.cause is Cause.INSURANCE_CLEAR]
    assert (fee.cross_wallet, [each.isolated_wallet for each in fee.legs]) == (0, [leg.isolated_wallet])
    assert leg.quantity > 0
