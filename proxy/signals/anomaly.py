"""How unlike its own recent past an account's order flow is, as a rate: how often it would look like this by chance.

``score`` is -log10 of the expected false alarms a day: 0 is once a day, 1 once in ten days, and the same for every
account. Twenty kinds of evidence (``proxy.signals.evidence``) are each compared with the account's own ten-minute
maxima of the last ten days. Each kind may spend a fixed share of one false alarm a day, so all together keep to it,
however many there are and whatever the account does all day. Ten minutes that alarmed are not learned from, until they
are so many that they are the new normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Self

from proxy.signals.evidence.answers import Answers, distance_of
from proxy.signals.evidence.event import OrderEvent, read_event
from proxy.signals.evidence.habits import NEW, Habits
from proxy.signals.evidence.kinds import KINDS, SILENT, WEIGHINGS, Kind
from proxy.signals.evidence.pace import Pace
from proxy.signals.evidence.sizes import Sizes
from proxy.signals.evidence.tail import FLOOR, Tail
from proxy.signals.evidence.words import family, told

METHOD: Final = "own-tails-1"

ALARM: Final = 0.0
STRONG: Final = 1.0
"""Once in ten days: from here on ten minutes are taken for an incident and not learned from."""

COMPANY: Final = -0.3
"""Beside a strong alarm, kinds from here on are taken for a part of it."""

BLOCK_S: Final = 600.0
DAY_S: Final = 86_400.0
GAP_MAX_S: Final = DAY_S
"""A silence counts as at most one day: a bot that was off for a month finds its past as it left it."""

NEW_NORMAL_DAYS: Final = 3.0
"""The memory of how many blocks of a kind were held out: after too many of them they are learned from."""

TARGET: Final = 0.9
"""Weak alarms a day that the account's threshold is steered to; strong ones are a tenth of that, or incidents."""

EASE_STEP: Final = 0.15
EASE_MAX: Final = 1.3
EASE_MIN: Final = -1.5
EASE_AFTER_DAYS: Final = 3.0
"""Budgets, pooled scales and overlapping kinds make the sum careful. What an account does not spend comes back to it,
a little a day and within these bounds; more alarms than the target take it away at once."""

LATE_MAX_S: Final = 600.0
WARM_DAYS: Final = 1.0
BLOCK_SYMBOLS_MAX: Final = 100
SIZE_LOG_MAX: Final = 100.0
DISTANCE_MAX: Final = 9.0
"""Logarithms of sizes and distances beyond any order's."""

REASONS_MAX: Final = 3
TOLD: Final = -1.0
"""What an account does ten times a day is no reason worth telling."""


