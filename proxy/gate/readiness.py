"""Between an allowed decision and the send: leave is used up, a smaller hold made so, and all is looked at once more.

Nothing here makes room or gives leave. What cannot be settled is withheld, and its hold let go.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from proxy.audit.recording import Subject
from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable
from rules.account import HeldOrder
from rules.decision import Breach, Decision, Verdict
from rules.exposure import held_order
from rules.model import Intent
from rules.snapshot import Snapshot


class Readiness(Struct, frozen=True):
    """By place in the request: what is held for each order as it will be sent, and what may not be sent after all."""

    held: dict[int, HeldOrder]
    withheld: dict[int, Breach]


async def make_ready(
    store: GateStore, subject: Subject, decisions: Sequence[Decision], held: dict[int, HeldOrder], snapshot: Snapshot
) -> Readiness:
    """Use up the overrides of ``decisions`` and shrink the hold to what they leave of an order.

    The store gives each override to one request only, so of two orders that were let pass by the same one, one is
    sent. An override that was used and whose order then is not sent is spent all the same: the safe side.
    """
    withheld: dict[int, Breach] = {}
    left = dict(held)
    for place, decision in enumerate(decisions):
        for override_id in decision.overrides:
            if place not in withheld and not await _use(store, override_id):
                withheld[place] = _used(override_id)
        # Only a command that stands alone is ever sized down.
        order = held_order(decision.effective, snapshot) if decision.trimmed_from is not None else None
        if order is not None and place in held:
            left[place] = order
            if not await _shrink(store, subject, order):
                withheld[place] = _not_reserved()
    return Readiness(left, withheld)


def kept_back(decision: Decision, *, reserved: bool, written: bool, policy_known: bool) -> Breach | None:
    """Why an allowed command may not be sent after all: law 3 and law 4, checked once more at the last hop."""
    if decision.verdict is Verdict.DENY or not decision.intent.adds_risk:
        return None
    if not written:
        return Breach(
            rule_id="audit",
            code="AUDIT_UNAVAILABLE",
            message="the guard cannot write its audit, so nothing that adds risk is sent",
            advice="reduce-only orders and cancels pass",
        )
    if not policy_known:
        return Breach(
            rule_id="policy",
            code="POLICY_UNKNOWN",
            message="this gate has no policy it can read, or not the one in force, so nothing that adds risk is sent",
            advice="reduce-only orders and cancels pass",
        )
    if decision.intent is Intent.ENTRY and not reserved:
        return _not_reserved()
    return None


async def _use(store: GateStore, override_id: str) -> bool:
    try:
        return await store.use_override(override_id)
    except StoreUnavailable:
        return False


async def _shrink(store: GateStore, subject: Subject, order: HeldOrder) -> bool:
    try:
        return await store.shrink(subject.account, subject.bot, subject.decision_id, order)
    except StoreUnavailable:
        return False


def _used(override_id: str) -> Breach:
    return Breach(
        rule_id="override",
        code="OVERRIDE_USED",
        message=f"the override {override_id} served another order, or was withdrawn, a moment ago",
        observed=override_id,
        advice="ask for a new override",
    )


def _not_reserved() -> Breach:
    return Breach(rule_id="hold", code="NOT_RESERVED", message="the order changed under the guard; send it again")
