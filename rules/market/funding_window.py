"""funding_window: no entry shortly before a funding time that it would have to pay dearly for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import HeldOrder
from rules.ages import seconds
from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.fresh import WithoutFacts
from rules.market.calendar import show_time
from rules.model import BUY, ZERO, Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show_percent
from rules.snapshot import Market, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingWindow(Rule):
    """Refuse an entry in the last `ahead_s` before a funding time if it would pay more than `rate_min` there.

    A long pays a positive rate and a short a negative one; an entry on the side that earns always passes. Whoever
    opens a minute before the funding time pays as much as whoever held for eight hours. The rate is the venue's
    estimate for the coming funding time. When it or the time is not known, or the time named has passed, that is
    recorded and entries pass, unless `when_unknown = "refuse"`. Positions held already are not its matter.
    """

    rule_id: ClassVar[str] = "funding_window"
    codes: ClassVar[Mapping[str, str]] = {
        "FUNDING_RATE_ABOVE_LIMIT": "the entry would soon pay a funding rate above `rate_min`",
        FACTS_UNKNOWN: '`when_unknown = "refuse"`, and the next funding time or its rate is not known',
    }
    clauses: ClassVar[Sequence[str]] = ()
    example: ClassVar[str] = """
[desk.funding_window]
enforcement = "enforce"
ahead_s = 900
rate_min = 0.0005
"""

    ahead_s: Annotated[int, Setting("seconds before the funding time", Looser.LOWER)]
    rate_min: Annotated[
        Decimal,
        Setting(
            "fraction of notional per funding time; up to this it passes, 0: whatever pays nothing",
            Looser.HIGHER,
            zero_or_less=True,
        ),
    ]
    when_unknown: Annotated[
        WithoutFacts, Setting('`"pass"` or `"refuse"` when rate or time are not known', Looser.LOWER)
    ] = WithoutFacts.PASS

    def __post_init__(self) -> None:
        if self.rate_min < 0:
            raise ValueError("funding_window: rate_min must not be negative; with 0 whatever pays nothing passes")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse what would pay more than ``rate_min`` within ``ahead_s``."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        funding = _next_funding(order, snapshot)
        if funding is None:
            refuses = self.when_unknown is WithoutFacts.REFUSE
            return self.unknown(f"the next funding of {order.symbol}") if refuses else None
        at, paid = funding
        if paid <= self.rate_min or at - snapshot.now > seconds(self.ahead_s):
            return None
        return self.breach(
            "FUNDING_RATE_ABOVE_LIMIT",
            f"a {order.side.value} of {order.symbol} would pay {show_percent(paid)} of its value at {show_time(at)}",
            observed=show_percent(paid),
            limit=show_percent(self.rate_min),
            advice=f"wait until after {show_time(at)}; the other side would earn",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The rate the entry would pay (negative: earn), and how long until then."""
        order = held_order(command, snapshot)
        if order is None:
            return ()
        funding = _next_funding(order, snapshot)
        if funding is None:
            return (self.measured("funding", "unknown"),)
        until = int((funding[0] - snapshot.now).total_seconds())
        long, short = snapshot.markets[order.symbol].found(self._paid)
        return long if order.side is BUY else short, self.measured("funding_in", str(until), unit="s")

    def _paid(self, market: Market) -> tuple[Measure, Measure]:
        """What a long pays, and what a short does; negative: earns."""
        rate = market.funding_rate or ZERO
        return (
            self.measured("funding_paid", show_percent(rate), unit="of notional"),
            self.measured("funding_paid", show_percent(-rate), unit="of notional"),
        )


def _next_funding(order: HeldOrder, snapshot: Snapshot) -> tuple[datetime, Decimal] | None:
    """When funding is next exchanged, and the rate a position on the order's side pays then (negative: earns)."""
    market = snapshot.markets.get(order.symbol)
    if market is None or market.funding_rate is None or market.next_funding_at is None:
        return None
    if market.next_funding_at < snapshot.now:
        return None
    return market.next_funding_at, market.funding_rate * order.side.sign
