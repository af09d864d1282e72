"""A bot's earlier entries as the store keeps them: one line each, and one more where the attempt was refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from proxy.decoding import build
from proxy.store.codec import load
from rules.snapshot import Attempt, HeldOrder

ATTEMPTS_MAX: Final = 400
"""Lines kept for a bot on an account: at least the last 200 attempts, for at most a day."""

ATTEMPTS_KEPT: Final = 4_096
"""Lines that a process keeps as it decoded them, some 1.7 kB each: those of ten bots as busy as can be."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decode_attempts(lines: Iterable[str]) -> tuple[Attempt, ...]:
    """The attempts in these lines, oldest first. A refusal whose attempt is no longer among them says nothing."""
    found: dict[str, Attempt] = {}
    for line in lines:
        hold_id, attempt = _tried(line)
        if attempt is not None:
            found[hold_id] = attempt
        elif hold_id in found:
            found[hold_id] = _refused(line, found[hold_id])
    return tuple(found.values())


@lru_cache(maxsize=ATTEMPTS_KEPT)
def _tried(line: str) -> tuple[str, Attempt | None]:
    """Whose line it is, and the attempt; the same lines come back with every order of the bot, so each is decoded
    once."""
    at_us, hold_id, kind, rest = line.split("|", 3)
    if kind != "TRIED":
        return hold_id, None
    orders = build(load(rest), tuple[HeldOrder, ...])
    return hold_id, Attempt(at=_EPOCH + timedelta(microseconds=int(at_us)), hold_id=hold_id, orders=orders)


def _refused(line: str, attempt: Attempt) -> Attempt:
    """The attempt that this line says was refused; kept with it."""
    return attempt.once(line, lambda tried: _with_refusal(tried, line))


def _with_refusal(attempt: Attempt, line: str) -> Attempt:
    size = line.split("|", 3)[3]
    return replace(attempt, refused=True, refused_at_size=Decimal(size) if size else None)
