"""What ``scripts/hold.lua`` is asked and what it answers: its keys, its arguments, and the view its reply makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from proxy.decoding import build
from proxy.store.attempts import ATTEMPTS_MAX, Told, at_of
from proxy.store.codec import dump, load
from proxy.store.holds import KnownHolds
from proxy.store.keys import Keys
from proxy.store.unreported import unreported_beside
from proxy.store.view import Bucket, HoldRequest, View
from rules.ages import seconds
from rules.facts import Override, Score

AUDIT_LENGTH_MAX: Final = 200_000
"""Unarchived audit records the store may keep. Beyond it entries are refused: an audit that fails stops new risk."""

HOLDS_MAX: Final = 2_000
"""Holds one account may have open at once; more means that nothing settles them."""


def hold_keys(keys: Keys, request: HoldRequest, documents: Iterable[str]) -> list[str]:
    """The keys that the script reads and writes; ``documents`` are those of the published documents."""
    shared, attempts, unreported = _lasting(keys, request.account, request.bot)
    return [
        *shared,
        keys.seen(request.replay_digest),
        unreported,
        keys.void(request.hold_id),
        attempts,
        keys.overrides,
        *documents,
        *(keys.bucket(bucket.scope) for bucket in request.buckets),
    ]


@lru_cache(maxsize=4096)
def _lasting(keys: Keys, account: str, bot: str) -> tuple[tuple[str, ...], str, str]:
    """The names that all orders of a bot share: those the script wants first, its attempts, its lost orders."""
    shared = (keys.controls, keys.disabled, keys.holds(account), keys.sequence, keys.audit, keys.scores)
    return shared, keys.attempts(account, bot), keys.unreported(account)


def hold_arguments(request: HoldRequest, versions: Sequence[str], tried: Told) -> list[Any]:
    """The script's arguments. ``versions`` are those of the documents as they are known, ``tried`` the bot's attempts:
    newer ones come along."""
    return [
        request.hold_id,
        request.bot,
        request.guard_key,
        dump(request.orders) if request.reserve else "",
        dump(request.write_ahead) if request.write_ahead is not None else "",
        request.replay_window_ms,
        AUDIT_LENGTH_MAX,
        HOLDS_MAX,
        request.account,
        ATTEMPTS_MAX,
        tried.mark if request.attempts_window_s else "-",
        len(versions),
        *versions,
        *(number for bucket in request.buckets for number in _numbers(bucket)),
    ]


def _numbers(bucket: Bucket) -> tuple[str | int, ...]:
    return (
        str(bucket.per_second),
        str(bucket.burst),
        str(bucket.tighten),
        bucket.spend,
        bucket.drain,
        int(bucket.refuses),
        int(bucket.own),
    )


def documents_of(reply: Sequence[Any]) -> Sequence[tuple[str, str]]:
    """Version and body of every document, in the order of their keys."""
    documents: Sequence[tuple[str, str]] = reply[7]
    return documents


def attempts_of(reply: Sequence[Any]) -> tuple[bool, Sequence[str]]:
    """Lines of attempts, and whether they follow those that were known when the store was asked; else they are all."""
    follows, lines = reply[9]
    return bool(follows), lines


def view_of(known: View, holds: KnownHolds, tried: Told, request: HoldRequest, reply: Sequence[Any]) -> View:
    """The reply, the documents, which are ``known`` by now, and what was ``tried``, as one view. Raises what decoding
    raises."""
    controls, balances = reply[2], reply[5]
    levels = (f"bot:{request.bot}", f"account:{request.account}", "desk")
    scores = {level: _score(text) for level, text in zip(levels, reply[4], strict=True)}
    told_at = at_of(int(reply[11]))
    return View(
        sequence=int(reply[1]),
        controls=dict(zip(controls[::2], controls[1::2], strict=True)),
        key_disabled=bool(reply[3]),
        anomaly=scores[levels[0]].value,
        scores=scores,
        tokens={bucket.scope: Decimal(left) for bucket, left in zip(request.buckets, balances, strict=True)},
        holds=holds.read(request.account, reply[6]),
        unreported=unreported_beside(request.orders, request.bot, reply[8]),
        attempts=tried.since(told_at - seconds(request.attempts_window_s), told_at),
        told_at=told_at,
        overrides=tuple(sorted(map(_override, reply[10]), key=_by_expiry)),
        account=known.account,
        markets=known.markets,
        instruments=known.instruments,
        instruments_version=known.instruments_version,
        policy=known.policy,
        policy_version=known.policy_version,
        conditions=known.conditions,
        record=known.record,
        usual=known.usual,
    )


@lru_cache(maxsize=4096)
def _score(text: str) -> Score:
    """A score as the warden writes it, ``0.1234|why``; an empty text is nobody's score yet."""
    value, _, why = text.partition("|")
    return Score(value=float(value or 0), why=why)


@lru_cache(maxsize=256)
def _override(body: str) -> Override:
    """Those granted come with every order of the desk, so they are decoded once."""
    return build(load(body), Override)


def _by_expiry(override: Override) -> tuple[datetime, str]:
    return override.expires_at, override.override_id
