"""How large an order is for this account: against its symbol's usual and largest, the account's own, and creeping up.

Sizes are compared as logarithms. What is learned of an order waits for its verdict: a fat finger must not become the
largest size of the last ten days.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import log, log1p
from typing import Any, Final

from proxy.signals.evidence.event import OrderEvent
from proxy.signals.evidence.kinds import Kind

WITHOUT_SIZE: Final = ("cancel", "answer")
SYMBOLS_MAX: Final = 200
"""Symbols remembered; beyond it the longest unused goes."""

BOUNDED_MAX: Final = 60
"""Symbols and sides, the most recently used, of which bounds are told."""

ORDERS_NEEDED: Final = 3
DAYS: Final = 10
LEARNING: Final = 0.02
SPREAD_MIN: Final = 0.15
"""A bot that always sends one size has no spread of its own: 15 % more is no anomaly."""

SURPRISE_MAX: Final = 3.0
CREEP_STEP_MAX: Final = 2.0
CREEP_FREE: Final = 0.6
"""A random size is half above its usual: only what lies further above adds up."""

CREEP_BROKEN: Final = 0.4
"""What an order of usual size leaves of a creep."""

CREEP_MAX: Final = 40.0


@dataclass(slots=True)
class Usual:
    """The sizes of one symbol and side. ``largest`` is one pair of day and size a day, largest first."""

    orders: int = 0
    mean: float = 0.0
    spread: float = SPREAD_MIN
    creep: float = 0.0
    largest: list[tuple[int, float]] = field(default_factory=list)

    def learn(self, size: float, day: int) -> None:
        """Take the logarithm of one size into the usual and the largest."""
        self.orders += 1
        weight = max(LEARNING, 1.0 / self.orders)
        delta = size - self.mean if self.orders > 1 else 0.0
        if self.orders == 1:
            self.mean = size
        limit = SURPRISE_MAX * self.spread if self.orders > ORDERS_NEEDED else abs(delta)
        delta = min(limit, max(-limit, delta))
        self.mean += weight * delta
        # Mean absolute deviation times 1.25 is the standard deviation of a normal law; it forgives outliers.
        self.spread = max(SPREAD_MIN, self.spread + weight * (1.25 * abs(delta) - self.spread))
        learn_largest(self.largest, size, day)


def learn_largest(largest: list[tuple[int, float]], size: float, day: int) -> None:
    """Keep the maxima of a sliding window: an older and smaller one can never be the largest again."""
    while largest and largest[-1][1] <= size:
        largest.pop()
    if not largest or largest[-1][0] != day:
        largest.append((day, size))
    while largest[0][0] <= day - DAYS:
        del largest[0]


class Sizes:
    """The sizes of one account, by symbol and side."""

    __slots__ = ("_account", "_usual")

    def __init__(self) -> None:
        self._usual: dict[str, Usual] = {}
        self._account = Usual()

    def observe(self, event: OrderEvent, found: list[float]) -> None:
        """Write down the evidence of the event's size."""
        if event.notional is None or event.type in WITHOUT_SIZE:
            return
        size = log(event.notional)
        usual = self._usual.get(f"{event.symbol} {event.side}")
        found[Kind.SIZE_ACCOUNT] = size
        if usual is not None and usual.orders >= ORDERS_NEEDED:
            surprise = (size - usual.mean) / usual.spread
            found[Kind.SIZE_UNUSUAL] = surprise
            found[Kind.SIZE_LARGEST] = size - usual.largest[0][1]
            if surprise < CREEP_FREE:
                usual.creep *= CREEP_BROKEN
            else:
                usual.creep = min(CREEP_MAX, usual.creep + min(CREEP_STEP_MAX, surprise) - CREEP_FREE)
                found[Kind.CREEP] = log1p(usual.creep)
        elif self._account.orders >= ORDERS_NEEDED:
            found[Kind.SIZE_LARGEST] = size - self._account.largest[0][1]

    def learn(self, event: OrderEvent, day: int) -> None:
        """Take the size of an event into what is usual. What was rejected teaches nothing: nothing came of it."""
        if event.rejected or event.notional is None or event.type in WITHOUT_SIZE:
            return
        size, name = log(event.notional), f"{event.symbol} {event.side}"
        usual = self._usual.pop(name, None) or Usual()
        usual.learn(size, day)
        self._usual[name] = usual  # At the end: the first is the longest unused.
        self._account.learn(size, day)
        if len(self._usual) > SYMBOLS_MAX:
            del self._usual[next(iter(self._usual))]

    def bounds(self, unusual: float, largest: float, account: float) -> dict[tuple[str, str], float]:
        """Logarithms of the sizes that make this evidence, whichever is reached first, by symbol and side.

        Of the symbol ``""`` is what holds for all that are not named, the least recently used ones among them.
        """
        found = {}
        for name, usual in list(self._usual.items())[-BOUNDED_MAX:]:
            if usual.orders >= ORDERS_NEEDED:
                symbol, _, side = name.partition(" ")
                above = min(usual.mean + unusual * usual.spread, usual.largest[0][1] + largest)
                found[symbol, side] = min(account, above)
        own = self._account
        found["", ""] = min(account, own.largest[0][1] + largest) if own.orders >= ORDERS_NEEDED else account
        return found

    def state(self) -> dict[str, Any]:
        """The sizes as plain data."""
        return {"account": asdict(self._account), "usual": {name: asdict(each) for name, each in self._usual.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Sizes:
        """The sizes that ``state`` wrote."""
        sizes = cls()
        sizes._account = _usual_of(state["account"])
        sizes._usual = {name: _usual_of(each) for name, each in state["usual"].items()}
        return sizes


def _usual_of(fields: dict[str, Any]) -> Usual:
    return Usual(**{**fields, "largest": [(int(day), float(size)) for day, size in fields["largest"]]})
