"""The commands a bot can give, in the desk's language. Knows nothing of any venue's spelling.

Quantities are in base units, prices and money in the quote currency, both ``Decimal``.
A batch is a tuple of commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


class Side(StrEnum):
    """Direction of an order."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is BUY else -1


BUY: Final = Side.BUY
SELL: Final = Side.SELL
"""The members themselves: looking one up in its class is slow, and every order's side is asked for many times."""


class PositionSide(StrEnum):
    """The leg an order belongs to. BOTH is one-way mode; LONG and SHORT are hedge mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


LegKey = tuple[str, PositionSide]
"""Symbol and position side: what a leg of an account is known by."""


class OrderType(StrEnum):
    """Order types of FIX and the venues. All but LIMIT and MARKET are conditional."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def is_conditional(self) -> bool:
        """Whether the order rests outside the book until its trigger is reached."""
        return self not in _PLAIN

    @property
    def is_market(self) -> bool:
        """Whether the order executes without a limit price once active."""
        return self not in _PRICED


_PLAIN: Final = (OrderType.LIMIT, OrderType.MARKET)
_PRICED: Final = (OrderType.LIMIT, OrderType.STOP, OrderType.TAKE_PROFIT)


class TimeInForce(StrEnum):
    """How long an order lives. GTX is post-only; RPI is post-only for retail flow; GTE_GTC ends with the position."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"
    GTD = "GTD"
    RPI = "RPI"
    GTE_GTC = "GTE_GTC"


class TriggerBy(StrEnum):
    """The price a conditional order watches."""

    MARK = "MARK"
    LAST = "LAST"


class MarginMode(StrEnum):
    """Whether a position's losses are limited to its own margin."""

    CROSS = "CROSS"
    ISOLATED = "ISOLATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Place one order, plain or conditional.

    ``quantity`` is ``None`` only with ``close_position``. ``price_match`` replaces ``price``: the venue prices the
    order off its book. ``reduce_only`` is ``None`` when the bot did not send the flag.
    """

    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None
    position_side: PositionSide = PositionSide.BOTH
    price: Decimal | None = None
    price_match: str | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool | None = None
    close_position: bool = False
    trigger_price: Decimal | None = None
    trigger_by: TriggerBy | None = None
    activate_price: Decimal | None = None
    callback_rate: Decimal | None = None
    price_protect: bool | None = None
    good_till_ms: int | None = None
    self_trade_prevention: str | None = None
    response_type: str | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOrder:
    """Change quantity and price of a resting limit order. ``quantity`` is the new total, fills included."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    price_match: str | None = None
    order_id: str | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Cancel one order by the venue's id or by the client's. A conditional order may be cancelled by id alone."""

    symbol: str | None
    order_id: str | None = None
    client_order_id: str | None = None
    conditional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAll:
    """Cancel all plain, or all conditional, orders of one symbol."""

    symbol: str
    conditional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLeverage:
    """Set the venue's leverage of one symbol."""

    symbol: str
    leverage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMarginMode:
    """Set cross or isolated margin for one symbol."""

    symbol: str
    margin_mode: MarginMode


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPositionMode:
    """Switch the account between one-way and hedge mode."""

    hedged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMultiAssetMode:
    """Switch whether other assets than the quote currency serve as margin for the whole account."""

    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustIsolatedMargin:
    """Add (positive) or take away (negative) margin of one isolated position, in the quote currency."""

    symbol: str
    position_side: PositionSide
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmDeadMan:
    """Arm the venue's own countdown that cancels a symbol's orders; 0 disarms it. Milliseconds."""

    symbol: str
    countdown_ms: int


Command = (
    PlaceOrder
    | AmendOrder
    | CancelOrder
    | CancelAll
    | SetLeverage
    | SetMarginMode
    | SetPositionMode
    | SetMultiAssetMode
    | AdjustIsolatedMargin
    | ArmDeadMan
)
"""Everything that can change an account. Reads and stream keys never reach the judge."""


def symbol_of(command: Command) -> str | None:
    """The symbol a command names; ``None`` where it is about the whole account, or cancels by an id alone.

    It is asked for of every order: an attribute that may be missing is found faster than the type of the command.
    """
    symbol: str | None = getattr(command, "symbol", None)
    return symbol


ENTRY: Final = (PlaceOrder, AmendOrder)
"""What may add risk by itself: for ``isinstance``, which takes a tuple several times faster than a union."""


class TradingState(StrEnum):
    """What a desk, account, bot or symbol may do. The strictest level wins."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"

    @property
    def severity(self) -> int:
        """0 for ACTIVE, 2 for HALTED: the larger the stricter."""
        return _SEVERITY[self]


_SEVERITY: Final = {state: severity for severity, state in enumerate(TradingState)}


class Intent(StrEnum):
    """What a command does to risk; decides which rules apply and what happens when something is down."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"
    CANCEL = "CANCEL"
    CONFIG = "CONFIG"

    @property
    def adds_risk(self) -> bool:
        """Whether it may add risk, so that trouble stops it; what only takes risk away is stopped by none."""
        return self in (Intent.ENTRY, Intent.CONFIG)
