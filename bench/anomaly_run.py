"""One account through a detector, event by event, and what came of it: alarms in quiet, incidents found or missed.

What counts is fixed here, before any detector is seen:

* An **alarm** is a score at or above 0 (which a detector promises once a day), when the last alarm is ten minutes ago.
* **Clean time** is the test without incidents, each from its first order until 15 minutes after its last. Alarms in it
  are false.
* An incident is **hit** when a score is at or above 0 from its first order until a minute after its last. Of a single
  order, its own score counts and no other: it is scored before it is forwarded.
* **By chance** is the share of hits that the account's false alarms alone would have made.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from bench.failure import BenchFailed
from sandbox.orderflow.incidents.strange import Incident
from sandbox.orderflow.rows import OrderEvent, Rows, events
from sandbox.orderflow.simulation import DAY_S, Stream

ALARM_AT: Final = 0.0
REFRACTORY_S: Final = 600.0
AFTERMATH_S: Final = 900.0
GRACE_S: Final = 60.0
SINGLE_ORDER: Final = frozenset({"far price", "fat finger"})
_AT_ONCE: Final = 20_000


class Scorer(Protocol):
    """A detector of one account."""

    def score(self, event: OrderEvent) -> float:
        """-log10 of how many false alarms a day an event this strange is expected to make."""

    def explain(self) -> list[str]:
        """The reasons for the last score, in words."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one incident; delays are None when it was missed. `delay_orders`: its own orders up to the hit."""

    incident: Incident
    delay_s: float | None
    delay_orders: int | None
    by_chance: float

    @property
    def hit(self) -> bool:
        """Whether it was found in time."""
        return self.delay_s is not None


@dataclass(frozen=True, slots=True)
class Run:
    """One account over the days of the test. `false_alarms`: when, in clean time. `unexplained`: alarms without a
    reason. `events` and `seconds` of CPU include the days of learning where they were scored for this run."""

    account: str
    learning_incidents: int
    clean_days: float
    false_alarms: tuple[float, ...]
    outcomes: tuple[Outcome, ...]
    unexplained: int
    events: int
    seconds: float


def runs(make: Callable[[str], Scorer], clean: Stream, struck: Stream, test_from: float, end: float) -> tuple[Run, Run]:
    """The account with nothing wrong, and with incidents. Where nothing went wrong while the detector learned, it
    learns once for both. Errors: `BenchFailed`."""
    learned = _Scored(make(clean.account))
    learned.through(clean.rows[clean.rows["ts"] < test_from])
    quiet = copy.deepcopy(learned)
    if any(incident.start < test_from for incident in struck.incidents):
        learned = _Scored(make(struck.account))
        learned.through(struck.rows[struck.rows["ts"] < test_from])
    else:
        learned.count, learned.seconds = 0, 0.0
    return _run(quiet, clean, test_from, end), _run(learned, struck, test_from, end)


def alarms(ts: npt.NDArray[Any], strange: npt.NDArray[Any]) -> list[float]:
    """When an alarm is raised, of events at `ts` that are `strange` or not."""
    raised: list[float] = []
    for moment in ts[strange].tolist():
        if not raised or moment - raised[-1] >= REFRACTORY_S:
            raised.append(moment)
    return raised


def clean_time(ts: npt.NDArray[Any], incidents: tuple[Incident, ...]) -> npt.NDArray[np.bool_]:
    """Which of the moments lie in clean time."""
    clean = np.ones(len(ts), dtype=bool)
    for incident in incidents:
        clean &= (ts < incident.start) | (ts > incident.end + AFTERMATH_S)
    return clean


class _Scored:
    """A detector, what it took so far, and the places at which it would have raised an alarm without a reason."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.count, self.seconds, self.unexplained = 0, 0.0, 0
        self._explained_at = -math.inf

    def through(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which of the rows are strange."""
        strange: list[bool] = []
        stream = events(rows)
        score, explain = self.scorer.score, self.scorer.explain
        while some := list(islice(stream, _AT_ONCE)):
            began = time.thread_time()
            for event in some:
                value = score(event)
                strange.append(value >= ALARM_AT)
                if value >= ALARM_AT and event["ts"] - self._explained_at >= REFRACTORY_S:
                    self._explained_at = event["ts"]
                    self.unexplained += not explain()
                elif math.isnan(value):
                    raise BenchFailed(f"the score of {event} is not a number")
            self.seconds += time.thread_time() - began
        self.count += len(rows)
        return np.array(strange, dtype=bool)


def _run(scored: _Scored, stream: Stream, test_from: float, end: float) -> Run:
    first = int(np.searchsorted(stream.rows["ts"], test_from))
    rows = stream.rows[first:]
    scored.unexplained = 0
    strange = scored.through(rows)
    ts = rows["ts"]
    incidents = tuple(incident for incident in stream.incidents if incident.start >= test_from)
    clean = clean_time(ts, incidents)
    false_alarms = alarms(ts[clean], strange[clean])
    clean_days = (end - test_from - sum(_taken(incidents, end))) / DAY_S
    per_day = len(false_alarms) / clean_days
    per_order = float(strange[clean].mean()) if clean.any() else 0.0
    return Run(
        account=stream.account,
        learning_incidents=len(stream.incidents) - len(incidents),
        clean_days=clean_days,
        false_alarms=tuple(false_alarms),
        outcomes=tuple(_outcome(incident, ts, strange, first, per_day, per_order) for incident in incidents),
        unexplained=scored.unexplained,
        events=scored.count,
        seconds=scored.seconds,
    )


def _taken(incidents: tuple[Incident, ...], end: float) -> list[float]:
    return [min(incident.end + AFTERMATH_S, end) - incident.start for incident in incidents]


def _outcome(
    incident: Incident,
    ts: npt.NDArray[Any],
    strange: npt.NDArray[np.bool_],
    first: int,
    per_day: float,
    per_order: float,
) -> Outcome:
    own = np.array(incident.events) - first
    if incident.kind in SINGLE_ORDER:
        hit = bool(strange[own[0]])
        return Outcome(incident, 0.0 if hit else None, 1 if hit else None, per_order)
    by_chance = 1 - math.exp(-per_day * (incident.end + GRACE_S - incident.start) / DAY_S)
    begin, over = int(own[0]), int(np.searchsorted(ts, incident.end + GRACE_S, side="right"))
    found = np.flatnonzero(strange[begin:over])
    if not len(found):
        return Outcome(incident, None, None, by_chance)
    place = begin + int(found[0])
    return Outcome(incident, float(ts[place] - incident.start), int((own <= place).sum()), by_chance)
