"""Binance's answers to the guard's own questions, as the house's nouns. Pure; an unknown shape is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar

from proxy.exchange.row import Row
from proxy.exchange.survey import OrderKey
from proxy.exchange.troubles import VenueUnavailable
from proxy.vault.permissions import KeyPermissions
from rules.account import OpenOrder, Position
from rules.instrument import Instrument, MarginTier
from rules.model import LegKey, MarginMode, OrderType, PositionSide, Side

T = TypeVar("T")

NEVER_DELIVERED_MS: Final = 4_133_404_800_000
"""The year 2100: the delivery date Binance gives to perpetual contracts that it means to keep (seen 2026-11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolConfig:
    """What the account has set for one symbol."""

    leverage: Decimal
    margin_mode: MarginMode


def parsed(parse: Callable[[], T]) -> T:
    """What ``parse`` makes of an answer; an unexpected shape is the venue's trouble, not ours to crash over."""
    try:
        return parse()
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as trouble:
        raise VenueUnavailable(f"unexpected answer: {type(trouble).__name__} {trouble}"[:200]) from None


def flag(value: object) -> bool:
    """A boolean as Binance writes it: JSON's own, or the word."""
    return value is True or value == "true"


def _some(value: object) -> Decimal | None:
    """A price or limit; the venue writes 0 (or nothing) where there is none."""
    return _told(value) or None


def _told(value: object) -> Decimal | None:
    """A number where the venue tells one, 0 as any other; ``None`` where it tells nothing."""
    return Decimal(str(value)) if value not in (None, "") else None


def tier(row: Row) -> MarginTier:
    """One step of the leverage bracket."""
    return MarginTier(
        notional_floor=Decimal(row["notionalFloor"]),
        notional_cap=Decimal(row["notionalCap"]),
        leverage_max=Decimal(row["initialLeverage"]),
        maintenance_rate=Decimal(row["maintMarginRatio"]),
        maintenance_amount=Decimal(row["cum"]),
    )


def instrument_of(row: Row, tiers: Mapping[str, tuple[MarginTier, ...]]) -> Instrument | None:
    """A listed contract; ``None`` for one that cannot be understood."""
    try:
        filters = {each["filterType"]: each for each in row["filters"]}
        price, lot, notional = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["MIN_NOTIONAL"]
        market_lot = filters["MARKET_LOT_SIZE"]
        return Instrument(
            symbol=row["symbol"],
            base_asset=row["baseAsset"],
            quote_asset=row["quoteAsset"],
            trading=row["status"] == "TRADING",
            tick_size=Decimal(price["tickSize"]),
            step_size=Decimal(lot["stepSize"]),
            quantity_min=Decimal(lot["minQty"]),
            quantity_max=Decimal(lot["maxQty"]),
            market_step_size=_some(market_lot["stepSize"]) or Decimal(lot["stepSize"]),
            market_quantity_min=Decimal(market_lot["minQty"]),
            market_quantity_max=Decimal(market_lot["maxQty"]),
            notional_min=Decimal(notional["notional"]),
            price_min=_some(price.get("minPrice")),
            price_max=_some(price.get("maxPrice")),
            tiers=tiers.get(row["symbol"], ()),
            delisted_at=_delivery(row.get("deliveryDate")),
        )
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return None  # Unknown to the guard is refused there; better one symbol than none.


def _delivery(milliseconds: object) -> datetime | None:
    """When a contract is settled and closed: announced for a perpetual that is delisted, fixed for a dated one."""
    at_ms = int(str(milliseconds)) if milliseconds is not None else NEVER_DELIVERED_MS
    return datetime.fromtimestamp(at_ms / 1000, UTC) if 0 < at_ms < NEVER_DELIVERED_MS else None


def positions_of(rows: Iterable[Row]) -> tuple[Position, ...]:
    """The open legs among the rows of positionRisk."""
    return tuple(
        Position(
            symbol=row["symbol"],
            position_side=PositionSide(row["positionSide"]),
            quantity=Decimal(row["positionAmt"]),
            entry_price=Decimal(row["entryPrice"]),
            mark_price=Decimal(row["markPrice"]),
            # 0 says that no price ends it, as of a hedge; that is known, and another thing than not being told.
            liquidation_price=_told(row.get("liquidationPrice")),
            # Version 3 of positionRisk names no margin mode; only an isolated position has a wallet of its own.
            margin_mode=MarginMode.ISOLATED if _some(row.get("isolatedWallet")) else MarginMode.CROSS,
            isolated_margin=_some(row.get("isolatedWallet")),
            adl_quantile=int(row["adl"]) if row.get("adl") is not None else None,
        )
        for row in rows
        if Decimal(row["positionAmt"])
    )


def leg_times(rows: Iterable[Row]) -> dict[LegKey, int]:
    """When each listed leg last changed, in the venue's milliseconds."""
    return {(row["symbol"], PositionSide(row["positionSide"])): int(row["updateTime"]) for row in rows}


def order_times(plain: Iterable[Row], conditional: Iterable[Row]) -> dict[OrderKey, int]:
    """When each listed order last changed, in the venue's milliseconds."""
    return {
        **{(row["symbol"], str(row["orderId"]), False): int(row["updateTime"]) for row in plain},
        **{(row["symbol"], str(row["algoId"]), True): int(row["updateTime"]) for row in conditional},
    }


def wallets_of(totals: Row) -> dict[str, Decimal]:
    """Wallet balances by asset, without unrealised PnL."""
    return {row["asset"]: Decimal(row["walletBalance"]) for row in totals["assets"]}


def open_orders_of(plain: Iterable[Row], conditional: Iterable[Row]) -> tuple[OpenOrder, ...]:
    """Plain and conditional orders as one tuple."""
    return (*map(plain_order, plain), *map(conditional_order, conditional))


def plain_order(row: Row) -> OpenOrder:
    """A plain order, open or at its end."""
    filled = Decimal(row["executedQty"])
    still_open = row["status"] in ("NEW", "PARTIALLY_FILLED")
    return OpenOrder(
        symbol=row["symbol"],
        side=Side(row["side"]),
        position_side=PositionSide(row["positionSide"]),
        order_type=OrderType(row["type"]),
        leaves_quantity=Decimal(row["origQty"]) - filled if still_open else Decimal(0),
        price=_some(row["price"]),
        trigger_price=None,
        reduce_only=flag(row["reduceOnly"]),
        close_position=False,
        order_id=str(row["orderId"]),
        client_order_id=row["clientOrderId"],
        filled_quantity=filled,
    )


def conditional_order(row: Row) -> OpenOrder:
    """A conditional order, waiting or at its end."""
    closes = flag(row["closePosition"])
    # Once triggered, what can fill is the plain order that it became.
    waiting = row["algoStatus"] == "NEW"
    quantity = None if closes else Decimal(row["quantity"])
    return OpenOrder(
        symbol=row["symbol"],
        side=Side(row["side"]),
        position_side=PositionSide(row["positionSide"]),
        order_type=OrderType(row["orderType"]),
        leaves_quantity=quantity if waiting else Decimal(0),
        price=_some(row.get("price")),
        trigger_price=_some(row.get("triggerPrice")),
        reduce_only=flag(row["reduceOnly"]),
        close_position=closes,
        order_id=str(row["algoId"]),
        client_order_id=row["clientAlgoId"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """An order that was asked for, in whatever state.

    ``quantity`` is what it is for in all (``None``: it closes the position), ``placed_ms`` when the venue took it (its
    own ms), ``became`` the plain order that a conditional one turned into, by the venue's id, "" for none.
    """

    order: OpenOrder
    quantity: Decimal | None
    placed_ms: int
    became: str = ""


def placed_order(row: Row) -> PlacedOrder:
    """The venue's answer about a plain order."""
    return PlacedOrder(order=plain_order(row), quantity=Decimal(row["origQty"]), placed_ms=int(row["time"]))


def placed_conditional(row: Row) -> PlacedOrder:
    """The venue's answer about a conditional order."""
    order = conditional_order(row)
    return PlacedOrder(
        order=order,
        quantity=None if order.close_position else Decimal(row["quantity"]),
        placed_ms=int(row["createTime"]),
        became=str(row.get("actualOrderId") or ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastOrder:
    """An order of the last days in whatever state, when it last changed (the venue's ms), and its average price."""

    order: OpenOrder
    changed_ms: int
    average_price: Decimal | None


def past_order(row: Row) -> PastOrder:
    """A row of allOrders."""
    return PastOrder(order=plain_order(row), changed_ms=int(row["updateTime"]), average_price=_some(row["avgPrice"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRow:
    """Funding the venue booked: received, negative when paid. ``row_id`` is its ``tranId``, unique among fundings."""

    row_id: str
    at_ms: int
    symbol: str
    amount: Decimal
    asset: str


def funding_row(row: Row) -> FundingRow:
    """A row of income of the type FUNDING_FEE."""
    return FundingRow(
        row_id=str(row["tranId"]),
        at_ms=int(row["time"]),
        symbol=row["symbol"],
        amount=_income(row),
        asset=row["asset"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """Money that came into the account, or left it (negative), as the venue booked it. ``kind`` is its income type.

    The venue's ``tranId`` is one for a type only, so ``row_id`` names the type, and the asset, with it.
    """

    row_id: str
    kind: str
    at_ms: int
    amount: Decimal
    asset: str


def transfer_row(row: Row) -> TransferRow:
    """A row of income, of whatever type."""
    kind, asset = str(row["incomeType"]), str(row["asset"])
    row_id = f"{kind} {row['tranId']} {asset}"
    return TransferRow(row_id=row_id, kind=kind, at_ms=int(row["time"]), amount=_income(row), asset=asset)


def _income(row: Row) -> Decimal:
    amount = Decimal(row["income"])
    if not amount.is_finite():
        raise ValueError("income is not a number")
    return amount


def key_permissions(row: Row) -> KeyPermissions:
    """The answer of apiRestrictions; a right it does not name is an unexpected answer, never a no."""
    return KeyPermissions(
        reading=flag(row["enableReading"]),
        futures=flag(row["enableFutures"]),
        withdrawals=flag(row["enableWithdrawals"]),
        transfers=flag(row["enableInternalTransfer"]) or flag(row["permitsUniversalTransfer"]),
        ip_restricted=flag(row["ipRestrict"]),
    )


def symbol_configs(rows: Iterable[Row]) -> dict[str, SymbolConfig]:
    """The rows of symbolConfig, by symbol. Binance writes the margin modes ISOLATED and CROSSED there."""
    return {
        row["symbol"]: SymbolConfig(
            leverage=Decimal(row["leverage"]),
            margin_mode=MarginMode.ISOLATED if row["marginType"] == "ISOLATED" else MarginMode.CROSS,
        )
        for row in rows
    }
