"""Every role x every route: what each declares is what it asks for, before anything else happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from proxy.console.routing import PUBLIC, ROLE_KEY
from proxy.people.register import Register
from proxy.people.roles import Role
from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, browse, sign_in
from tests.proxy.console.desk_double import DeskDouble
from tests.proxy.console.test_door import DOORS, Door, knock, turned_away
from tests.support.people import write_people

OF_ROLE = {Role.VIEWER: "Vic", Role.TRADER: "Tess", Role.RISK: "Ben", Role.ADMIN: "Ada Lovelace"}
TRADERS = {
    "/control/kill",
    "/control/reduce",
    "/console/kill/typed",
    "/console/reduce",
    "/console/kill",
    "/control/drill",
    "/console/drill",
    "/console/audit/verify",
    "/control/overrides",
}
EVERYBODY = {
    "/healthz",
    "/problems",
    "/problems/{code}",
    "/static/{name}",
    "/sign-in",
    "/welcome/{token}",
    "/alerts/ack/{token}",
}


def declared(app: FastAPI) -> dict[tuple[str, str], str]:
    """What each route says of itself."""
    found: dict[tuple[str, str], str] = {}
    pending: list[Any] = list(app.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute):
            found |= {(method, route.path): str((route.openapi_extra or {}).get(ROLE_KEY)) for method in route.methods}
        else:
            pending += getattr(getattr(route, "original_router", route), "routes", [])
    return found


def test_every_route_declares_who_may_use_it(app: FastAPI) -> None:
    roles = declared(app)
    assert set(roles) == set(DOORS)
    assert set(roles.values()) <= {PUBLIC, *Role}
    assert {path for (_, path), role in roles.items() if role == PUBLIC} == EVERYBODY


def test_looking_takes_a_viewer_acting_more_and_people_an_admin(app: FastAPI) -> None:
    for (method, path), role in declared(app).items():
        if role == PUBLIC or "/account" in path or path == "/sign-out":
            continue
        if path == "/people" or path.startswith("/console/people") or "/keys" in path:
            assert role == Role.ADMIN, path
        elif method == "GET" or path.endswith("/what-if"):  # It is judged, and nothing is sent.
            assert role == Role.VIEWER, path
        elif path in TRADERS or path.endswith(("/withdraw", "/acknowledge")):
            assert role in (Role.TRADER, Role.RISK), path
        else:
            assert role == Role.RISK, path


def guarded(app: FastAPI) -> list[tuple[str, Door, Role]]:
    return [(key[0], DOORS[key], Role(role)) for key, role in declared(app).items() if role != PUBLIC]


@pytest.fixture
async def nothing_happened(plane: DeskDouble, register: Register) -> Any:
    before = register.people
    yield
    assert register.people == before
    assert (
        plane.kills == plane.rearms == plane.policies == plane.overrides == plane.drilled == plane.keys.switched == []
    )


async def test_nobody_is_let_in_anywhere(app: FastAPI, client: httpx.AsyncClient, nothing_happened: None) -> None:
    for method, door, _ in guarded(app):
        answer = await knock(client, method, door, headers=SAME_ORIGIN)
        sent_to_sign_in = answer.status_code == 303 and answer.headers["location"] == "/sign-in"
        assert answer.status_code == 401 or sent_to_sign_in, (method, door.path)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TRADER, Role.RISK])
async def test_a_smaller_role_is_turned_away_and_nothing_happens(
    app: FastAPI, client: httpx.AsyncClient, role: Role, nothing_happened: None
) -> None:
    csrf = await sign_in(client, OF_ROLE[role])
    asked = [(method, door) for method, door, needed in guarded(app) if not role.covers(needed)]
    assert asked
    for method, door in asked:
        answer = await knock(client, method, door, headers=SAME_ORIGIN, csrf=csrf)
        assert answer.status_code == 403, (method, door.path)
        assert "this takes the role" in answer.text, (method, door.path)


@pytest.mark.parametrize("role", list(Role))
async def test_the_role_that_is_declared_is_enough(app: FastAPI, tmp_path: Path, role: Role) -> None:
    for method, door in [
        (method, door) for method, door, needed in guarded(app) if needed is role and not door.endless
    ]:
        write_people(tmp_path)  # As they were before the last one changed somebody.
        async with browse(app) as client:
            csrf = await sign_in(client, OF_ROLE[role])
            if door.form is not None and door.form.get("name") == "Ada Lovelace":
                door = replace(door, form=door.form | {"name": OF_ROLE[role]})  # A form that wants one's own name.
            answer = await knock(client, method, door, headers=SAME_ORIGIN, csrf=csrf)
            assert answer.status_code < 400, (method, door.path, answer.text)


async def test_the_token_never_looks_after_people(client: httpx.AsyncClient, nothing_happened: None) -> None:
    for (method, path), door in DOORS.items():
        if path == "/people" or path.startswith(("/console/people", "/account", "/console/account")):
            assert turned_away(await knock(client, method, door, headers=BEARER, machine=True)), path


async def test_a_role_counts_from_the_next_request_on(client: httpx.AsyncClient, register: Register) -> None:
    csrf = await sign_in(client, "Ben")
    door = DOORS["POST", "/control/rearm/approve"]
    register.set_role("Ben", Role.VIEWER, by="a test")
    answer = await knock(client, "POST", door, headers=SAME_ORIGIN, csrf=csrf)
    assert (answer.status_code, answer.json()["code"]) == (403, "ROLE")
    assert (await client.get("/api/desk")).status_code == 200


async def test_a_page_says_in_words_that_it_is_not_yours(client: httpx.AsyncClient) -> None:
    await sign_in(client, "Vic")
    answer = await client.get("/people")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "this takes the role admin; yours is viewer" in answer.text
