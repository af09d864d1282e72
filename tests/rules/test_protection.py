"""Which orders protect a leg, and since when a leg has stood without."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rules.account import Account, OpenOrder, Position
from rules.facts import Unprotected
from rules.model import OrderType, PositionSide, Side
from rules.protection import Band, is_protected, stops_of, unprotected
from tests.rules.builders import NOW, World, an_account, an_open_order

BUY, SELL = Side
BOTH, LONG, SHORT = PositionSide
BAND = Band(distance_max=Decimal("0.05"), distance_min=Decimal("0.01"))
LATER = NOW + timedelta(seconds=7)


def a_stop(side: Side = SELL, leaves: str | None = "1", trigger: str | None = "48000", **terms: Any) -> OpenOrder:
    """A reduce-only stop on BTCUSDT, which was bought or sold at 50,000."""
    terms = {"order_type": OrderType.STOP_MARKET, "reduce_only": True, "trigger_price": trigger} | terms
    return an_open_order(side, "BTCUSDT", leaves, **terms)


def account(world: World) -> Account:
    assert world.account is not None
    return world.account


def leg(quantity: str = "1") -> Position:
    world = an_account()
    held = world.long("BTCUSDT", quantity) if Decimal(quantity) > 0 else world.short("BTCUSDT", quantity[1:])
    return account(held).positions[0]


@pytest.mark.parametrize(
    "stop",
    [
        a_stop(),
        a_stop(order_type=OrderType.STOP, price="47900"),
        a_stop(leaves=None, reduce_only=False, close_position=True),
        a_stop(leaves="2"),
    ],
    ids=["stop-market", "stop-limit", "close-position", "larger"],
)
def test_a_stop_for_all_of_the_leg_protects_it(stop: OpenOrder) -> None:
    assert is_protected(leg(), [stop], BAND)
    assert list(stops_of(leg(), [stop], BAND)) == [stop]


@pytest.mark.parametrize(
    "order",
    [
        a_stop(BUY),
        a_stop(reduce_only=False),
        a_stop(order_type=OrderType.TAKE_PROFIT_MARKET),
        a_stop(order_type=OrderType.TAKE_PROFIT, price="1"),
        a_stop(order_type=OrderType.TRAILING_STOP_MARKET),
        a_stop(order_type=OrderType.LIMIT),
        a_stop(position_side=LONG),
        a_stop(trigger=None),
        a_stop(leaves="0"),
    ],
    ids=["side", "may open", "profit", "profit limit", "trailing", "limit", "leg", "no trigger", "done"],
)
def test_nothing_else_protects_it(order: OpenOrder) -> None:
    assert not is_protected(leg(), [order], BAND)
    assert list(stops_of(leg(), [order], BAND)) == []


def test_another_symbol_s_stop_protects_nothing() -> None:
    other = an_open_order(
        SELL, "ETHUSDT", "1", order_type=OrderType.STOP_MARKET, reduce_only=True, trigger_price="48000"
    )
    assert not is_protected(leg(), [other], BAND)


def test_several_stops_may_share_a_leg() -> None:
    parts = [a_stop(leaves="0.4"), a_stop(leaves="0.6", trigger="47500")]
    assert is_protected(leg(), parts, BAND)
    assert not is_protected(leg("1.001"), parts, BAND)
    assert not is_protected(leg(), parts[:1], BAND)


@pytest.mark.parametrize(
    ("trigger", "counts"),
    [
        ("47500", True),
        ("47499.9", False),
        ("49500", True),
        ("49500.1", False),
        ("49999.9", False),
        ("50000", True),
        ("60000", True),
    ],
)
def test_a_long_s_stop_loses_a_bounded_part_of_the_entry_or_locks_in_a_profit(trigger: str, counts: bool) -> None:
    assert is_protected(leg(), [a_stop(trigger=trigger)], BAND) is counts


@pytest.mark.parametrize(
    ("trigger", "counts"),
    [("52500", True), ("52500.1", False), ("50500", True), ("50499.9", False), ("50000", True), ("40000", True)],
)
def test_a_short_s_stop_is_its_mirror(trigger: str, counts: bool) -> None:
    assert is_protected(leg("-1"), [a_stop(BUY, trigger=trigger)], BAND) is counts
    assert not is_protected(leg("-1"), [a_stop(SELL, trigger=trigger)], BAND)


@pytest.mark.parametrize(
    ("side", "trigger", "limit", "counts"),
    [
        (SELL, "48000", "48000", True),
        (SELL, "48000", "47000", True),
        (SELL, "48000", "48000.1", False),
        (SELL, "48000", "100000", False),
        (SELL, "60000", "60000.1", False),
        (SELL, "48000", None, False),
        (BUY, "52000", "52000", True),
        (BUY, "52000", "53000", True),
        (BUY, "52000", "51999.9", False),
        (BUY, "40000", "39999.9", False),
    ],
)
def test_a_stop_whose_limit_the_market_has_to_come_back_to_protects_nothing(
    side: Side, trigger: str, limit: str | None, counts: bool
) -> None:
    stop = a_stop(side, trigger=trigger, order_type=OrderType.STOP, price=limit)
    assert is_protected(leg("1" if side is SELL else "-1"), [stop], BAND) is counts


def test_without_a_least_distance_it_may_be_as_near_as_one_likes() -> None:
    near = a_stop(trigger="49999.9")
    assert is_protected(leg(), [near], Band(distance_max=Decimal("0.05")))


def test_trailing_stops_count_where_the_desk_says_so() -> None:
    trailing = a_stop(order_type=OrderType.TRAILING_STOP_MARKET, trigger=None)
    assert is_protected(leg(), [trailing], Band(distance_max=Decimal("0.05"), trailing=True))


def test_a_hedge_leg_s_stop_needs_no_flag() -> None:
    held = account(an_account().hedged().long("BTCUSDT", "1")).positions[0]
    assert is_protected(held, [a_stop(position_side=LONG, reduce_only=False)], BAND)
    assert not is_protected(held, [a_stop(BUY, position_side=SHORT, reduce_only=False)], BAND)


def test_a_leg_is_unprotected_since_it_was_first_seen_so() -> None:
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "1").resting(a_stop())
    found = unprotected((), account(world), NOW, [("", BAND)])
    assert found == (Unprotected(symbol="ETHUSDT", position_side=BOTH, since=NOW),)
    assert unprotected(found, account(world), LATER, [("", BAND)]) == found


def test_a_leg_that_was_protected_or_closed_meanwhile_counts_anew() -> None:
    bare = account(an_account().long("BTCUSDT", "1"))
    first = unprotected((), bare, NOW, [("", BAND)])
    safe = unprotected(first, account(an_account().long("BTCUSDT", "1").resting(a_stop())), NOW, [("", BAND)])
    assert safe == ()
    assert unprotected(safe, bare, LATER, [("", BAND)])[0].since == LATER


def test_every_band_that_is_asked_of_a_leg_counts_and_no_other() -> None:
    world = an_account().long("BTCUSDT", "1").long("ETHUSDT", "1").resting(a_stop(trigger="47500"))
    tight = Band(distance_max=Decimal("0.02"))
    assert unprotected((), account(world), NOW, []) == ()
    assert unprotected((), account(world), NOW, [("BTCUSDT", BAND)]) == ()
    symbols = [each.symbol for each in unprotected((), account(world), NOW, [("", BAND), ("BTCUSDT", tight)])]
    assert symbols == ["BTCUSDT", "ETHUSDT"]


def test_legs_are_told_in_order_and_once() -> None:
    world = an_account().hedged().short("ETHUSDT", "1").short("BTCUSDT", "1").long("BTCUSDT", "1").long("BTCUSDT", "2")
    found = unprotected((), account(world), NOW, [("", BAND)])
    assert [(each.symbol, each.position_side) for each in found] == [
        ("BTCUSDT", LONG),
        ("BTCUSDT", SHORT),
        ("ETHUSDT", SHORT),
    ]
