"""Meters what the guard's requests use of a venue's budget, and says when the rest is the kill's.

One meter a process and venue. What the venue says of its counters on every reply is believed before our own counting,
because others spend too: other gates, the warden, programs beside the guard. Processes tell each other what they heard
(``seen``, ``told``), off the order path. So they do when the venue wants to hear nothing more from an address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from proxy.budget.published import Budget, Counter, Limit
from proxy.budget.silence import BAN_DEFAULT_S, BANNED, Silence, Silences, Way
from proxy.budget.window import Window
from proxy.clock import milliseconds
from rules.kill.budget import Spend

OTHERS_LEAST: Final[Mapping[Limit, int]] = {Limit.WEIGHT_1M: 40, Limit.ORDERS_10S: 5, Limit.ORDERS_1M: 5}
"""What another gate is taken to have under way when nothing is known of it: the dearest read of Binance, one batch."""

OTHERS_MOST: Final = 10
"""However many gates there are, no more than a tenth of a limit is set aside for what they have under way."""

_LIMITS: Final = frozenset(Limit)


class Payer(NamedTuple):
    """Whose budget a request is charged to: an account's orders, an address's weight; empty for none, and the usual."""

    account: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """The rest of a limit is the kill's. ``retry_after_s`` is when the venue begins to count anew."""

    counter: Counter
    used: int
    limit: int
    reserve: int
    retry_after_s: int

    def __str__(self) -> str:
        return (
            f"{self.used} of {self.limit} {self.counter.limit} are used and {self.reserve} are kept for the kill; "
            f"try again in {self.retry_after_s} s"
        )


class Charge:
    """One request under way. ``end`` it once, or ``undo`` it when nothing was sent."""

    __slots__ = ("_meter", "_payer", "_sent_ms", "_spend")

    def __init__(self, meter: Meter, payer: Payer, spend: Spend, sent_ms: int) -> None:
        self._meter = meter
        self._payer = payer
        self._spend = spend
        self._sent_ms = sent_ms

    def end(self, reported: Mapping[Limit, int]) -> None:
        """It is over; ``reported`` are the venue's counters as the answer had them, empty without an answer."""
        self._meter.ended(self._payer, self._spend, self._sent_ms, reported)

    def undo(self) -> None:
        """It never left."""
        self._meter.undone(self._payer, self._spend)


