"""latency_shock: a way to the venue far slower than usual is recorded, then slows a bot down, then stops entries.

In the manner of Eurex's Advanced Risk Protection: alert, then a minimum delay between messages, then no new risk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Final, NamedTuple

from rules.ages import seconds
from rules.attempts import MARGIN_S, last_entry
from rules.decision import Breach, Measure
from rules.exposure import held_order
from rules.facts import Latency
from rules.fresh import is_fresh
from rules.model import Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot

_LEAST_USUAL_MS: Final = Decimal(1)
"""What is usual counts as at least this: a usual value of zero would make everything infinitely slow."""


class _Shock(NamedTuple):
    """The part of the way that is furthest from its own usual. ``ratio`` is zero when none counts."""

    part: str
    ratio: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyShock(Rule):
    """Slow entries down, and then refuse them, while the way to the exchange is far slower than it usually is.

    Prices and fills then arrive late, so a bot decides on a market that is gone. Round trip, stream lag and clock skew
    are each divided by their own usual value, and the largest ratio counts; a value up to `floor_ms` is fine whatever
    is usual. Above `alert_ratio` the stage is only recorded; above `delay_ratio` a bot's entries must stand `delay_s`
    apart, refused ones not counted; above `reduce_ratio` only exits and cancels pass, and those are never delayed.
    When round trip or clock skew is not known or too old, entries are refused if a delay or reduce stage is set. A
    private stream on which nothing has happened has no lag to measure; that it lives is the matter of
    `data_freshness`.
    """

    rule_id: ClassVar[str] = "latency_shock"
    codes: ClassVar[Mapping[str, str]] = {
        "LATENCY_ABOVE_LIMIT": "the way to the exchange is above `reduce_ratio`; only exits and cancels pass",
        "ENTRY_TOO_SOON_IN_LATENCY_SHOCK": "above `delay_ratio`, and the bot's last entry is less than `delay_s` ago",
        FACTS_UNKNOWN: "a delay or reduce stage is set, and round trip or clock skew is not known or too old",
    }
    clauses: ClassVar[Sequence[str]] = ("Eurex Advanced Risk Protection",)
    example: ClassVar[str] = """
