"""One customer of the exchange: wallet, positions, orders, settings and bounded histories."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sandbox.engine.conditional import ConditionalOrder
from sandbox.engine.model import (
    ZERO,
    Fill,
    Income,
    MarginChange,
    MarginMode,
    Order,
    Position,
    PositionSide,
)
from sandbox.engine.twap_order import TwapOrder

HISTORY_KEPT = 5_000
DEFAULT_LEVERAGE = 20


@dataclass(slots=True)
class SymbolSettings:
    """What the account chose for one symbol."""

    leverage: int = DEFAULT_LEVERAGE
    margin_mode: MarginMode = MarginMode.CROSS


@dataclass(slots=True)
class Countdown:
    """An armed dead-man's switch: the symbol's plain orders go at `due_ms` unless it is armed again."""

    symbol: str
    due_ms: int


class Account:
    """Everything the exchange knows of one customer. `wallet` includes the isolated wallets."""

    def __init__(self, name: str, wallet: Decimal) -> None:
        self.name = name
        self.wallet = wallet
        self.deposited = wallet
        self.hedge_mode = False
        self.multi_assets = False
        self.margin_called = False
        self.settings: dict[str, SymbolSettings] = {}
        self.positions: dict[tuple[str, PositionSide], Position] = {}
        self.open_orders: dict[int, Order] = {}
        self.open_conditionals: dict[int, ConditionalOrder] = {}
        self.countdowns: dict[str, Countdown] = {}
        self.twaps: dict[int, TwapOrder] = {}
        self.orders: deque[Order] = deque(maxlen=HISTORY_KEPT)
        self.liquidations: deque[Order] = deque(maxlen=HISTORY_KEPT)
        self.conditionals: deque[ConditionalOrder] = deque(maxlen=HISTORY_KEPT)
        self.fills: deque[Fill] = deque(maxlen=HISTORY_KEPT)
        self.incomes: deque[Income] = deque(maxlen=HISTORY_KEPT)
        self.margin_changes: deque[MarginChange] = deque(maxlen=HISTORY_KEPT)

    def on(self, symbol: str) -> SymbolSettings:
        """The account's settings for `symbol`, created with the defaults on first use."""
        return self.settings.setdefault(symbol, SymbolSettings())

    def position(self, symbol: str, position_side: PositionSide) -> Position:
        """The leg, created empty on first use."""
        key = (symbol, position_side)
        if key not in self.positions:
            self.positions[key] = Position(symbol=symbol, position_side=position_side)
        return self.positions[key]

    def legs(self, symbol: str | None = None) -> Iterator[Position]:
        """The legs that are not flat, of one symbol or all, in a stable order."""
        for (leg_symbol, _), position in sorted(self.positions.items()):
            if position.quantity and symbol in (None, leg_symbol):
                yield position

    def orders_on(self, symbol: str) -> list[Order]:
        """The open plain orders of one symbol, oldest first."""
        return [order for order in self.open_orders.values() if order.symbol == symbol]

    def isolated(self, symbol: str) -> bool:
        """True when the symbol's margin is set aside per position."""
        return self.on(symbol).margin_mode is MarginMode.ISOLATED

    @property
    def cross_wallet(self) -> Decimal:
        """The part of the wallet that backs cross positions and new orders."""
        return self.wallet - sum((position.isolated_wallet for position in self.positions.values()), ZERO)
