"""What the flow rules remember of a bot: its earlier entries, and the account's record while it is fresh."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from rules.facts import AccountRecord
from rules.snapshot import Attempt, HeldOrder, Snapshot

ATTEMPTS_MAX: Final = 200
"""How many of a bot's entries on one account the store remembers; older ones are forgotten."""


def attempts_within(snapshot: Snapshot, window_s: int) -> tuple[Attempt, ...]:
    """The bot's earlier entries of the last ``window_s`` seconds, oldest first; one dated ahead counts as just now."""
    since = snapshot.now - timedelta(seconds=window_s)
    return tuple(attempt for attempt in snapshot.attempts if attempt.at >= since)


def reaches_back(snapshot: Snapshot, window_s: int) -> bool:
    """Whether nothing of the last ``window_s`` seconds has been forgotten."""
    if len(snapshot.attempts) < ATTEMPTS_MAX:
        return True
    return snapshot.now - snapshot.attempts[0].at > timedelta(seconds=window_s)


def like(order: HeldOrder, attempt: Attempt) -> Iterator[HeldOrder]:
    """The orders of an attempt on the same symbol and side as ``order``."""
    return (each for each in attempt.orders if (each.symbol, each.side) == (order.symbol, order.side))


def fresh_record(snapshot: Snapshot, age_max_s: int) -> AccountRecord | None:
    """The warden's memory of the account, ``None`` when there is none or it is further away than ``age_max_s``."""
    record = snapshot.record
    if record is None or abs(snapshot.now - record.as_of) > timedelta(seconds=age_max_s):
        return None
    return record
