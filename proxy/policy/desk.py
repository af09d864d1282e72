"""How another policy comes into force: tightened at once, loosened with a second person or after a wait.

Each step stands in the audit before it is taken: the text as a document, who did what as an event. What a looser one
needs is the word of the policy in force, never its own. What waits was compared with the policy in force; when that
changes, it has to be proposed anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from proxy.people.names import reason_objections, same_person
from proxy.people.roles import Role
from proxy.policy.comparing import Change, compare, loosened
from proxy.policy.in_force import GUARD, InForce, NotKept, Scribe, Store, keeping, words_of
from proxy.policy.problems import PolicyError
from proxy.policy.reading import parse_policy
from proxy.policy.shelf import Proposal, Shelf
from proxy.policy.waiting import Pending, Waiting, seen_beside
from proxy.refused import Refused
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.ownership import DeskTaken
from rules.policy import Policy

log = logging.getLogger("perpguard.policy")

EVERY_S: Final = 1.0
PROPOSALS_MAX: Final = 16
KEPT_AGAIN_AFTER: Final = timedelta(minutes=1)
"""So long a policy that is due waits once the disk has not taken it."""


class PolicyRefused(Refused):
    """The policy in force stays as it is; the text says why, ``reasons`` one by one where a text has several faults."""


class PolicyDesk:
    """The policies of one data directory. ``policy`` is the one in force: ask for it each time."""

    def __init__(
        self,
        *,
        data_dir: Path,
        settings_file: Path,
        store: Store,
        scribe: Scribe,
        may: Callable[[str, Role], bool],
        now: Callable[[], datetime],
    ) -> None:
        """``may``: whether what a person asked for may happen now. Raises ``PolicyError`` when there is no policy to
        begin with, or the active one cannot be read."""
        self._shelf = Shelf(data_dir)
        self._waiting = Waiting(self._shelf)
        self._in_force = InForce(shelf=self._shelf, settings_file=settings_file, store=store, scribe=scribe)
        self._record = scribe.event
        self._may = may
        self._now = now
        self._changing = asyncio.Lock()
        self._not_kept_at: datetime | None = None
        self._said_to_wait: set[str] = set()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._in_force.policy

    @property
    def text(self) -> str:
        """Its text."""
        return self._in_force.text

    async def begin(self) -> None:
        """Write down and publish what is in force. Raises what the store client raises, or ``NotKept``; then it is
        called again. It does without what the disk did not take where another policy was active; the first of a data
        directory is in force only once it is kept."""
        async with self._changing:
            await self._in_force.begin()
            await self._tidy()
            if self._in_force.looser_file is not None:
                await self._find(*self._in_force.looser_file)
            await self._in_force.publish()

    async def publish(self) -> None:
        """Tell the gates once more what is in force. Raises what the store client raises."""
        await self._in_force.publish()

    async def write_down(self) -> None:
        """Put the text of what is in force in the audit again. Raises what the store client raises."""
        await self._in_force.write_down(self.policy.version, self.text)

    async def run(self) -> None:
        """For ever: the gates have the policy that is in force, and a proposal whose time has come takes effect."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except STORE_TROUBLE as trouble:
                log.warning("the policy cannot be published: %s", type(trouble).__name__)

    async def look(self) -> None:
        """Look once. Raises what the store client raises, or ``OSError``."""
        async with self._changing:
            await self._in_force.notice_edit()
            await self._in_force.publish_again()
            await self._take_due()

    async def propose(self, *, text: str, name: str, reason: str) -> Pending | None:
        """Put ``text`` in force, or on the list when it loosens anything. ``None`` when it is in force.

        Raises ``PolicyRefused``.
        """
        _check_reason(reason)
        policy = await _parsed(text)
        async with self._changing, _refusing_trouble():
            changes = await self._changes_to(policy)
            if not loosened(changes):
                await self._put_in_force(policy, text, by=name, reason=reason, how="tightened")
                return None
            await self._check_room(policy.version)
            await self._in_force.write_down(policy.version, text)
            return await self._keep(policy, self._proposal(policy, text, by=name, reason=reason))

    async def approve(self, *, digest: str, name: str, reason: str) -> Pending | None:
        """A second person agrees, and the proposal is in force: ``None``.

        Nobody stands for what was found in the settings' file. Who approves that first proposes it.
        Raises ``PolicyRefused``.
        """
        _check_reason(reason)
        async with self._changing, _refusing_trouble():
            pending = await self._pending_of(digest)
            proposal, policy = pending.proposal, pending.policy
            if policy.version == self.policy.version:
                raise PolicyRefused(f"{policy.version} is in force already")
            if pending.stale:
                raise PolicyRefused(
                    f"{digest} is stale: it was proposed against {proposal.base}, and {self.policy.version} is in force"
                    " now, so it may loosen more than anybody agreed to; propose it again"
                )
            if not proposal.by:
                return await self._keep(policy, replace(proposal, by=name, reason=reason, at=self._now()))
            if same_person(name, proposal.by):
                raise PolicyRefused(f"{proposal.by} proposed it: somebody else must approve")
            await self._put_in_force(policy, proposal.text, by=name, reason=reason, how=f"proposed by {proposal.by}")
            return None

    async def withdraw(self, *, digest: str, name: str, reason: str) -> None:
        """Take a proposal off the list: anybody may, it only keeps things as tight as they are. ``PolicyRefused``."""
        async with self._changing, _refusing_trouble():
            proposal = await self._proposal_of(digest)
            await self._record("policy.withdrawn", name, {"policy": digest, "by": proposal.by, "reason": reason})
            self._shelf.drop(digest)

    def pending(self) -> tuple[Pending, ...]:
        """What waits, oldest first. It may read long texts: ask in a thread. Raises ``OSError``."""
        return self._waiting.beside(self.policy)

    async def _find(self, policy: Policy, text: str) -> None:
        """The settings' file is looser than what is active: it waits like any other proposal."""
        await self._in_force.write_down(policy.version, text)
        self._in_force.looser_file = None  # What the disk does not take is told once; the next start finds it again.
        with keeping():
            waiting = await asyncio.to_thread(self._shelf.proposals)
            if len(waiting) >= PROPOSALS_MAX or policy.version in (each.digest for each in waiting):
                return
            log.warning("the policy file %s is looser than the active policy; it waits for approval", policy.version)
            await self._keep(policy, self._proposal(policy, text, by="", reason="the settings' file at start"))

    async def _tidy(self) -> None:
        """Drop what was compared with a policy that is not in force any more, or cannot be read by this version.

        What the disk does not let go stays, and is shown as stale.
        """
        try:
            current = {each.proposal.digest for each in await asyncio.to_thread(self.pending) if not each.stale}
            for proposal in await asyncio.to_thread(self._shelf.proposals):
                if proposal.digest in current:
                    continue
                if proposal.digest != self.policy.version:
                    await self._record("policy.superseded", GUARD, {"policy": proposal.digest, "by": proposal.by})
                self._shelf.drop(proposal.digest)
        except OSError as trouble:
            log.warning("a superseded policy cannot be removed: %s", trouble.strerror)

    def _proposal(self, policy: Policy, text: str, *, by: str, reason: str) -> Proposal:
        return Proposal(
            digest=policy.version, base=self.policy.version, text=text, by=by, reason=reason, at=self._now()
        )

    async def _keep(self, policy: Policy, proposal: Proposal) -> Pending:
        seen = await asyncio.to_thread(seen_beside, self.policy, proposal, policy)
        detail = {
            "policy": proposal.digest,
            "instead_of": proposal.base,
            "reason": proposal.reason,
            "due": plain(seen.due),
            **words_of(seen.changes),
        }
        await self._record("policy.proposed", proposal.by or GUARD, detail)
        self._shelf.keep(proposal)
        return seen

    async def _take_due(self) -> None:
        failed_at = self._not_kept_at
        if failed_at is not None and abs(self._now() - failed_at) < KEPT_AGAIN_AFTER:
            return
        for waiting in await asyncio.to_thread(self.pending):
            if waiting.due is None or waiting.due > self._now():
                continue
            policy, proposal = waiting.policy, waiting.proposal
            if not self._may(proposal.by, Role.RISK):
                self._say_waits(proposal)
                continue
            try:
                await self._put_in_force(policy, proposal.text, by=proposal.by, reason=proposal.reason, how="the delay")
            except NotKept as trouble:
                self._not_kept_at = self._now()
                log.warning("the policy %s is due and cannot be kept: %s", policy.version, trouble.strerror)
            return  # It has superseded the others.

    def _say_waits(self, proposal: Proposal) -> None:
        """Once: it may wait for weeks."""
        if proposal.digest not in self._said_to_wait:
            self._said_to_wait.add(proposal.digest)
            log.warning(
                "the policy %s is due and waits: %s, who proposed it, may not now", proposal.digest, proposal.by
            )

    async def _put_in_force(self, policy: Policy, text: str, *, by: str, reason: str, how: str) -> None:
        await self._in_force.write_down(policy.version, text)
        await self._in_force.replace(policy, text, by=by, reason=reason, how=how)
        await self._tidy()

    async def _check_room(self, digest: str) -> None:
        waiting = await asyncio.to_thread(self._shelf.proposals)
        earlier = next((each for each in waiting if each.digest == digest), None)
        if earlier is None and len(waiting) >= PROPOSALS_MAX:
            raise PolicyRefused(f"{PROPOSALS_MAX} proposals wait already; withdraw some")
        if earlier is not None and earlier.by and earlier.base == self.policy.version:
            raise PolicyRefused(f"{digest} was proposed by {earlier.by} already; it waits for approval")

    async def _pending_of(self, digest: str) -> Pending:
        for pending in await asyncio.to_thread(self.pending):
            if pending.proposal.digest == digest:
                return pending
        raise PolicyRefused("no such proposal waits")

    async def _proposal_of(self, digest: str) -> Proposal:
        for proposal in await asyncio.to_thread(self._shelf.proposals):
            if proposal.digest == digest:
                return proposal
        raise PolicyRefused("no such proposal waits")

    async def _changes_to(self, policy: Policy) -> tuple[Change, ...]:
        if policy.version == self.policy.version:
            raise PolicyRefused(f"{policy.version} is in force already")
        return await asyncio.to_thread(compare, self.policy, policy)


async def _parsed(text: str) -> Policy:
    try:
        return await asyncio.to_thread(parse_policy, text)
    except PolicyError as error:
        raise PolicyRefused(str(error), [problem.at("") for problem in error.problems]) from error


def _check_reason(reason: str) -> None:
    for objection in reason_objections(reason):
        raise PolicyRefused(objection)


@asynccontextmanager
async def _refusing_trouble() -> AsyncIterator[None]:
    """What cannot be written down first is not done."""
    try:
        yield
    except NotKept as trouble:
        raise PolicyRefused(f"the disk does not take the policy: {trouble.strerror}") from trouble
    except DeskTaken as taken:
        raise PolicyRefused(taken.said) from taken
    except STORE_TROUBLE as trouble:
        raise PolicyRefused(f"the store or the disk does not answer: {type(trouble).__name__}") from trouble
