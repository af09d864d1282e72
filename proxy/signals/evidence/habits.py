"""When an account trades, and what: an order at an hour or on a symbol that is not its own.

Both are learned block by block, so that what alarmed is not learned before somebody could look at it.
"""

from __future__ import annotations

from math import log
from typing import Any, Final

from proxy.signals.evidence.event import OrderEvent
from proxy.signals.evidence.kinds import Kind

HOUR_S: Final = 3600.0
HOURS: Final = 24
DAY_KEPT: Final = 0.92
"""What a day leaves of the older ones in the record of active hours: a memory of about two weeks."""

NEIGHBOUR: Final = 0.4
"""How much an hour before or after counts: a habit does not end on the stroke."""

SYMBOLS_MAX: Final = 500
SETTLED_BLOCKS: Final = 3
"""Ten-minute blocks in which a new symbol is ordered before it is the account's own."""

PROBATION_DAYS: Final = 1.0
"""A new symbol not ordered again for so long was never the account's own."""

NEW: Final = 1.0


class Habits:
    """The hours and symbols of one account. Days are counted in watched time, hours by the clock."""

    __slots__ = ("_day", "_hour", "_hours", "_marked", "_surprise", "_symbols", "_trial", "_watched")

    def __init__(self) -> None:
        self._hours = [0.0] * HOURS
        self._watched = 0.0
        self._day = -1
        self._marked = 0
        self._hour = -1
        self._surprise = 0.0
        self._symbols: dict[str, float] = {}
        self._trial: dict[str, tuple[int, int, float]] = {}

    def observe(self, event: OrderEvent, now: float, warm: bool, found: list[float]) -> None:
        """Write down how unusual hour and symbol are. Before an account is ``warm`` everything is its own."""
        if event.type not in ("new", "amend"):
            return
        hour = int(now // HOUR_S)
        if hour != self._hour:
            self._hour = hour
            self._surprise = self._surprise_at(hour % HOURS)
        if warm:
            found[Kind.HOUR] = self._surprise
            if event.symbol and event.symbol not in self._symbols:
                found[Kind.SYMBOL] = NEW

    def _surprise_at(self, hour: int) -> float:
        before, after = self._hours[hour - 1], self._hours[(hour + 1) % HOURS]
        active = self._hours[hour] + NEIGHBOUR * max(before, after)
        return -log(min(1.0, (active + 0.25) / (self._watched + 0.5)))

    def symbols(self) -> tuple[str, ...]:
        """The symbols that are the account's own, the longest unused first."""
        return tuple(self._symbols)

    def learn_hour(self, now: float) -> None:
        """The account is active in this hour as usual."""
        day, hour = int(now // 86_400.0), int(now // HOUR_S) % HOURS
        if day != self._day:
            gap = min(max(day - self._day, 1), HOURS) if self._day >= 0 else 1
            kept = DAY_KEPT**gap
            self._hours = [each * kept for each in self._hours]
            # Days without any order say nothing of hours.
            self._watched = self._watched * kept + 1.0
            self._day, self._marked = day, 0
        if not self._marked >> hour & 1:
            self._marked |= 1 << hour
            self._hours[hour] += 1.0

    def learn_symbol(self, symbol: str, block: int, days: float, warm: bool) -> None:
        """The account ordered this symbol; a new one becomes its own when it stays."""
        if symbol in self._symbols or not warm:
            self._symbols.pop(symbol, None)
            self._symbols[symbol] = days
            if len(self._symbols) > SYMBOLS_MAX:
                del self._symbols[next(iter(self._symbols))]
            return
        blocks, last, since = self._trial.pop(symbol, (0, -1, days))
        if days - since > PROBATION_DAYS:
            blocks, last, since = 0, -1, days
        if block != last:
            blocks += 1
        if blocks > SETTLED_BLOCKS:
            self._symbols[symbol] = days
            return
        self._trial[symbol] = (blocks, block, since)
        if len(self._trial) > SYMBOLS_MAX:
            del self._trial[next(iter(self._trial))]

    def state(self) -> dict[str, Any]:
        """The habits as plain data."""
        return {
            "hours": list(self._hours),
            "watched": self._watched,
            "day": self._day,
            "marked": self._marked,
            "hour": self._hour,
            "surprise": self._surprise,
            "symbols": dict(self._symbols),
            "trial": {name: list(each) for name, each in self._trial.items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Habits:
        """The habits that ``state`` wrote."""
        habits = cls()
        habits._hours = [float(each) for each in state["hours"]]
        habits._watched, habits._day = float(state["watched"]), int(state["day"])
        habits._marked, habits._hour = int(state["marked"]), int(state["hour"])
        habits._surprise = float(state["surprise"])
        habits._symbols = {str(name): float(days) for name, days in state["symbols"].items()}
        habits._trial = {name: (int(a), int(b), float(c)) for name, (a, b, c) in state["trial"].items()}
        return habits
