"""How long the venue wants to hear nothing from an address, after its 429s and 418s, as one process knows it.

A silence is kept by a clock that never steps. Processes tell each other how much of it is left, and the store keeps its
end (``scripts/share_budget.lua``), so no clock of a host has a part in it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

THROTTLED: Final = 429
BANNED: Final = 418

BAN_DEFAULT_S: Final = 120
"""Of a ban that does not say how long it is: Binance's shortest ("IP limits", seen 2026-11)."""

LONGEST_S: Final[Mapping[int, int]] = {THROTTLED: 120, BANNED: 3 * 24 * 3_600}
"""Binance bans for three days at most. A throttle keeps exits here as well, so whatever it says, a request finds out
after two minutes: the venue counts by the minute."""

_FIELD: Final = "silence-"
_ENDED: Final = 0


class Way(NamedTuple):
    """A source address of ours as one host of the venue sees it: each counts, and bans, by itself.

    An empty address is the usual one of this machine. ``group`` names the rows for which the venue has a limit beside
    that of the address (``Route.limit_group``): a throttle there is of them alone.
    """

    host: str
    address: str
    group: str = ""

    @property
    def whole(self) -> Way:
        """The address for whatever is asked."""
        return Way(self.host, self.address)

    def field(self, machine: str) -> str:
        """Its name in the store. The usual address is another one on every ``machine``."""
        group = f"/{self.group}" if self.group else ""
        usual = f"@{machine}" if not self.address else ""
        return f"{_FIELD}{self.host}{group}{usual}:{self.address}"


@dataclass(frozen=True, slots=True)
class Silence:
    """What is left of a silence: whole seconds, at least one. ``status`` is what demanded it, 429 or 418; ``group`` is
    of which rows, empty for all that goes out by the address."""

    status: int
    left_s: int
    group: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Demand:
    """``again`` says that the store knew it once: what is told again is as old as it is, and news is of now."""

    status: int
    heard_s: float
    until_s: float
    again: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Proof:
    """That the venue hears a way again: it answered a request that was begun then."""

    begun_s: float


class Silences:
    """The silences of one process on one ``machine``. One is kept for each way, no more.

    What it heard from the venue itself is told once; then it follows what the store says, which all tell. A store that
    was away, and has forgotten what is kept here, is told again.
    """

    def __init__(self, steady_s: Callable[[], float] = time.monotonic, machine: str = "") -> None:
        """``steady_s`` is a clock that never steps."""
        self._steady_s = steady_s
        self._machine = machine
        self._demands: dict[Way, _Demand] = {}
        self._untold: dict[Way, _Demand | _Proof] = {}
        self._telling: dict[Way, _Demand | _Proof] = {}
        self._asked_s: float | None = None

    def on(self, way: Way) -> Silence | None:
        """The silence that is demanded of a way just now: of its rows alone, or of its address."""
        if not self._demands:
            return None
        both = [silence for each in {way, way.whole} if (silence := self._of(each)) is not None]
        return max(both, key=lambda silence: silence.left_s, default=None)

    def all(self) -> list[tuple[Way, Silence]]:
        """Every one that lasts."""
        return [(way, silence) for way in self._demands if (silence := self._of(way)) is not None]

    def begin(self, way: Way, status: int, for_s: int) -> bool:
        """The venue demands one; a ban is of the whole address. Whether that is news: there was none, or what was a
        throttle is a ban now.

        The later end stands, and as long as a ban lasts it is one.
        """
        if status == BANNED:
            way = way.whole
        now_s, known, last = self._steady_s(), self._of(way), self._demands.get(way)
        until_s = now_s + max(1, min(for_s, LONGEST_S[status]))
        news = known is None or (status == BANNED and known.status != BANNED)
        if known is not None and last is not None:
            status = BANNED if BANNED in (status, known.status) else status
            until_s = max(until_s, last.until_s)
        self._demands[way] = self._untold[way] = _Demand(status, now_s, until_s)
        return news

    def answered(self, way: Way, begun_s: float) -> bool:
        """The venue answered a request that was begun then. Whether that ended a silence: one that was heard before."""
        demand = self._demands.get(way)
        if demand is None or self._of(way) is None or begun_s < demand.heard_s:
            return False
        del self._demands[way]
        self._untold[way] = _Proof(begun_s)
        return True

    def seen(self) -> dict[str, tuple[int, ...]]:
        """What the store is told, by field: of a demand how many milliseconds are left, its status, and 0, or, told
        again, how many milliseconds ago it was heard; of a proof 0, 0, and how many ago it was begun; of what the store
        knows already 0, and its status: somebody keeps it."""
        now_s = self._asked_s = self._steady_s()
        self._telling = dict(self._untold)
        told: dict[str, tuple[int, ...]] = {
            way.field(self._machine): (0, silence.status, 0) for way, silence in self.all()
        }
        for way, news in self._telling.items():
            if isinstance(news, _Proof):
                told[way.field(self._machine)] = (0, _ENDED, int((now_s - news.begun_s) * 1000))
            elif (left_ms := self._ms(news.until_s - now_s)) > 0:
                ago_ms = max(1, self._ms(now_s - news.heard_s)) if news.again else 0
                told[way.field(self._machine)] = (left_ms, news.status, ago_ms)
        return told

    def told(self, seen: Mapping[str, tuple[int, ...]]) -> None:
        """What the store answered, by field: how many milliseconds are left of each, its status, and how many
        milliseconds ago it was heard; 0 and 0 for one that the venue has ended, and how many ago that was begun. It has
        heard then what ``seen`` said last."""
        for way, news in self._telling.items():
            if self._untold.get(way) is news:
                del self._untold[way]
        self._telling = {}
        ways = {each: numbers for field, numbers in seen.items() if (each := self._way(field)) is not None}
        for way, (left_ms, status, ago_ms) in ways.items():
            if way not in self._untold:  # What was heard here meanwhile is told next.
                self._follow(way, left_ms, status, ago_ms)
        for way, _ in self.all():
            if way not in self._untold and (way not in ways or ways[way][1] == _ENDED):
                self._untold[way] = replace(self._demands[way], again=True)

    def _follow(self, way: Way, left_ms: int, status: int, ago_ms: int) -> None:
        """By the clocks' doubt a demand is taken for older than it is, and a proof for younger: what is told again must
        not outlive its end."""
        now_s, last = self._steady_s(), self._demands.get(way)
        if status == _ENDED:
            if last is not None and last.heard_s <= now_s - ago_ms / 1000:
                del self._demands[way]
        elif status in LONGEST_S and left_ms > 0:
            heard_s = (now_s if self._asked_s is None else self._asked_s) - ago_ms / 1000
            if last is not None and self._of(way) is not None:
                heard_s = max(heard_s, last.heard_s)
            self._demands[way] = _Demand(status, heard_s, now_s + min(left_ms / 1000, LONGEST_S[status]))

    def _of(self, way: Way) -> Silence | None:
        demand = self._demands.get(way)
        if demand is None or (left_s := demand.until_s - self._steady_s()) <= 0:
            return None
        return Silence(demand.status, math.ceil(left_s), way.group)

    def _way(self, field: str) -> Way | None:
        """The way of that name, ``None`` for what is none, or another machine's."""
        kind, _, address = field.partition(":")
        host, _, group = kind.removeprefix(_FIELD).partition("@")[0].partition("/")
        way = Way(host, address, group)
        return way if field == way.field(self._machine) else None

    @staticmethod
    def _ms(seconds: float) -> int:
        return max(0, math.ceil(seconds * 1000))
