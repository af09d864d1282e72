"""What an expression of a desk's own may speak of: names, and what each is in a snapshot.

Money, prices, quantities and fractions are shown as doubles (15 to 17 digits), counts as whole numbers, ages and waits
as seconds, ``now`` as a moment. What the guard does not know is ``None``. An amend is shown as its worst case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from rules.account import HeldOrder, Position
from rules.exposure import gross_notional, held_order, order_value, worst_case
from rules.facts import BotRecord, Condition, Performance
from rules.model import AmendOrder, PlaceOrder
from rules.snapshot import Market, Snapshot

Value = float | int | str | bool | datetime | None
Entry = PlaceOrder | AmendOrder
Field = Callable[[Entry, Snapshot], Value]


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _seconds(moment: datetime | None, snapshot: Snapshot) -> float | None:
    """How far a moment is from now, before or after."""
    return None if moment is None else abs(snapshot.now - moment).total_seconds()


def _held(entry: Entry, snapshot: Snapshot) -> HeldOrder:
    order = held_order(entry, snapshot)
    if order is None:
        raise ValueError("the order adds nothing, or its size is not known")
    return order


def _position(entry: Entry, snapshot: Snapshot) -> Position | None:
    positions = snapshot.account.positions if snapshot.account is not None else ()
    leg = _held(entry, snapshot).position_side
    return next((each for each in positions if (each.symbol, each.position_side) == (entry.symbol, leg)), None)


def _of_order(read: Callable[[HeldOrder, Snapshot], Value]) -> Field:
    return lambda entry, snapshot: read(_held(entry, snapshot), snapshot)


def _of_position(read: Callable[[Position], Decimal | None], flat: float | None = None) -> Field:
    def field(entry: Entry, snapshot: Snapshot) -> Value:
        position = _position(entry, snapshot)
        return flat if position is None else _number(read(position))

    return field


def _position_notional(entry: Entry, snapshot: Snapshot) -> Value:
    """At the mark of now, as every limit counts it; at that of the survey where there is none."""
    position, market = _position(entry, snapshot), snapshot.markets.get(entry.symbol)
    if position is None:
        return 0.0
    return float(abs(position.quantity) * (position.mark_price if market is None else market.mark_price))


def _of_market(read: Callable[[Market, Snapshot], Value]) -> Field:
    def field(entry: Entry, snapshot: Snapshot) -> Value:
        market = snapshot.markets.get(entry.symbol)
        return None if market is None else read(market, snapshot)

    return field


def _of_condition(read: Callable[[Condition, Snapshot], Value]) -> Field:
    def field(entry: Entry, snapshot: Snapshot) -> Value:
        known = snapshot.conditions.symbols.get(entry.symbol) if snapshot.conditions is not None else None
        return None if known is None else read(known, snapshot)

    return field


def _of_performance(read: Callable[[Performance], Value], *, of_bot: bool = False) -> Field:
    def field(entry: Entry, snapshot: Snapshot) -> Value:
        record = snapshot.record
        owner = record.bot(snapshot.bot) if record is not None and of_bot else record
        return None if owner is None or owner.performance is None else read(owner.performance)

    return field


def _of_bot(read: Callable[[BotRecord, Snapshot], Value]) -> Field:
    def field(entry: Entry, snapshot: Snapshot) -> Value:
        known = snapshot.record.bot(snapshot.bot) if snapshot.record is not None else None
        return None if known is None else read(known, snapshot)

    return field


def _score(level: Callable[[Snapshot], str]) -> Field:
    def field(entry: Entry, snapshot: Snapshot) -> Value:
        score = snapshot.scores.get(level(snapshot))
        return None if score is None else score.value

    return field


def _forecast(name: str) -> Field:
    def field(entry: Entry, snapshot: Snapshot) -> Value:
        forecasts = snapshot.record.forecasts_of(name, entry.symbol) if snapshot.record is not None else ()
        return max((each.probability for each in forecasts), default=None)

    return field


def _margin_balance(entry: Entry, snapshot: Snapshot) -> Value:
    return None if snapshot.account is None else float(snapshot.account.margin_balance)


def _available_balance(entry: Entry, snapshot: Snapshot) -> Value:
    return None if snapshot.account is None else float(snapshot.account.available_balance)


FIELDS: Final[Mapping[str, Mapping[str, Field]]] = {
    "order": {
        "symbol": lambda entry, _: entry.symbol,
        "side": _of_order(lambda order, _: order.side.value),
        "position_side": _of_order(lambda order, _: order.position_side.value),
        "order_type": lambda entry, _: entry.order_type.value if isinstance(entry, PlaceOrder) else "LIMIT",
        "time_in_force": lambda entry, _: getattr(getattr(entry, "time_in_force", None), "value", None),
        "amend": lambda entry, _: isinstance(entry, AmendOrder),
        "conditional": _of_order(lambda order, _: order.conditional),
        "quantity": _of_order(lambda order, _: float(order.quantity)),
        "price": lambda entry, _: _number(entry.price),
        "trigger_price": lambda entry, _: _number(getattr(entry, "trigger_price", None)),
        "notional": _of_order(lambda order, snapshot: float(order_value(order, snapshot))),
    },
    "position": {
        "quantity": _of_position(lambda position: position.quantity, flat=0.0),
        "notional": _position_notional,
        "entry_price": _of_position(lambda position: position.entry_price),
        "liquidation_price": _of_position(lambda position: position.liquidation_price or None),
        "leverage": _of_position(lambda position: position.leverage),
        "long_after": lambda entry, snapshot: float(_after(entry, snapshot)[0]),
        "short_after": lambda entry, snapshot: float(_after(entry, snapshot)[1]),
    },
    "account": {
        "name": lambda _, snapshot: snapshot.account.name if snapshot.account is not None else None,
        "bot": lambda _, snapshot: snapshot.bot,
        "hedged": lambda _, snapshot: snapshot.account.hedged if snapshot.account is not None else None,
        "margin_balance": _margin_balance,
        "available_balance": _available_balance,
        "positions": lambda _, snapshot: len(snapshot.account.positions) if snapshot.account is not None else None,
        "open_orders": lambda _, snapshot: len(snapshot.account.open_orders) if snapshot.account is not None else None,
        "gross_after": _of_order(lambda order, snapshot: float(gross_notional(snapshot, order))),
    },
    "market": {
        "mark_price": _of_market(lambda market, _: float(market.mark_price)),
        "last_price": _of_market(lambda market, _: _number(market.last_price)),
        "index_price": _of_market(lambda market, _: _number(market.index_price)),
        "bid_price": _of_market(lambda market, _: _number(market.bid_price)),
        "ask_price": _of_market(lambda market, _: _number(market.ask_price)),
        "bid_quantity": _of_market(lambda market, _: _number(market.bid_quantity)),
        "ask_quantity": _of_market(lambda market, _: _number(market.ask_quantity)),
        "funding_rate": _of_market(lambda market, _: _number(market.funding_rate)),
        "funding_in_s": _of_market(lambda market, snapshot: _seconds(market.next_funding_at, snapshot)),
        "age_s": _of_market(lambda market, snapshot: _seconds(market.as_of, snapshot)),
    },
    "condition": {
        "daily_volume": _of_condition(lambda known, _: _number(known.daily_volume)),
        "open_interest": _of_condition(lambda known, _: _number(known.open_interest)),
        "volatility": _of_condition(lambda known, _: _number(known.volatility)),
        "volatility_usual": _of_condition(lambda known, _: _number(known.volatility_usual)),
        "bid_depth": _of_condition(lambda known, _: _number(known.bid_depth)),
        "ask_depth": _of_condition(lambda known, _: _number(known.ask_depth)),
        "temperature": _of_condition(lambda known, _: _number(known.temperature)),
        "age_s": _of_condition(lambda known, snapshot: _seconds(known.as_of, snapshot)),
    },
    "record": {
        "day_pnl": _of_performance(lambda known: float(known.day_pnl)),
        "day_funding": _of_performance(lambda known: float(known.day_funding)),
        "rolling_pnl": _of_performance(lambda known: float(known.rolling_pnl)),
        "equity": _of_performance(lambda known: float(known.equity)),
        "equity_peak": _of_performance(lambda known: float(known.equity_peak)),
        "loss_streak": _of_performance(lambda known: known.loss_streak),
        "bot_day_pnl": _of_performance(lambda known: float(known.day_pnl), of_bot=True),
        "bot_rolling_pnl": _of_performance(lambda known: float(known.rolling_pnl), of_bot=True),
        "bot_loss_streak": _of_performance(lambda known: known.loss_streak, of_bot=True),
        "bot_age_s": _of_bot(lambda known, snapshot: _seconds(known.first_seen, snapshot)),
        "bot_orders": _of_bot(lambda known, _: known.orders),
        "bot_fills": _of_bot(lambda known, _: known.fills),
        "bot_refusals": _of_bot(lambda known, _: known.refusals),
        "age_s": lambda _, snapshot: _seconds(snapshot.record.as_of, snapshot) if snapshot.record is not None else None,
    },
    "signals": {
        "bot": _score(lambda snapshot: f"bot:{snapshot.bot}"),
        "account": _score(lambda snapshot: f"account:{snapshot.account.name}" if snapshot.account is not None else ""),
        "desk": _score(lambda _: "desk"),
        "liquidation": _forecast("liquidation"),
        "slippage": _forecast("slippage"),
    },
}
"""Root, then name. Notionals are in quote currency, at the mark of now. ``*_after`` are worst cases with this order, in
base units for a position, quote for an account."""


def _after(entry: Entry, snapshot: Snapshot) -> tuple[Decimal, Decimal]:
    exposure = worst_case(snapshot, (_held(entry, snapshot),))[entry.symbol]
    return exposure.long_quantity, exposure.short_quantity


NOW: Final = "now"
"""The moment of the decision, in UTC: the one name that is no root of others."""
