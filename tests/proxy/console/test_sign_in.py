"""Coming in: by password and code, by a link, and again for what a screen left unlocked must not do."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from proxy.console.app import create_console
from proxy.people.changes import with_first_link
from proxy.people.file import PeopleFile
from proxy.people.register import Register
from proxy.people.users import digest_of
from proxy.settings import CodesFor
from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser, HandClock, browse, sign_in
from tests.proxy.console.desk_double import TOKEN, DeskDouble
from tests.support.people import PASSWORD, a_register, code_of, secret_of

WRONG = {"name": "Ada Lovelace", "password": "not this one, is it", "code": ""}
NEW = {"password": "another staple", "again": "another staple"}


class Heard:
    """What the door says of visits."""

    def __init__(self) -> None:
        self.visits: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, what: str, by: str, detail: dict[str, str]) -> None:
        self.visits.append((what, by, detail))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def app(plane: DeskDouble, clock: HandClock, register: Register, heard: Heard) -> FastAPI:
    return create_console(plane, plane, token=SecretStr(TOKEN), people=register, now=clock, note=heard)


async def test_every_visit_is_told_with_its_person_and_no_secret(person: Browser, heard: Heard) -> None:
    await person.client.post("/sign-in", data=WRONG, headers=SAME_ORIGIN)
    await person.client.post("/sign-in", data=WRONG | {"name": PASSWORD}, headers=SAME_ORIGIN)
    await person.client.post("/sign-out", data={"csrf": person.csrf}, headers=SAME_ORIGIN)
    assert [(what, by) for what, by, _ in heard.visits] == [
        ("signin", "Ada Lovelace"),
        ("signin.failed", "Ada Lovelace"),
        ("signin.failed", "nobody"),  # A name nobody has may be a password in the wrong field.
        ("signout", "Ada Lovelace"),
    ]
    assert all(detail["address"] == "127.0.0.1" for _, _, detail in heard.visits)
    assert PASSWORD not in repr(heard.visits) and WRONG["password"] not in repr(heard.visits)


async def test_what_is_wrong_is_not_said(client: httpx.AsyncClient) -> None:
    texts = set()
    for form in (WRONG, WRONG | {"name": "Nobody At All"}, WRONG | {"password": ""}):
        answer = await client.post("/sign-in", data=form, headers=SAME_ORIGIN)
        assert answer.status_code == 401
        assert "Nobody At All" not in answer.text
        texts.add(answer.text)
    assert len(texts) == 1


async def test_an_open_page_is_told_the_token_of_the_session_that_its_browser_has_by_now(
    person: Browser, clock: HandClock
) -> None:
    told = await person.client.get("/partials/session")
    assert told.json() == {"person": "Ada Lovelace", "csrf": person.csrf}
    change = {"csrf": person.csrf, "proof": PASSWORD, "password": "another staple", "again": "another staple"}
    assert (await person.client.post("/console/account/password", data=change, headers=SAME_ORIGIN)).status_code == 303
    csrf = (await person.client.get("/partials/session")).json()["csrf"]
    assert csrf != person.csrf
    form = {"scope": "desk", "reason": ""}
    refused = await person.client.post("/console/kill", data=form | {"csrf": person.csrf}, headers=SAME_ORIGIN)
    pressed = await person.client.post("/console/kill", data=form | {"csrf": csrf}, headers=SAME_ORIGIN)
    assert (refused.status_code, pressed.status_code) == (403, 202)
    clock.wind(minutes=31)
    assert (await person.client.get("/partials/session")).status_code == 401, "looking keeps no session alive"


@pytest.mark.parametrize("change", ["disabled", "reset", "password"])
async def test_a_session_ends_with_what_it_was_opened_by(
    client: httpx.AsyncClient, register: Register, change: str
) -> None:
    await sign_in(client, "Ben")
    assert (await client.get("/api/desk")).status_code == 200
    match change:
        case "disabled":
            register.set_disabled("Ben", disabled=True, by="Ada Lovelace")
        case "reset":
            register.reset("Ben", by="Ada Lovelace")
        case _:
            register.set_password("Ben", "another staple")
    assert (await client.get("/api/desk")).status_code == 401
    assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize("path", ["/control/policy/approve", "/control/rearm/approve", "/control/overrides/approve"])
async def test_loosening_takes_a_proof_and_wrong_ones_are_counted(
    person: Browser, plane: DeskDouble, heard: Heard, path: str
) -> None:
    body = {"id": "0123456789"} if "overrides" in path else {"reason": "calmer markets"}
    if "policy" in path:
        body["digest"] = "a1b2c3d4e5f60718"
    elif "rearm" in path:
        body |= {"scope": "desk", "typed": "desk"}
    headers = SAME_ORIGIN | {"X-CSRF-Token": person.csrf}
    for _ in range(8):
        wrong = await person.client.post(path, json=body | {"proof": TOKEN}, headers=headers)
        assert (wrong.status_code, wrong.json()["code"]) == (401, "PROOF")
    right = await person.client.post(path, json=body | {"proof": PASSWORD}, headers=headers)
    assert (right.status_code, right.json()["code"]) == (429, "TOO_MANY_ATTEMPTS")
    assert plane.rearms == plane.policies == plane.overrides == []
    assert {what for what, _, _ in heard.visits} == {"signin", "signin.proof.failed"}
    assert (await person.client.get("/api/desk")).status_code == 200, "the session itself goes on"


async def test_the_button_takes_no_proof(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    csrf = await sign_in(client, "Tess")
    form = {"scope": "desk", "reason": "", "csrf": csrf}
    assert (await client.post("/console/kill", data=form, headers=SAME_ORIGIN)).status_code == 202
    assert plane.kills[0]["by"] == "Tess"


# By a link


@pytest.fixture
async def first(tmp_path: Path, plane: DeskDouble, clock: HandClock, heard: Heard) -> AsyncIterator[httpx.AsyncClient]:
    """A guard's first start: nobody yet, and the link is ``/welcome/first``."""
    PeopleFile(tmp_path).change(lambda people: with_first_link(people, digest_of("first"), clock()))
    register = a_register(tmp_path, clock, CodesFor.RISK)
    app = create_console(plane, plane, token=SecretStr(TOKEN), people=register, now=clock, note=heard)
    async with browse(app) as client:
        yield client


