"""A bot's earlier entries, and how far back they are remembered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from rules.snapshot import Attempt, HeldOrder, Snapshot

MEMORY_LINES: Final = 380
"""From here on older entries of a bot may have been forgotten.

An entry takes a line of the bot's memory, a refused one two, and the store keeps 400; the last few may be of refusals
whose entry is forgotten already.
"""

MARGIN_S: Final = 1
"""Attempts bear the store's time and are judged by the gate's: so much more of them is asked for."""


def attempts_within(snapshot: Snapshot, window_s: int) -> tuple[Attempt, ...]:
    """The bot's earlier entries of the last ``window_s`` seconds, oldest first; one dated ahead counts as just now."""
    since = snapshot.now - timedelta(seconds=window_s)
    return tuple(attempt for attempt in snapshot.attempts if attempt.at >= since)


def reaches_back(snapshot: Snapshot, window_s: int) -> bool:
    """Whether nothing of the last ``window_s`` seconds has been forgotten."""
    return not memory_full(snapshot) or snapshot.now - snapshot.attempts[0].at > timedelta(seconds=window_s)


def memory_full(snapshot: Snapshot) -> bool:
    """Whether entries before the oldest of ``attempts`` may have been forgotten."""
    return sum(2 if attempt.refused else 1 for attempt in snapshot.attempts) >= MEMORY_LINES


def like(order: HeldOrder, attempt: Attempt) -> Iterator[HeldOrder]:
    """The orders of an attempt on the same symbol and side as ``order``."""
    return (each for each in attempt.orders if (each.symbol, each.side) == (order.symbol, order.side))
