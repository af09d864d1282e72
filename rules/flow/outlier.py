"""How unlike a bot's own orders a single one is, told before it is sent: its size, its price, its symbol."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rules.exposure import held_order, order_value
from rules.facts import Score
from rules.intent import side_of
from rules.model import AmendOrder, Command, PlaceOrder, Side
from rules.rule import show, show_percent
from rules.snapshot import Snapshot
from rules.usual import UsualOrders

ONE: Final = Decimal(1)
NOTHING: Final = Score()


def order_score(command: Command, snapshot: Snapshot) -> Score:
    """The score of this very order by the bounds that are published of its bot, 0 where nothing is known.

    An order that gives no size or no price is not judged by it. The bot's recent behaviour is not in it: that is the
    published score.
    """
    usual = snapshot.usual
    if usual is None or not isinstance(command, PlaceOrder | AmendOrder):
        return NOTHING
    found = (_symbol(command, usual), _size(command, snapshot, usual), _distance(command, snapshot, usual))
    return max(found, key=_value)


def _value(score: Score) -> float:
    return score.value


def _symbol(command: PlaceOrder | AmendOrder, usual: UsualOrders) -> Score:
    if usual.knows(command.symbol):
        return NOTHING
    return Score(value=usual.new_symbol, why=f"{command.symbol} is a symbol it does not trade")


def _size(command: PlaceOrder | AmendOrder, snapshot: Snapshot, usual: UsualOrders) -> Score:
    order = held_order(command, snapshot)
    if order is None:
        return NOTHING
    worth = order_value(order, snapshot)
    score, bound = usual.score_of(worth, usual.size_bounds(command.symbol, order.side))
    return Score(value=score, why=f"size {show(worth)} is above {show(bound)}") if score > 0 else NOTHING


def _distance(command: PlaceOrder | AmendOrder, snapshot: Snapshot, usual: UsualOrders) -> Score:
    market = snapshot.markets.get(command.symbol)
    if market is None or command.price is None or market.mark_price <= 0:
        return NOTHING
    through = command.price / market.mark_price - ONE
    if side_of(command, snapshot) is Side.SELL:
        through = -through
    where, bounds = ("through", usual.through) if through > 0 else ("away from", usual.away)
    score, bound = usual.score_of(abs(through), bounds)
    if score <= 0:
        return NOTHING
    return Score(
        value=score, why=f"price is {show_percent(abs(through))} {where} the mark, above {show_percent(bound)}"
    )
