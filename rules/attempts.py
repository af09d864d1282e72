"""A bot's earlier entries, and how far back they are remembered."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from rules.account import Attempt, HeldOrder
from rules.ages import seconds
from rules.decision import Decision
from rules.position.reduce_only_exits import POSITION_FLIP
from rules.snapshot import Snapshot

MEMORY_LINES: Final = 380
"""From here on older entries of a bot may have been forgotten.

An entry takes a line of the bot's memory, one that was refused or sized down two, and the store keeps 400; the last few
may be of refusals whose entry is forgotten already.
"""

MARGIN_S: Final = 1
"""Attempts bear the store's time and are judged by the gate's, and so far apart the two may seem, by what the answer
took of it: so much more of them is asked for. Where the clocks differ by more than half of it, the gate dates them
anew."""


def attempts_within(snapshot: Snapshot, window_s: int) -> tuple[Attempt, ...]:
    """The bot's earlier entries of the last ``window_s`` seconds, oldest first; one dated ahead counts as just now."""
    since = snapshot.now - seconds(window_s)
    return tuple([attempt for attempt in snapshot.attempts if attempt.at >= since])


def reaches_back(snapshot: Snapshot, window_s: int) -> bool:
    """Whether nothing of the last ``window_s`` seconds has been forgotten."""
    return not memory_full(snapshot) or snapshot.now - snapshot.attempts[0].at > seconds(window_s)


def memory_full(snapshot: Snapshot) -> bool:
    """Whether entries before the oldest of ``attempts`` may have been forgotten."""
    if 2 * len(snapshot.attempts) < MEMORY_LINES:
        return False  # Not even if all of them were refused.
    return sum(map(_lines, snapshot.attempts)) >= MEMORY_LINES


def _lines(attempt: Attempt) -> int:
    return 2 if attempt.refused or attempt.refused_at_size is not None else 1


def refused_at_size(decision: Decision) -> Decimal | None:
    """What ``Attempt.refused_at_size`` is to say of a refused entry: the size its pieces are held to.

    That is the headroom. Of an order that would turn a position round the headroom is the size of the way out, which
    limits no entry; what remains is the smallest size that another rule named. The flip of an amend
    names no way out, so a size that is told beside it is one for entries.
    """
    if all(breach.code != POSITION_FLIP or breach.headroom is None for breach in decision.breaches):
        return decision.headroom
    named = [breach.headroom for breach in decision.breaches if breach.code != POSITION_FLIP]
    return min((size for size in named if size is not None), default=None)


def last_entry(snapshot: Snapshot) -> datetime | None:
    """When the bot's last entry was that was not refused; the earlier items of a batch are of this moment.

    One forgotten behind all the refusals that are remembered counts as if it were of the oldest of them.
    """
    sent = [attempt.at for attempt in snapshot.attempts if not attempt.refused]
    if sent:
        return max(sent)
    return snapshot.attempts[0].at if memory_full(snapshot) else None


def like(order: HeldOrder, attempt: Attempt) -> list[HeldOrder]:
    """The orders of an attempt on the same symbol and side as ``order``."""
    return [each for each in attempt.orders if each.symbol == order.symbol and each.side is order.side]
