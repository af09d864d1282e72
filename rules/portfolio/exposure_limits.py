"""exposure_limits: how much the whole account may have on: in sum, to one side, and net of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.book import Exposure
from rules.decision import Breach, Use
from rules.exposure import gross_notional, held_order, worst_case
from rules.model import ZERO, Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureLimits(Rule):
    """Cap the account's worst-case exposure over all symbols: gross, in one direction, and net.

    *Gross* adds up every symbol: the larger direction of each, both legs in hedge mode. *Same direction* is the sum of
    all longs or the sum of all shorts, whichever is larger: what a market that moves as one would hit. *Net* is the
    larger end of the range in which longs less shorts may end. Whatever rests or is under way counts as if filled in
    all three, and never as an offset; in the net alone, positions of one symbol offset those of another, because that
    is what net means: set it beside gross or same direction, not instead of them.
    Each cap may be given in quote currency, as a multiple of margin balance, or both: then the smaller counts.
    """

    rule_id: ClassVar[str] = "exposure_limits"
    codes: ClassVar[Mapping[str, str]] = {
        "GROSS_EXPOSURE_ABOVE_LIMIT": "the account's gross exposure could pass its cap",
        "SAME_DIRECTION_EXPOSURE_ABOVE_LIMIT": "all longs, or all shorts, could pass their cap",
        "NET_EXPOSURE_ABOVE_LIMIT": "longs less shorts could pass their cap",
        FACTS_UNKNOWN: "the account is not known",
    }
    clauses: ClassVar[Sequence[str]] = (
        "15c3-5(c)(1)(i)",
        "RTS 6 art. 15(4)",
        "RTS 6 art. 15(5)",
        "RTS 6 art. 17(2)",
    )
    example: ClassVar[str] = """
[desk.exposure_limits]
enforcement = "enforce"
gross_equity = 5
same_direction_equity = 3
net_notional = 250000
"""
    sized: ClassVar[bool] = True

    gross_notional: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    gross_equity: Annotated[Decimal | None, Setting("times margin balance", Looser.HIGHER)] = None
    same_direction_notional: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    same_direction_equity: Annotated[Decimal | None, Setting("times margin balance", Looser.HIGHER)] = None
    net_notional: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    net_equity: Annotated[Decimal | None, Setting("times margin balance", Looser.HIGHER)] = None

    def __post_init__(self) -> None:
        limits = (self.gross_notional, self.gross_equity, self.same_direction_notional, self.same_direction_equity)
        if all(limit is None for limit in (*limits, self.net_notional, self.net_equity)):
            raise ValueError("exposure_limits needs a gross, same_direction or net cap, as _notional or _equity")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when one of the three could pass its cap."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        if snapshot.account is None:
            return self.unknown("the account")
        gross, balance = gross_notional(snapshot, order), snapshot.account.margin_balance
        limit = _cap(self.gross_notional, self.gross_equity, balance)
        if limit is not None and gross > limit:
            return self._breach("gross", gross, limit)
        for name, measured, limit in (
            (
                "same direction",
                _same_direction,
                _cap(self.same_direction_notional, self.same_direction_equity, balance),
            ),
            ("net", _net, _cap(self.net_notional, self.net_equity, balance)),
        ):
            # Neither is ever more than gross: most orders need no sums.
            if limit is None or gross <= limit:
                continue
            if (observed := measured(worst_case(snapshot, (order,)).values())) > limit:
                return self._breach(name, observed, limit)
        return None

    def uses(self, snapshot: Snapshot) -> tuple[Use, ...]:
        """All three as they stand, where they are capped."""
        if snapshot.account is None:
            return ()
        exposures, balance = worst_case(snapshot).values(), snapshot.account.margin_balance
        gross = sum((each.gross_notional for each in exposures), ZERO)
        same = _cap(self.same_direction_notional, self.same_direction_equity, balance)
        measured = (
            ("gross", gross, _cap(self.gross_notional, self.gross_equity, balance)),
            ("same direction", _same_direction(exposures), same),
            ("net", _net(exposures), _cap(self.net_notional, self.net_equity, balance)),
        )
        return tuple(self.used(observed, limit, name=name) for name, observed, limit in measured if limit is not None)

    def _breach(self, name: str, observed: Decimal, limit: Decimal) -> Breach:
        return self.breach(
            f"{name.upper().replace(' ', '_')}_EXPOSURE_ABOVE_LIMIT",
            f"{name} exposure of the account could reach {show(observed)}",
            observed=show(observed),
            limit=show(limit),
        )


def _same_direction(exposures: Iterable[Exposure]) -> Decimal:
    longs = sum((each.long_notional for each in exposures), ZERO)
    shorts = sum((each.short_notional for each in exposures), ZERO)
    return max(longs, shorts)


def _net(exposures: Iterable[Exposure]) -> Decimal:
    low = sum((each.net_low for each in exposures), ZERO)
    high = sum((each.net_high for each in exposures), ZERO)
    return max(abs(low), abs(high))


def _cap(notional: Decimal | None, equity: Decimal | None, balance: Decimal) -> Decimal | None:
    """The smaller of the caps that are set; what a lost balance carries is nothing."""
    if equity is None:
        return notional
    carried = max(ZERO, equity * balance)
    return carried if notional is None else min(notional, carried)
