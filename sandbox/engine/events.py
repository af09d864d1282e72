"""What happened to an account, as a log: every change in the order it happened, told once, never changed afterwards.

The engine appends facts (copies, so that a later change cannot rewrite one) and a dialect renders them; the log itself
keeps nothing. It knows no JSON, no socket and no venue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sandbox.engine.account import Account
from sandbox.engine.conditional import ConditionalOrder
from sandbox.engine.model import ZERO, Fill, Order, Position


class Execution(StrEnum):
    """What happened to a plain order. `FORCED` is an execution the exchange itself imposed (liquidation)."""

    NEW = "NEW"
    AMENDED = "AMENDED"
    TRADE = "TRADE"
    FORCED = "FORCED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class Cause(StrEnum):
    """Why a balance or a position changed."""

    ORDER = "ORDER"
    FUNDING = "FUNDING"
    MARGIN_TRANSFER = "MARGIN_TRANSFER"
    MARGIN_MODE = "MARGIN_MODE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    TRANSFER = "TRANSFER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. `sequence` grows strictly over the whole exchange, so also over each account; `time_ms` never falls."""

    sequence: int
    time_ms: int
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged(Event):
    """A plain order as it stood right after `execution`; `fill` only when something was executed."""

    execution: Execution
    order: Order
    fill: Fill | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged(Event):
    """The wallet after a change, and the legs that changed with it.

    `change` is the amount booked outside trading (funding, clearance), zero for executions. Quote currency.
    """

    cause: Cause
    wallet: Decimal
    cross_wallet: Decimal
    change: Decimal
    legs: tuple[Position, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalChanged(Event):
    """A conditional order as it stood right after its status changed."""

    order: ConditionalOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageChanged(Event):
    """A symbol's leverage was set."""

    symbol: str
    leverage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiAssetsChanged(Event):
    """Multi-assets mode was switched."""

    multi_assets: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCalled(Event):
    """The cross margin has come close to its maintenance margin; the legs at that moment."""

    cross_wallet: Decimal
    legs: tuple[Position, ...]


Listener = Callable[[Event], None]


class EventLog:
    """Numbers events and hands each to every listener at once; listeners must not call back into the engine."""

    def __init__(self) -> None:
        self._sequence = 0
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every later event."""
        self._listeners.append(listener)

    def order_changed(self, now_ms: int, order: Order, execution: Execution, fill: Fill | None = None) -> None:
        """Something happened to a plain order."""
        number = self._next()
        self._tell(
            OrderChanged(
                sequence=number,
                time_ms=now_ms,
                account=order.account,
                execution=execution,
                order=replace(order),
                fill=fill,
            )
        )

    def account_changed(
        self, now_ms: int, account: Account, cause: Cause, *legs: Position, change: Decimal = ZERO
    ) -> None:
        """The wallet or some legs of `account` changed."""
        self._tell(
            AccountChanged(
                sequence=self._next(),
                time_ms=now_ms,
                account=account.name,
                cause=cause,
                wallet=account.wallet,
                cross_wallet=account.cross_wallet,
                change=change,
                legs=tuple(replace(leg) for leg in legs),
            )
        )

    def conditional_changed(self, now_ms: int, order: ConditionalOrder) -> None:
        """The status of a conditional order changed."""
        real = replace(order.order) if order.order else None
        self._tell(
            ConditionalChanged(
                sequence=self._next(), time_ms=now_ms, account=order.account, order=replace(order, order=real)
            )
        )

    def leverage_changed(self, now_ms: int, account: Account, symbol: str) -> None:
        """The leverage of `symbol` was set."""
        leverage = account.on(symbol).leverage
        self._tell(
            LeverageChanged(
                sequence=self._next(), time_ms=now_ms, account=account.name, symbol=symbol, leverage=leverage
            )
        )

    def multi_assets_changed(self, now_ms: int, account: Account) -> None:
        """Multi-assets mode was switched."""
        self._tell(
            MultiAssetsChanged(
                sequence=self._next(), time_ms=now_ms, account=account.name, multi_assets=account.multi_assets
            )
        )

    def margin_called(self, now_ms: int, account: Account, legs: list[Position]) -> None:
        """The cross margin has come close to its maintenance margin."""
        self._tell(
            MarginCalled(
                sequence=self._next(),
                time_ms=now_ms,
                account=account.name,
                cross_wallet=account.cross_wallet,
                legs=tuple(replace(leg) for leg in legs),
            )
        )

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
