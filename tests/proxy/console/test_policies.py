"""Policies over the control API: whose name is recorded, what a text may be, and the token typed once more."""

from __future__ import annotations

import json

import httpx
import pytest
from fastapi import FastAPI

from proxy.console.bodies import FILE_LENGTH_MAX
from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser, browse, sign_in
from tests.proxy.console.desk_double import DeskDouble
from tests.support.people import PASSWORD

TEXT = '[policy]\nname = "solo"\r\n\towner = "Zoë" # ' + "[{" * 40 + "\n"
DIGEST = "a1b2c3d4e5f60718"
REASON = "calmer markets"


async def test_a_machine_names_who_proposes(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    body = {"text": TEXT, "name": " Ada ", "reason": REASON}
    answer = await client.post("/control/policy", json=body, headers=BEARER)
    assert (answer.status_code, answer.json()) == (200, {"in_force": DIGEST, "pending": None})
    assert plane.policies == [{"step": "propose", "text": TEXT, "name": "Ada", "reason": REASON}]


async def test_a_person_is_recorded_and_types_the_token_once_more(person: Browser, plane: DeskDouble) -> None:
    headers = SAME_ORIGIN | {"X-CSRF-Token": person.csrf}
    for path, body in (
        ("/control/policy", {"text": TEXT, "reason": REASON}),
        ("/control/policy/approve", {"digest": DIGEST, "reason": REASON}),
    ):
        for proof, status in (({}, 422), ({"proof": "no"}, 401), ({"proof": PASSWORD}, 200)):
            answer = await person.client.post(path, json=body | proof, headers=headers)
            assert answer.status_code == status, answer.text
    named = {"digest": DIGEST, "reason": REASON, "name": "Eve"}
    assert (await person.client.post("/control/policy/withdraw", json=named, headers=headers)).status_code == 422
    del named["name"]
    assert (await person.client.post("/control/policy/withdraw", json=named, headers=headers)).status_code == 200
    assert [(each["step"], each["name"]) for each in plane.policies] == [
        ("propose", "Ada Lovelace"),
        ("approve", "Ada Lovelace"),
        ("withdraw", "Ada Lovelace"),
    ]


@pytest.mark.parametrize("path", ["/control/policy", "/control/policy/approve", "/control/policy/withdraw"])
async def test_only_the_named_people_may_be_named(plane: DeskDouble, app: FastAPI, path: str) -> None:
    body = {"name": "Eve", "reason": REASON} | ({"text": TEXT} if path == "/control/policy" else {"digest": DIGEST})
    async with browse(app) as client:
        eve = await client.post(path, json=body, headers=BEARER)
        assert (eve.status_code, eve.json()["code"]) == (403, "UNKNOWN_PERSON")
        assert (await client.post(path, json=body | {"name": "Ben"}, headers=BEARER)).status_code == 200
        await sign_in(client, "Ada")
    assert [each["name"] for each in plane.policies] == ["Ben"]


@pytest.mark.parametrize(
    "text", [1, None, ["x"], {"a": "b"}, "a\x00b", "a\u202eb", "x" * (FILE_LENGTH_MAX + 1)], ids=repr
)
async def test_a_text_that_is_none_is_refused(client: httpx.AsyncClient, plane: DeskDouble, text: object) -> None:
    body = {"text": text, "name": "Ada", "reason": REASON}
    answer = await client.post("/control/policy", json=body, headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (422, "MALFORMED")
    assert plane.policies == []


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"text":' + b"[" * 200_000,
        b'{"text":"x","text":"y","name":"Ada","reason":"r"}',
        b'{"text":"x","name":"Ada","reason":"r","more":"1"}',
        b'{"text":"x","name":"Ada"}',
        b'{"text":"x","name":"Ada","reason":"two\\nlines"}',
    ],
    ids=lambda body: str(body[:40]),
)
async def test_a_body_that_is_none_is_refused(client: httpx.AsyncClient, plane: DeskDouble, body: bytes) -> None:
    headers = BEARER | {"Content-Type": "application/json"}
    assert (await client.post("/control/policy", content=body, headers=headers)).status_code == 422
    assert plane.policies == []


async def test_a_body_far_too_large_is_cut_off(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    body = json.dumps({"text": "x", "name": "Ada", "reason": REASON}).encode() + b" " * 4 * FILE_LENGTH_MAX
    headers = BEARER | {"Content-Type": "application/json"}
    assert (await client.post("/control/policy", content=body, headers=headers)).status_code == 413
    assert plane.policies == []


@pytest.mark.parametrize("digest", ["", "a1b2", "A1B2C3D4E5F60718", "../../kill/desk00", DIGEST + "0"])
@pytest.mark.parametrize("step", ["approve", "withdraw"])
async def test_a_digest_is_sixteen_digits(client: httpx.AsyncClient, plane: DeskDouble, step: str, digest: str) -> None:
    body = {"digest": digest, "name": "Ada", "reason": REASON}
    assert (await client.post(f"/control/policy/{step}", json=body, headers=BEARER)).status_code == 422
    assert plane.policies == []


async def test_why_the_warden_refused_is_told(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    plane.refuse = "line 3: [desk] has no rule of that name"
    body = {"text": TEXT, "name": "Ada", "reason": REASON}
    answer = await client.post("/control/policy", json=body, headers=BEARER)
    assert (answer.status_code, answer.json()["detail"]) == (409, plane.refuse)
