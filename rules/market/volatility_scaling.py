"""volatility_scaling: a position's cap shrinks as its market becomes wilder, so that its risk stays about the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import HeldOrder
from rules.decision import Breach, Measure
from rules.exposure import held_order, notional_after
from rules.facts import Condition
from rules.fresh import fresh_condition
from rules.model import ONE, Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show, show_percent
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityScaling(Rule):
    """Keep the symbol's worst-case position on the entry's side within a cap that shrinks with volatility.

    The cap is `limit_notional` times usual volatility over present volatility: at twice the usual swing half the
    position. It never grows above `limit_notional` in a calm market, nor falls below `floor` of it in a wild one.
    What is held already is never sold for it; only entries are refused.
    """

    rule_id: ClassVar[str] = "volatility_scaling"
    codes: ClassVar[Mapping[str, str]] = {
        "POSITION_ABOVE_VOLATILITY_LIMIT": "the position could pass what volatility leaves of `limit_notional`",
        FACTS_UNKNOWN: "volatility, its usual value or the account is not known or too old",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(4)",
        "RTS 6 art. 17(4)",
    )
    example: ClassVar[str] = """
[symbol.ETHUSDT.volatility_scaling]
enforcement = "enforce"
limit_notional = 50000
floor = 0.2
"""
    sized: ClassVar[bool] = True

    limit_notional: Annotated[Decimal, Setting("quote currency at usual volatility", Looser.HIGHER)]
    floor: Annotated[Decimal, Setting("fraction of `limit_notional`, above 0 up to 1", Looser.HIGHER)] = Decimal("0.25")
    facts_age_max_s: Annotated[int, Setting("seconds since volatility was measured", Looser.HIGHER)] = 900

    def __post_init__(self) -> None:
        if not 0 < self.floor <= 1:
            raise ValueError("volatility_scaling: floor must lie above 0 and not above 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the position on the entry's side could pass the cap of the present volatility."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        scale = self._scale(order, snapshot)
        if scale is None:
            return self.unknown(f"the volatility of {order.symbol}")
        notional = notional_after(order, snapshot)
        if notional is None:
            return self.unknown(f"what the {order.symbol} position is worth")
        cap = self.limit_notional * scale
        if notional <= cap:
            return None
        return self.breach(
            "POSITION_ABOVE_VOLATILITY_LIMIT",
            f"{order.symbol} position could reach {show(notional)} "
            f"with its limit at {show_percent(scale)} for volatility",
            observed=show(notional),
            limit=show(cap),
        )

    def _scale(self, order: HeldOrder, snapshot: Snapshot) -> Decimal | None:
        """The share of the cap that holds now, ``None`` when it cannot be told."""
        condition = fresh_condition(order.symbol, snapshot, self.facts_age_max_s)
        return condition.found(self._scale_of) if condition is not None else None

    def _scale_of(self, condition: Condition) -> Decimal | None:
        if condition.volatility is None or condition.volatility_usual is None:
            return None
        if condition.volatility <= condition.volatility_usual:
            return ONE
        return max(self.floor, condition.volatility_usual / condition.volatility)

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The share of the cap that held for this entry."""
        order = held_order(command, snapshot)
        if order is None:
            return ()
        condition = fresh_condition(order.symbol, snapshot, self.facts_age_max_s)
        return condition.found(self._measures) if condition is not None else ()

    def _measures(self, condition: Condition) -> tuple[Measure, ...]:
        scale = condition.found(self._scale_of)
        return (self.measured("volatility_scale", show(scale), "of the limit"),) if scale is not None else ()
