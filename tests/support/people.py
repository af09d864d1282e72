"""People who can sign in, without the seconds a real password takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import pyotp
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr

from proxy.clock import utc_now
from proxy.console.app import create_console
from proxy.people.changes import with_invited
from proxy.people.file import PeopleFile
from proxy.people.passwords import Passwords
from proxy.people.register import Register
from proxy.people.roles import Role
from proxy.people.users import People, User, digest_of
from proxy.practice.world import World
from proxy.settings import CodesFor
from tests.proxy.console.desk_double import TOKEN, DeskDouble

PASSWORD: Final = "correct horse battery"
QUICK: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""For tests alone: a real hash is slow on purpose."""
_HASH: Final = QUICK.hash(PASSWORD)
SINCE: Final = datetime(2026, 11, 1, tzinfo=UTC)

DESK: Final = {
    "Ada Lovelace": Role.ADMIN,
    "Ada": Role.RISK,
    "Ann": Role.RISK,
    "Ben": Role.RISK,
    "Cleo": Role.TRADER,
    "Tess": Role.TRADER,
    "Vic": Role.VIEWER,
}
"""Who is on the desk in the console's tests."""


def a_user(name: str = "Ada Lovelace", role: Role = Role.ADMIN, *, code_secret: str = "") -> User:
    """Somebody who can sign in with ``PASSWORD``."""
    return User(name=name, role=role, since=SINCE, password=_HASH, code_secret=code_secret)


def write_people(data_dir: Path, desk: Mapping[str, Role] = DESK) -> None:
    """Put these people in the file of a data directory."""
    file = PeopleFile(data_dir)
    users = tuple(a_user(name, role) for name, role in desk.items())
    file.change(lambda people: People(users=users))


def a_register(data_dir: Path, now: Callable[[], datetime], codes: CodesFor = CodesFor.NONE) -> Register:
    """The people of a data directory, with quick passwords; nobody needs a code unless it is said."""
    return Register(data_dir, now=now, codes=codes, passwords=Passwords(QUICK))


def link_token(world: World) -> str:
    """The token of the link that the guard printed at its start; the guard asks for nothing else of the first admin."""
    found = re.search(r"/welcome/(\S+)", world.way_in)
    assert found is not None, world.way_in
    return found[1]


def a_console(plane: DeskDouble, data_dir: Path) -> FastAPI:
    """The console over a desk that a test makes up, with ``DESK`` as its people."""
    write_people(data_dir)
    return create_console(plane, plane, token=SecretStr(TOKEN), people=a_register(data_dir, utc_now))


def person_at(world: World, name: str, role: Role = Role.ADMIN) -> str:
    """Somebody who can sign in at a running guard, by a link of its own; their password."""
    token = f"a token for {name}"
    if not PeopleFile(world.data_dir).read().users:
        assert role is Role.ADMIN, "the first one in is the admin"
        token = link_token(world)
    else:
        PeopleFile(world.data_dir).change(
            lambda people: with_invited(people, name, role, digest=digest_of(token), by="a test", now=datetime.now(UTC))
        )
    base = world.places.console.rstrip("/")
    follow(base, token, name)
    return PASSWORD


def follow(base: str, token: str, name: str) -> None:
    """Go in by a link and set a password, and an app where one is needed."""
    with httpx.Client(base_url=base, trust_env=False, timeout=30) as browser:
        page = browser.get(f"/welcome/{token}")
        assert page.status_code == 200, page.text
        code = ""
        if "(optional)" not in page.text:
            code = code_of(page.text)
        answer = browser.post(
            f"/welcome/{token}",
            data={"name": name, "password": PASSWORD, "again": PASSWORD, "code": code},
            headers={"origin": base, "sec-fetch-site": "same-origin"},
        )
        assert answer.status_code == 303, answer.text


def secret_of(page: str) -> str:
    """The authenticator app's secret, as a page shows it."""
    found = re.search(r'class="secret">([A-Z2-7]+)<', page)
    assert found is not None
    return found[1]


def code_of(page: str, at: datetime | None = None) -> str:
    """The code an app shows that has read a page's picture."""
    return pyotp.TOTP(secret_of(page)).at(at or datetime.now(UTC))
