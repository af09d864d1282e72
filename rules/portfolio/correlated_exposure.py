"""correlated_exposure: positions that move together count together, and in a crash everything moves together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.decision import Breach
from rules.exposure import Exposure, held_order, worst_case
from rules.model import Command
from rules.rule import Looser, Rule, Setting, show
from rules.snapshot import Snapshot

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelatedExposure(Rule):
    """Cap the account's signed exposure through a correlation matrix: sqrt(sum_ij e_i * e_j * rho_ij).

    Exposures on the same side use ``max(rho, stress_floor)``: in a crash correlations go to one. Exposures on
    opposite sides offset each other only by ``hedge_credit`` times a positive rho, because hedges fail first.
    Resting and pending orders never offset anything. ``pairs`` maps ``"AAA:BBB"`` to rho; ``default`` stands for
    every pair not listed. The cap is ``limit_notional`` (quote currency), or ``limit_equity`` times margin balance.
    Formula: variance of a weighted sum of unit-variance returns (Markowitz 1952), square root, in notional units.
    """

    rule_id: ClassVar[str] = "correlated_exposure"
    codes: ClassVar[Mapping[str, str]] = {
        "CORRELATED_EXPOSURE_ABOVE_LIMIT": "correlated exposure could pass the cap",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 15(4)",
        "RTS 6 art. 17(2)",
    )
    example: ClassVar[str] = """
[desk.correlated_exposure]
enforcement = "enforce"
limit_equity = 3.0
stress_floor = 0.9

[desk.correlated_exposure.pairs]
"BTCUSDT:ETHUSDT" = 0.85
"""
    sized: ClassVar[bool] = True

    limit_notional: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    limit_equity: Annotated[Decimal | None, Setting("times margin balance", Looser.HIGHER)] = None
    default: Annotated[Decimal, Setting("rho of pairs not listed, -1 to 1", Looser.NEITHER)] = Decimal("0.8")
    stress_floor: Annotated[Decimal, Setting("least rho on the same side, -1 to 1", Looser.LOWER)] = Decimal("0.9")
    hedge_credit: Annotated[Decimal, Setting("share of rho that opposite sides offset, 0 to 1", Looser.HIGHER)] = (
        Decimal("0.5")
    )
    pairs: Annotated[Mapping[str, Decimal], Setting('table `"AAA:BBB" = rho`', Looser.NEITHER)] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        if self.limit_notional is None and self.limit_equity is None:
            raise ValueError("correlated_exposure needs limit_notional or limit_equity")
        for name, value in (("default", self.default), ("stress_floor", self.stress_floor), *self.pairs.items()):
            if not -1 <= value <= 1:
                raise ValueError(f"correlated_exposure: {name} must lie between -1 and 1")
        if not 0 <= self.hedge_credit <= 1:
            raise ValueError("correlated_exposure: hedge_credit must lie between 0 and 1")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when correlated exposure after this order would be above the cap."""
        order = held_order(command, snapshot)
        if order is None or snapshot.account is None:
            return None
        limit = self._limit(snapshot.account.margin_balance)
        squared = self.squared(list(worst_case(snapshot, (order,)).values()))
        if squared <= limit * limit:
            return None
        observed = show(squared.sqrt())
        return self.breach(
            "CORRELATED_EXPOSURE_ABOVE_LIMIT",
            f"correlated exposure would be {observed}",
            observed=observed,
            limit=show(limit),
        )

    def _limit(self, margin_balance: Decimal) -> Decimal:
        limits = []
        if self.limit_notional is not None:
            limits.append(self.limit_notional)
        if self.limit_equity is not None:
            limits.append(max(ZERO, self.limit_equity * margin_balance))
        return min(limits)

    def squared(self, exposures: Sequence[Exposure]) -> Decimal:
        """The largest value of the quadratic form over everything that can fill, bounded pair by pair.

        The largest value of a sum is at most the sum of the largest values, so this never understates.
        """
        total = ZERO
        for index, first in enumerate(exposures):
            widest = max(abs(first.net_low), abs(first.net_high))
            total += widest * widest
            for second in exposures[index + 1 :]:
                rho = self._rho(first.symbol, second.symbol)
                total += 2 * max(
                    self._pair(a, b, rho)
                    for a in (first.net_low, first.net_high)
                    for b in (second.net_low, second.net_high)
                )
        return max(total, ZERO)

    def _pair(self, first: Decimal, second: Decimal, rho: Decimal) -> Decimal:
        product = first * second
        if product >= 0:
            return product * max(rho, self.stress_floor)
        return product * (rho * self.hedge_credit if rho > 0 else rho)

    def _rho(self, first: str, second: str) -> Decimal:
        rho = self.pairs.get(f"{first}:{second}")
        if rho is None:
            rho = self.pairs.get(f"{second}:{first}")
        return self.default if rho is None else rho
