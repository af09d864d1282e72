"""What the warden does for people: it sees that their file changed, and tells the audit who came in and what became
of whom. Neither waits for the audit, so that a slow one never keeps anybody from the button."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from proxy.people.changes import ChangeRefused
from proxy.people.file import PeopleBusy, PeopleUnreadable
from proxy.people.register import Register
from proxy.people.users import Change
from proxy.store.codec import plain

log = logging.getLogger("perpguard.people")

EVERY_S: Final = 0.5
AGAIN_AFTER: Final = timedelta(seconds=5)
"""What the audit did not take is told again then: sooner, it would stand in the way of a kill's own events."""

VISITS_MAX: Final = 1000
FAILURES_MAX: Final = 60
FAILURES_WINDOW: Final = timedelta(minutes=5)

Event = Callable[[str, str, dict[str, Any]], Awaitable[bool]]
"""Tells the audit; whether it has it now. Never raises for trouble outside."""


class PeopleDesk:
    """Hears of visits at the door, and goes on with ``run``."""

    def __init__(self, register: Register, event: Event, now: Callable[[], datetime]) -> None:
        self._register = register
        self._event = event
        self._now = now
        self._visits: deque[tuple[str, str, dict[str, Any]]] = deque()
        self._failures_since = now()
        self._failures = 0
        self._unsaid = 0
        self._visits_not_before = now()
        self._changes_not_before = now()

    def note(self, what: str, by: str, detail: dict[str, str]) -> None:
        """Somebody signed in, out, or failed to. What is too much is counted: guessers do not fill the audit."""
        if what.endswith(".failed") and not self._room_for_failure():
            self._unsaid += 1
            return
        if len(self._visits) >= VISITS_MAX:
            self._unsaid += 1
            return
        self._visits.append((what, by, dict(detail)))

    async def run(self) -> None:
        """For ever: tell the audit."""
        while True:
            await self._tell_visits()
            try:
                await self._tell_changes()
            except (OSError, PeopleBusy, PeopleUnreadable, ChangeRefused) as trouble:
                log.error("what became of people stays to be told to the audit: %s", trouble)
            await asyncio.sleep(EVERY_S)

    async def _tell_visits(self) -> None:
        """In their order; one that the audit did not take stays the first, and is told again."""
        if self._now() < self._visits_not_before:
            return
        while self._visits:
            if not await self._event(*self._visits[0]):
                self._visits_not_before = self._now() + AGAIN_AFTER
                return
            self._visits.popleft()
        if self._unsaid and self._now() - self._failures_since >= FAILURES_WINDOW:
            unsaid, self._unsaid = self._unsaid, 0
            await self._event("signin.unsaid", "warden", {"count": unsaid})

    async def _tell_changes(self) -> None:
        """Told first and forgotten then: after a crash between the two a change is told twice, never not at all."""
        changes = self._register.people.changes
        if not changes or self._now() < self._changes_not_before:
            return
        self._changes_not_before = self._now() + AGAIN_AFTER
        told = await self._told(changes)
        if told and not self._register.trouble:
            await asyncio.to_thread(self._register.take_changes, told)
            if told == changes:
                self._changes_not_before = self._now()

    async def _told(self, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        """Those of ``changes`` that the audit has now: in their order, up to the first that it did not take."""
        for place, change in enumerate(changes):
            if not await self._event(change.what, change.by, {**change.detail, "at": plain(change.at)}):
                return changes[:place]
        return changes

    def _room_for_failure(self) -> bool:
        if self._now() - self._failures_since >= FAILURES_WINDOW:
            self._failures_since, self._failures = self._now(), 0
        self._failures += 1
        return self._failures <= FAILURES_MAX
