"""The policy in force: the warden's own copy, the file it starts from, and the store's document for the gates.

Another one comes in that order too, and only after the audit has its text and who brought it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from proxy.policy.comparing import Change, Direction, compare, loosened
from proxy.policy.edits import Edit, Edits
from proxy.policy.problems import PolicyError
from proxy.policy.reading import read_policy
from proxy.policy.shelf import Shelf
from proxy.store.client import STORE_TROUBLE
from rules.policy import Policy

log = logging.getLogger("perpguard.policy")

GUARD: Final = "warden"
_AT_START: Final = "the settings' file at start"
_NOT_KEPT: Final = "the disk does not take the settings' file"


class Store(Protocol):
    """Where gates find the policy."""

    async def publish_policy(self, version: str, text: str) -> None:
        """Make this the policy of every gate. Raises what the store client raises."""
        ...

    async def policy_version(self) -> str | None:
        """The version the gates have. Raises what the store client raises."""
        ...


class Scribe(Protocol):
    """Where each step is written down first."""

    async def document(self, name: str, version: str, content: Any) -> None:
        """A text that decisions name. Raises what the store client raises."""
        ...

    async def event(self, what: str, by: str, detail: dict[str, Any]) -> None:
        """What somebody did. Never raises for trouble outside."""
        ...


class NotKept(OSError):
    """The disk does not take a policy's text: what was in force still is."""


@contextmanager
def keeping() -> Iterator[None]:
    """Something is put on the policy's shelf. Raises ``NotKept`` where the disk does not take it."""
    try:
        yield
    except OSError as trouble:
        raise NotKept(trouble.errno, trouble.strerror) from trouble


class InForce:
    """What is in force. ``looser_file`` is the settings' file where, at start, it was looser than what was active."""

    def __init__(self, *, shelf: Shelf, settings_file: Path, store: Store, scribe: Scribe) -> None:
        """Raises ``PolicyError`` when there is no policy to begin with, or the active one cannot be read."""
        self._shelf = shelf
        self._store = store
        self._scribe = scribe
        self._adopted = False
        self._active: tuple[Policy, str] | None = None
        self._told: tuple[str, str, str] | None = None
        self._begun_with: str | None = None
        self._edits = Edits(shelf)
        self._edit_at_start: tuple[Edit, str] | None = None
        self.policy: Policy
        self.looser_file: tuple[Policy, str] | None = None
        self._choose(settings_file)

    @property
    def text(self) -> str:
        """The text of what is in force."""
        return self._text

    def _choose(self, settings_file: Path) -> None:
        """Decide what is in force at start; it is adopted in ``begin``, when that can be audited."""
        put_there = self._shelf.activated()
        if not self._shelf.active_path.exists():
            self.policy, self._text = read_policy(settings_file)
            if put_there:
                self._edit_at_start = Edit(policy="", instead_of=put_there), ""
            return
        self._active = self.policy, self._text = read_policy(self._shelf.active_path)
        self._adopted = True
        if self.policy.version != put_there:
            self._edit_at_start = Edit(policy=self.policy.version, instead_of=put_there), self._text
        try:
            policy, text = read_policy(settings_file)
        except PolicyError as error:
            # A file that somebody is editing must not take away a guard that runs on what was active before.
            log.error("the policy file is wrong, the active policy stays: %s", error)
            return
        if loosened(compare(self.policy, policy)):
            self.looser_file = policy, text
        elif policy.version != self.policy.version:
            self.policy, self._text, self._adopted = policy, text, False

    async def begin(self) -> None:
        """Write down what is in force. Raises what the store client raises, or ``NotKept``; then it is called again.

        Where the disk does not take the settings' file, what was active is in force from then on, if there was any.
        The text is written down once, however often that takes.
        """
        if self._begun_with != self.policy.version:
            await self.write_down(self.policy.version, self._text)
            self._begun_with = self.policy.version
        await self._tell_edit_at_start()
        if self._adopted:
            return
        step = self.policy.version, GUARD, _AT_START
        try:
            await self._activate(self._text, step, {"policy": self.policy.version, "how": _AT_START})
        except NotKept:
            if self._active is not None:
                (self.policy, self._text), self._adopted, self._told = self._active, True, None
                await self._scribe.event("policy.in_force", GUARD, {"policy": self.policy.version, "how": _NOT_KEPT})
            raise
        self._adopted = True

    async def _activate(self, text: str, step: tuple[str, str, str], detail: dict[str, Any]) -> None:
        """The event, then the file. Raises ``NotKept``; the next attempt then needs no other event."""
        if step != self._told:
            await self._scribe.event("policy.in_force", step[1], detail)
            self._told = step
        with keeping():
            self._shelf.activate(text)
        self._told = None

    async def _tell_edit_at_start(self) -> None:
        """What is active is not what was made active: it is taken, as the file of a person who may write there."""
        if self._edit_at_start is None:
            return
        edit, text = self._edit_at_start
        if text:
            await self.write_down(edit.policy, text)
        await self._tell(edit, "at start")
        self._edit_at_start = None
        if text:
            with keeping():
                self._shelf.vouch(edit.policy)

    async def notice_edit(self) -> None:
        """Tell, once, that somebody else changed the active policy's file. What is in force stays in force."""
        edit = await asyncio.to_thread(self._edits.since, self.policy.version)
        if edit is not None:
            await self._tell(edit, "while running")

    async def _tell(self, edit: Edit, when: str) -> None:
        found, put_there = edit.policy or "nothing", edit.instead_of or "nothing"
        log.warning("the active policy is not what the guard put there, found %s: %s, not %s", when, found, put_there)
        detail = {"policy": edit.policy, "instead_of": edit.instead_of, "how": f"found {when}"}
        await self._scribe.event("policy.edited", GUARD, detail)

    async def write_down(self, digest: str, text: str) -> None:
        """Put a policy's text in the audit. Raises what the store client raises."""
        await self._scribe.document(f"policy:{digest}", digest, {"text": text})

    async def replace(self, policy: Policy, text: str, *, by: str, reason: str, how: str) -> None:
        """The event, then the file, then the gates. Raises ``NotKept``; the next attempt then needs no other event."""
        detail = {"policy": policy.version, "instead_of": self.policy.version, "reason": reason, "how": how}
        changes = words_of(compare(self.policy, policy))
        await self._activate(text, (policy.version, by, how), detail | changes)
        self.policy, self._text = policy, text
        log.warning("policy %s is in force: %s, %s", policy.version, by, how)
        try:
            await self.publish()
        except STORE_TROUBLE as trouble:
            # Gates that cannot ask the store refuse entries; ``publish_again`` tells it as soon as it answers.
            log.warning("the policy cannot be published: %s", type(trouble).__name__)

    async def publish(self) -> None:
        """Tell the gates what is in force. Raises what the store client raises."""
        await self._store.publish_policy(self.policy.version, self._text)

    async def publish_again(self) -> None:
        """Tell them if they have another policy, or none. Raises what the store client raises."""
        if await self._store.policy_version() != self.policy.version:
            await self.publish()
            log.warning("the store had another policy or none; %s is published again", self.policy.version)


def words_of(changes: tuple[Change, ...]) -> dict[str, list[str]]:
    """The changes as the audit keeps them."""
    return {way.value: [str(change) for change in changes if change.direction is way] for way in Direction}