async def test_the_first_admin_comes_in_by_the_link_once(
    first: httpx.AsyncClient, tmp_path: Path, clock: HandClock, heard: Heard
) -> None:
    page = await first.get("/welcome/first")
    assert page.status_code == 200 and "first admin" in page.text and "<svg" in page.text
    form = NEW | {"name": "Ada Lovelace", "code": ""}
    for wrong in (form, form | {"code": "000000"}, form | {"again": "something else"}, form | {"password": "short"}):
        refused = await first.post("/welcome/first", data=wrong, headers=SAME_ORIGIN)
        assert refused.status_code in (409, 422), refused.text
        assert secret_of(refused.text) == secret_of(page.text), "the app that has read it may stay"
        assert NEW["password"] not in refused.text
    right = form | {"code": code_of(page.text, clock())}
    assert (await first.post("/welcome/first", data=right, headers={})).status_code == 403
    answer = await first.post("/welcome/first", data=right, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await first.get("/people")).status_code == 200
    assert (await first.get("/welcome/first")).status_code == 404
    assert (await first.post("/welcome/first", data=right, headers=SAME_ORIGIN)).status_code == 404
    clock.wind(seconds=30)
    credentials = {"name": "ada lovelace", "password": NEW["password"], "code": code_of(page.text, clock())}
    assert (await first.post("/sign-in", data=credentials, headers=SAME_ORIGIN)).status_code == 303
    assert (await first.post("/sign-in", data=credentials, headers=SAME_ORIGIN)).status_code == 401, (
        "a code counts once"
    )
    kept = PeopleFile(tmp_path).path.read_text()
    assert NEW["password"] not in kept
    assert secret_of(page.text) not in repr(heard.visits) and "first" not in repr(heard.visits[:1])


async def test_a_link_ends_after_a_day(first: httpx.AsyncClient, clock: HandClock) -> None:
    clock.wind(hours=24)
    assert (await first.get("/welcome/first")).status_code == 404


async def test_two_who_follow_one_link_at_once_are_one(first: httpx.AsyncClient, tmp_path: Path) -> None:
    import asyncio

    page = await first.get("/welcome/first")
    form = NEW | {"code": code_of(page.text, HandClock().time)}
    asked = [
        first.post("/welcome/first", data=form | {"name": name}, headers=SAME_ORIGIN) for name in ("Ada", "Eve", "Bob")
    ]
    answers = sorted(answer.status_code for answer in await asyncio.gather(*asked))
    assert answers[0] == 303 and set(answers[1:]) <= {404, 409}
    assert len(PeopleFile(tmp_path).read().users) == 1


# One's own account, and everybody's


async def test_another_password_ends_every_other_session(app: FastAPI, person: Browser) -> None:
    async with browse(app) as elsewhere:
        await sign_in(elsewhere)
        form = NEW | {"csrf": person.csrf, "proof": PASSWORD}
        wrong = await person.client.post("/console/account/password", data=form | {"proof": "no"}, headers=SAME_ORIGIN)
        assert wrong.status_code == 401
        assert (await elsewhere.get("/api/desk")).status_code == 200
        answer = await person.client.post("/console/account/password", data=form, headers=SAME_ORIGIN)
        assert answer.status_code == 303
        assert (await elsewhere.get("/api/desk")).status_code == 401
        assert (await person.client.get("/api/desk")).status_code == 200
        await sign_in(elsewhere, password=NEW["password"])


