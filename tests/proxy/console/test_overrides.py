"""Overrides at the control door: strict terms, the person who is recorded, and no bot's credential."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser, browse, sign_in
from tests.proxy.console.desk_double import DeskDouble, a_desk, an_override
from tests.proxy.overrides.builders import TEXTS, terms
from tests.support.people import PASSWORD

ASK, APPROVE, WITHDRAW = "/control/overrides", "/control/overrides/approve", "/control/overrides/withdraw"
ID = {"id": "0123456789"}
NAMED = ID | {"name": "Ada"}


async def test_a_machine_names_who_asks_approves_and_takes_back(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    asked = await client.post(ASK, json=TEXTS | {"name": " Ada "}, headers=BEARER)
    assert (asked.status_code, asked.json()["id"], asked.json()["state"]) == (200, "0123456789", "REQUESTED")
    assert (await client.post(APPROVE, json=ID | {"name": "Ben"}, headers=BEARER)).status_code == 200
    assert (await client.post(WITHDRAW, json=ID | {"name": "Cleo"}, headers=BEARER)).status_code == 200
    assert plane.overrides == [
        ("request", "Ada", terms()),
        ("approve", "Ben", "0123456789"),
        ("withdraw", "Cleo", "0123456789"),
    ]


async def test_a_person_is_who_signed_in_and_approves_by_entering_the_token_again(
    person: Browser, plane: DeskDouble
) -> None:
    headers = SAME_ORIGIN | {"X-CSRF-Token": person.csrf}
    assert (await person.client.post(ASK, json=TEXTS, headers=headers)).status_code == 200
    assert (await person.client.post(APPROVE, json=ID, headers=headers)).status_code == 422
    wrong = await person.client.post(APPROVE, json=ID | {"proof": "no"}, headers=headers)
    assert (wrong.status_code, plane.overrides[1:]) == (401, [])
    assert (await person.client.post(APPROVE, json=ID | {"proof": PASSWORD}, headers=headers)).status_code == 200
    assert (await person.client.post(WITHDRAW, json=ID, headers=headers)).status_code == 200
    assert [(act, name) for act, name, _ in plane.overrides] == [
        ("request", "Ada Lovelace"),
        ("approve", "Ada Lovelace"),
        ("withdraw", "Ada Lovelace"),
    ]


@pytest.mark.parametrize("path", [ASK, APPROVE, WITHDRAW])
async def test_nobody_signs_with_another_name(person: Browser, plane: DeskDouble, path: str) -> None:
    body = (TEXTS if path == ASK else ID) | {"name": "Eve"}
    headers = SAME_ORIGIN | {"X-CSRF-Token": person.csrf}
    assert (await person.client.post(path, json=body, headers=headers)).status_code == 422
    assert plane.overrides == []


@pytest.mark.parametrize(("path", "body"), [(ASK, TEXTS), (APPROVE, ID), (WITHDRAW, ID)])
async def test_only_people_who_may_sign_in_are_heard(
    plane: DeskDouble, app: FastAPI, path: str, body: dict[str, str]
) -> None:
    async with browse(app) as client:
        other = await client.post(path, json=body | {"name": "Eve"}, headers=BEARER)
        assert (other.status_code, other.json()["code"]) == (403, "UNKNOWN_PERSON")
        assert "Eve" not in other.text
        assert plane.overrides == []
        assert (await client.post(path, json=body | {"name": "Ben"}, headers=BEARER)).is_success
        csrf = await sign_in(client, "Ada")
        proof = {"proof": PASSWORD} if path == APPROVE else {}
        mine = await client.post(path, json=body | proof, headers=SAME_ORIGIN | {"X-CSRF-Token": csrf})
        assert mine.is_success
    assert [name for _, name, _ in plane.overrides] == ["Ben", "Ada"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"side": "buy"}, "the side is BUY or SELL"),
        ({"quantity_max": "0"}, "a number above zero"),
        ({"quantity_max": "zq9canary"}, "a number above zero"),
        ({"expires": "2h"}, "at most 1h"),
        ({"ticket": " "}, "a ticket has 1 to 64 characters"),
        ({"reason": "short"}, "the reason is shorter than 8 characters"),
    ],
)
async def test_terms_that_are_none_are_refused_and_not_repeated(
    client: httpx.AsyncClient, plane: DeskDouble, changed: dict[str, str], reason: str
) -> None:
    answer = await client.post(ASK, json=TEXTS | {"name": "Ada"} | changed, headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (422, "TERMS")
    assert reason in answer.json()["detail"]
    assert "zq9canary" not in answer.text
    assert plane.overrides == []


@pytest.mark.parametrize("missing", [*TEXTS, "name"])
async def test_everything_must_be_said(client: httpx.AsyncClient, plane: DeskDouble, missing: str) -> None:
    body = {name: text for name, text in (TEXTS | {"name": "Ada"}).items() if name != missing}
    answer = await client.post(ASK, json=body, headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (422, "MALFORMED")
    assert plane.overrides == []


@pytest.mark.parametrize(("path", "body"), [(ASK, TEXTS | {"name": "Ada"}), (APPROVE, NAMED), (WITHDRAW, NAMED)])
async def test_the_wardens_refusal_reaches_whoever_asked(
    client: httpx.AsyncClient, plane: DeskDouble, path: str, body: dict[str, str]
) -> None:
    plane.refuse = "whoever asks for an override does not approve it; another person must"
    answer = await client.post(path, json=body, headers=BEARER)
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (409, "REFUSED", plane.refuse)


async def test_what_waits_and_what_is_in_force_stands_on_the_desk(
    app: FastAPI, client: httpx.AsyncClient, plane: DeskDouble
) -> None:
    in_force = an_override(id="aaaaaaaaaa", state="GRANTED", approved_by="Ben")
    plane.view = a_desk(overrides=(an_override(), in_force))
    shown = (await client.get("/api/desk", headers=BEARER)).json()["overrides"]
    assert [(each["id"], each["state"], each["approved_by"]) for each in shown] == [
        ("0123456789", "REQUESTED", ""),
        ("aaaaaaaaaa", "GRANTED", "Ben"),
    ]
    assert shown[0]["ticket"] == "RISK-17"
