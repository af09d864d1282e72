"""Binance's private stream as the house's nouns: what happened to an account, one event at a time. Pure.

An event that is not understood is an error, never skipped: a gap nobody notices would be exposure nobody counts.
Source: Binance USD-M "User Data Streams" (ORDER_TRADE_UPDATE, ALGO_UPDATE, ACCOUNT_UPDATE, ACCOUNT_CONFIG_UPDATE,
MARGIN_CALL, listenKeyExpired), seen 2026-11; ALGO_UPDATE's fields as nautilus 1.231 decodes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from proxy.exchange.event_values import flag, number, some, text, venue_id, whole
from proxy.exchange.row import Row
from rules.model import MarginMode, OrderType, PositionSide, Side

OPEN_STATUSES: Final = frozenset({"NEW", "PARTIALLY_FILLED"})
ALGO_WAITING_STATUSES: Final = frozenset({"NEW", "WORKING"})
LIQUIDATION_PREFIXES: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""Client order ids of orders the venue itself sends: liquidation, auto-deleveraging, delisting."""


class UnreadableEvent(Exception):
    """An event of a known name with an unknown shape. Whoever reads the stream must survey the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """ORDER_TRADE_UPDATE: one step in the life of a plain order.

    ``execution`` is the venue's ``x`` (NEW, TRADE, CANCELED, EXPIRED, AMENDMENT, CALCULATED), ``status`` its ``X``.
    ``filled_quantity`` is cumulative; ``last_quantity``, ``last_price``, ``fee``, ``realised_pnl`` and ``trade_id`` are
    of this execution alone and zero without one. ``average_price`` is of all that has filled, ``None`` where nothing
    has or the venue does not say. ``fee`` is positive when paid. Times are the venue's milliseconds.
    """

    at_ms: int
    sent_ms: int
    symbol: str
    side: Side
    position_side: PositionSide
    order_id: str
    client_order_id: str
    order_type: OrderType
    execution: str
    status: str
    quantity: Decimal
    price: Decimal | None
    filled_quantity: Decimal
    last_quantity: Decimal
    last_price: Decimal
    fee: Decimal
    fee_asset: str
    realised_pnl: Decimal
    trade_id: int
    maker: bool
    reduce_only: bool
    close_position: bool
    average_price: Decimal | None = None

    @property
    def is_open(self) -> bool:
        """Whether the order may still fill."""
        return self.status in OPEN_STATUSES

    @property
    def leaves_quantity(self) -> Decimal:
        """What may still fill; zero at the end."""
        return self.quantity - self.filled_quantity if self.is_open else Decimal(0)

    @property
    def is_forced(self) -> bool:
        """Whether the venue itself sent the order: liquidation, auto-deleveraging or delisting."""
        return self.client_order_id.startswith(LIQUIDATION_PREFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoEvent:
    """ALGO_UPDATE: one step in the life of a conditional order.

    ``quantity`` is ``None`` when it closes the whole position. ``actual_order_id`` names the plain order it became.
    """

    at_ms: int
    sent_ms: int
    symbol: str
    side: Side
    position_side: PositionSide
    algo_id: str
    client_order_id: str
    order_type: OrderType
    status: str
    quantity: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    close_position: bool
    actual_order_id: str | None

    @property
    def is_open(self) -> bool:
        """Whether it still waits for its price. Once triggered, what can fill is the plain order it became."""
        return self.status in ALGO_WAITING_STATUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChange:
    """A leg as it is after an event. ``quantity`` is signed; zero says flat.

    ``isolated_margin`` is what an isolated leg has of its own, ``None`` where the venue does not tell it.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    margin_mode: MarginMode
    isolated_margin: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChange:
    """A wallet as it is after an event, and by how much it changed other than by PnL and commission (``bc``)."""

    asset: str
    wallet_balance: Decimal
    change: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvent:
    """ACCOUNT_UPDATE: balances and legs after something happened. ``reason`` is the venue's ``m``.

    ORDER and FUNDING_FEE are the common ones; MARGIN_TRANSFER, MARGIN_TYPE_CHANGE, ADJUSTMENT and others exist.
    """

    at_ms: int
    sent_ms: int
    reason: str
    balances: tuple[BalanceChange, ...]
    positions: tuple[PositionChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEvent:
    """ACCOUNT_CONFIG_UPDATE: the leverage of a symbol, or the multi-asset mode, was changed by somebody."""

    at_ms: int
    sent_ms: int
    symbol: str | None
    leverage: Decimal | None
    multi_assets: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCall:
    """MARGIN_CALL: the venue warns that these legs are near liquidation."""

    at_ms: int
    sent_ms: int
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKeyExpired:
    """listenKeyExpired: nothing more will come on this stream."""

    at_ms: int
    sent_ms: int


Event = OrderEvent | AlgoEvent | AccountEvent | ConfigEvent | MarginCall | StreamKeyExpired

# TRADE_LITE repeats what ORDER_TRADE_UPDATE says; the others tell of products the guard does not trade.
_IGNORED: Final = frozenset(
    {"TRADE_LITE", "STRATEGY_UPDATE", "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT", "riskLevelChange"}
)


def read_event(row: Row) -> Event | None:
    """The event a frame tells, ``None`` for those that repeat others. Raises ``UnreadableEvent``."""
    name = str(row.get("e"))
    if name in _IGNORED:
        return None
    if name not in _READERS:
        raise UnreadableEvent(f"unknown event {name[:64]!r}")
    try:
        return _READERS[name](row)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as trouble:
        raise UnreadableEvent(f"{name}: {type(trouble).__name__} {trouble}"[:200]) from None


def _order(row: Row) -> OrderEvent:
    order = row["o"]
    return OrderEvent(
        **_times(row),
        symbol=text(order["s"]),
        side=Side(order["S"]),
        position_side=PositionSide(order["ps"]),
        order_id=venue_id(order["i"]),
        client_order_id=text(order["c"]),
        order_type=_order_type(order["o"]),
        execution=text(order["x"]),
        status=text(order["X"]),
        quantity=number(order["q"]),
        price=some(order["p"]),
        filled_quantity=number(order["z"]),
        last_quantity=number(order["l"]),
        last_price=number(order["L"]),
        fee=number(order.get("n") or 0),
        fee_asset=text(order.get("N") or ""),
        realised_pnl=number(order.get("rp") or 0),
        trade_id=whole(order.get("t") or 0),
        maker=flag(order.get("m", False)),
        reduce_only=flag(order["R"]),
        close_position=flag(order.get("cp", False)),
        average_price=some(order.get("ap")),
    )


def _order_type(text: str) -> OrderType:
    # A liquidation's order is of type LIQUIDATION; it works as the limit order it is sent as.
    return OrderType.LIMIT if text == "LIQUIDATION" else OrderType(text)


def _algo(row: Row) -> AlgoEvent:
    order = row["o"]
    closes = flag(order.get("cp", False))
    return AlgoEvent(
        **_times(row),
        symbol=text(order["s"]),
        side=Side(order["S"]),
        position_side=PositionSide(order["ps"]),
        algo_id=venue_id(order["aid"]),
        client_order_id=text(order["caid"]),
        order_type=OrderType(order["o"]),
        status=text(order["X"]),
        quantity=None if closes else number(order["q"]),
        price=some(order.get("p")),
        trigger_price=some(order.get("tp")),
        reduce_only=flag(order.get("R", False)),
        close_position=closes,
        actual_order_id=venue_id(order["ai"]) if order.get("ai") else None,
    )


def _account(row: Row) -> AccountEvent:
    change = row["a"]
    return AccountEvent(
        **_times(row),
        reason=text(change["m"]),
        balances=tuple(
            BalanceChange(asset=text(each["a"]), wallet_balance=number(each["wb"]), change=number(each.get("bc") or 0))
            for each in change.get("B", ())
        ),
        positions=tuple(
            PositionChange(
                symbol=text(each["s"]),
                position_side=PositionSide(each["ps"]),
                quantity=number(each["pa"]),
                entry_price=number(each["ep"]),
                margin_mode=MarginMode.ISOLATED if each.get("mt") == "isolated" else MarginMode.CROSS,
                isolated_margin=some(each.get("iw")) if each.get("mt") == "isolated" else None,
            )
            for each in change.get("P", ())
        ),
    )


def _config(row: Row) -> ConfigEvent:
    symbol, assets = row.get("ac"), row.get("ai")
    return ConfigEvent(
        **_times(row),
        symbol=None if symbol is None else text(symbol["s"]),
        leverage=None if symbol is None else number(symbol["l"]),
        multi_assets=None if assets is None else flag(assets["j"]),
    )


def _margin_call(row: Row) -> MarginCall:
    return MarginCall(**_times(row), symbols=tuple(text(each["s"]) for each in row["p"]))


def _expired(row: Row) -> StreamKeyExpired:
    return StreamKeyExpired(**_times(row))


def _times(row: Row) -> dict[str, int]:
    sent_ms = whole(row["E"])
    return {"at_ms": whole(row.get("T") or sent_ms), "sent_ms": sent_ms}


_READERS: Final[Mapping[str, Callable[[Row], Event]]] = {
    "ORDER_TRADE_UPDATE": _order,
    "ALGO_UPDATE": _algo,
    "ACCOUNT_UPDATE": _account,
    "ACCOUNT_CONFIG_UPDATE": _config,
    "MARGIN_CALL": _margin_call,
    "listenKeyExpired": _expired,
}
