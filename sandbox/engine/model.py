"""The engine's nouns. Money and size are `Decimal`.

Engine time is whole milliseconds since the epoch (`*_ms`), never a clock reading: it only moves when `step` moves it,
so a run is an exact function of its seed and its commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 when the side adds to a signed position, -1 when it takes away."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The side that would be on the other end of the trade."""
        return Side.SELL if self is Side.BUY else Side.BUY


class PositionSide(StrEnum):
    """The leg an order works on: `BOTH` in one-way mode, `LONG` or `SHORT` in hedge mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"

    def opened_by(self, side: Side) -> bool:
        """True when `side` adds to this hedge leg. Meaningless for `BOTH`."""
        return (self is PositionSide.LONG) == (side is Side.BUY)


class OrderType(StrEnum):
    """What the matching engine accepts; everything that waits for a trigger is a `ConditionalOrder`."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    """How long an order lives and whether it may take liquidity."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "POST_ONLY"
    GTD = "GTD"


class SelfTrade(StrEnum):
    """What happens when an account's order would meet its own resting order."""

    ALLOW = "ALLOW"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class OrderStatus(StrEnum):
    """The life of an order. Only `NEW` and `PARTIALLY_FILLED` are open."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


class MarginMode(StrEnum):
    """Whether a position shares the account's wallet or has its own."""

    CROSS = "CROSS"
    ISOLATED = "ISOLATED"


class IncomeKind(StrEnum):
    """Why a wallet changed."""

    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING = "FUNDING"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    TRANSFER = "TRANSFER"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order as asked for. `price` is None for market orders; quantities are in base units."""

    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    position_side: PositionSide = PositionSide.BOTH
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    client_order_id: str = ""
    self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER
    good_till_ms: int = 0


@dataclass(slots=True, kw_only=True)
class Order:
    """A live or finished order. `priority` orders equal prices; it is renewed when an amendment loses the queue."""

    order_id: int
    client_order_id: str
    account: str
    symbol: str
    side: Side
    position_side: PositionSide
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    self_trade: SelfTrade
    good_till_ms: int
    created_ms: int
    updated_ms: int
    priority: int
    close_position: bool = False
    liquidation: bool = False
    # Fault: the most that may fill in one step; zero is no bound.
    fill_per_step: Decimal = ZERO
    # Fault: it rests although there is liquidity within its limit, because of that bound.
    throttled: bool = False
    # The conditional order that sent this one, 0 for orders of the account's own hand.
    conditional_id: int = 0
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    status: OrderStatus = OrderStatus.NEW

    @property
    def leaves_quantity(self) -> Decimal:
        """What is still to be executed while the order is open."""
        return self.quantity - self.filled_quantity

    @property
    def fill_room(self) -> Decimal:
        """What may be executed in the present step."""
        return min(self.leaves_quantity, self.fill_per_step) if self.fill_per_step else self.leaves_quantity

    @property
    def open(self) -> bool:
        """True while the order can still trade."""
        return self.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)

    @property
    def average_price(self) -> Decimal:
        """Volume-weighted fill price, zero before the first fill."""
        return self.filled_notional / self.filled_quantity if self.filled_quantity else ZERO


@dataclass(slots=True, kw_only=True)
class Position:
    """One leg of one symbol. `quantity` is signed; `isolated_wallet` is the margin set aside for it (isolated only).

    `realised` sums up every profit booked on the leg since the account exists, before fees.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    commission: Decimal = ZERO
    realised: Decimal = ZERO
    updated_ms: int = 0

    def unrealised(self, mark_price: Decimal) -> Decimal:
        """Profit if the leg were closed at `mark_price`, before fees, in quote currency."""
        return (mark_price - self.entry_price) * self.quantity

    @property
    def break_even_price(self) -> Decimal:
        """Entry price moved by the commissions paid on what is still open."""
        return self.entry_price + self.commission / self.quantity if self.quantity else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of one account's order."""

    trade_id: int
    order_id: int
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    commission: Decimal
    realised: Decimal
    maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Income:
    """One change of a wallet; the rows since the start always sum to the wallet's change."""

    income_id: int
    kind: IncomeKind
    symbol: str
    amount: Decimal
    time_ms: int
    trade_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginChange:
    """A hand-made change of an isolated position's margin; `amount` is negative when margin was taken out."""

    symbol: str
    position_side: PositionSide
    amount: Decimal
    time_ms: int
