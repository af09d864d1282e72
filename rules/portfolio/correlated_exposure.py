"""correlated_exposure: positions that move together count together, and in a crash everything moves together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import combinations
from typing import Annotated, ClassVar, Final

from rules.ages import seconds
from rules.book import Exposure, account_book
from rules.decision import Breach, Measure, Use
from rules.exposure import gross_notional, held_order, worst_case
from rules.facts import Conditions
from rules.model import ZERO, Command
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting, show
from rules.snapshot import Snapshot

_NONE: Final[Mapping[str, Decimal]] = {}
_NO_BANDS: Final[Mapping[str, tuple[Decimal, Decimal]]] = {}
_BOOKS_MAX: Final = 64
"""For how many sets of symbols one version of the correlations remembers how many of their pairs it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelatedExposure(Rule):
    """Cap the account's signed exposure through a correlation matrix: sqrt(sum_ij e_i * e_j * rho_ij).

    Exposures on the same side use ``max(rho, stress_floor)``: in a crash correlations go to one. Exposures on
    opposite sides offset each other only by ``hedge_credit`` times a positive rho, because hedges fail first.
    Resting and pending orders never offset anything. ``pairs`` maps ``"AAA:BBB"`` to rho, each pair of two symbols
    once; ``default`` stands for every pair not listed. The cap is ``limit_notional`` (quote currency), or
    ``limit_equity`` times margin balance.
    Formula: variance of a weighted sum of unit-variance returns (Markowitz 1952), square root, in notional units.

    With ``live = true`` the correlations the guard forecasts for the next day come before ``pairs`` and ``default``,
    pair by pair, while they are not older than ``live_age_max_s``: the upper end of their 95 % band for the same side,
    the lower end for opposite sides; the stress floor stays. Without them nothing is refused for that: the policy's
    own are used, and the audit keeps which it was with every entry.
    ``clusters`` names groups of symbols; each has a cap of its own on the correlated exposure of its symbols alone:
    ``cluster_notional``, or what ``cluster_limits`` says for it. An order is held against the clusters of its symbol.
    """

    rule_id: ClassVar[str] = "correlated_exposure"
    codes: ClassVar[Mapping[str, str]] = {
        "CORRELATED_EXPOSURE_ABOVE_LIMIT": "correlated exposure could pass the cap",
        "CLUSTER_EXPOSURE_ABOVE_LIMIT": "the correlated exposure of a cluster of symbols could pass its cap",
        FACTS_UNKNOWN: "the account is not known",
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
live = true
cluster_notional = 50000

[desk.correlated_exposure.pairs]
"BTCUSDT:ETHUSDT" = 0.85

[desk.correlated_exposure.clusters]
majors = ["BTCUSDT", "ETHUSDT"]
memes = ["DOGEUSDT", "1000PEPEUSDT"]

[desk.correlated_exposure.cluster_limits]
memes = 5000
"""
    sized: ClassVar[bool] = True

    limit_notional: Annotated[Decimal | None, Setting("quote currency", Looser.HIGHER)] = None
    limit_equity: Annotated[Decimal | None, Setting("times margin balance", Looser.HIGHER)] = None
    default: Annotated[Decimal, Setting("rho of pairs not listed, -1 to 1", Looser.NEITHER, zero_or_less=True)] = (
        Decimal("0.8")
    )
    stress_floor: Annotated[
        Decimal, Setting("least rho on the same side, -1 to 1", Looser.LOWER, zero_or_less=True)
    ] = Decimal("0.9")
    hedge_credit: Annotated[
        Decimal, Setting("share of rho that opposite sides offset, 0 to 1", Looser.HIGHER, zero_or_less=True)
    ] = Decimal("0.5")
    pairs: Annotated[Mapping[str, Decimal], Setting('table `"AAA:BBB" = rho`', Looser.NEITHER, zero_or_less=True)] = (
        field(default_factory=dict)
    )
    live: Annotated[bool, Setting("true or false; prefer measured correlations", Looser.NEITHER)] = False
    live_age_max_s: Annotated[int, Setting("seconds; older measurements are not used", Looser.NEITHER)] = 7200
    clusters: Annotated[Mapping[str, tuple[str, ...]], Setting("table `name = [symbols]`", Looser.NEITHER)] = field(
        default_factory=dict
    )
    cluster_notional: Annotated[Decimal | None, Setting("quote currency; for each cluster", Looser.HIGHER)] = None
    cluster_limits: Annotated[
        Mapping[str, Decimal], Setting("table `name = limit`; quote currency, instead", Looser.HIGHER)
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit_notional is None and self.limit_equity is None and not self.clusters:
            raise ValueError("correlated_exposure needs limit_notional or limit_equity, or clusters")
        for name, value in (("default", self.default), ("stress_floor", self.stress_floor), *self.pairs.items()):
            if not -1 <= value <= 1:
                raise ValueError(f"correlated_exposure: {name} must lie between -1 and 1")
        if not 0 <= self.hedge_credit <= 1:
            raise ValueError("correlated_exposure: hedge_credit must lie between 0 and 1")
        for pair in self.pairs:
            first, _, second = pair.partition(":")
            if not all(map(_is_name, (first, second))) or first == second:
                raise ValueError(f'correlated_exposure: "{pair}" in pairs is no pair of two symbols, such as "AAA:BBB"')
            if f"{second}:{first}" in self.pairs:
                raise ValueError(f"correlated_exposure: pairs has {first} and {second} twice")
        for name, symbols in self.clusters.items():
            if not symbols:
                raise ValueError(f"correlated_exposure: cluster {name} has no symbols")
            if self.cluster_notional is None and name not in self.cluster_limits:
                raise ValueError(
                    f"correlated_exposure: cluster {name} needs cluster_notional or a line in cluster_limits"
                )
        for name in self.cluster_limits:  # Their numbers may be zero here: after a re-arm limits grow from nothing.
            if name not in self.clusters:
                raise ValueError(f"correlated_exposure: cluster_limits names {name}, which is no cluster")
        if self.cluster_notional is not None and not self.clusters:
            raise ValueError("correlated_exposure: cluster_notional needs clusters")

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse when correlated exposure after this order would be above a cap."""
        order = held_order(command, snapshot)
        if order is None:
            return None
        if snapshot.account is None:
            return self.unknown("the account")
        gross = gross_notional(snapshot, order)
        for name, symbols, limit in self._caps(order.symbol, snapshot.account.margin_balance):
            # No correlation makes more of exposures than their sum: most orders need no matrix.
            if gross <= limit:
                continue
            exposures = worst_case(snapshot, (order,)).values()
            counted = [each for each in exposures if symbols is None or each.symbol in symbols]
            if sum(map(_widest, counted), ZERO) <= limit:
                continue
            squared = self.squared(counted, *self._live(snapshot, _age(snapshot)))
            if squared > limit * limit:
                return self._breach(name, show(squared.sqrt()), show(limit))
        return None

    def measure(self, command: Command, snapshot: Snapshot) -> tuple[Measure, ...]:
        """Which correlations were used, and how old the measured ones are; nothing when only the policy's count."""
        order = held_order(command, snapshot)
        if not self.live or order is None or snapshot.account is None:
            return ()
        symbols = account_book(snapshot).symbols_after(order)
        age = _age(snapshot)
        used = _measured_pairs(symbols, snapshot.conditions) if self._live(snapshot, age)[0] else 0
        said = _pairs_used(self.rule_id, used, len(symbols))
        if age is None:
            return (said,)
        return said, self.measured("correlations_age", f"{age.total_seconds():.0f}", "s")

    def uses(self, snapshot: Snapshot) -> tuple[Use, ...]:
        """The correlated exposure as it stands, of the account and of every cluster that has something on."""
        if snapshot.account is None:
            return ()
        exposures, live = worst_case(snapshot), self._live(snapshot, _age(snapshot))
        caps = {
            name: (symbols, limit)
            for symbol in exposures
            for name, symbols, limit in self._caps(symbol, snapshot.account.margin_balance)
        }
        return tuple(
            self.used(self.squared(counted, *live).sqrt(), limit, name=name)
            for name, (symbols, limit) in caps.items()
            if (counted := [each for each in exposures.values() if symbols is None or each.symbol in symbols])
        )

    def squared(
        self,
        exposures: Sequence[Exposure],
        live: Mapping[str, Decimal] = _NONE,
        bands: Mapping[str, tuple[Decimal, Decimal]] = _NO_BANDS,
    ) -> Decimal:
        """The largest value of the quadratic form over everything that can fill, bounded pair by pair.

        The largest value of a sum is at most the sum of the largest values, so this never understates. ``live`` are
        the measured correlations that come before the policy's own, names of a pair in order, ``bands`` their bands.
        """
        total = ZERO
        usual = self._factors(self.default, self.default)
        ends = sorted((each.symbol, _ends(each)) for each in exposures)
        for index, (first, first_ends) in enumerate(ends):
            widest = max(map(abs, first_ends))
            total += widest * widest
            for second, second_ends in ends[index + 1 :]:
                listed = self._listed(first, second, live, bands)
                same, opposite = usual if listed is None else self._factors(*listed)
                if len(first_ends) == len(second_ends) == 1:
                    product = first_ends[0] * second_ends[0]
                    total += 2 * product * (same if product >= 0 else opposite)
                    continue
                products = [a * b for a in first_ends for b in second_ends]
                total += 2 * max([product * (same if product >= 0 else opposite) for product in products])
        return max(total, ZERO)

    def _caps(self, symbol: str, margin_balance: Decimal) -> Iterator[tuple[str, Sequence[str] | None, Decimal]]:
        """The caps an order of ``symbol`` is held against: their cluster, its symbols (``None``: all), the cap."""
        limits = [] if self.limit_notional is None else [self.limit_notional]
        if self.limit_equity is not None:
            limits.append(max(ZERO, self.limit_equity * margin_balance))
        if limits:
            yield "", None, min(limits)
        if not self.clusters:
            return
        for name in sorted([name for name, symbols in self.clusters.items() if symbol in symbols]):
            limit = self.cluster_limits.get(name, self.cluster_notional)
            if limit is not None:
                yield name, self.clusters[name], limit

    def _breach(self, cluster: str, observed: str, limit: str) -> Breach:
        if cluster:
            said = f"correlated exposure of cluster {cluster} would be {observed}"
            return self.breach("CLUSTER_EXPOSURE_ABOVE_LIMIT", said, observed=observed, limit=limit)
        return self.breach(
            "CORRELATED_EXPOSURE_ABOVE_LIMIT",
            f"correlated exposure would be {observed}",
            observed=observed,
            limit=limit,
        )

    def _live(
        self, snapshot: Snapshot, age: timedelta | None
    ) -> tuple[Mapping[str, Decimal], Mapping[str, tuple[Decimal, Decimal]]]:
        """The measured correlations and their bands, as long as they may be used at this age."""
        conditions = snapshot.conditions
        if not self.live or conditions is None or age is None or age > seconds(self.live_age_max_s):
            return _NONE, _NO_BANDS
        return conditions.correlations, conditions.correlation_bands

    def _listed(
        self,
        first: str,
        second: str,
        live: Mapping[str, Decimal],
        bands: Mapping[str, tuple[Decimal, Decimal]],
    ) -> tuple[Decimal, Decimal] | None:
        """The least and the most rho of a pair in order, measured or written in the policy; ``None`` when neither.

        One written in the policy, or measured without a band, is both.
        """
        pair = f"{first}:{second}"
        rho = live.get(pair) if live else None
        if rho is not None:
            return bands.get(pair, (rho, rho))
        if self.pairs:
            rho = self.pairs.get(pair, self.pairs.get(f"{second}:{first}"))
        return None if rho is None else (rho, rho)

    def _factors(self, least: Decimal, most: Decimal) -> tuple[Decimal, Decimal]:
        """What a product of two exposures counts with: of the same side, of opposite sides."""
        return max(most, self.stress_floor), least * self.hedge_credit if least > 0 else least


def _is_name(text: str) -> bool:
    return text == text.strip() != "" and ":" not in text


def _measured_pairs(symbols: tuple[str, ...], conditions: Conditions | None) -> int:
    """How many of all pairs of ``symbols``, which are in order, have a measured correlation."""
    if conditions is None:
        return 0
    known = conditions.once("(pairs)", _none_counted)
    found = known.get(symbols)
    if found is None:
        if len(known) >= _BOOKS_MAX:
            known.clear()
        pairs = (f"{first}:{second}" for first, second in combinations(symbols, 2))
        found = known[symbols] = sum(map(conditions.correlations.__contains__, pairs))
    return found


@lru_cache(maxsize=256)
def _pairs_used(rule_id: str, used: int, symbols: int) -> Measure:
    return Measure(rule_id, "live_pairs", str(used), f"of {symbols * (symbols - 1) // 2} pairs")


def _none_counted(_: Conditions) -> dict[tuple[str, ...], int]:
    return {}


def _age(snapshot: Snapshot) -> timedelta | None:
    conditions = snapshot.conditions
    if conditions is None or conditions.correlations_as_of is None:
        return None
    return abs(snapshot.now - conditions.correlations_as_of)


def _ends(exposure: Exposure) -> tuple[Decimal, ...]:
    """The ends of the range in which the signed notional may lie; one, when it is known."""
    if exposure.net_low == exposure.net_high:
        return (exposure.net_low,)
    return exposure.net_low, exposure.net_high


def _widest(exposure: Exposure) -> Decimal:
    return max(abs(exposure.net_low), abs(exposure.net_high))
