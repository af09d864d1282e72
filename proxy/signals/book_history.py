"""How good a book is against its own last week: the rank of its spread and of its depth. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from proxy.exchange.market_payloads import Depth
from proxy.signals.book_walk import middle_of
from proxy.signals.temperature import rank

KEPT_EVERY: Final = timedelta(minutes=5)
KEPT: Final = 2_016
"""A week."""

NEEDED: Final = 24
"""Two hours."""


@dataclass(frozen=True, slots=True)
class BookQuality:
    """0 to 1. ``spread_rank``: the share of the past in which the spread was tighter; 1 is as wide as it ever was.
    ``depth_rank``: the share of the past in which the thinner side held less; 0 is as thin as it ever was.
    """

    spread_rank: float
    depth_rank: float


class BookHistory:
    """One symbol. Lost at a restart: two hours later it ranks again."""

    def __init__(self) -> None:
        self._spreads: deque[float] = deque(maxlen=KEPT)
        self._depths: deque[float] = deque(maxlen=KEPT)
        self._kept_at: datetime | None = None

    def note(self, at: datetime, depth: Depth, band: Decimal) -> None:
        """A book was read. One in five minutes is kept; one with an empty or crossed side is none."""
        measured = _measured(depth, band)
        # A time far ahead was before the clock was set back.
        if measured is None or (self._kept_at is not None and abs(at - self._kept_at) < KEPT_EVERY):
            return
        self._kept_at = at
        self._spreads.append(measured[0])
        self._depths.append(measured[1])

    def quality(self, depth: Depth, band: Decimal) -> BookQuality | None:
        """Of this book; ``None`` while the history is too short, or for no book."""
        measured = _measured(depth, band)
        if measured is None or len(self._spreads) < NEEDED:
            return None
        return BookQuality(rank(measured[0], self._spreads), rank(measured[1], self._depths))


def _measured(depth: Depth, band: Decimal) -> tuple[float, float] | None:
    """The spread as a fraction of the middle, and the quote value of the thinner side."""
    middle = middle_of(depth)
    if middle is None:
        return None
    return float((depth.asks[0][0] - depth.bids[0][0]) / middle), float(min(depth.within(band)))
