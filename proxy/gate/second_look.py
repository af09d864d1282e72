"""Decides, and looks again, bounded, where a refusal rests on what is being settled just now.

An earlier request that is still being judged may let its hold go; one that the venue took may already stand in a
survey that was under way, until the next one releases its hold; what the venue has just answered as over may not have
been heard of by the private stream. Holds and account are read again in one step, so that neither is missed. Only holds
with an earlier sequence count, as in one serial queue, so two requests never wait for each other
(docs/decisions/0005-second-look-and-sequence.md). What has come to stop the order meanwhile counts too: a state, a
kill, a key switched off, another policy. What takes risk away waits for nobody: a batch with an exit that may go is not
looked at again for the entries beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from proxy.gate.just_over import JustOver
from proxy.gate.ruling import JudgedRequest
from proxy.gate.snapshots import controls_of
from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable
from rules.account import HoldStatus
from rules.decision import Decision, Verdict
from rules.engine import decide_batch
from rules.policy import Policy
from rules.share import as_if_filled
from rules.snapshot import Snapshot

PAUSES_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.16)
"""How long a refusal that rests on unsettled holds waits before each further look."""


async def decide_in_turn(
    request: JudgedRequest,
    policy: Policy,
    snapshot: Snapshot,
    *,
    sequence: int,
    store: GateStore,
    just_over: JustOver,
    now: Callable[[], datetime],
    stopped: Callable[[], bool],
) -> tuple[Snapshot, tuple[Decision, ...]]:
    """The decisions, and the picture they were made on. ``sequence`` is the request's own place in the queue, 0 for one
    that holds nothing.

    ``stopped`` asks this machine's sentinel file.
    """
    just_over.seen(snapshot.account)
    decisions = decide_batch(request.commands, snapshot, policy)
    for pause_s in PAUSES_S:
        if (
            not _falls_short(decisions)
            or _way_out_waits(decisions)
            or not _may_change(request, policy, snapshot, just_over)
        ):
            break
        await asyncio.sleep(pause_s)
        try:
            seen = await store.look(request.subject.account, request.guard_key)
        except StoreUnavailable:
            break
        if seen.key_disabled or seen.policy_version != policy.version:
            break  # The refusal stands: what would let the order go was asked under what is no more.
        snapshot = replace(
            snapshot,
            # Who holds nothing has no place in the queue: everything under way is before it.
            holds=tuple(hold for hold in seen.holds if not sequence or hold.sequence < sequence),
            account=seen.account,
            controls=controls_of(request, seen.controls, stopped=stopped()),
            now=now(),
        )
        decisions = decide_batch(request.commands, snapshot, policy)
    return snapshot, decisions


def _may_change(request: JudgedRequest, policy: Policy, snapshot: Snapshot, just_over: JustOver) -> bool:
    """Whether a refusal rests on what is settled just now: on holds, on fills not yet booked on the bot, on what the
    venue has said is over."""
    certain = tuple(hold for hold in snapshot.holds if hold.status is HoldStatus.UNKNOWN)
    hopes = [replace(snapshot, holds=certain)] if len(certain) < len(snapshot.holds) else []
    if (filled := as_if_filled(snapshot)) is not snapshot:
        hopes.append(filled)
    # It may take both: an order that was cancelled, and the hold of another.
    hopes += [hoped for each in (snapshot, *hopes) if (hoped := just_over.hoped(each)) is not each]
    return any(not _falls_short(decide_batch(request.commands, each, policy)) for each in hopes)


def _falls_short(decisions: Sequence[Decision]) -> bool:
    """Whether something of what was asked for is refused: all of an order, or a part of it."""
    return any(decision.verdict is Verdict.DENY or decision.trimmed_from is not None for decision in decisions)


def _way_out_waits(decisions: Sequence[Decision]) -> bool:
    """Whether something that takes risk away may go as it is."""
    return any(decision.verdict is Verdict.ALLOW and not decision.intent.adds_risk for decision in decisions)