[desk.latency_shock]
enforcement = "enforce"
alert_ratio = 3
delay_ratio = 5
delay_s = 2
reduce_ratio = 10
"""

    alert_ratio: Annotated[Decimal | None, Setting("times the usual; recorded, refuses nothing", Looser.HIGHER)] = None
    delay_ratio: Annotated[Decimal | None, Setting("times the usual; needs `delay_s`", Looser.HIGHER)] = None
    delay_s: Annotated[int | None, Setting("seconds between a bot's entries; needs `delay_ratio`", Looser.LOWER)] = None
    reduce_ratio: Annotated[Decimal | None, Setting("times the usual", Looser.HIGHER)] = None
    floor_ms: Annotated[int, Setting("milliseconds; a latency up to this never counts", Looser.HIGHER)] = 200
    facts_age_max_s: Annotated[int, Setting("seconds since latency was measured", Looser.HIGHER)] = 30

    def __post_init__(self) -> None:
        if (self.delay_ratio is None) is not (self.delay_s is None):
            raise ValueError("latency_shock: delay_ratio and delay_s need each other")
        stages = [each for each in (self.alert_ratio, self.delay_ratio, self.reduce_ratio) if each is not None]
        if not stages:
            raise ValueError("latency_shock needs alert_ratio, delay_ratio or reduce_ratio")
        if stages != sorted(stages):
            raise ValueError("latency_shock: alert_ratio, delay_ratio and reduce_ratio must rise in this order")

    @property
    def looks_back_s(self) -> int:
        """As far as entries must stand apart."""
        return 0 if self.delay_s is None else self.delay_s + MARGIN_S

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse an entry in the reduce stage, or too soon after the last one in the delay stage."""
        if held_order(command, snapshot) is None or (self.delay_ratio is None and self.reduce_ratio is None):
            return None
        shock = self._shock(snapshot)
        if shock is None:
            return self.unknown("the latency of the way to the venue")
        if self.reduce_ratio is not None and shock.ratio > self.reduce_ratio:
            return self.breach(
                "LATENCY_ABOVE_LIMIT",
                f"{shock.part} is {show(shock.ratio)} times its usual",
                observed=f"{show(shock.ratio)} times",
                limit=f"{show(self.reduce_ratio)} times",
                advice="reduce-only orders and cancels pass",
            )
        if self.delay_ratio is None or shock.ratio <= self.delay_ratio:
            return None
        return self._delayed(shock, snapshot)

    def _delayed(self, shock: _Shock, snapshot: Snapshot) -> Breach | None:
        last = last_entry(snapshot)
        if last is None or self.delay_s is None:
            return None
        gap = snapshot.now - last
        if gap >= seconds(self.delay_s):
            return None
        wait = seconds(self.delay_s) - gap
        return self.breach(
            "ENTRY_TOO_SOON_IN_LATENCY_SHOCK",
            f"{shock.part} is {show(shock.ratio)} times its usual; entries must stand {self.delay_s} s apart",
            observed=f"{gap.total_seconds():.1f} s",
            limit=f"{self.delay_s} s",
            advice=f"send it again in {wait.total_seconds():.1f} s; reduce-only orders and cancels pass",
        )

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """The worst ratio and which part it is of, and the stage that it means."""
        latency = self._fresh(snapshot)
        return latency.found(self._measures) if latency is not None else self._unknown_stage

    def _measures(self, latency: Latency) -> tuple[Measure, ...]:
        shock = latency.found(self._worst)
        if shock is None:
            return self._unknown_stage
        return (
            self.measured("latency_ratio", show(shock.ratio), "times usual"),
            self.measured("latency_part", shock.part),
            self.measured("latency_stage", self._stage(shock.ratio)),
        )

    @property
    def _unknown_stage(self) -> tuple[Measure, ...]:
        return (self.measured("latency_stage", "unknown"),)

    def _stage(self, ratio: Decimal) -> str:
        stages = (("reduce", self.reduce_ratio), ("delay", self.delay_ratio), ("alert", self.alert_ratio))
        return next((name for name, limit in stages if limit is not None and ratio > limit), "usual")

    def _shock(self, snapshot: Snapshot) -> _Shock | None:
        """The worst of the three parts, ``None`` when one that must be known cannot be told."""
        latency = self._fresh(snapshot)
        return latency.found(self._worst) if latency is not None else None

    def _fresh(self, snapshot: Snapshot) -> Latency | None:
        latency = snapshot.conditions.latency if snapshot.conditions is not None else None
        return latency if latency is not None and is_fresh(latency.as_of, snapshot, self.facts_age_max_s) else None

    def _worst(self, latency: Latency) -> _Shock | None:
        worst = _Shock(part="none", ratio=Decimal(0))
        if latency.round_trip_ms is None or latency.clock_skew_ms is None:
            return None
        for part, now, usual in _parts(latency):
            if now is None:
                continue
            late = abs(now)  # A stream from the future is a clock that is wrong by as much.
            if late <= self.floor_ms:
                continue
            if usual is None:
                return None
            ratio = late / max(usual, _LEAST_USUAL_MS)
            if ratio > worst.ratio:
                worst = _Shock(part=part, ratio=ratio)
        return worst


def _parts(latency: Latency) -> Iterator[tuple[str, Decimal | None, Decimal | None]]:
    """Each part of the way with what it is now and what it usually is, in milliseconds."""
    yield "round trip", latency.round_trip_ms, latency.round_trip_usual_ms
    yield "stream lag", latency.stream_lag_ms, latency.stream_lag_usual_ms
    yield "clock skew", latency.clock_skew_ms, latency.clock_skew_usual_ms
