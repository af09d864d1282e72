"""Every operation x every kind of caller: what is expected follows from its ``x-perpguard-role`` alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from proxy.console.openapi import document
from proxy.people.register import Register
from proxy.people.roles import Role
from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, HandClock, browse, sign_in
from tests.proxy.console.desk_double import DeskDouble
from tests.support.control_api import control_api
from tests.support.openapi import Described, operations_of
from tests.support.people import PASSWORD

OF_ROLE = {Role.VIEWER: "Vic", Role.TRADER: "Tess", Role.RISK: "Ben", Role.ADMIN: "Ada Lovelace"}
OTHER_ORIGIN = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
LET_IN = "let in"


@dataclass(frozen=True)
class Caller:
    """How somebody comes. ``role`` is what they may; ``stopped`` the code of what stops a change, or anything."""

    role: Role | None
    sender: str = "person"
    csrf: bool = True
    headers: Mapping[str, str] | None = None
    stopped: str = ""

    def expected(self, described: Described) -> str:
        """The code of the refusal, or that they are let in."""
        if self.role is None:
            return "UNAUTHENTICATED"
        if self.stopped and described.changes:
            return self.stopped
        return LET_IN if self.role.covers(Role(described.role)) else "ROLE"


CALLERS = {
    "nobody": Caller(None),
    "the machine's token": Caller(Role.ADMIN, "machine", headers=BEARER),
    "a wrong token": Caller(None, "machine", headers={"Authorization": BEARER["Authorization"] + "x"}),
    "two tokens": Caller(None, "machine", headers={"Authorization": BEARER["Authorization"] + ", Bearer x"}),
    **{role.value: Caller(role, headers=SAME_ORIGIN) for role in Role},
    **{
        f"{role} without the CSRF token": Caller(role, headers=SAME_ORIGIN, csrf=False, stopped="CSRF") for role in Role
    },
    **{f"{role} from another site": Caller(role, headers=OTHER_ORIGIN, stopped="CROSS_ORIGIN") for role in Role},
    **{f"{role} from nowhere": Caller(role, headers={}, stopped="CROSS_ORIGIN") for role in Role},
}


@pytest.fixture
def app(plane: DeskDouble, register: Register, tmp_path: Path, clock: HandClock) -> FastAPI:
    return control_api(plane, register, tmp_path, clock)


@pytest.fixture
async def browsers(app: FastAPI) -> AsyncIterator[Mapping[Role | None, tuple[httpx.AsyncClient, str]]]:
    """A browser of each role, signed in, with its CSRF token; one of nobody."""
    async with AsyncExitStack() as stack:
        found: dict[Role | None, tuple[httpx.AsyncClient, str]] = {
            None: (await stack.enter_async_context(browse(app)), "")
        }
        for role, name in OF_ROLE.items():
            client = await stack.enter_async_context(browse(app))
            found[role] = (client, await sign_in(client, name))
        yield found


async def come(described: Described, caller: Caller, client: httpx.AsyncClient, csrf: str) -> httpx.Response:
    body = described.body(caller.sender)
    if body is not None and "proof" in body:
        body = body | {"proof": PASSWORD}
    headers = dict(caller.headers or {}) | ({"X-CSRF-Token": csrf} if caller.csrf and csrf else {})
    return await client.request(described.method.upper(), described.url(), json=body, headers=headers)


def outcome(answer: httpx.Response) -> str:
    return LET_IN if answer.status_code < 400 else str(answer.json()["code"])


@pytest.mark.parametrize("kind", CALLERS)
async def test_the_role_that_is_described_is_the_role_that_is_asked_for(
    app: FastAPI, browsers: Mapping[Role | None, tuple[httpx.AsyncClient, str]], plane: DeskDouble, kind: str
) -> None:
    caller = CALLERS[kind]
    client, csrf = browsers[None if caller.sender == "machine" else caller.role]
    expected, seen = {}, {}
    for described in operations_of(document(app, cookie="perpguard_session")):
        if described.role == "public":
            continue
        before = traces(plane)
        answer = await come(described, caller, client, csrf)
        expected[described.name], seen[described.name] = caller.expected(described), outcome(answer)
        assert answer.status_code < 400 or traces(plane) == before, described.name
        assert str(answer.status_code) in described.operation["responses"], described.name
    assert seen == expected
    assert len(seen) > 20


async def test_who_asks_makes_no_difference_where_everybody_may(
    app: FastAPI, browsers: Mapping[Role | None, tuple[httpx.AsyncClient, str]]
) -> None:
    public = [each for each in operations_of(document(app, cookie="perpguard_session")) if each.role == "public"]
    assert {each.path for each in public} == {
        "/healthz",
        "/problems",
        "/problems/{code}",
        "/control/command",
        "/watchdog",
    }
    for described in public:
        answers = []
        for caller in CALLERS.values():
            answers.append(
                await come(described, caller, *browsers[None if caller.sender == "machine" else caller.role])
            )
        told = {(answer.status_code, answer.text) for answer in answers}
        assert len(told) == 1 or {answer.json()["code"] for answer in answers} == {"BAD_SIGNATURE", "TOO_MANY_ATTEMPTS"}


def traces(plane: DeskDouble) -> list[Any]:
    """Everything that was asked of the warden."""
    return [
        list(each)
        for each in (plane.kills, plane.reductions, plane.rearms, plane.policies, plane.overrides, plane.drilled)
    ]
