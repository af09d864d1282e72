"""What one gate process counts: how long each stage of a request took, what was decided, what became of orders.

It runs in the order path, so it is plain integers in lists that are there from the start: no lock, no library, about a
third of a microsecond each. Nothing here is told to anybody; ``proxy.gate.telling`` does that, off the order path.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeVar

from proxy.store.gate_report import Count, StageTimes
from rules.decision import Breach, Cleared, Decision, Verdict
from rules.intent import is_guaranteed_exit
from rules.model import AmendOrder, ArmDeadMan, CancelAll, CancelOrder, Command, PlaceOrder

K = TypeVar("K", bound=Hashable)

clock_ns: Final = time.perf_counter_ns

SERIES_MAX: Final = 1_024
"""Different things counted of one sort, which bots and policies name; what comes beyond is counted as ``other``."""

BOUNDS_S: Final = (
    0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip
"""Upper bounds of the buckets: from the guard's own work on an order to the longest wait for a venue."""

_BOUNDS_NS: Final = tuple(round(bound * 1e9) for bound in BOUNDS_S)


class Kind(IntEnum):
    """What a request is by its own words; a batch is what its first kind in this order is."""

    ENTRY = 0
    CONFIG = 1
    EXIT = 2
    CANCEL = 3
    READ = 4

    @property
    def is_way_out(self) -> bool:
        """Whether nothing of it adds risk: such requests have a lane of their own."""
        return self in (Kind.EXIT, Kind.CANCEL)


class Stage(IntEnum):
    """A part of the way through the gate. ``TOTAL`` is from the whole request in hand to the answer, behind which
    what the exchange answered is settled."""

    AUTHENTICATE = 0
    PARSE = 1
    HOLD = 2
    DECIDE = 3
    SEND = 4
    SETTLE = 5
    TOTAL = 6


class TurnedAway(IntEnum):
    """Why a request was turned away before it was judged, or without being judged: ``BUDGET`` is of reads alone."""

    UNKNOWN_ROUTE = 0
    MALFORMED = 1
    UNAUTHENTICATED = 2
    KEY_DISABLED = 3
    REPLAYED = 4
    OVERLOADED = 5
    FAILED = 6
    BUDGET = 7


class Arrival(NamedTuple):
    """When a request was whole, and when it was known whose it is, by ``clock_ns``."""

    began_ns: int
    authenticated_ns: int


def kind_of(commands: Sequence[Command]) -> Kind:
    """The kind of a request; one without commands is a read, and an amend counts as an entry."""
    if len(commands) == 1:
        return _kind(commands[0])
    return min(map(_kind, commands), default=Kind.READ)


def _kind(command: Command) -> Kind:
    if type(command) is PlaceOrder:
        return Kind.EXIT if is_guaranteed_exit(command) else Kind.ENTRY
    return _KINDS.get(type(command), Kind.CONFIG)


_KINDS: Final[Mapping[type, Kind]] = {
    AmendOrder: Kind.ENTRY,
    CancelOrder: Kind.CANCEL,
    CancelAll: Kind.CANCEL,
    ArmDeadMan: Kind.CANCEL,
}
_STAGES: Final = len(Stage)
_NAMES: Final = tuple(kind.name.lower() for kind in Kind)


class Counting:
    """One process's counts, from its start."""

    def __init__(self) -> None:
        places = len(Kind) * _STAGES
        self._buckets = [[0] * (len(BOUNDS_S) + 1) for _ in range(places)]
        self._sums_ns = [0] * places
        self._refused = [0] * len(TurnedAway)
        self._decisions: dict[tuple[str, str, str], int] = {}
        self._orders: dict[tuple[str, str, str, str], int] = {}

    def took(self, kind: Kind, stage: Stage, began_ns: int, ended_ns: int) -> None:
        """A stage of a request lasted from ``began_ns`` to ``ended_ns``, both by ``clock_ns``."""
        place = kind * _STAGES + stage
        elapsed = ended_ns - began_ns
        self._buckets[place][bisect_left(_BOUNDS_NS, elapsed)] += 1
        self._sums_ns[place] += elapsed

    def turned_away(self, why: TurnedAway) -> None:
        """A request was refused before it was judged."""
        self._refused[why] += 1

    def ruled(self, decisions: Sequence[Decision], withheld: Mapping[int, Breach]) -> None:
        """What was decided on each command. ``withheld`` are those the rules allow and the guard may not send."""
        counts = self._decisions
        for place, decision in enumerate(decisions):
            if place in withheld:
                breach = withheld[place]
                _add(counts, ("withhold", breach.rule_id, breach.code), _OTHER_DECISION)
            elif decision.verdict is Verdict.ALLOW:
                _add(counts, _ALLOWED, _OTHER_DECISION)
            else:
                breach = decision.breaches[0]
                _add(counts, ("deny", breach.rule_id, breach.code), _OTHER_DECISION)
            for breach in decision.would_deny:
                _add(counts, ("would_deny", breach.rule_id, breach.code), _OTHER_DECISION)

    def settled(
        self,
        account: str,
        bot: str,
        sent: Mapping[int, Cleared[Command]],
        result: str,
        items: Sequence[Mapping[str, Any]],
    ) -> None:
        """What became of the commands of one request at the venue: of all, or of those that ``items`` name apart."""
        results = {item["place"]: item["outcome"] for item in items if "place" in item} if items else {}
        for place, cleared in sent.items():
            one = (account, bot, _NAMES[_kind(cleared.command)], results.get(place, result))
            _add(self._orders, one, _OTHER_ORDER)

    def stages(self) -> list[StageTimes]:
        """How long the stages took, of those that there were."""
        return [
            StageTimes(
                kind=kind.name.lower(),
                stage=stage.name.lower(),
                buckets=list(self._buckets[place]),
                sum_s=self._sums_ns[place] / 1e9,
            )
            for kind in Kind
            for stage in Stage
            if any(self._buckets[place := kind * _STAGES + stage])
        ]

    def decisions(self) -> list[Count]:
        """By verdict, rule and code."""
        return [Count(labels=list(labels), count=count) for labels, count in self._decisions.items()]

    def orders(self) -> list[Count]:
        """By account, bot, kind and result."""
        return [
            Count(labels=[account, bot, kind, result.lower()], count=count)
            for (account, bot, kind, result), count in self._orders.items()
        ]

    def refused(self) -> list[Count]:
        """By reason."""
        return [Count(labels=[why.name.lower()], count=self._refused[why]) for why in TurnedAway if self._refused[why]]


_ALLOWED: Final = ("allow", "", "")
_OTHER_DECISION: Final = ("other", "other", "other")
_OTHER_ORDER: Final = ("other", "other", "other", "other")


def _add(counts: dict[K, int], key: K, other: K) -> None:
    if key in counts:
        counts[key] += 1
    elif len(counts) < SERIES_MAX:
        counts[key] = 1
    else:
        counts[other] = counts.get(other, 0) + 1
