"""Who is signed in: a bounded table in this process's memory. A restart signs everybody out."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from proxy.people.roles import Role

IDLE_MAX: Final = timedelta(minutes=30)
AGE_MAX: Final = timedelta(hours=12)
SESSIONS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One signed-in person, of the role they have now. ``csrf`` must come back with everything that changes something.

    ``generation`` is that of the credentials they came in by: with others the session is over.
    """

    person: str
    role: Role
    generation: int
    csrf: str
    since: datetime
    seen: datetime


class Sessions:
    """Sessions by the digest of their id, so that neither a memory dump nor the lookup's timing tells an id."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()  # Least recently used first.

    def open(self, person: str, role: Role, generation: int) -> str:
        """A session under a fresh id, never one the browser proposed. When the table is full the idlest is dropped."""
        self._drop_expired()
        while len(self._sessions) >= SESSIONS_MAX:
            self._sessions.popitem(last=False)
        session_id = secrets.token_urlsafe(32)
        now = self._now()
        self._sessions[digest(session_id)] = Session(
            person=person, role=role, generation=generation, csrf=secrets.token_urlsafe(32), since=now, seen=now
        )
        return session_id

    def find(self, session_id: str, *, touch: bool) -> Session | None:
        """The live session of that id. ``touch`` says a person acted; a page that polls by itself does not count."""
        key = digest(session_id)
        session = self._sessions.get(key)
        if session is None:
            return None
        if not self._live(session):
            del self._sessions[key]
            return None
        if touch:
            session = self._sessions[key] = replace(session, seen=self._now())
            self._sessions.move_to_end(key)
        return session

    def close(self, session_id: str) -> None:
        """Sign out."""
        self._sessions.pop(digest(session_id), None)

    def __len__(self) -> int:
        return len(self._sessions)

    def _live(self, session: Session) -> bool:
        now = self._now()
        return session.since <= now < session.since + AGE_MAX and now < session.seen + IDLE_MAX

    def _drop_expired(self) -> None:
        for key in [key for key, session in self._sessions.items() if not self._live(session)]:
            del self._sessions[key]


def digest(secret: str) -> bytes:
    """What is kept and compared in the place of a token or of a session's id."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
