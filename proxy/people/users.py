"""A desk's people, and the links by which they come in: values, and what may become of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from proxy.people.names import bare
from proxy.people.roles import Role
from proxy.settings import CodesFor

LINK_LIFE: Final = timedelta(hours=24)
USERS_MAX: Final = 256
LINKS_MAX: Final = 64


class UserState(StrEnum):
    """``invited`` has a link and no password yet, ``disabled`` has no way in."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One person. The name is who it is in the audit: it never changes and is never given to another.

    ``password`` is an argon2id hash, empty until it is set; ``code_secret`` the authenticator app's, empty without one;
    ``code_step`` the last step whose code was used. A session of another ``generation`` is over.
    """

    name: str
    role: Role
    since: datetime
    disabled: bool = False
    password: str = field(default="", repr=False)
    code_secret: str = field(default="", repr=False)
    code_step: int = 0
    generation: int = 0

    @property
    def state(self) -> UserState:
        """Whether this person can sign in, and why not."""
        if self.disabled:
            return UserState.DISABLED
        return UserState.ACTIVE if self.password else UserState.INVITED

    @property
    def has_code(self) -> bool:
        """Whether an authenticator app is set up."""
        return bool(self.code_secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way in, once. Only its token's ``digest`` is kept. ``name`` is whose it is; empty for the first admin's."""

    digest: str
    name: str
    by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of somebody, for the audit. ``detail`` holds no secret."""

    at: datetime
    what: str
    by: str
    detail: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """All of them. ``changes`` are those that the audit does not hold yet."""

    users: tuple[User, ...] = ()
    links: tuple[Link, ...] = ()
    changes: tuple[Change, ...] = ()

    def find(self, name: str) -> User | None:
        """The person of that name, however it is spelled."""
        wanted = bare(name)
        return next((user for user in self.users if bare(user.name) == wanted), None)

    def link(self, token: str, now: datetime) -> Link | None:
        """The link of that token, while it is good."""
        wanted = digest_of(token)
        return next((link for link in self.links if link.digest == wanted and now < link.expires_at), None)

    @property
    def admins(self) -> tuple[User, ...]:
        """Who can look after people."""
        return tuple(user for user in self.users if user.role is Role.ADMIN and user.state is UserState.ACTIVE)


def needs_code(role: Role, *, codes: CodesFor) -> bool:
    """Whether a person of this role signs in with a code besides the password."""
    match codes:
        case CodesFor.NONE:
            return False
        case CodesFor.RISK:
            return role.covers(Role.RISK)
        case CodesFor.ALL:
            return True
        case _:
            assert_never(codes)


def digest_of(token: str) -> str:
    """What is kept of a link's token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
