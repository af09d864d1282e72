"""What waits, beside the policy in force: each text is understood once, and compared once with what it would replace.

The warden looks each second and people look whenever they like, while a large policy takes longer to read than an order
to be judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from proxy.policy.comparing import Change, compare
from proxy.policy.problems import PolicyError
from proxy.policy.reading import parse_policy
from proxy.policy.shelf import Proposal, Shelf
from rules.loosening import Needs
from rules.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A proposal as people see it. ``due`` is when it takes effect by itself, ``None`` when it never does.

    ``stale``: another policy than the one it was proposed against is in force, so nobody has agreed to ``changes``.
    """

    proposal: Proposal
    policy: Policy
    changes: tuple[Change, ...]
    due: datetime | None
    stale: bool


class Waiting:
    """The proposals of one shelf. Any thread may ask, and none should that serves anybody else meanwhile."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._seen: dict[tuple[str, Proposal], Pending | None] = {}

    def beside(self, in_force: Policy) -> tuple[Pending, ...]:
        """What waits, oldest first. Raises ``OSError``."""
        seen: dict[tuple[str, Proposal], Pending | None] = {}
        for proposal in self._shelf.proposals():
            key = (in_force.version, proposal)
            seen[key] = self._seen[key] if key in self._seen else _read(proposal, in_force)
        self._seen = seen
        return tuple(pending for pending in seen.values() if pending is not None)


def seen_beside(in_force: Policy, proposal: Proposal, policy: Policy) -> Pending:
    """``proposal``, which reads as ``policy``, compared with what is in force."""
    needs, stale = in_force.loosening, proposal.base != in_force.version
    waits = bool(proposal.by) and not stale and needs.needs is Needs.DELAY
    return Pending(
        proposal=proposal,
        policy=policy,
        changes=compare(in_force, policy),
        due=proposal.at + timedelta(seconds=needs.delay_s) if waits else None,
        stale=stale,
    )


def _read(proposal: Proposal, in_force: Policy) -> Pending | None:
    try:
        policy = parse_policy(proposal.text)
    except PolicyError:
        return None  # Written by a version that knew other rules: the next start drops it.
    return seen_beside(in_force, proposal, policy)
