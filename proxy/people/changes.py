"""What can become of the people: everybody before, everybody after, and what the audit is told of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from proxy.people.names import bare, same_person
from proxy.people.roles import Role
from proxy.people.users import LINK_LIFE, LINKS_MAX, USERS_MAX, Change, Link, People, User, needs_code
from proxy.settings import CodesFor

NAME_LENGTH_MIN: Final = 2
NAME_LENGTH_MAX: Final = 64
CHANGES_MAX: Final = 1000
"""What a warden that has not run for long may find; the oldest are forgotten first."""


class ChangeRefused(Exception):
    """The change was understood and refused; the text is for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """What somebody who follows a link has set. ``password`` is a hash; ``code_secret`` is empty without a code."""

    name: str
    password: str
    code_secret: str
    code_step: int


def with_first_link(people: People, digest: str, now: datetime) -> People:
    """A link for whoever is to be the first admin, in place of those of earlier starts."""
    if people.admins:
        raise ChangeRefused("there is an admin; ask them for a link")
    kept = tuple(link for link in people.links if link.name)
    link = Link(digest=digest, name="", by="first start", expires_at=now + LINK_LIFE)
    return replace(people, links=(*kept, link))


def with_invited(people: People, name: str, role: Role, *, digest: str, by: str, now: datetime) -> People:
    """A new person and the link by which they come in."""
    checked = checked_name(people, name)
    if len(people.users) >= USERS_MAX:
        raise ChangeRefused(f"there are {USERS_MAX} people, which is the most")
    invited = replace(people, users=(*people.users, User(name=checked, role=role, since=now)))
    linked = _with_link(invited, checked, digest=digest, by=by, now=now)
    return _noted(linked, "people.invited", by, now, user=checked, role=role)


def with_role(people: People, name: str, role: Role, *, codes: CodesFor, by: str, now: datetime) -> People:
    """Another role, from the person's next request on."""
    user = _found(people, name)
    if user.password and needs_code(role, codes=codes) and not user.has_code:
        raise ChangeRefused(f"{user.name} has no authenticator app, which this role needs; they set one up first")
    changed = _with_user(people, replace(user, role=role))
    _keep_an_admin(people, changed, codes)
    return _noted(changed, "people.role", by, now, user=user.name, role=role, before=user.role)


def with_disabled(people: People, name: str, *, codes: CodesFor, by: str, now: datetime) -> People:
    """No way in any more: sessions end, links are void."""
    user = _found(people, name)
    changed = _with_user(people, replace(user, disabled=True, generation=user.generation + 1))
    _keep_an_admin(people, changed, codes)
    return _noted(_without_links(changed, user.name), "people.disabled", by, now, user=user.name)


def with_enabled(people: People, name: str, *, by: str, now: datetime) -> People:
    """The way in of before, password and all."""
    user = _found(people, name)
    return _noted(_with_user(people, replace(user, disabled=False)), "people.enabled", by, now, user=user.name)


def with_reset(people: People, name: str, *, digest: str, by: str, now: datetime) -> People:
    """Password and authenticator app forgotten, sessions ended; a link to set both anew."""
    user = _found(people, name)
    if user.disabled:
        raise ChangeRefused(f"{user.name} is disabled; enable them first")
    fresh = replace(user, password="", code_secret="", code_step=0, generation=user.generation + 1)
    linked = _with_link(_with_user(people, fresh), user.name, digest=digest, by=by, now=now)
    return _noted(linked, "people.reset", by, now, user=user.name)


def with_joined(people: People, link: Link, joining: Joining, *, codes: CodesFor, now: datetime) -> People:
    """Whoever followed the link is in, and the link is used up; once there is an admin, so is the first admin's.

    The role is the one they have by now: while they chose a password it may have become one that needs an app.
    """
    if link not in people.links:
        raise ChangeRefused("this link is used, or void")
    if link.name:
        user = _found(people, link.name)
    elif people.admins:
        raise ChangeRefused("there is an admin; ask them for a link")
    else:
        user = User(name=checked_name(people, joining.name), role=Role.ADMIN, since=now)
        people = replace(people, users=(*people.users, user))
    if needs_code(user.role, codes=codes) and not joining.code_secret:
        raise ChangeRefused(f"the role {user.role} needs an authenticator app; set one up and type the code it shows")
    set_up = replace(
        user,
        password=joining.password,
        code_secret=joining.code_secret,
        code_step=joining.code_step,
        generation=user.generation + 1,
    )
    joined = _without_links(_with_user(people, set_up), user.name)
    left = tuple(each for each in joined.links if each != link and (each.name or not joined.admins))
    detail = {"user": user.name, "role": user.role, "invited_by": link.by}
    return _noted(replace(joined, links=left), "people.joined", user.name, now, **detail)


