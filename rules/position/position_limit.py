"""position_limit: the largest position one symbol may reach, in base units, in quote notional, and of its market."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.book import Exposure
from rules.decision import Breach, Use
from rules.exposure import exposure_after, held_order, worst_case
from rules.fresh import fresh_condition
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show, show_exact
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLimit(Rule):
    """Keep the worst-case position of the order's symbol, long or short, within the limits that are set.

    ``limit_quantity`` is in base units; the notional limits are in quote currency: of the larger direction, of long and
    short apart, and net. Net is what could be left in one direction when the other leg and all orders against it are
    gone. ``limit_open_interest`` and ``limit_daily_volume`` bound the quantity by the size of the market: what cannot
    be closed without moving it is too large, whatever it is worth. At least one limit is set, and all that are set
    apply.
    """

    rule_id: ClassVar[str] = "position_limit"
    codes: ClassVar[Mapping[str, str]] = {
        "POSITION_ABOVE_LIMIT": "the symbol's position could pass a limit",
        FACTS_UNKNOWN: "open interest or daily volume is asked for, and not known or too old",
    }
    clauses: ClassVar[Sequence[str]] = (
        "RTS 6 art. 17(4)",
        "RTS 6 art. 15(4)",
        "RTS 6 art. 15(5)",
    )
    example: ClassVar[str] = """
[symbol.DOGEUSDT.position_limit]
enforcement = "enforce"
limit_notional = 5000
limit_short_notional = 2000
limit_daily_volume = 0.001
"""
    sized: ClassVar[bool] = True

    limit_quantity: Annotated[Decimal | None, Setting("base units", Looser.HIGHER)] = None
    limit_notional: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    limit_long_notional: Annotated[Decimal | None, Setting("quote currency; long alone", Looser.HIGHER)] = None
    limit_short_notional: Annotated[Decimal | None, Setting("quote currency; short alone", Looser.HIGHER)] = None
    limit_net_notional: Annotated[Decimal | None, Setting("quote currency; net, either way", Looser.HIGHER)] = None
    limit_open_interest: Annotated[Decimal | None, Setting("fraction of the open interest", Looser.HIGHER)] = None
    limit_daily_volume: Annotated[Decimal | None, Setting("fraction of the last 24 h's volume", Looser.HIGHER)] = None
    facts_age_max_s: Annotated[int, Setting("seconds; age of open interest and volume", Looser.HIGHER)] = 300

    def __post_init__(self) -> None:
        limits = (
            self.limit_quantity,
            self.limit_notional,
            self.limit_long_notional,
            self.limit_short_notional,
            self.limit_net_notional,
            self.limit_open_interest,
            self.limit_daily_volume,
        )
        if all(limit is None for limit in limits):
            raise ValueError("position_limit needs limit_quantity, limit_notional or another limit")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when the symbol's position could pass a limit in either direction."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        exposure = exposure_after(snapshot, order)
        if self.limit_quantity is not None and exposure.quantity_max > self.limit_quantity:
            return self._breach(order.symbol, "", show_exact(exposure.quantity_max), show_exact(self.limit_quantity))
        long, short = exposure.long_notional, exposure.short_notional
        for words, limit, notional in (
            ("", self.limit_notional, long if long >= short else short),
            ("long ", self.limit_long_notional, long),
            ("short ", self.limit_short_notional, short),
        ):
            if limit is not None and notional > limit:
                return self._breach(order.symbol, words, show(notional), show(limit))
        if self.limit_net_notional is not None and (net := _net(exposure)) > self.limit_net_notional:
            return self._breach(order.symbol, "net ", show(net), show(self.limit_net_notional))
        return self._of_the_market(exposure, snapshot)

    def uses(self, snapshot: Snapshot) -> tuple[Use, ...]:
        """Every symbol with a worst case, against every limit of it that is set and can be said."""
        if snapshot.account is None:
            return ()
        return tuple(use for each in worst_case(snapshot).values() for use in self._uses(each, snapshot))

    def _uses(self, exposure: Exposure, snapshot: Snapshot) -> Iterator[Use]:
        known = fresh_condition(exposure.symbol, snapshot, self.facts_age_max_s)
        interest = known.open_interest if known is not None else None
        volume = known.daily_volume if known is not None else None
        long, short, quantity = exposure.long_notional, exposure.short_notional, exposure.quantity_max
        for name, observed, limit, unit in (
            ("quantity", quantity, self.limit_quantity, "base"),
            ("", max(long, short), self.limit_notional, ""),
            ("long", long, self.limit_long_notional, ""),
            ("short", short, self.limit_short_notional, ""),
            ("net", _net(exposure), self.limit_net_notional, ""),
            ("open interest", quantity, _share(self.limit_open_interest, interest), "base"),
            ("daily volume", quantity, _share(self.limit_daily_volume, volume), "base"),
        ):
            if limit is not None:
                yield self.used(observed, limit, name=name, symbol=exposure.symbol, unit=unit)

    def _of_the_market(self, exposure: Exposure, snapshot: Snapshot) -> Breach | None:
        if self.limit_open_interest is None and self.limit_daily_volume is None:
            return None
        known = fresh_condition(exposure.symbol, snapshot, self.facts_age_max_s)
        for words, limit, whole in (
            ("open interest", self.limit_open_interest, known.open_interest if known is not None else None),
            ("daily volume", self.limit_daily_volume, known.daily_volume if known is not None else None),
        ):
            if limit is None:
                continue
            if whole is None:
                return self.unknown(f"the {words} of {exposure.symbol}")
            if exposure.quantity_max > limit * whole:
                return self.breach(
                    "POSITION_ABOVE_LIMIT",
                    f"{exposure.symbol} position could reach {show_exact(exposure.quantity_max)},"
                    f" more than {show_exact(limit)} of its {words} of {show_exact(whole)}",
                    observed=show_exact(exposure.quantity_max),
                    limit=show_exact(limit * whole),
                )
        return None

    def _breach(self, symbol: str, words: str, observed: str, limit: str) -> Breach:
        return self.breach(
            "POSITION_ABOVE_LIMIT", f"{symbol} {words}position could reach {observed}", observed=observed, limit=limit
        )


def _share(fraction: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if fraction is None or whole is None else fraction * whole


def _net(exposure: Exposure) -> Decimal:
    return max(abs(exposure.net_low), abs(exposure.net_high))
