"""How often an account shows evidence this strong by itself: the tail of its ten-minute maxima over ten days.

Of every ten minutes with events only the strongest evidence of each kind is kept, and of each day only the strongest
of those. Above the ``k``-th of them the tail is taken for exponential, and its unknown scale is integrated out (a gamma
prior worth ``PRIOR`` observations of the kind's least scale), which makes it a Pareto tail: few observations, careful.

    expected exceedances a day = (k + 1) / days * (1 + (x - u) / (n * scale)) ** -n,  n = k + PRIOR

The evidence itself is logarithmic where nature is heavy-tailed, so this is a power law of the thing measured.
"""

from __future__ import annotations

import math
from bisect import insort
from typing import Any, Final

from proxy.signals.evidence.kinds import Weighing

DAYS: Final = 10
KEPT_A_DAY: Final = 12
"""Maxima kept of each day: no single wild day makes up more than that of the tail."""

MOST: Final = 20
PRIOR: Final = 6.0
BLOCKS_NEEDED: Final = 12
COLD_DAYS: Final = 1.0
"""With less than this an account is cold: only what is absurd for any account alarms, and new for this one."""

FLOOR: Final = -2.0
CAP: Final = 5.0
"""Nobody has watched an account for a hundred thousand days: beyond this one number is as good as another."""

LN10: Final = math.log(10)

ORDINARY: Final = -1.0
"""The most that the highest ordinary evidence scores: a first time is no alarm by itself, it has to be far out too."""

STEP: Final = 0.15
"""How far one weak alarm raises the threshold of its kind; as many as its budget allows leave it where it is."""

SHIFT_MAX: Final = 2.0


class Tail:
    """The tail of one kind of evidence of one account. ``score`` is cheap; fitting happens when a maximum is kept."""

    __slots__ = ("_at_u", "_cold", "_days", "_highest", "_n", "_scale", "_shift", "_u", "_weighing", "lowest")

    def __init__(self, weighing: Weighing) -> None:
        self._weighing = weighing
        self._days: list[tuple[int, int, list[float]]] = []
        """Of each day its number, how many blocks it had, and the strongest of their maxima, ascending."""
        self._shift = 0.0
        self.lowest = -math.inf
        """Evidence up to this is at the floor of the score, without asking."""
        self.fit(0, 0.0)

    def score(self, x: float, ease: float) -> float:
        """-log10 of the expected false alarms a day at this evidence, in units of the kind's budget.

        ``ease`` is what the account has left of its budgets, as a difference of scores.
        """
        own = self._own(x, ease)
        if not self._cold:
            return own
        pooled = (x - self._weighing.cold_at) / (self._weighing.scale_min * LN10)
        pooled = min(CAP, max(FLOOR, pooled))
        # What an account has done before is not absurd for it, whatever it is for others.
        return pooled if x > self._highest else min(own, pooled)

    def _own(self, x: float, ease: float) -> float:
        if not self._n:
            return FLOOR
        excess = (x - self._u) / self._scale
        gain = excess if excess < 0 else self._n * math.log1p(excess / self._n)
        found = min(self._at_u + ease, ORDINARY) + gain / LN10
        return CAP if found > CAP else max(found, FLOOR)

    def keep(self, day: int, x: float, days: float) -> None:
        """Remember the maximum of one block of this day; ``days`` is how long the account has been watched by now."""
        if not self._days or self._days[-1][0] != day:
            self._days.append((day, 0, []))
        number, blocks, kept = self._days[-1]
        self._days[-1] = (number, blocks + 1, kept)
        insort(kept, x)
        if len(kept) > KEPT_A_DAY:
            del kept[0]
        if x > self._u or self._cold:
            self.fit(day, days)

    def fit(self, day: int, days: float) -> None:
        """Fit the tail to what was kept of the ten days up to ``day``; to be called when a day begins."""
        while self._days and self._days[0][0] <= day - DAYS:
            del self._days[0]
        values = sorted((x for _, _, kept in self._days for x in kept), reverse=True)
        blocks = sum(each[1] for each in self._days)
        rest, scale_min = self._weighing.rest, self._weighing.scale_min
        watched = min(max(days, 1 / 144), float(DAYS))
        self._highest = values[0] if values else -math.inf
        self._cold = blocks < BLOCKS_NEEDED or days < COLD_DAYS
        above = len(values) - 1 if rest is None else sum(1 for x in values if x > rest)
        k = max(0, min(MOST, math.ceil(2 * watched), max(blocks // 4, 1), above))
        if blocks < 2 or not values:
            self._n, self._u, self._scale, self._at_u = 0.0, -math.inf, scale_min, FLOOR
            self.lowest = -math.inf
            return
        self._u = values[k] if k < len(values) else values[-1]
        if rest is not None:
            self._u = max(self._u, rest)
        excess = sum(values[:k]) - k * self._u
        self._n = k + PRIOR
        self._scale = max(scale_min, (excess + PRIOR * scale_min) / self._n)
        self._at_u = -math.log10((k + 1) / watched / self._weighing.budget) - self._shift
        self._lower()

    def _lower(self) -> None:
        self.lowest = -math.inf if self._cold else self._u + min(0.0, (FLOOR - self._at_u) * LN10) * self._scale

    def settle(self, weak_alarm: bool, days: float) -> None:
        """One block is over: a weak alarm of this kind raises its threshold a little, time without one lowers it."""
        moved = self._shift + STEP * ((1.0 if weak_alarm else 0.0) - self._weighing.budget * days)
        moved = min(SHIFT_MAX, max(0.0, moved))
        if moved != self._shift:
            self._at_u -= moved - self._shift
            self._shift = moved
            self._lower()

    @property
    def most(self) -> float | None:
        """The strongest evidence kept of the last ten days, ``None`` when nothing was."""
        return None if self._highest == -math.inf else self._highest

    def bound(self, score: float, ease: float) -> float:
        """Evidence from which on the score is at least this; infinite when there is none. Never less than it takes."""
        if self._cold:
            return max(self._highest, self._weighing.cold_at + score * self._weighing.scale_min * LN10)
        gain = (score - min(self._at_u + ease, ORDINARY)) * LN10
        excess = gain if gain < 0 else self._n * math.expm1(gain / self._n)
        return self._u + excess * self._scale

    def state(self) -> dict[str, Any]:
        """The tail as plain data."""
        fitted = (self._u, self._scale, self._n, self._at_u, self._highest, self.lowest)
        return {
            "days": [[day, blocks, list(kept)] for day, blocks, kept in self._days],
            "fitted": [None if each == -math.inf else each for each in fitted],
            "cold": self._cold,
            "shift": self._shift,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], weighing: Weighing) -> Tail:
        """The tail that ``state`` wrote."""
        tail = cls(weighing)
        tail._days = [(int(day), int(blocks), [float(x) for x in kept]) for day, blocks, kept in state["days"]]
        fitted = [-math.inf if each is None else float(each) for each in state["fitted"]]
        tail._u, tail._scale, tail._n, tail._at_u, tail._highest, tail.lowest = fitted
        tail._cold, tail._shift = bool(state["cold"]), float(state["shift"])
        return tail
