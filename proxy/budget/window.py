"""One counter of the venue as one process knows it: what the venue last said, and what it cannot have counted yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SETTLED_MS: Final = 250
"""What is sent this soon after a window began, by our clock, the venue may have counted in the one before."""


@dataclass(slots=True)
class Window:
    """Counts within the venue's windows of ``period_ms``. All times are the venue's, in milliseconds.

    ``used`` is the safe guess: what the venue reported, what of ours came back without a word of its counter, and what
    is still under way, which it may or may not have counted. A window that ends takes all but the last with it.
    """

    period_ms: int
    reported: int = 0
    unheard: int = 0
    under_way: int = 0
    number: int = -1
    _unheard_at_ms: int = 0

    def used(self, now_ms: int) -> int:
        """How much of the limit is, or may be, used up."""
        self._turn(now_ms)
        return self.reported + self.unheard + self.under_way

    def begin(self, amount: int) -> None:
        """A request of ours that costs ``amount`` is on its way."""
        self.under_way += amount

    def end(self, amount: int, sent_ms: int, now_ms: int, reported: int | None) -> None:
        """It is over. ``reported`` is the venue's counter as the answer had it, ``None`` when it said nothing."""
        self._turn(now_ms)
        self.under_way -= amount
        if reported is None or not self._within(sent_ms):
            self.unheard += amount
            self._unheard_at_ms = now_ms
            return
        if sent_ms >= self._unheard_at_ms:
            self.unheard = 0  # The venue has counted those before it counted this one.
        self.reported = max(self.reported, reported)

    def told(self, number: int, reported: int, now_ms: int) -> None:
        """What another process heard in the window of this ``number``."""
        self._turn(now_ms)
        if number == self.number:
            self.reported = max(self.reported, reported)

    def fill(self, limit: int, now_ms: int) -> None:
        """The venue says that all of ``limit`` is used."""
        self._turn(now_ms)
        self.reported = max(self.reported, limit)

    def ends_in_s(self, now_ms: int) -> int:
        """Whole seconds until the window is over, at least one."""
        return max(1, -(-(self.period_ms - now_ms % self.period_ms) // 1000))

    def counts(self, sent_ms: int, now_ms: int) -> bool:
        """Whether what was sent then was surely counted in the window of now. What an answer to anything else says of
        its window may be over."""
        self._turn(now_ms)
        return self._within(sent_ms)

    def _within(self, sent_ms: int) -> bool:
        """Whether a request sent then was surely counted in the window of now."""
        return sent_ms >= self.number * self.period_ms + SETTLED_MS

    def _turn(self, now_ms: int) -> None:
        number = now_ms // self.period_ms
        if number != self.number:
            self.number, self.reported, self.unheard, self._unheard_at_ms = number, 0, 0, 0
