"""Everyone who is not an account: the other side of every synthetic quote, kept in the books so that money adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sandbox.engine.model import ZERO, Side


@dataclass(slots=True)
class Street:
    """The street's cash (quote currency, may be negative) and signed positions (base units) since the start."""

    cash: Decimal = ZERO
    positions: dict[str, Decimal] = field(default_factory=dict)

    def trade(self, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> None:
        """The street buys or sells `quantity` at `price`."""
        self.positions[symbol] = self.positions.get(symbol, ZERO) + side.sign * quantity
        self.cash -= side.sign * quantity * price

    def equity(self, mark_prices: Mapping[str, Decimal]) -> Decimal:
        """Cash and positions at the mark, in quote currency."""
        return self.cash + sum((held * mark_prices[symbol] for symbol, held in self.positions.items()), ZERO)
