"""The venue's answers as far as a kill needs them. Parsed so leniently that nothing new in them can stop a kill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from proxy.exchange.market_payloads import Depth, Touch
from proxy.exchange.payloads import flag
from proxy.exchange.row import Row
from rules.kill.events import Fee, Refusal
from rules.kill.legs import BookLevel, LotSize, OpenLeg, RestingOrder
from rules.model import MarginMode, PositionSide, Side

# https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code, seen 2026-11.
REFUSALS: Final[Mapping[int, Refusal]] = {
    -1021: Refusal.CLOCK,
    -2022: Refusal.REDUCE_ONLY,
    -4016: Refusal.LIMIT_PRICE,
    -4024: Refusal.LIMIT_PRICE,
    -4061: Refusal.REDUCE_ONLY,
    -4108: Refusal.HALTED,
    -4131: Refusal.MARKET_PRICE,
}
"""Why the venue refused a close, by its code; every other one is OTHER."""


_CLOSING: Final = frozenset({("LONG", "SELL"), ("SHORT", "BUY")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a close has to know of a contract. ``floor`` and ``cap`` bound a limit price, as factors of the mark."""

    trading: bool
    tick_size: Decimal | None
    market_lot: LotSize | None
    limit_lot: LotSize | None
    floor: Decimal | None
    cap: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseReport:
    """What the venue said to a close, or says of it later. ``status`` is its own word."""

    order_id: str
    status: str
    filled_quantity: Decimal
    average_price: Decimal | None
    venue_time: datetime | None


def listing_of(rows: Iterable[Row]) -> dict[str, Listed]:
    """The contracts of exchangeInfo. One that cannot be understood is left out."""
    found = {}
    for row in rows:
        try:
            found[row["symbol"]] = _listed(row)
        except (KeyError, TypeError, ValueError, InvalidOperation):
            continue  # Its positions are closed without a listing: at the market, on the step they are written with.
    return found


def resting(rows: Iterable[Row], id_field: str) -> tuple[RestingOrder, ...]:
    """Open orders, as little of them as a cancel needs, and whose they are."""
    client_id = "clientOrderId" if id_field == "orderId" else "clientAlgoId"
    return tuple(
        RestingOrder(symbol=row["symbol"], order_id=str(row[id_field]), client_order_id=str(row.get(client_id) or ""))
        for row in rows
    )


def exits(orders: Iterable[RestingOrder], rows: Iterable[Row]) -> frozenset[RestingOrder]:
    """Of these orders, each with its row, those that can open nothing, whatever the position is when they fill."""
    return frozenset(order for order, row in zip(orders, rows, strict=True) if _only_closes(row))


def legs_of(
    rows: Iterable[Row],
    listing: Mapping[str, Listed],
    touches: Mapping[str, Touch],
    depths: Mapping[str, Depth],
) -> tuple[OpenLeg, ...]:
    """The open legs among the rows of positionRisk, with what is known of each besides."""
    return tuple(_leg(row, listing, touches, depths) for row in rows if Decimal(row["positionAmt"]))


def close_report(row: Row) -> CloseReport:
    """The answer to an order, or the order as it is asked for later."""
    return CloseReport(
        order_id=str(row["orderId"]),
        status=row["status"],
        filled_quantity=Decimal(row["executedQty"]),
        average_price=_some(row.get("avgPrice")),
        venue_time=moment(row.get("updateTime")),
    )


def fees_of(rows: Iterable[Row]) -> tuple[Fee, ...]:
    """The rows of userTrades, those of one order added up."""
    charged: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        paid = str(row["orderId"]), row["commissionAsset"]
        charged[paid] = charged.get(paid, Decimal(0)) + Decimal(row["commission"])
    return tuple(Fee(order_id=order_id, amount=amount, asset=asset) for (order_id, asset), amount in charged.items())


def moment(milliseconds: object) -> datetime | None:
    """A time as the venue writes it; ``None`` for anything else."""
    try:
        return datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _listed(row: Row) -> Listed:
    filters = {each["filterType"]: each for each in row["filters"]}
    limit, market = filters.get("LOT_SIZE"), filters.get("MARKET_LOT_SIZE")
    percent = filters.get("PERCENT_PRICE", {})
    return Listed(
        trading=row["status"] == "TRADING",
        tick_size=_some(filters.get("PRICE_FILTER", {}).get("tickSize")),
        market_lot=_lot(market, limit),
        limit_lot=_lot(limit, market),
        floor=_some(percent.get("multiplierDown")),
        cap=_some(percent.get("multiplierUp")),
    )


def _lot(row: Row | None, other: Row | None) -> LotSize | None:
    row = row or other
    if row is None:
        return None
    # The venue writes 0 for the market step of some contracts and means that of limit orders.
    step = _some(row["stepSize"]) or _some((other or row)["stepSize"])
    most = _some(row["maxQty"])
    if step is None or most is None:
        return None
    return LotSize(step=step, quantity_min=Decimal(row["minQty"]), quantity_max=most)


def _leg(row: Row, listing: Mapping[str, Listed], touches: Mapping[str, Touch], depths: Mapping[str, Depth]) -> OpenLeg:
    symbol, quantity = row["symbol"], Decimal(row["positionAmt"])
    listed, mark = listing.get(symbol), _some(row.get("markPrice"))
    side = Side.SELL if quantity > 0 else Side.BUY
    return OpenLeg(
        symbol=symbol,
        position_side=PositionSide(row["positionSide"]),
        quantity=quantity,
        mark_price=mark,
        liquidation_price=_some(row.get("liquidationPrice")),
        # Version 3 of positionRisk names no margin mode; only an isolated position has a wallet of its own.
        margin_mode=MarginMode.ISOLATED if _some(row.get("isolatedWallet")) else MarginMode.CROSS,
        trading=listed.trading if listed else True,
        market_lot=listed.market_lot if listed else None,
        limit_lot=listed.limit_lot if listed else None,
        tick_size=listed.tick_size if listed else None,
        price_floor=mark * listed.floor if listed and mark is not None and listed.floor is not None else None,
        price_cap=mark * listed.cap if listed and mark is not None and listed.cap is not None else None,
        book=_book(side, touches.get(symbol), depths.get(symbol)),
    )


def _book(side: Side, touch: Touch | None, depth: Depth | None) -> tuple[BookLevel, ...] | None:
    """The levels that a close of this side would take."""
    if depth is not None:
        return tuple(BookLevel(*level) for level in (depth.bids if side is Side.SELL else depth.asks))
    if touch is None:
        return None
    best = (touch.bid_price, touch.bid_quantity) if side is Side.SELL else (touch.ask_price, touch.ask_quantity)
    price, quantity = best
    return () if price is None or quantity is None else (BookLevel(price, quantity),)


def _only_closes(row: Row) -> bool:
    """In hedge mode the venue takes no flag: there it is the side of the leg that says so."""
    closing = row.get("positionSide"), row.get("side")
    return flag(row.get("reduceOnly")) or flag(row.get("closePosition")) or closing in _CLOSING


def _some(value: object) -> Decimal | None:
    """A number above zero; the venue writes 0, or nothing, where there is none."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None
