"""The arithmetic of exposure against a small venue that fills everything, in every order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import permutations

from hypothesis import event, given
from hypothesis import strategies as st

from rules.engine import decide
from rules.exposure import held_order, worst_case
from rules.intent import intent_of
from rules.model import AmendOrder, Intent, OrderType, PlaceOrder, PositionSide, Side
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from tests.properties.strategies import examples
from tests.rules.builders import World, a_policy, an_account, an_open_order

SYMBOL = "BTCUSDT"
MARK = 50_000
BOTH, LONG, SHORT = PositionSide

Legs = dict[PositionSide, Decimal]


@dataclass(frozen=True)
class Rests:
    """An order at the venue. ``quantity`` is ``None`` when it closes whatever is there. One of a ``group`` fills."""

    side: Side
    position_side: PositionSide
    quantity: Decimal | None
    only_shrinks: bool
    group: str


def filled(legs: Legs, order: Rests) -> Legs:
    """The legs after ``order`` filled whole, as the venue does it: what only shrinks is capped at the leg."""
    leg = legs.get(order.position_side, Decimal(0))
    opposed = max(Decimal(0), -leg * order.side.sign)
    closes = (order.side, order.position_side) in ((Side.SELL, LONG), (Side.BUY, SHORT))
    size = opposed if order.quantity is None else order.quantity
    if order.only_shrinks or closes:
        size = min(size, opposed)
    return {**legs, order.position_side: leg + size * order.side.sign}


def every_outcome(legs: Legs, orders: list[Rests]) -> Iterator[Legs]:
    """The legs after every subset of ``orders``, in every order of filling."""
    yield legs
    for count in range(1, len(orders) + 1):
        for sequence in permutations(orders, count):
            if len({order.group for order in sequence}) < count:
                continue
            outcome = legs
            for order in sequence:
                outcome = filled(outcome, order)
            yield outcome


@st.composite
def sizes(draw) -> Decimal:
    return Decimal(draw(st.integers(1, 4)))


@st.composite
def small_books(draw) -> tuple[World, Legs, list[Rests]]:
    """A world of one symbol and the same at the venue: at most two legs, a few orders, amends among them."""
    hedged = draw(st.booleans())
    world = an_account().hedged() if hedged else an_account()
    legs: Legs = {}
    for leg in (LONG, SHORT) if hedged else (BOTH,):
        size = draw(st.integers(0, 4) if hedged else st.integers(-4, 4))
        if size:
            signed = -size if leg is SHORT else size
            legs[leg] = Decimal(signed)
            world = world.long(SYMBOL, str(signed)) if signed > 0 else world.short(SYMBOL, str(-signed))
    orders: list[Rests] = []
    for number in range(draw(st.integers(0, 2))):
        side = draw(st.sampled_from(Side))
        leg = draw(st.sampled_from([LONG, SHORT])) if hedged else BOTH
        quantity = draw(sizes())
        shrinks = not hedged and draw(st.booleans())
        closes = shrinks and draw(st.booleans())
        resting = an_open_order(
            side,
            SYMBOL,
            None if closes else str(quantity),
            "50000",
            order_id=str(number),
            position_side=leg,
            reduce_only=shrinks and not closes,
            close_position=closes,
        )
        world = world.resting(resting)
        orders.append(Rests(side, leg, None if closes else quantity, shrinks, str(number)))
        for _ in range(0 if shrinks else draw(st.integers(0, 2))):
            by_name = draw(st.booleans())
            amend = AmendOrder(
                symbol=SYMBOL,
                side=side,
                quantity=draw(sizes()),
                price=Decimal(50_000),
                order_id=None if by_name else resting.order_id,
                client_order_id=resting.client_order_id if by_name else None,
            )
            if held_order(amend, world.snapshot) is not None:
                world = world.holding(amend)
                orders.append(Rests(side, leg, amend.quantity, False, str(number)))
    for number in range(draw(st.integers(0, max(0, 4 - len(orders))))):
        side = draw(st.sampled_from(Side))
        leg = (LONG if side is Side.BUY else SHORT) if hedged else BOTH
        order = PlaceOrder(
            symbol=SYMBOL, side=side, order_type=OrderType.MARKET, quantity=draw(sizes()), position_side=leg
        )
        world = world.holding(order)
        orders.append(Rests(side, leg, order.quantity, False, f"held {number}"))
    return world, legs, orders


@given(small_books())
@examples(200)
def test_the_worst_case_bounds_every_order_of_fills(book):
    world, legs, orders = book
    found = worst_case(world.snapshot).get(SYMBOL)
    event(f"{len(orders)} orders")
    for outcome in every_outcome(legs, orders):
        long = max([Decimal(0), *outcome.values()])
        short = -min([Decimal(0), *outcome.values()])
        gross = sum((abs(size) for size in outcome.values()), Decimal(0))
        if found is None:
            assert gross == 0
            continue
        assert long <= found.long_quantity and long * MARK <= found.long_notional
        assert short <= found.short_quantity and short * MARK <= found.short_notional
        assert gross * MARK <= found.gross_notional


@given(small_books())
@examples(200)
def test_the_net_range_bounds_every_order_of_fills_but_exits(book):
    world, legs, orders = book
    found = worst_case(world.snapshot).get(SYMBOL)
    growing = [
        order
        for order in orders
        if not order.only_shrinks and (order.side, order.position_side) not in ((Side.SELL, LONG), (Side.BUY, SHORT))
    ]
    for outcome in every_outcome(legs, growing):
        net = sum(outcome.values(), Decimal(0)) * MARK
        low, high = (found.net_low, found.net_high) if found is not None else (0, 0)
        assert low <= net <= high


@st.composite
def any_orders(draw, hedged: bool) -> PlaceOrder:
    closes = draw(st.booleans()) and not hedged
    return PlaceOrder(
        symbol=SYMBOL,
        side=draw(st.sampled_from(Side)),
        order_type=OrderType.STOP_MARKET if closes else OrderType.MARKET,
        quantity=None if closes else draw(sizes()),
        position_side=draw(st.sampled_from([LONG, SHORT])) if hedged else BOTH,
        reduce_only=None if hedged or closes else draw(st.sampled_from([None, False, True])),
        close_position=closes,
    )


@given(st.data(), small_books())
@examples(200)
def test_an_exit_never_raises_a_leg_whatever_fills_before_it(data, book):
    world, legs, orders = book
    command = data.draw(any_orders(world.account.hedged))
    if data.draw(st.booleans()):
        command = decide(command, world.snapshot, a_policy(ReduceOnlyExits(mode=ExitMode.FORCE))).effective
    if intent_of(command, world.snapshot) is not Intent.EXIT:
        return
    guaranteed = command.reduce_only is True or command.close_position
    sent = Rests(command.side, command.position_side, command.quantity, guaranteed, "sent")
    _never_grows(legs, orders, sent)


@given(st.data(), small_books())
@examples(200)
def test_an_amended_exit_never_raises_a_leg_either(data, book):
    world, legs, orders = book
    for original in world.account.open_orders:
        command = AmendOrder(
            symbol=SYMBOL,
            side=original.side,
            quantity=data.draw(sizes()),
            price=Decimal(50_000),
            order_id=original.order_id,
        )
        if intent_of(command, world.snapshot) is not Intent.EXIT:
            continue
        before = next(order for order in orders if order.group == original.order_id)
        _never_grows(
            legs, [order for order in orders if order is not before], replace(before, quantity=command.quantity)
        )


def _never_grows(legs: Legs, orders: list[Rests], sent: Rests) -> None:
    for before in every_outcome(legs, orders):
        after = filled(before, sent)
        leg = before.get(sent.position_side, Decimal(0))
        assert abs(after.get(sent.position_side, Decimal(0))) <= abs(leg)
        assert after.get(sent.position_side, Decimal(0)) * leg >= 0, "flipped"