class AnomalyScorer:
    """The score of one account, fed with its order events in the order in which they happened.

    It never looks ahead, keeps a bounded state, and goes on from a stored one as if it had never stopped.
    """

    def __init__(self, account: str) -> None:
        self.account = account
        self._at: float | None = None
        self._watched_s = 0.0
        self._pace, self._sizes, self._answers, self._habits = Pace(), Sizes(), Answers(), Habits()
        self._tails = [Tail(WEIGHINGS[kind]) for kind in KINDS]
        self._held_out = [0.0] * len(KINDS)
        self._ease = 0.0
        self._block = 0
        self._strongest = [SILENT] * len(KINDS)
        self._scores = [FLOOR] * len(KINDS)
        self._ordered: dict[str, None] = {}
        self._reasons: list[tuple[float, int, float]] = []
        self._event: OrderEvent | None = None
        self._said: list[str] = []

    def score(self, event: Mapping[str, Any] | OrderEvent) -> float:
        """The score of one event, judged on what came before it, which is then learned.

        Between -2 and 5. A field that is missing or no number is unknown; an event somewhat older than the last one is
        taken as of that one's time.
        """
        seen = read_event(event)
        self._advance(seen.ts)
        watched = self._watched_s
        found = [SILENT] * len(KINDS)
        warm = watched >= WARM_DAYS * DAY_S
        self._pace.observe(seen, watched, found)
        self._sizes.observe(seen, found)
        self._answers.observe(seen, watched, found)
        self._habits.observe(seen, self._at or 0.0, warm, found)
        worst = self._weigh(found)
        self._event = seen
        if seen.type in ("new", "amend"):
            self._learn(seen)
        return worst

    def explain(self) -> list[str]:
        """What drove the score of the last event, the strongest first, in words. Empty when it was as usual."""
        return list(self._said) if self._event is None else self._explained(self._event)

    def _explained(self, event: OrderEvent) -> list[str]:
        said: dict[int, str] = {}
        usual_ms, hour = math.exp(self._answers.usual), int((self._at or 0.0) // 3600) % 24
        for score, number, x in sorted(self._reasons, reverse=True):
            kind = KINDS[number]
            if score < TOLD or len(said) == REASONS_MAX:
                break
            alike = family(kind)
            if alike not in said:
                most = self._tails[kind].most
                said[alike] = told(kind, x, most, event, usual_ms=usual_ms, hour=hour)
        return list(said.values())

    def size_bounds(self, score: float) -> dict[tuple[str, str], float]:
        """Notionals from which on a single order scores at least this by its size, by symbol and side.

        ``("", "")`` is for those that are not named. Infinite where no size does.
        """
        unusual, largest, account = (
            self._bound(kind, score) for kind in (Kind.SIZE_UNUSUAL, Kind.SIZE_LARGEST, Kind.SIZE_ACCOUNT)
        )
        logarithms = self._sizes.bounds(unusual, largest, account)
        return {name: math.exp(x) if x < SIZE_LOG_MAX else math.inf for name, x in logarithms.items()}

    def distance_bounds(self, score: float) -> tuple[float, float]:
        """Basis points from the mark, through it and away from it, from which on an order scores at least this.

        Infinite where no distance does."""
        through, away = (self._bound(kind, score) for kind in (Kind.AGGRESSIVE, Kind.PASSIVE))
        return (
            distance_of(through) if through < DISTANCE_MAX else math.inf,
            distance_of(away) if away < DISTANCE_MAX else math.inf,
        )

    def new_symbol_score(self) -> float:
        """The score of an order on a symbol that is not among ``symbols()``."""
        if self._watched_s < WARM_DAYS * DAY_S:
            return FLOOR
        return self._tails[Kind.SYMBOL].score(NEW, self._ease)

    def symbols(self) -> tuple[str, ...]:
        """The symbols that are the account's own."""
        return self._habits.symbols()

    def _bound(self, kind: Kind, score: float) -> float:
        return self._tails[kind].bound(score, self._ease)

    def state(self) -> dict[str, Any]:
        """Everything that is remembered, as plain data for JSON. Some tens of kilobytes at most."""
        return {
            "method": METHOD,
            "account": self.account,
            "at": self._at,
            "watched_s": self._watched_s,
            "pace": self._pace.state(),
            "sizes": self._sizes.state(),
            "answers": self._answers.state(),
            "habits": self._habits.state(),
            "tails": [tail.state() for tail in self._tails],
            "held_out": list(self._held_out),
            "ease": self._ease,
            "block": self._block,
            "strongest": [None if x == SILENT else x for x in self._strongest],
            "scores": list(self._scores),
            "ordered": list(self._ordered),
            "said": self.explain(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The scorer that ``state`` was taken of. Raises ``ValueError`` for what another method or nobody wrote."""
        if state.get("method") != METHOD:
            raise ValueError(f"not a state of {METHOD}")
        try:
            return cls._restored(state)
        except (KeyError, TypeError, IndexError) as wrong:
            raise ValueError(f"not a state of {METHOD}: {wrong!r}") from wrong

    @classmethod
    def _restored(cls, state: Mapping[str, Any]) -> Self:
        scorer = cls(state["account"])
        scorer._at = None if state["at"] is None else float(state["at"])
        scorer._watched_s = float(state["watched_s"])
        scorer._pace, scorer._sizes = Pace.from_state(state["pace"]), Sizes.from_state(state["sizes"])
        scorer._answers, scorer._habits = Answers.from_state(state["answers"]), Habits.from_state(state["habits"])
        scorer._tails = [
            Tail.from_state(tail, WEIGHINGS[kind]) for kind, tail in zip(KINDS, state["tails"], strict=True)
        ]
        scorer._held_out = [float(each) for each in state["held_out"]]
        scorer._ease, scorer._block = float(state["ease"]), int(state["block"])
        scorer._strongest = [SILENT if x is None else float(x) for x in state["strongest"]]
        scorer._scores = [float(each) for each in state["scores"]]
        scorer._ordered = dict.fromkeys(state["ordered"])
        scorer._said = list(state["said"])
        return scorer

    def _advance(self, ts: float | None) -> None:
        """Let time pass up to the event. Closes the block of the last one if that is over."""
        if self._at is None or ts is None:
            self._at = ts if self._at is None else self._at
            return
        if ts <= self._at:
            # A little late is taken as of now; far back, the clock was wrong before, or is put right.
            self._at = ts if ts < self._at - LATE_MAX_S else self._at
            return
        watched = self._watched_s + min(ts - self._at, GAP_MAX_S)
        if int(watched // BLOCK_S) != self._block:
            self._close(watched)
        self._watched_s, self._at = watched, ts

    def _weigh(self, found: list[float]) -> float:
        worst, reasons = FLOOR, []
        tails, strongest, scores, ease = self._tails, self._strongest, self._scores, self._ease
        for kind, x in enumerate(found):
            if x == SILENT:
                continue
            if x > strongest[kind]:
                strongest[kind] = x
            tail = tails[kind]
            if x <= tail.lowest:
                continue
            score = tail.score(x, ease)
            if score > FLOOR:
                if score > scores[kind]:
                    scores[kind] = score
                reasons.append((score, kind, x))
                if score > worst:
                    worst = score
        self._reasons = reasons
        return worst

    def _learn(self, event: OrderEvent) -> None:
        size = max(
            (score for score, kind, _ in self._reasons if Kind.SIZE_UNUSUAL <= kind <= Kind.CREEP), default=FLOOR
        )
        if size < STRONG:
            self._sizes.learn(event, int(self._watched_s // DAY_S))
        if event.rejected or not event.symbol:
            return  # What was refused is nobody's habit.
        if event.symbol not in self._ordered and len(self._ordered) < BLOCK_SYMBOLS_MAX:
            self._ordered[event.symbol] = None

    def _close(self, watched: float) -> None:
        """The block is over: keep its maxima, unless they are of an incident, and begin the next."""
        day, days = int(self._watched_s // DAY_S), self._watched_s / DAY_S
        passed = (watched - self._watched_s) / DAY_S
        warm = days >= WARM_DAYS
        is_incident = max(self._scores) >= STRONG
        forgotten = math.exp(-(watched - self._block * BLOCK_S) / DAY_S / NEW_NORMAL_DAYS)
        for kind, tail in enumerate(self._tails):
            score, x = self._scores[kind], self._strongest[kind]
            self._held_out[kind] *= forgotten
            held_out = is_incident and score >= COMPANY and self._held_out[kind] < WEIGHINGS[KINDS[kind]].new_normal
            if held_out:
                self._held_out[kind] += 1.0
            else:
                rest = WEIGHINGS[KINDS[kind]].rest
                if x == SILENT and rest is not None:
                    x = rest
                if x != SILENT:
                    tail.keep(day, x, days)
            tail.settle(ALARM <= score < STRONG, passed)
            if kind == Kind.HOUR and not held_out and self._ordered and self._at is not None:
                self._habits.learn_hour(self._at)
        for symbol in self._ordered:
            self._habits.learn_symbol(symbol, self._block, days, warm)
        if days >= EASE_AFTER_DAYS:
            weak = 1.0 if ALARM <= max(self._scores) < STRONG else 0.0
            self._ease = min(EASE_MAX, max(EASE_MIN, self._ease + EASE_STEP * (TARGET * passed - weak)))
        next_day = int(watched // DAY_S)
        if next_day != day:
            for tail in self._tails:
                tail.fit(next_day, watched / DAY_S)
        self._block = int(watched // BLOCK_S)
        self._strongest = [SILENT] * len(KINDS)
        self._scores = [FLOOR] * len(KINDS)
        self._ordered = {}
