"""The venue's statement of one account as the house's nouns: executions and income rows, every digit kept. Pure.

Source: Binance USD-M "Account Trade List" (userTrades) and "Get Income History" (income), seen 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from proxy.exchange.payloads import FundingRow, flag
from proxy.exchange.row import Row
from rules.model import PositionSide, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution. ``commission`` is positive when paid, in its own asset; ``realised_pnl`` is before it, in
    ``margin_asset``. ``trade_id`` is one for a symbol only. ``at_ms`` is the venue's time."""

    symbol: str
    trade_id: int
    order_id: str
    at_ms: int
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    realised_pnl: Decimal
    margin_asset: str
    commission: Decimal
    commission_asset: str
    maker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomeRow:
    """One change of a wallet as the venue booked it: received, negative when paid. ``kind`` is its ``incomeType``.

    ``symbol`` is empty and ``trade_id`` is ``None`` where the row is not of one.
    """

    row_id: str
    kind: str
    symbol: str
    asset: str
    amount: Decimal
    at_ms: int
    trade_id: int | None
    info: str


@dataclass(frozen=True, slots=True)
class NamedOrder:
    """A plain order's two names: the venue's, and the one it was sent with."""

    order_id: str
    client_order_id: str


def fill(row: Row) -> Fill:
    """A row of userTrades."""
    return Fill(
        symbol=row["symbol"],
        trade_id=int(row["id"]),
        order_id=str(row["orderId"]),
        at_ms=int(row["time"]),
        side=Side(row["side"]),
        position_side=PositionSide(row["positionSide"]),
        price=_number(row["price"]),
        quantity=_number(row["qty"]),
        realised_pnl=_number(row["realizedPnl"]),
        margin_asset=row.get("marginAsset", "USDT"),
        commission=_number(row["commission"]),
        commission_asset=row["commissionAsset"],
        maker=flag(row["maker"]),
    )


def income_row(row: Row) -> IncomeRow:
    """A row of income, of whatever type."""
    kind, symbol, asset = str(row["incomeType"]), str(row.get("symbol") or ""), str(row["asset"])
    trade = str(row.get("tradeId") or "")
    return IncomeRow(
        row_id=_row_id(kind, str(row["tranId"]), asset, symbol, trade),
        kind=kind,
        symbol=symbol,
        asset=asset,
        amount=_number(row["income"]),
        at_ms=int(row["time"]),
        trade_id=int(trade) if trade else None,
        info=str(row.get("info") or ""),
    )


def funding_row_id(row: FundingRow) -> str:
    """What ``income_row`` calls the same row."""
    return _row_id("FUNDING_FEE", row.row_id, row.asset, row.symbol, "")


def named_order(row: Row) -> NamedOrder:
    """A row of allOrders, or an order."""
    return NamedOrder(order_id=str(row["orderId"]), client_order_id=row["clientOrderId"])


def triggered_order(row: Row) -> NamedOrder | None:
    """A row of allAlgoOrders: the plain order it became, by the conditional one's name; ``None`` if it became none."""
    became = str(row.get("actualOrderId") or "")
    return NamedOrder(order_id=became, client_order_id=row["clientAlgoId"]) if became else None


def _row_id(*parts: str) -> str:
    # The venue's tranId is one for a type only; a trade's rows share it.
    return " ".join(parts).rstrip()


def _number(value: Any) -> Decimal:
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("not a number")
    return number