def with_password(people: People, name: str, password: str, *, now: datetime) -> People:
    """Another password; every session of before is over."""
    user = _found(people, name)
    changed = replace(user, password=password, generation=user.generation + 1)
    return _noted(_with_user(people, changed), "people.password", user.name, now, user=user.name)


def with_code(people: People, name: str, secret: str, step: int, *, now: datetime) -> People:
    """Another authenticator app; every session of before is over."""
    user = _found(people, name)
    changed = replace(user, code_secret=secret, code_step=step, generation=user.generation + 1)
    return _noted(_with_user(people, changed), "people.code", user.name, now, user=user.name)


def with_rehashed(people: People, name: str, *, before: str, password: str) -> People:
    """The same password under newer parameters, unless another was set meanwhile."""
    user = _found(people, name)
    return _with_user(people, replace(user, password=password)) if user.password == before else people


def with_code_used(people: People, name: str, step: int) -> People:
    """A code is used up, and those before it. Raises ``ChangeRefused`` when it was."""
    user = _found(people, name)
    if step <= user.code_step:
        raise ChangeRefused("this code was used")
    return _with_user(people, replace(user, code_step=step))


def without_changes(people: People, told: tuple[Change, ...]) -> People:
    """The audit holds these."""
    return replace(people, changes=tuple(each for each in people.changes if each not in told))


def checked_name(people: People, name: str) -> str:
    """A name for somebody new: unlike everybody else's, the disabled included."""
    checked = " ".join(name.split())
    if not NAME_LENGTH_MIN <= len(checked) <= NAME_LENGTH_MAX or not checked.isprintable():
        raise ChangeRefused(f"a name has {NAME_LENGTH_MIN} to {NAME_LENGTH_MAX} characters on one line")
    if len(bare(checked)) < NAME_LENGTH_MIN:
        raise ChangeRefused(f"a name has at least {NAME_LENGTH_MIN} letters or digits")
    for user in people.users:
        if same_person(user.name, checked):
            raise ChangeRefused(f"that is {user.name}, or reads like it; two people need two names")
    return checked


def _found(people: People, name: str) -> User:
    user = people.find(name)
    if user is None:
        raise ChangeRefused("there is nobody of that name")
    return user


def _with_user(people: People, changed: User) -> People:
    return replace(people, users=tuple(changed if each.name == changed.name else each for each in people.users))


def _with_link(people: People, name: str, *, digest: str, by: str, now: datetime) -> People:
    good = tuple(each for each in _without_links(people, name).links if now < each.expires_at)
    if len(good) >= LINKS_MAX:
        raise ChangeRefused(f"{LINKS_MAX} links wait to be used, which is the most")
    return replace(people, links=(*good, Link(digest=digest, name=name, by=by, expires_at=now + LINK_LIFE)))


def _without_links(people: People, name: str) -> People:
    return replace(people, links=tuple(each for each in people.links if each.name != name))


def _keep_an_admin(before: People, after: People, codes: CodesFor) -> None:
    without_last = before.admins and not after.admins
    if without_last or (_able_admins(before, codes) and not _able_admins(after, codes)):
        raise ChangeRefused("that is the last admin; make somebody else admin first")


def _able_admins(people: People, codes: CodesFor) -> list[User]:
    """Admins who can sign in: where the role needs an app, not those without one."""
    return [admin for admin in people.admins if admin.has_code or not needs_code(Role.ADMIN, codes=codes)]


def _noted(people: People, what: str, by: str, now: datetime, **detail: str) -> People:
    change = Change(at=now, what=what, by=by, detail={name: str(text) for name, text in detail.items()})
    return replace(people, changes=(*people.changes, change)[-CHANGES_MAX:])
