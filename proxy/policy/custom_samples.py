"""Orders on which a desk's own expressions are tried out before they are let in: every kind, with all facts known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Final

from rules.account import Account, Position
from rules.custom_fields import Entry
from rules.facts import AccountRecord, BotRecord, Condition, Conditions, Forecast, Performance, Score
from rules.model import AmendOrder, OrderType, PlaceOrder, PositionSide, Side, TimeInForce
from rules.snapshot import Controls, Market, Snapshot

_NOW: Final = datetime(2026, 1, 3, 12, 0, tzinfo=UTC)
"""A Saturday."""
_ONE: Final = Decimal(1)
_SYMBOL: Final = "BTCUSDT"


def samples() -> Iterator[tuple[Entry, Snapshot, str]]:
    """Entries, the snapshot of each, and what to call it."""
    for side, size, days in product(Side, (-2, 0, 2), (0, 2)):
        snapshot = _snapshot(Decimal(size), _NOW + timedelta(days=days))
        for entry, kind in _entries(side):
            yield entry, snapshot, f"a {side.value} {kind}"


def _entries(side: Side) -> Iterator[tuple[Entry, str]]:
    order = PlaceOrder(symbol=_SYMBOL, side=side, order_type=OrderType.MARKET, quantity=_ONE)
    yield order, "market order (it has no price)"
    yield (
        PlaceOrder(
            symbol=_SYMBOL,
            side=side,
            order_type=OrderType.LIMIT,
            quantity=_ONE,
            price=_ONE,
            time_in_force=TimeInForce.GTC,
        ),
        "limit order",
    )
    yield (
        PlaceOrder(symbol=_SYMBOL, side=side, order_type=OrderType.STOP_MARKET, quantity=_ONE, trigger_price=_ONE),
        "stop order (it has no price)",
    )
    yield AmendOrder(symbol=_SYMBOL, side=side, quantity=_ONE, price=_ONE, order_id="1"), "amend"


def _snapshot(position: Decimal, now: datetime) -> Snapshot:
    leg = Position(
        symbol=_SYMBOL,
        position_side=PositionSide.BOTH,
        quantity=position,
        entry_price=_ONE,
        mark_price=_ONE,
        liquidation_price=_ONE,
        leverage=_ONE,
    )
    account = Account(
        name="main",
        version=1,
        as_of=now,
        margin_balance=_ONE,
        available_balance=_ONE,
        hedged=False,
        positions=(leg,) if position else (),
    )
    return Snapshot(
        now=now,
        bot="bot",
        account=account,
        controls=Controls(generation=1),
        markets={_SYMBOL: _market(now)},
        scores={level: Score(value=0.5) for level in ("bot:bot", "account:main", "desk")},
        conditions=Conditions(version=1, as_of=now, symbols={_SYMBOL: _condition(now)}),
        record=_record(now),
    )


def _market(now: datetime) -> Market:
    return Market(
        symbol=_SYMBOL,
        mark_price=_ONE,
        as_of=now,
        bid_price=_ONE,
        ask_price=_ONE,
        bid_quantity=_ONE,
        ask_quantity=_ONE,
        last_price=_ONE,
        index_price=_ONE,
        funding_rate=_ONE,
        next_funding_at=now,
    )


def _condition(now: datetime) -> Condition:
    return Condition(
        symbol=_SYMBOL,
        as_of=now,
        daily_volume=_ONE,
        open_interest=_ONE,
        volatility=_ONE,
        volatility_usual=_ONE,
        bid_depth=_ONE,
        ask_depth=_ONE,
        temperature=_ONE,
    )


def _record(now: datetime) -> AccountRecord:
    performance = Performance(
        day_pnl=_ONE,
        day_funding=_ONE,
        rolling_pnl=_ONE,
        rolling_funding=_ONE,
        day_peak=_ONE,
        equity=_ONE,
        equity_peak=_ONE,
    )
    forecasts = [Forecast(name=name, as_of=now, probability=0.5, horizon_s=60) for name in ("liquidation", "slippage")]
    return AccountRecord(
        account="main",
        version=1,
        as_of=now,
        performance=performance,
        bots=(BotRecord(bot="bot", first_seen=now, clean_since=now, performance=performance),),
        forecasts=tuple(forecasts),
    )
