"""exit_collar: the only check an exit meets. A limit price may not give the position away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.fresh import is_fresh
from rules.intent import side_of
from rules.model import ENTRY, Command, PlaceOrder
from rules.prices import is_through, through
from rules.rule import Looser, Rule, Setting, show_exact
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCollar(Rule):
    """Refuse an exit whose limit price is more than ``band`` through the mark.

    Never a market order, never a conditional one (its price meets the market elsewhere), and not while the mark is
    older than ``mark_age_max_s``: an outage must not trap a trader in a position.
    """

    rule_id: ClassVar[str] = "exit_collar"
    codes: ClassVar[Mapping[str, str]] = {
        "EXIT_PRICE_OUTSIDE_COLLAR": "the limit price is more than `band` through the mark",
    }
    example: ClassVar[str] = """
[desk.exit_collar]
enforcement = "enforce"
band = 0.10
"""

    band: Annotated[Decimal, Setting("fraction through the mark", Looser.HIGHER, zero_or_less=True)] = Decimal("0.20")
    mark_age_max_s: Annotated[int, Setting("seconds; with an older mark every exit passes", Looser.LOWER)] = 10

    def __post_init__(self) -> None:
        if self.band < 0:
            raise ValueError(f"{self.rule_id}: band must not be negative")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an exit priced so far through the mark that it must be a mistake."""
        if not isinstance(command, ENTRY) or command.price is None:
            return None
        if isinstance(command, PlaceOrder) and command.order_type.is_conditional:
            return None
        market = snapshot.markets.get(command.symbol)
        if market is None or not is_fresh(market.as_of, snapshot, self.mark_age_max_s):
            return None
        side = side_of(command, snapshot)
        bound = through(side, market.mark_price, self.band)
        if not is_through(side, command.price, bound):
            return None
        return self.breach(
            "EXIT_PRICE_OUTSIDE_COLLAR",
            f"exit price {show_exact(command.price)} gives away more than {show_exact(self.band * 100)} % "
            f"against the mark {show_exact(market.mark_price)}",
            observed=show_exact(command.price),
            limit=show_exact(bound),
            advice=f"use a price of {show_exact(bound)} or better, or a market order",
        )
