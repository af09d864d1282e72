"""How bots behave: what they sent, filled and were refused, and whether their conditional orders did as meant. Pure.

Told by the audit's decisions and the private stream's events, each once, in whatever order these arrive. What a bot
sent is what passed; what was refused is counted apart, and only a refusal for a limit is a fault of the bot's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from proxy.accounts.track import BUCKET, WINDOW, bucket_of
from rules.catalog import GATES
from rules.decision import BATCH_REFUSED

ASKED_MAX: Final = timedelta(seconds=60)
"""How far a bot's request to cancel and the venue's word that it is done may lie apart, in either order."""

SYMBOLS_MAX: Final = 1_000
"""Symbols whose cancels are remembered for a bot at a time; of each only the last."""

# Refusals that say nothing about the bot: the guard did not know, failed, or refused another order of the batch.
_NO_LIMITS: Final = frozenset({"FACTS_UNKNOWN", "RULE_FAILED", BATCH_REFUSED})
_GATES: Final = frozenset(gate.rule_id for gate in GATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a bot did within ``BUCKET`` from ``since`` on: orders that passed, executions, and refused commands."""

    since: datetime
    orders: int = 0
    fills: int = 0
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """One bot. ``clean_since`` is its last refusal for a limit, or when it was first seen.

    ``proven`` are symbols on which a conditional order of its has triggered or was cancelled as it asked. ``asked`` is
    when it last asked to cancel conditional orders of a symbol, ``gone`` when one last went, as long as neither has
    found the other. ``heard_until`` is when the newest of its decisions was made that were told.
    """

    bot: str
    first_seen: datetime
    clean_since: datetime
    counts: tuple[Counts, ...] = ()
    proven: tuple[str, ...] = ()
    asked: Mapping[str, datetime] | None = None
    gone: Mapping[str, datetime] | None = None
    heard_until: datetime | None = None

    def counted(self, now: datetime) -> Counts:
        """The sums of the last 24 hours, and of at most ``BUCKET`` more."""
        counts = [each for each in self.counts if each.since + BUCKET > now - WINDOW]
        return Counts(
            since=now - WINDOW,
            orders=sum(each.orders for each in counts),
            fills=sum(each.fills for each in counts),
            refusals=sum(each.refusals for each in counts),
        )


def met(bot: str, at: datetime) -> Conduct:
    """A bot never seen before."""
    return Conduct(bot=bot, first_seen=at, clean_since=at)


def decided(conduct: Conduct, record: Mapping[str, Any], at: datetime) -> Conduct:
    """One decision record of the bot. What is not of the expected shape is passed over."""
    commands, decisions = record.get("commands"), record.get("decisions")
    if not isinstance(commands, list) or not isinstance(decisions, list):
        return conduct
    for command, decision in zip(commands, decisions, strict=False):
        if isinstance(command, dict) and isinstance(decision, dict):
            conduct = replace(conduct, heard_until=max(conduct.heard_until or at, at))
            conduct = _judged(conduct, command, decision, at)
    return conduct


def filled(conduct: Conduct, at: datetime) -> Conduct:
    """An order of the bot's was executed, in whole or in part."""
    return _count(conduct, at, fills=1)


def triggered(conduct: Conduct, symbol: str) -> Conduct:
    """A conditional order of the bot's has become an order."""
    return _prove(conduct, symbol)


def cancelled(conduct: Conduct, symbol: str, at: datetime) -> Conduct:
    """A conditional order of the bot's was cancelled, by whomever: it proves something if the bot had asked for it."""
    if _near((conduct.asked or {}).get(symbol), at):
        return _prove(conduct, symbol)
    return replace(conduct, gone=_noted(conduct.gone, symbol, at))


def _judged(conduct: Conduct, command: Mapping[str, Any], decision: Mapping[str, Any], at: datetime) -> Conduct:
    kind, symbol = command.get("type"), command.get("symbol")
    if decision.get("verdict") == "DENY":
        breaches = decision.get("breaches")
        told = [each for each in breaches if isinstance(each, dict)] if isinstance(breaches, list) else []
        if any(each.get("code") not in _NO_LIMITS and each.get("rule_id") not in _GATES for each in told):
            conduct = replace(conduct, clean_since=max(conduct.clean_since, at))
        return _count(conduct, at, refusals=1)
    if kind == "PlaceOrder":
        return _count(conduct, at, orders=1)
    if kind in ("CancelOrder", "CancelAll") and command.get("conditional") and isinstance(symbol, str):
        if _near((conduct.gone or {}).get(symbol), at):
            return _prove(conduct, symbol)
        return replace(conduct, asked=_noted(conduct.asked, symbol, at))
    return conduct


def _count(conduct: Conduct, at: datetime, *, orders: int = 0, fills: int = 0, refusals: int = 0) -> Conduct:
    """Into the bucket of its time, however late; what is older than all that is kept counts no more."""
    since = bucket_of(at)
    place = bisect_left(conduct.counts, since, key=_since)
    earlier, later, was = conduct.counts[:place], conduct.counts[place:], Counts(since=since)
    if later and later[0].since == since:
        was, later = later[0], later[1:]
    new = Counts(since=since, orders=was.orders + orders, fills=was.fills + fills, refusals=was.refusals + refusals)
    counts = (*earlier, new, *later)
    return replace(conduct, counts=counts[bisect_right(counts, counts[-1].since - WINDOW - BUCKET, key=_since) :])


def _since(counts: Counts) -> datetime:
    return counts.since


def _prove(conduct: Conduct, symbol: str) -> Conduct:
    return replace(conduct, proven=tuple(sorted({*conduct.proven, symbol})))


def _noted(times: Mapping[str, datetime] | None, symbol: str, at: datetime) -> dict[str, datetime]:
    noted = {**(times or {}), symbol: at}
    while len(noted) > SYMBOLS_MAX:
        del noted[min(noted, key=lambda each: noted[each])]
    return noted


def _near(one: datetime | None, other: datetime) -> bool:
    return one is not None and abs(one - other) <= ASKED_MAX
