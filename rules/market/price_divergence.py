"""price_divergence: mark, last and index price of a symbol belong together; apart, one of them is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_exact, show_percent
from rules.snapshot import Market, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceDivergence(Rule):
    """Refuse entries of a symbol whose mark price is too far from its last or its index price.

    The mark is what positions are liquidated at, the last price what orders meet, the index what both should follow.
    When they part, a feed is wrong or the contract has come loose, and every limit counted at the mark is off by as
    much. Distances are fractions of the mark; at least one limit is set, and only the prices it needs must be known.
    How old prices may be is the matter of `data_freshness`; how far an order's own price may lie from the mark is that
    of `price_collar`.
    """

    rule_id: ClassVar[str] = "price_divergence"
    codes: ClassVar[Mapping[str, str]] = {
        "LAST_PRICE_DIVERGED": "mark and last price are further apart than `last_max`",
        "INDEX_PRICE_DIVERGED": "mark and index price are further apart than `index_max`",
        FACTS_UNKNOWN: "the mark, or the price it is to be held against, is not known",
    }
    clauses: ClassVar[Sequence[str]] = ()
    example: ClassVar[str] = """
[desk.price_divergence]
enforcement = "enforce"
last_max = 0.01
index_max = 0.005
"""

    last_max: Annotated[Decimal | None, Setting("fraction of the mark", Looser.HIGHER)] = None
    index_max: Annotated[Decimal | None, Setting("fraction of the mark", Looser.HIGHER)] = None

    def __post_init__(self) -> None:
        if self.last_max is None and self.index_max is None:
            raise ValueError("price_divergence needs last_max or index_max")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the mark is further from the last or the index price than allowed, or one is not known."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        market = snapshot.markets.get(order.symbol)
        if market is None:
            return self.unknown(f"the mark price of {order.symbol}")
        return market.found(self._judged)

    def _judged(self, market: Market) -> Breach | None:
        return self._apart(market, "last", market.last_price, self.last_max) or self._apart(
            market, "index", market.index_price, self.index_max
        )

    def _apart(self, market: Market, name: str, price: Decimal | None, limit: Decimal | None) -> Breach | None:
        if limit is None:
            return None
        if price is None:
            return self.unknown(f"the {name} price of {market.symbol}")
        if abs(price - market.mark_price) <= limit * market.mark_price:
            return None
        return self.breach(
            f"{name.upper()}_PRICE_DIVERGED",
            f"{market.symbol} mark {show_exact(market.mark_price)} and {name} {show_exact(price)} have come apart",
            observed=_percent(price, market),
            limit=show_percent(limit),
            advice="reduce-only orders and cancels pass",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """How far the last and the index price are from the mark, as far as they are known."""
        order = held_order(command, snapshot)
        market = snapshot.markets.get(order.symbol) if order is not None else None
        return market.found(self._measures) if market is not None else ()

    def _measures(self, market: Market) -> tuple[Measure, ...]:
        return tuple(
            self.measured(f"{name}_divergence", _percent(price, market), unit="of the mark")
            for name, price in (("last", market.last_price), ("index", market.index_price))
            if price is not None
        )


def _percent(price: Decimal, market: Market) -> str:
    return show_percent(abs(price - market.mark_price) / market.mark_price)
