"""Implements ``PolicyPlane``: the policy in force as its page shows it, and how another text differs from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from proxy.audit.place import archive_place
from proxy.ledger.hindsight import looked_back
from proxy.ledger.marks import marks_path
from proxy.looks import Looks
from proxy.policy.comparing import Change, Direction, compare
from proxy.policy.desk import PolicyDesk
from proxy.policy.plane import Differences, Hindsight, PolicyShown, RuleRow, WaitingRow
from proxy.policy.problems import PolicyError
from proxy.policy.reading import parse_policy
from proxy.policy.waiting import Pending
from proxy.policy.wording import settings_of
from proxy.refused import Refused
from proxy.store.codec import plain
from rules.catalog import CATALOG
from rules.loosening import Loosening, Needs
from rules.policy import Policy
from rules.rule import Rule


class PolicyShowing:
    """The policies of one data directory, to be looked at."""

    def __init__(self, *, policies: PolicyDesk, data_dir: Path, now: Callable[[], datetime]) -> None:
        self._policies = policies
        self._data_dir = data_dir
        self._now = now
        self._looking_back = Looks("hindsight")

    async def shown(self) -> PolicyShown:
        """What is in force, and what waits. Raises ``Refused`` when the disk does not give the proposals."""
        policy, text = self._policies.policy, self._policies.text
        try:
            waiting = await asyncio.to_thread(self._policies.pending)
        except OSError as trouble:
            raise Refused(f"what waits cannot be read: {trouble.strerror}") from trouble
        return PolicyShown(
            digest=policy.version,
            name=policy.name,
            owner=policy.owner,
            loosening=_needs(policy.loosening),
            rules=[_row(rule) for rule in sorted(policy.rules, key=_place)],
            text=text,
            waiting=[_waiting(each, policy) for each in waiting],
        )

    async def differences(self, text: str) -> Differences:
        """How a text differs from what is in force. It is neither kept nor proposed."""
        in_force = self._policies.policy

        def compared() -> Differences:
            policy = parse_policy(text)
            return _differences(policy, compare(in_force, policy), in_force)

        try:
            return await asyncio.to_thread(compared)
        except PolicyError as error:
            raise Refused(str(error)) from error

    async def hindsight(self, since: datetime) -> Hindsight:
        """What refusals came to. One at a time: it reads much."""
        place, marks, now = archive_place(self._data_dir), marks_path(self._data_dir), self._now()
        return await self._looking_back.ask(object(), lambda: looked_back(place, marks, since, now))


def _place(rule: Rule) -> tuple[int, str, str]:
    ids = list(CATALOG)
    return ids.index(rule.rule_id) if rule.rule_id in CATALOG else len(ids), rule.rule_id, rule.level


def _row(rule: Rule) -> RuleRow:
    return RuleRow(rule=rule.rule_id, level=rule.level, enforcement=rule.enforcement.value, settings=settings_of(rule))


def _waiting(pending: Pending, in_force: Policy) -> WaitingRow:
    proposal = pending.proposal
    return WaitingRow(
        by=proposal.by,
        reason=proposal.reason,
        at=str(plain(proposal.at)),
        due=plain(pending.due),
        stale=pending.stale,
        differences=_differences(pending.policy, pending.changes, in_force),
    )


def _differences(policy: Policy, changes: tuple[Change, ...], in_force: Policy) -> Differences:
    by_way = {way: [str(change) for change in changes if change.direction is way] for way in Direction}
    return Differences(
        digest=policy.version,
        name=policy.name,
        owner=policy.owner,
        loosened=by_way[Direction.LOOSENED],
        tightened=by_way[Direction.TIGHTENED],
        other=by_way[Direction.NEUTRAL],
        waits=_needs(in_force.loosening) if by_way[Direction.LOOSENED] else "",
    )


def _needs(loosening: Loosening) -> str:
    if loosening.needs is Needs.TWO_PEOPLE:
        return "somebody else's approval"
    return f"somebody else's approval, or a wait of {loosening.delay_s} s"
