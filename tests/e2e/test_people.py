"""The first start of a real guard, from the link it prints to a second admin, with the command line beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest

from proxy.people.file import PeopleFile
from tests.support.people import PASSWORD, code_of, link_token, secret_of
from tests.support.policies import a_policy, a_rule
from tests.support.worlds import LiveWorld, until

NEW = {"password": PASSWORD, "again": PASSWORD}
CANARY = "a wrong password that nobody has"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    policy = a_policy(a_rule("desk.max_order_value", limit=50_000))
    with LiveWorld(tmp_path_factory.mktemp("people") / "data", policy, codes="risk") as running:
        yield running


def a_browser(world: LiveWorld) -> httpx.Client:
    base = world.places.console.rstrip("/")
    return httpx.Client(
        base_url=base, headers={"origin": base, "sec-fetch-site": "same-origin"}, trust_env=False, timeout=30
    )


def events(world: LiveWorld) -> list[tuple[str, str]]:
    found = [each for each in world.export() if each.get("kind") == "event"]
    return [(each["what"], each["by"]) for each in found if each["what"].startswith(("people.", "sign"))]


def test_from_the_printed_link_to_a_desk_with_people(world: LiveWorld) -> None:
    token = link_token(world)
    with a_browser(world) as ada, a_browser(world) as ben:
        page = ada.get(f"/welcome/{token}")
        form = NEW | {"name": "Ada Lovelace", "code": code_of(page.text)}
        assert ada.post(f"/welcome/{token}", data=form).status_code == 303
        assert ada.get(f"/welcome/{token}").status_code == 404, "good once"
        assert ada.get("/people").status_code == 200

        invited = people(world, "invite", "Ben", "--role", "trader")
        link = invited["link"].partition("/welcome/")[2]
        assert ben.post(f"/welcome/{link}", data=NEW | {"name": "", "code": ""}).status_code == 303
        assert ben.get("/people").status_code == 403
        wrong = {"name": "Ben", "password": CANARY, "code": ""}
        assert ben.post("/sign-in", data=wrong).status_code == 401

        assert "no authenticator app" in world.command("people", "role", "Ben", "risk").stderr
        people(world, "role", "Ben", "viewer")
        headers = {"x-csrf-token": csrf(ben)}
        kill = ben.post("/control/kill", json={"scope": "desk", "reason": "drill"}, headers=headers)
        assert (kill.status_code, kill.json()["code"]) == (403, "ROLE")
        people(world, "disable", "Ben")
        assert ben.get("/api/desk").status_code == 401

        step_up(world, ada, secret_of(page.text))

    wanted = [
        ("people.joined", "Ada Lovelace"),
        ("signin", "Ada Lovelace"),
        ("people.joined", "Ben"),
        ("signin", "Ben"),
        ("signin.failed", "Ben"),
        ("signin.proof.failed", "Ada Lovelace"),
    ]
    until(lambda: set(wanted) <= set(events(world)), "the audit tells it")
    assert {what for what, by in events(world) if by.endswith("command line)")} >= {
        "people.invited",
        "people.role",
        "people.disabled",
    }
    exported = json.dumps(world.export())
    log = (world.data_dir / "guard.log").read_text()
    for secret in (PASSWORD, CANARY, token, link, secret_of(page.text)):
        assert secret not in exported and secret not in log


def step_up(world: LiveWorld, ada: httpx.Client, secret: str) -> None:
    """A policy takes a password, or a code that was not used: that of the set-up was."""
    headers = {"x-csrf-token": csrf(ada)}
    used = PeopleFile(world.data_dir).read().users[0].code_step
    tighter = {"text": world_policy(world).replace("50000", "40000"), "reason": "calmer markets"}
    tightest = tighter | {"text": world_policy(world).replace("50000", "30000")}
    spent = pyotp.TOTP(secret).at(datetime.fromtimestamp(used * 30, UTC))
    refused = ada.post("/control/policy", json=tighter | {"proof": spent}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "PROOF")
    fresh = pyotp.TOTP(secret).at(datetime.fromtimestamp(used * 30, UTC) + timedelta(seconds=30))
    assert ada.post("/control/policy", json=tighter | {"proof": fresh}, headers=headers).status_code == 200
    assert ada.post("/control/policy", json=tightest | {"proof": fresh}, headers=headers).status_code == 401
    assert ada.post("/control/policy", json=tightest | {"proof": PASSWORD}, headers=headers).status_code == 200


def world_policy(world: LiveWorld) -> str:
    return (world.data_dir / "policy.toml").read_text()


def csrf(browser: httpx.Client) -> str:
    return browser.get("/account").text.partition('name="csrf" value="')[2].partition('"')[0]


def people(world: LiveWorld, *words: str) -> Any:
    done = world.command("people", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_damaged_file_stops_nothing_but_signing_in(world: LiveWorld) -> None:
    path = PeopleFile(world.data_dir).path
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-20])
        with a_browser(world) as browser:
            answer = browser.post("/sign-in", data={"name": "Ada Lovelace", "password": "x" * 12, "code": ""})
            assert answer.status_code == 401, "who was read before is still known"
        assert world.command("people", "list").returncode == 2
        assert world.ask("GET", "/api/desk")["desk"] == "demo"
        killed = world.command("kill", "--by", "ann", "--reason", "drill", "--account", "demo", "--json")
        assert killed.returncode == 0, killed.stderr
    finally:
        path.write_bytes(whole)