class Meter:
    """``now`` is the venue's time; ``others`` is how many other gates spend the same budget.

    ``steady_s`` is a clock that never steps. ``machine`` names the one whose usual source address is used.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        others: int = 0,
        steady_s: Callable[[], float] = time.monotonic,
        machine: str = "",
    ) -> None:
        self.budget = Budget()
        self._now = now
        self._others = others
        # One for each account of the vault and limit, one for each source address.
        self._windows: dict[Counter, Window] = {}
        self._counted: dict[Payer, tuple[tuple[Counter, Window], ...]] = {}
        self._kills: dict[Counter, Window] = {}
        self.steady_s = steady_s
        self._silences = Silences(steady_s, machine)

    def silence(self, way: Way) -> Silence | None:
        """Whether the venue wants to hear nothing by this way just now: it would refuse whatever came."""
        return self._silences.on(way)

    def silences(self) -> list[tuple[Way, Silence]]:
        """All that are demanded just now."""
        return self._silences.all()

    def silenced(self, way: Way, status: int, retry_after_s: int | None, sent_s: float | None = None) -> bool:
        """The venue demands silence of a way, in answer to what was sent then, by ``steady_s``. Whether that is news.

        Where it does not say for how long: a throttle lasts until it counts anew, a ban as long as its shortest.
        """
        if retry_after_s is None:
            retry_after_s = BAN_DEFAULT_S if status == BANNED else self._minute_left_s(way.address, sent_s)
        return self._silences.begin(way, status, retry_after_s)

    def answered(self, way: Way, begun_s: float) -> bool:
        """The venue heard a request by this way that was begun then, by ``steady_s``. Whether a silence ended so."""
        return self._silences.answered(way, begun_s)

    def orders_used_up(self, account: str, retry_after_s: int | None, sent_s: float | None = None) -> None:
        """The venue takes no more orders of an account for now: a window of its orders is full, whatever we counted.

        It is the shortest that lasts as long as the venue says. Where it says nothing it is that of ten seconds, and
        the minute's too when all of that is used as far as we know. It says nothing of a window that began after the
        order was sent, by ``steady_s``, nor of one that lasts far longer: the full one has ended by now.
        """
        now_ms = self._now_ms()
        short, long = Counter(Limit.ORDERS_10S, account), Counter(Limit.ORDERS_1M, account)
        full = [long]
        if retry_after_s is None:
            full = [short, long] if self.used(long) >= self.budget.limit(long) else [short]
        elif retry_after_s <= (left_s := self._window(short).ends_in_s(now_ms)):
            full = [short] if 2 * retry_after_s >= left_s else []
        for counter in full:
            if self._counts(counter, sent_s):
                self._window(counter).fill(self.budget.limit(counter), now_ms)

    def kept(self, payer: Payer, spend: Spend) -> Kept | None:
        """Why ``spend`` may not be spent by whoever has to leave the kill its part; ``None`` when it may.

        Of orders only what orders are placed for is asked.
        """
        now_ms = self._now_ms()
        for (counter, window), amount in self._charged(payer, spend):
            if amount == 0 and counter.limit is not Limit.WEIGHT_1M:
                continue
            used, limit, reserve = window.used(now_ms), self.budget.limit(counter), self.budget.reserve(counter)
            if used + amount + self._elsewhere(counter, window, limit) > limit - reserve:
                return Kept(counter, used, limit, reserve, window.ends_in_s(now_ms))
        return None

    def begin(self, payer: Payer, spend: Spend) -> Charge:
        """Count a request that is sent now. Never refuses: exits, cancels and the kill may use the reserve up."""
        for (_, window), amount in self._charged(payer, spend):
            window.begin(amount)
        return Charge(self, payer, spend, self._now_ms())

    def by_kill(self, payer: Payer, spend: Spend) -> None:
        """What is spent now is spent by the guard's own kill, or by its looks at what it has made flat."""
        now_ms = self._now_ms()
        for counter, amount in zip(_counters(payer), _amounts(spend), strict=False):
            window = self._kills.setdefault(counter, Window(counter.limit.period_ms))
            window.begin(amount)
            window.end(amount, now_ms, now_ms, None)

    def ended(self, payer: Payer, spend: Spend, sent_ms: int, reported: Mapping[Limit, int]) -> None:
        """See ``Charge.end``."""
        now_ms = self._now_ms()
        for (counter, window), amount in self._charged(payer, spend):
            window.end(amount, sent_ms, now_ms, reported.get(counter.limit))

    def undone(self, payer: Payer, spend: Spend) -> None:
        """See ``Charge.undo``."""
        for (_, window), amount in self._charged(payer, spend):
            window.begin(-amount)

    def seen(self) -> dict[str, tuple[int, ...]]:
        """By counter: the number of its window and what the venue reported in it, for other processes.

        And by way what is to be told of its silence, see ``Silences.seen``.
        """
        reported: dict[str, tuple[int, ...]] = {
            counter.field: (window.number, window.reported)
            for counter, window in self._windows.items()
            if window.reported
        }
        return reported | self._silences.seen()

    def told(self, seen: Mapping[str, tuple[int, ...]]) -> None:
        """What all processes saw, as the store tells it; what this version does not know is of no interest to it."""
        self._silences.told(seen)
        now_ms = self._now_ms()
        for field, numbers in seen.items():
            limit, _, whose = field.partition(":")
            if limit in _LIMITS:
                number, reported = numbers
                self._window(Counter(Limit(limit), whose)).told(number, reported, now_ms)

    def used(self, counter: Counter) -> int:
        """How much is, or may be, used of the present window."""
        return self._window(counter).used(self._now_ms())

    def shares(self) -> dict[str, float]:
        """By counter, how much is, or may be, used in the present window, as a part of what bots may spend in it."""
        return {counter.field: self.used(counter) / self._free(counter) for counter in list(self._windows)}

    def shares_of_kills(self) -> dict[str, float]:
        """What of these shares kills have spent that this process runs."""
        now_ms = self._now_ms()
        return {counter.field: window.used(now_ms) / self._free(counter) for counter, window in self._kills.items()}

    def _free(self, counter: Counter) -> int:
        """What bots may spend of a limit in one window."""
        return max(self.budget.limit(counter) - self.budget.reserve(counter), 1)

    def _minute_left_s(self, address: str, sent_s: float | None) -> int:
        """Until the venue counts the weight anew; a second where it has begun to since."""
        weight = Counter(Limit.WEIGHT_1M, address)
        return self._window(weight).ends_in_s(self._now_ms()) if self._counts(weight, sent_s) else 1

    def _counts(self, counter: Counter, sent_s: float | None) -> bool:
        """Whether what was sent then, by ``steady_s``, counts in the present window; ``None`` is just now."""
        if sent_s is None:
            return True
        now_ms = self._now_ms()
        return self._window(counter).counts(now_ms - round((self.steady_s() - sent_s) * 1000), now_ms)

    def _elsewhere(self, counter: Counter, window: Window, limit: int) -> int:
        each = max(window.under_way, OTHERS_LEAST[counter.limit])
        return min(self._others * each, limit // OTHERS_MOST)

    def _charged(self, payer: Payer, spend: Spend) -> Iterable[tuple[tuple[Counter, Window], int]]:
        """The counters that ``spend`` is counted in, each with its window, and how much of it there."""
        counted = self._counted.get(payer)
        if counted is None:
            counted = self._counted[payer] = tuple((counter, self._window(counter)) for counter in _counters(payer))
        return zip(counted, _amounts(spend), strict=False)

    def _window(self, counter: Counter) -> Window:
        window = self._windows.get(counter)
        if window is None:
            window = self._windows[counter] = Window(counter.limit.period_ms)
        return window

    def _now_ms(self) -> int:
        return milliseconds(self._now())


def _counters(payer: Payer) -> tuple[Counter, ...]:
    weight = Counter(Limit.WEIGHT_1M, payer.address)
    if not payer.account:
        return (weight,)
    return weight, Counter(Limit.ORDERS_10S, payer.account), Counter(Limit.ORDERS_1M, payer.account)


def _amounts(spend: Spend) -> tuple[int, int, int]:
    """By ``_counters``; who pays for no account's orders is charged the first alone."""
    return spend.weight, spend.orders, spend.orders