async def test_an_app_is_set_up_with_the_code_it_shows(
    client: httpx.AsyncClient, register: Register, clock: HandClock
) -> None:
    csrf = await sign_in(client, "Tess")
    page = await client.get("/account")
    form = {"csrf": csrf, "proof": PASSWORD, "code": "000000"}
    assert (await client.post("/console/account/code", data=form, headers=SAME_ORIGIN)).status_code == 409
    form["code"] = code_of(page.text, clock())
    assert (await client.post("/console/account/code", data=form, headers=SAME_ORIGIN)).status_code == 303
    tess = register.people.find("Tess")
    assert tess is not None and tess.code_secret == secret_of(page.text)
    assert secret_of((await client.get("/account")).text) != tess.code_secret, "it is never shown again"


async def test_an_admin_invites_and_the_link_is_shown_once(app: FastAPI, person: Browser, clock: HandClock) -> None:
    form = {"csrf": person.csrf, "name": "Grace Hopper", "role": "trader", "proof": PASSWORD}
    answer = await person.client.post("/console/people/invite", data=form, headers=SAME_ORIGIN)
    assert answer.status_code == 200
    token = answer.text.partition("/welcome/")[2].partition("<")[0]
    assert token not in (await person.client.get("/people")).text
    async with browse(app) as grace:
        joined = NEW | {"name": "Somebody Else", "code": ""}
        assert (await grace.post(f"/welcome/{token}", data=joined, headers=SAME_ORIGIN)).status_code == 303
        assert "Grace Hopper" in (await grace.get("/account")).text
        assert (await grace.get("/people")).status_code == 403
    again = await person.client.post("/console/people/invite", data=form, headers=SAME_ORIGIN)
    assert (again.status_code, "two people need two names" in again.text) == (409, True)


async def test_a_damaged_file_keeps_people_out_and_lets_the_token_in(
    plane: DeskDouble, clock: HandClock, tmp_path: Path, desk_people: Path
) -> None:
    shutil.copytree(desk_people, tmp_path, dirs_exist_ok=True)
    PeopleFile(tmp_path).path.write_bytes(b"{")
    app = create_console(plane, plane, token=SecretStr(TOKEN), people=a_register(tmp_path, clock), now=clock)
    async with browse(app) as client:
        answer = await client.post("/sign-in", data=WRONG | {"password": PASSWORD}, headers=SAME_ORIGIN)
        assert (answer.status_code, "cannot be read" in answer.text) == (503, True)
        body = {"scope": "desk", "reason": "drill"}
        assert (await client.post("/control/kill", json=body, headers=BEARER)).status_code == 202
        loosened = {"scope": "desk", "reason": "the feed is repaired", "typed": "desk", "name": "Whoever"}
        refused = await client.post("/control/rearm/approve", json=loosened, headers=BEARER)
        assert (refused.status_code, plane.rearms) == (503, []), "nobody knows who may"


async def test_who_lacks_the_app_their_role_needs_is_told_so(
    plane: DeskDouble, clock: HandClock, tmp_path: Path, desk_people: Path
) -> None:
    shutil.copytree(desk_people, tmp_path, dirs_exist_ok=True)
    register = a_register(tmp_path, clock, CodesFor.RISK)
    async with browse(create_console(plane, plane, token=SecretStr(TOKEN), people=register, now=clock)) as client:
        answer = await client.post("/sign-in", data=WRONG | {"password": PASSWORD}, headers=SAME_ORIGIN)
        assert (answer.status_code, "needs an authenticator app" in answer.text) == (403, True)
        await sign_in(client, "Tess")


async def test_a_machine_names_anybody_while_there_is_nobody(
    plane: DeskDouble, clock: HandClock, tmp_path: Path
) -> None:
    body = {"scope": "desk", "reason": "not yet, after all", "name": "Whoever"}
    app = create_console(plane, plane, token=SecretStr(TOKEN), people=a_register(tmp_path, clock), now=clock)
    async with browse(app) as client:
        assert (await client.post("/control/rearm/withdraw", json=body, headers=BEARER)).status_code == 200


async def test_a_machine_names_only_who_could_do_it_themselves(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    body = {"scope": "desk", "reason": "the feed is repaired", "typed": "desk"}
    for name, code in (("Eve", "UNKNOWN_PERSON"), ("Tess", "ROLE"), ("Vic", "ROLE")):
        answer = await client.post("/control/rearm/approve", json=body | {"name": name}, headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert plane.rearms == []
    answer = await client.post("/control/rearm/approve", json=body | {"name": "BEN"}, headers=BEARER)
    assert answer.status_code == 200
    assert plane.rearms[0]["name"] == "Ben", "as we spell it"


async def test_a_drill_is_begun_in_the_name_of_who_could_begin_it(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    for name, code in (("Eve", "UNKNOWN_PERSON"), ("Vic", "ROLE")):
        answer = await client.post("/control/drill", json={"kind": "dry", "name": name}, headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert plane.drilled == []
    answer = await client.post("/control/drill", json={"kind": "dry", "name": "TESS"}, headers=BEARER)
    assert (answer.status_code, plane.drilled) == (202, [{"kind": "dry", "by": "Tess"}])
