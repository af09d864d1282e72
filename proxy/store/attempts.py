"""A bot's earlier entries as the store keeps them: one line each, and one more where the attempt was refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from proxy.store.codec import build, load
from rules.snapshot import Attempt, HeldOrder

ATTEMPTS_MAX: Final = 400
"""Lines kept for a bot on an account: at least the last 200 attempts, for at most a day."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decode_attempts(lines: Iterable[str]) -> tuple[Attempt, ...]:
    """The attempts in these lines, oldest first. A refusal whose attempt is no longer among them says nothing."""
    found: dict[str, Attempt] = {}
    for line in lines:
        at_us, hold_id, kind, rest = line.split("|", 3)
        if kind == "TRIED":
            found[hold_id] = _tried(int(at_us), hold_id, rest)
        elif hold_id in found:
            size = Decimal(rest) if rest else None
            found[hold_id] = replace(found[hold_id], refused=True, refused_at_size=size)
    return tuple(found.values())


@lru_cache(maxsize=4096)
def _tried(at_us: int, hold_id: str, body: str) -> Attempt:
    """One attempt; the same lines come back with every order of the bot, so they are decoded once."""
    return Attempt(
        at=_EPOCH + timedelta(microseconds=at_us), hold_id=hold_id, orders=build(load(body), tuple[HeldOrder, ...])
    )
