"""An account as the guard knows it: positions, orders and the shares of bots, and what is under way besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rules.derived import Derived
from rules.model import MarginMode, OrderType, PositionSide, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One open leg. ``quantity`` is signed (short is negative) in both position modes.

    ``isolated_margin`` is the margin set aside for an isolated leg, without its unrealised PnL. ``adl_quantile`` is its
    place in the venue's queue for auto-deleveraging: 0 at the back, 4 at the front.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    liquidation_price: Decimal | None = None
    margin_mode: MarginMode = MarginMode.CROSS
    leverage: Decimal | None = None
    isolated_margin: Decimal | None = None
    adl_quantile: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSettings:
    """What the venue has set for one symbol of an account."""

    symbol: str
    margin_mode: MarginMode
    leverage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order the venue confirmed, plain or conditional. ``leaves_quantity`` is what can still fill.

    ``leaves_quantity`` is ``None`` for an order that closes whatever the position then is. ``bot`` is whose order it
    is, by the client order id the guard gave it; empty for an order that no bot of this guard placed.
    """

    symbol: str
    side: Side
    position_side: PositionSide
    order_type: OrderType
    leaves_quantity: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    close_position: bool
    order_id: str
    client_order_id: str
    filled_quantity: Decimal = Decimal(0)
    bot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One bot's part of one leg, and what it has earned and paid since the guard began to count.

    ``quantity`` is signed; the shares of a leg add up to its position. ``bot`` is empty for what no bot of this guard
    brought about. Money in quote currency: ``realised_pnl`` before costs, ``fees`` paid, ``funding`` received (negative
    when paid), ``unpriced`` what was traded at a fee that nobody told: it is not among ``fees``.
    """

    bot: str
    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    realised_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    unpriced: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedFunding:
    """A row of the venue's funding list that is in the shares. ``row_id`` and ``at_ms`` are the venue's."""

    row_id: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingMark:
    """How far the shares have the venue's funding: all rows before ``since_ms``, and from then on just ``rows``."""

    since_ms: int
    rows: tuple[CountedFunding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnexplainedOrder:
    """An order that the venue has shown, resting or filled, and of which nobody knows yet whether the guard sent it.
    The ids are its own, ``detail`` is what it asks for, in words."""

    symbol: str
    order_id: str
    conditional: bool
    client_order_id: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Derived):
    """An exchange account as the guard knows it. ``margin_balance`` is wallet plus unrealised PnL, in quote units.

    ``as_of`` is the last moment it was known to be so: its last survey, or the last sign of life of an unbroken stream.
    ``version`` grows with every change and names this state in the audit. ``shares`` splits the positions by bot.
    ``feed_stale`` says that the private stream is down or has a gap and no survey has been made since: then nothing
    that adds risk may pass. ``funding_mark`` is of the same moment as ``shares``; ``None`` before any was read.
    ``shares_ms`` is the venue's time up to which fills are in the shares, ``shares_since`` when counting began,
    from nothing: another moment than before says that they were lost meanwhile (``None``: not known).
    ``settings`` are the venue's settings of the symbols the guard has read, ``usual_settings`` (whose ``symbol`` is
    empty) those of every symbol that ``settings`` does not name: a venue lists hundreds, and few are set apart.
    ``multi_assets`` says whether other assets than the quote currency serve as margin (``None``: not known).
    ``unexplained`` are orders, open ones or not, that may have come from outside: it is not found out yet.
    """

    name: str
    version: int
    as_of: datetime
    margin_balance: Decimal
    available_balance: Decimal
    hedged: bool
    positions: tuple[Position, ...] = ()
    open_orders: tuple[OpenOrder, ...] = ()
    shares: tuple[Share, ...] = ()
    feed_stale: bool = False
    funding_mark: FundingMark | None = None
    settings: tuple[SymbolSettings, ...] = ()
    usual_settings: SymbolSettings | None = None
    multi_assets: bool | None = None
    shares_ms: int | None = None
    shares_since: datetime | None = None
    unexplained: tuple[UnexplainedOrder, ...] = ()

    def legs(self, symbol: str) -> Sequence[Position]:
        """The open positions of one symbol."""
        return self.found(_legs).get(symbol, ())

    def orders(self, symbol: str) -> Sequence[OpenOrder]:
        """The resting orders of one symbol."""
        return self.found(_orders).get(symbol, ())

    def settings_of(self, symbol: str) -> SymbolSettings | None:
        """The venue's settings of one symbol, ``None`` when the guard has not read them."""
        found = self.found(_settings).get(symbol)
        if found is not None or self.usual_settings is None:
            return found
        return replace(self.usual_settings, symbol=symbol)

    def margin_mode_of(self, symbol: str) -> MarginMode | None:
        """The margin mode among those settings."""
        found = self.found(_settings).get(symbol, self.usual_settings)
        return found.margin_mode if found is not None else None


def _legs(account: Account) -> dict[str, list[Position]]:
    found: dict[str, list[Position]] = {}
    for leg in account.positions:
        found.setdefault(leg.symbol, []).append(leg)
    return found


def _orders(account: Account) -> dict[str, list[OpenOrder]]:
    found: dict[str, list[OpenOrder]] = {}
    for order in account.open_orders:
        found.setdefault(order.symbol, []).append(order)
    return found


def _settings(account: Account) -> dict[str, SymbolSettings]:
    return {each.symbol: each for each in reversed(account.settings)}


class HoldStatus(StrEnum):
    """PENDING: judged or being sent. ACCEPTED: the venue acknowledged. UNKNOWN: nobody knows yet; it stays counted."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What an amend asks for, in its own words: which order, the new total quantity, the new price (``None``: the
    venue finds it). It tells apart several amends of one order; exposure is not counted from it."""

    order_id: str | None
    client_order_id: str | None
    quantity: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOrder:
    """The worst case of one order that is under way. ``price`` is the highest limit or trigger it names, if any.

    It is written before the mark is known; whoever counts it values it at the higher of ``price`` and mark, or of mark
    and touch when it leaves its price to the book (``order_value``).
    ``replaces`` is the venue id of the resting order that an amend changes; the two are never both counted. ``passive``
    says that the order takes nothing from the book when it comes: post-only, or priced to join the queue.
    """

    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal | None
    client_order_id: str
    conditional: bool = False
    replaces: str | None = None
    amendment: Amendment | None = None
    passive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Derived):
    """Exposure reserved for a request. ``sequence`` is the store's order of reservation: earlier ones come first."""

    hold_id: str
    bot: str
    sequence: int
    status: HoldStatus
    orders: tuple[HeldOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreportedOrder:
    """An entry whose answer was lost and which its bot has not read by name since. ``at`` is when that was noticed.

    It outlives its hold: that the guard has learnt what became of the order does not mean that the bot has. It ends
    when nothing is left of the order: not under way, not resting, no position on its side.
    """

    bot: str
    hold_id: str
    at: datetime
    order: HeldOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Derived):
    """An entry a bot tried earlier, as it was asked for; sent or refused. ``at`` is the store's time.

    ``refused_at_size`` is the headroom: the largest quantity that would have passed then, which a refusal named. An
    attempt that has it and was not refused was sized down, and that much was sent. ``None`` when the attempt was sent
    whole, or refused not for its size. An amend's attempt bears ``replaces`` in its order.
    """

    at: datetime
    hold_id: str
    orders: tuple[HeldOrder, ...]
    refused: bool = False
    refused_at_size: Decimal | None = None
