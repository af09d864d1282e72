"""The people as a running process knows them: read again when the file changes, changed under its lock.

What touches passwords or the disk takes tens of milliseconds: call it from a thread. ``people`` alone is for the event
loop.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from proxy.disk import FileIdentity
from proxy.people import changes
from proxy.people.changes import ChangeRefused, Joining
from proxy.people.codes import is_code, step_of
from proxy.people.file import PeopleBusy, PeopleFile, PeopleUnreadable
from proxy.people.passwords import Passwords
from proxy.people.roles import Role
from proxy.people.users import Change, Link, People, User, UserState, digest_of, needs_code
from proxy.settings import CodesFor

log = logging.getLogger("perpguard.people")

_UNREAD: Final = object()


class CodeMissing(Exception):
    """The password is right, and this person needs an authenticator app and has none."""


class Register:
    """One desk's people. ``codes`` says who needs an authenticator app."""

    def __init__(
        self,
        data_dir: Path,
        *,
        now: Callable[[], datetime],
        codes: CodesFor = CodesFor.RISK,
        passwords: Passwords | None = None,
    ) -> None:
        self._file = PeopleFile(data_dir)
        self._now = now
        self._codes_for = codes
        self._passwords = Passwords() if passwords is None else passwords
        self._people = People()
        self._identity: FileIdentity | object | None = _UNREAD
        self._steps: dict[str, int] = {}
        self._using = threading.Lock()
        self.trouble = ""
        """Why the file cannot be believed; empty while it can. The people of before stay."""

    @property
    def people(self) -> People:
        """Everybody, as the file has them now: one ``stat`` when nothing changed."""
        try:
            identity = self._file.identity()
            if identity != self._identity or self.trouble:
                if identity is None and self._identity not in (_UNREAD, None):
                    raise PeopleUnreadable(f"{self._file.path} is gone")
                self._people, self._identity = self._file.read(), identity
            self.trouble = ""
        except PeopleUnreadable as unreadable:
            if str(unreadable) != self.trouble:
                log.error("the file of people cannot be believed; changes to it are not seen: %s", unreadable)
            self.trouble = str(unreadable)
        return self._people

    def link(self, token: str) -> Link | None:
        """The link of that token, while it is good."""
        return self.people.link(token, self._now())

    def may(self, name: str, role: Role) -> bool:
        """Whether what somebody of this name asked for may still happen: not when they are known and may not now.

        A machine with the token may use a name that nobody has. While the file cannot be believed nobody knows which.
        """
        user = self.people.find(name)
        if user is None:
            return not self.trouble
        return user.state is UserState.ACTIVE and user.role.covers(role)

    def needs_code(self, role: Role) -> bool:
        """Whether people of this role sign in with a code besides the password."""
        return needs_code(role, codes=self._codes_for)

    def proved(self, name: str, password: str, code: str) -> User | None:
        """Who this is; ``None`` when anything is wrong, after the same work. Raises ``CodeMissing``."""
        user = self.people.find(name)
        if user is not None and user.state is not UserState.ACTIVE:
            user = None
        right = self._passwords.verify(user.password if user is not None else "", password)
        if user is None or not right:
            return None
        if user.has_code and not self._use_code(user, code):
            return None
        if not user.has_code and self.needs_code(user.role):
            raise CodeMissing
        if self._passwords.outdated(user.password):
            self._rehash(user, password)
        return user

    def proved_again(self, name: str, proof: str) -> bool:
        """Whether ``proof`` is this person's password, or a code of theirs that was not used yet."""
        user = self.people.find(name)
        if user is None or user.state is not UserState.ACTIVE:
            return False
        if user.has_code and is_code(proof):
            return self._use_code(user, proof)
        return self._passwords.verify(user.password, proof)

    def invite(self, name: str, role: Role, *, by: str) -> str:
        """The token of a new person's link. Raises ``ChangeRefused``, as all changes do, and what the file raises."""
        token = secrets.token_urlsafe(32)
        self._change(
            lambda people: changes.with_invited(people, name, role, digest=digest_of(token), by=by, now=self._now())
        )
        return token

    def reset(self, name: str, *, by: str) -> str:
        """The token of a link by which this person sets password and code anew."""
        token = secrets.token_urlsafe(32)
        self._change(lambda people: changes.with_reset(people, name, digest=digest_of(token), by=by, now=self._now()))
        return token

    def set_role(self, name: str, role: Role, *, by: str) -> None:
        """Another role."""
        self._change(
            lambda people: changes.with_role(people, name, role, codes=self._codes_for, by=by, now=self._now())
        )

    def set_disabled(self, name: str, *, disabled: bool, by: str) -> None:
        """Close or open somebody's way in."""
        if disabled:
            self._change(
                lambda people: changes.with_disabled(people, name, codes=self._codes_for, by=by, now=self._now())
            )
        else:
            self._change(lambda people: changes.with_enabled(people, name, by=by, now=self._now()))

    def join(self, link: Link, *, name: str, password: str, code_secret: str, code: str) -> User:
        """Whoever followed a link, in. Without a ``code`` there will be no authenticator app.

        Raises ``PasswordRefused`` and ``ChangeRefused``.
        """
        people = self.people
        invited = people.find(link.name) if link.name else None
        role = Role.ADMIN if invited is None else invited.role
        named = changes.checked_name(people, name) if invited is None else invited.name
        step = self._checked_step(code_secret, code) if code or self.needs_code(role) else 0
        joining = Joining(
            name=named,
            password=self._passwords.hash(password, named),
            code_secret=code_secret if step else "",
            code_step=step,
        )
        joined = self._change(
            lambda people: changes.with_joined(people, link, joining, codes=self._codes_for, now=self._now())
        ).find(named)
        if joined is None:
            raise ChangeRefused("this link is used, or void")
        return joined

    def set_password(self, name: str, password: str) -> None:
        """Another password. Raises ``PasswordRefused`` and ``ChangeRefused``."""
        kept = self._passwords.hash(password, name)
        self._change(lambda people: changes.with_password(people, name, kept, now=self._now()))

    def set_code(self, name: str, secret: str, code: str) -> None:
        """Another authenticator app, which shows ``code`` now."""
        step = self._checked_step(secret, code)
        self._change(lambda people: changes.with_code(people, name, secret, step, now=self._now()))

    def take_changes(self, told: tuple[Change, ...]) -> None:
        """These changes are in the audit; forget them."""
        self._change(lambda people: changes.without_changes(people, told))

    def _checked_step(self, secret: str, code: str) -> int:
        step = step_of(secret, code, self._now())
        if step is None:
            raise ChangeRefused("that is not the code the app shows now; check that its clock is right")
        return step

    def _use_code(self, user: User, code: str) -> bool:
        step = step_of(user.code_secret, code, self._now())
        if step is None:
            return False
        with self._using:  # Two that bring the same code at once are one too many, on a full disk too.
            if step <= max(user.code_step, self._steps.get(user.name, 0)):
                return False
            try:
                self._change(lambda people: changes.with_code_used(people, user.name, step))
            except ChangeRefused:
                return False
            except (OSError, PeopleBusy, PeopleUnreadable) as trouble:
                # A full disk must not keep the person out who wants to stop trading.
                log.error("a used code cannot be kept on disk, it is remembered until the restart: %s", trouble)
            self._steps[user.name] = step
        return True

    def _rehash(self, user: User, password: str) -> None:
        again = self._passwords.again(password)
        try:
            self._change(lambda people: changes.with_rehashed(people, user.name, before=user.password, password=again))
        except (OSError, PeopleBusy, PeopleUnreadable, ChangeRefused) as trouble:
            log.warning("a password's hash cannot be renewed, the old one stays: %s", trouble)

    def _change(self, change: Callable[[People], People]) -> People:
        if isinstance(self._identity, FileIdentity) and self._file.identity() is None:
            raise PeopleUnreadable(f"{self._file.path} is gone")  # Writing now would make a desk without its people.
        self._file.change(change)
        return self.people
