"""What a private stream and a survey say, as short as a test can say it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy.exchange.events import AccountEvent, AlgoEvent, BalanceChange, ConfigEvent, OrderEvent, PositionChange
from proxy.exchange.payloads import FundingRow
from rules.account import Account, OpenOrder, Position
from rules.model import MarginMode, OrderType, PositionSide, Side
from tests.rules.builders import NOW

BOTH, LONG, SHORT = PositionSide


def an_order_event(client_order_id: str, side: Side, quantity: str, **changes: Any) -> OrderEvent:
    """An order just confirmed, nothing filled."""
    event = OrderEvent(
        at_ms=1,
        sent_ms=1,
        symbol="BTCUSDT",
        side=side,
        position_side=BOTH,
        order_id=f"venue-{client_order_id}",
        client_order_id=client_order_id,
        order_type=OrderType.LIMIT,
        execution="NEW",
        status="NEW",
        quantity=Decimal(quantity),
        price=Decimal(100),
        filled_quantity=Decimal(0),
        last_quantity=Decimal(0),
        last_price=Decimal(0),
        fee=Decimal(0),
        fee_asset="USDT",
        realised_pnl=Decimal(0),
        trade_id=0,
        maker=False,
        reduce_only=False,
        close_position=False,
    )
    return replace(event, **changes)


def a_fill(
    client_order_id: str,
    side: Side,
    quantity: str,
    price: str = "100",
    *,
    of: str | None = None,
    total: str | None = None,
    fee: str = "0",
    **changes: Any,
) -> OrderEvent:
    """One execution; by default of the whole order at once. ``total`` is what has filled up to and with it."""
    filled = Decimal(total or quantity)
    done = of is None or filled >= Decimal(of)
    return an_order_event(
        client_order_id,
        side,
        of or str(filled),
        execution="TRADE",
        status="FILLED" if done else "PARTIALLY_FILLED",
        filled_quantity=filled,
        last_quantity=Decimal(quantity),
        last_price=Decimal(price),
        fee=Decimal(fee),
        **changes,
    )


def an_algo_event(client_order_id: str, **changes: Any) -> AlgoEvent:
    """A stop just confirmed."""
    event = AlgoEvent(
        at_ms=1,
        sent_ms=1,
        symbol="BTCUSDT",
        side=Side.SELL,
        position_side=BOTH,
        algo_id=f"algo-{client_order_id}",
        client_order_id=client_order_id,
        order_type=OrderType.STOP_MARKET,
        status="NEW",
        quantity=Decimal(1),
        price=None,
        trigger_price=Decimal(90),
        reduce_only=True,
        close_position=False,
        actual_order_id=None,
    )
    return replace(event, **changes)


def an_account_event(reason: str, *positions: PositionChange, change: str = "0") -> AccountEvent:
    """Balances and legs after something happened."""
    balance = BalanceChange(asset="USDT", wallet_balance=Decimal(1000), change=Decimal(change))
    return AccountEvent(at_ms=1, sent_ms=1, reason=reason, balances=(balance,), positions=positions)


def a_funding(row_id: str, amount: str, symbol: str = "BTCUSDT", at_ms: int = 1, asset: str = "USDT") -> FundingRow:
    """A row of the venue's list."""
    return FundingRow(row_id=row_id, at_ms=at_ms, symbol=symbol, amount=Decimal(amount), asset=asset)


def a_position_change(quantity: str = "1", **changes: Any) -> PositionChange:
    """A leg as the stream tells it."""
    change = PositionChange(
        symbol="BTCUSDT",
        position_side=BOTH,
        quantity=Decimal(quantity),
        entry_price=Decimal(100),
        margin_mode=MarginMode.CROSS,
    )
    return replace(change, **changes)


def a_config_event(symbol: str | None, leverage: str | None = None, **changes: Any) -> ConfigEvent:
    """Somebody changed a setting."""
    event = ConfigEvent(
        at_ms=1,
        sent_ms=1,
        symbol=symbol,
        leverage=None if leverage is None else Decimal(leverage),
        multi_assets=None,
    )
    return replace(event, **changes)


def a_position(quantity: str, symbol: str = "BTCUSDT", entry_price: str = "100", **changes: Any) -> Position:
    """A leg as a survey shows it."""
    position = Position(
        symbol=symbol,
        position_side=BOTH,
        quantity=Decimal(quantity),
        entry_price=Decimal(entry_price),
        mark_price=Decimal(entry_price),
    )
    return replace(position, **changes)


def a_resting_order(client_order_id: str, side: Side, leaves: str, filled: str = "0", **changes: Any) -> OpenOrder:
    """An open limit order as a survey shows it."""
    order = OpenOrder(
        symbol="BTCUSDT",
        side=side,
        position_side=BOTH,
        order_type=OrderType.LIMIT,
        leaves_quantity=Decimal(leaves),
        price=Decimal(100),
        trigger_price=None,
        reduce_only=False,
        close_position=False,
        order_id=f"venue-{client_order_id}",
        client_order_id=client_order_id,
        filled_quantity=Decimal(filled),
    )
    return replace(order, **changes)


def a_survey(*parts: Position | OpenOrder, **changes: Any) -> Account:
    """A whole account."""
    account = Account(
        name="main",
        version=1,
        as_of=NOW,
        margin_balance=Decimal(1000),
        available_balance=Decimal(1000),
        hedged=False,
        positions=tuple(part for part in parts if isinstance(part, Position)),
        open_orders=tuple(part for part in parts if isinstance(part, OpenOrder)),
    )
    return replace(account, **changes)
