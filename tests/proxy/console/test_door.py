"""Every route × every kind of asker. The application's own routes are the table: a new one must be named here."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr

from proxy.console.app import create_console
from proxy.console.sessions import SESSIONS_MAX
from proxy.people.register import Register
from proxy.policy.reading import policy_digest
from tests.proxy.console.conftest import BEARER, ORIGIN, SAME_ORIGIN, Browser, HandClock, browse, sign_in
from tests.proxy.console.desk_double import TOKEN, DeskDouble
from tests.proxy.overrides.builders import TEXTS
from tests.support.people import PASSWORD, a_register, code_of

KILL = {"scope": "desk", "reason": "drill"}
REARM = {"scope": "desk", "reason": "the feed is repaired", "typed": "desk"}
ASK = REARM | {"policy": "a1b2c3d4e5f60718", "acknowledged": ""}
PERSON = {"name": "Ada Lovelace", "proof": PASSWORD}
OVERRIDE = {"id": "0123456789"}
SIGN_IN = {"name": "Ada Lovelace", "password": PASSWORD, "code": ""}
PROVED = {"name": "Vic", "proof": PASSWORD}
DIGEST = {"digest": "a1b2c3d4e5f60718", "reason": "calmer markets"}


@dataclass(frozen=True)
class Door:
    """What a route asks for: ``open``, ``either`` (token or session) or ``person``; and how to use it."""

    kind: str
    path: str
    changes: bool = False
    json: dict[str, str] | None = None
    form: dict[str, str] | None = None
    machine_only: dict[str, str] = field(default_factory=dict)
    person_only: dict[str, str] = field(default_factory=dict)
    app: bool = False
    """The form takes the code that an app shows which has read the page's picture."""
    endless: bool = False
    """Whoever is let in listens for as long as they like; only who is turned away is tested here."""


DOORS = {
    ("GET", "/healthz"): Door("open", "/healthz"),
    ("GET", "/openapi.json"): Door("either", "/openapi.json"),
    ("GET", "/problems"): Door("open", "/problems"),
    ("GET", "/problems/{code}"): Door("open", "/problems/REFUSED"),
    ("GET", "/static/{name}"): Door("open", "/static/console.css"),
    ("GET", "/sign-in"): Door("open", "/sign-in"),
    ("POST", "/sign-in"): Door("sign-in", "/sign-in"),
    ("GET", "/welcome/{token}"): Door("link", "/welcome/nonsense"),
    ("POST", "/welcome/{token}"): Door("link", "/welcome/nonsense"),
    ("GET", "/account"): Door("person", "/account"),
    ("POST", "/console/account/password"): Door(
        "person",
        "/console/account/password",
        True,
        form={"proof": PASSWORD, "password": "another staple", "again": "another staple"},
    ),
    ("POST", "/console/account/code"): Door(
        "person", "/console/account/code", True, form={"proof": PASSWORD, "code": ""}, app=True
    ),
    ("GET", "/people"): Door("person", "/people"),
    ("POST", "/console/people/invite"): Door(
        "person", "/console/people/invite", True, form={"name": "Newcomer", "role": "viewer", "proof": PASSWORD}
    ),
    ("POST", "/console/people/role"): Door("person", "/console/people/role", True, form=PROVED | {"role": "trader"}),
    ("POST", "/console/people/disable"): Door("person", "/console/people/disable", True, form=PROVED),
    ("POST", "/console/people/enable"): Door("person", "/console/people/enable", True, form=PROVED),
    ("POST", "/console/people/reset"): Door("person", "/console/people/reset", True, form=PROVED),
    ("GET", "/api/desk"): Door("either", "/api/desk"),
    ("GET", "/api/blocked"): Door("either", "/api/blocked?bot=momentum&limit=5"),
    ("GET", "/api/decisions/{decision_id}"): Door("either", "/api/decisions/01JD3M-7f"),
    ("GET", "/api/certificates"): Door("either", "/api/certificates"),
    ("GET", "/api/certificates/{certificate_id}"): Door("either", "/api/certificates/20261124T093000000000-0a1b2c3d"),
    ("GET", "/control/kill"): Door("either", "/control/kill"),
    ("POST", "/control/kill"): Door("either", "/control/kill", True, json=KILL, machine_only={"by": "pager"}),
    ("POST", "/control/reduce"): Door("either", "/control/reduce", True, json=KILL, machine_only={"by": "pager"}),
    ("GET", "/control/rearm"): Door("either", "/control/rearm?scope=desk"),
    ("POST", "/control/rearm"): Door(
        "either", "/control/rearm", True, json=REARM, machine_only={"name": "Ada"}, person_only={"proof": PASSWORD}
    ),
    ("POST", "/control/rearm/approve"): Door(
        "either",
        "/control/rearm/approve",
        True,
        json=REARM,
        machine_only={"name": "Ben"},
        person_only={"proof": PASSWORD},
    ),
    ("POST", "/control/rearm/withdraw"): Door(
        "either",
        "/control/rearm/withdraw",
        True,
        json={"scope": "desk", "reason": "not yet, after all"},
        machine_only={"name": "Ada"},
    ),
    ("GET", "/api/drills"): Door("either", "/api/drills"),
    ("GET", "/api/drills/{drill_id}"): Door("either", "/api/drills/20261124T093000000000"),
    ("GET", "/control/drill"): Door("either", "/control/drill"),
    ("POST", "/control/drill"): Door(
        "either", "/control/drill", True, json={"kind": "practice"}, machine_only={"name": "Ada"}
    ),
    ("POST", "/control/overrides"): Door(
        "either", "/control/overrides", True, json=TEXTS, machine_only={"name": "Ada"}
    ),
    ("POST", "/control/overrides/approve"): Door(
        "either",
        "/control/overrides/approve",
        True,
        json=OVERRIDE,
        machine_only={"name": "Ada"},
        person_only={"proof": PASSWORD},
    ),
    ("POST", "/control/overrides/withdraw"): Door(
        "either", "/control/overrides/withdraw", True, json=OVERRIDE, machine_only={"name": "Ada"}
    ),
    ("POST", "/control/policy"): Door(
        "either",
        "/control/policy",
        True,
        json={"text": "[policy]\n", "reason": "calmer markets"},
        machine_only={"name": "Ada"},
        person_only={"proof": PASSWORD},
    ),
    ("POST", "/control/policy/approve"): Door(
        "either",
        "/control/policy/approve",
        True,
        json=DIGEST,
        machine_only={"name": "Ada"},
        person_only={"proof": PASSWORD},
    ),
    ("POST", "/control/policy/withdraw"): Door(
        "either", "/control/policy/withdraw", True, json=DIGEST, machine_only={"name": "Ada"}
    ),
    ("GET", "/"): Door("person", "/"),
    ("GET", "/certificates"): Door("person", "/certificates"),
    ("GET", "/certificates/{certificate_id}"): Door("person", "/certificates/20261124T093000000000-0a1b2c3d"),
    ("GET", "/partials/desk"): Door("person", "/partials/desk"),
    ("GET", "/partials/kill"): Door("person", "/partials/kill"),
    ("GET", "/partials/blocked"): Door("person", "/partials/blocked?bot=&rule="),
    ("GET", "/partials/decisions/{decision_id}"): Door("person", "/partials/decisions/01JD3M-7f"),
    ("POST", "/console/kill"): Door("person", "/console/kill", True, form=KILL),
    ("GET", "/alerts/ack/{token}"): Door("link", "/alerts/ack/nonsense"),
    ("POST", "/alerts/ack/{token}"): Door("link", "/alerts/ack/nonsense"),
    ("GET", "/api/alerts"): Door("either", "/api/alerts"),
    ("GET", "/alerts"): Door("person", "/alerts"),
    ("GET", "/partials/alerts"): Door("person", "/partials/alerts"),
    ("POST", "/control/alerts/{alert_id}/acknowledge"): Door(
        "either", "/control/alerts/20261124093000-1/acknowledge", True, json={}, machine_only={"name": "Ada"}
    ),
    ("POST", "/control/alerts/test"): Door(
        "either", "/control/alerts/test", True, json={"channel": "pager"}, machine_only={"name": "Ada"}
    ),
    ("POST", "/console/alerts/acknowledge"): Door(
        "person", "/console/alerts/acknowledge", True, form={"id": "20261124093000-1"}
    ),
    ("POST", "/console/alerts/test"): Door("person", "/console/alerts/test", True, form={"channel": "pager"}),
    ("GET", "/events"): Door("person", "/events", endless=True),
    ("GET", "/api/history"): Door("either", "/api/history"),
    ("GET", "/partials/history"): Door("person", "/partials/history"),
    ("GET", "/partials/charts"): Door("person", "/partials/charts"),
    ("GET", "/positions"): Door("person", "/positions"),
    ("GET", "/partials/positions"): Door("person", "/partials/positions"),
    ("GET", "/rearm"): Door("person", "/rearm"),
    ("GET", "/partials/rearm"): Door("person", "/partials/rearm"),
    ("POST", "/console/rearm"): Door("person", "/console/rearm", True, form=ASK | PERSON),
    ("POST", "/console/rearm/approve"): Door("person", "/console/rearm/approve", True, form=REARM | PERSON),
    ("POST", "/console/rearm/withdraw"): Door(
        "person", "/console/rearm/withdraw", True, form={"scope": "desk", "reason": "not yet, after all"}
    ),
    ("GET", "/api/signals"): Door("either", "/api/signals?symbol=BTCUSDT"),
    ("GET", "/signals"): Door("person", "/signals"),
    ("GET", "/api/ledger"): Door("either", "/api/ledger?symbol=BTCUSDT"),
    ("GET", "/ledger"): Door("person", "/ledger"),
    ("GET", "/api/keys"): Door("either", "/api/keys"),
    ("GET", "/keys"): Door("person", "/keys"),
    ("GET", "/partials/keys"): Door("person", "/partials/keys"),
    ("POST", "/console/keys/disable"): Door("person", "/console/keys/disable", True, form={"key": "0123456789abcdef"}),
    ("POST", "/console/keys/enable"): Door(
        "person", "/console/keys/enable", True, form={"key": "0123456789abcdef", "proof": PASSWORD}
    ),
    ("GET", "/api/audit"): Door("either", "/api/audit"),
    ("GET", "/audit"): Door("person", "/audit"),
    ("GET", "/partials/audit"): Door("person", "/partials/audit"),
    ("POST", "/console/audit/verify"): Door("person", "/console/audit/verify", True, form={}),
    ("GET", "/partials/ledger"): Door("person", "/partials/ledger"),
    ("GET", "/partials/money"): Door("person", "/partials/money"),
    ("GET", "/partials/open-alerts"): Door("person", "/partials/open-alerts"),
    ("GET", "/drills"): Door("person", "/drills"),
    ("GET", "/drills/{drill_id}"): Door("person", "/drills/20261124T093000000000"),
    ("GET", "/partials/drill"): Door("person", "/partials/drill"),
    ("POST", "/console/drill"): Door("person", "/console/drill", True, form={"kind": "practice"}),
    ("GET", "/blocked"): Door("person", "/blocked?since=6h"),
    ("GET", "/blocked.csv"): Door("person", "/blocked.csv"),
    ("GET", "/blocked/{decision_id}"): Door("person", "/blocked/01JD3M-7f?quantity=1"),
    ("GET", "/api/decisions/{decision_id}/rules"): Door("either", "/api/decisions/01JD3M-7f/rules"),
    ("POST", "/api/decisions/{decision_id}/what-if"): Door(
        "either", "/api/decisions/01JD3M-7f/what-if", True, json={"quantity": "1"}
    ),
    ("GET", "/kill"): Door("person", "/kill"),
    ("GET", "/partials/scopes"): Door("person", "/partials/scopes"),
    ("GET", "/partials/session"): Door("person", "/partials/session"),
    ("GET", "/partials/signals"): Door("person", "/partials/signals?symbol="),
    ("GET", "/partials/kill-preview"): Door("person", "/partials/kill-preview?scope=desk"),
    ("GET", "/control/kill/preview"): Door("either", "/control/kill/preview?scope=desk"),
    ("POST", "/console/kill/typed"): Door("person", "/console/kill/typed", True, form=KILL | {"typed": "STOP"}),
    ("POST", "/console/reduce"): Door("person", "/console/reduce", True, form=KILL),
    ("GET", "/policy"): Door("person", "/policy"),
    ("GET", "/partials/policy-hindsight"): Door("person", "/partials/policy-hindsight?since=1h"),
    ("POST", "/console/policy/compare"): Door("person", "/console/policy/compare", True, form={"text": "[policy]\n"}),
    ("POST", "/console/policy/propose"): Door(
        "person",
        "/console/policy/propose",
        True,
        form=DIGEST | {"text": "[policy]\n", "digest": policy_digest("[policy]\n"), "proof": PASSWORD},
    ),
    ("POST", "/console/policy/approve"): Door(
        "person", "/console/policy/approve", True, form=DIGEST | {"proof": PASSWORD}
    ),
    ("POST", "/console/policy/withdraw"): Door("person", "/console/policy/withdraw", True, form=DIGEST),
    ("POST", "/sign-out"): Door("person", "/sign-out", True, form={}),
}
MATRIX = [pytest.param(method, door, id=f"{method} {route}") for (method, route), door in DOORS.items()]
GUARDED = [case for case in MATRIX if case.values[1].kind in ("either", "person")]  # type: ignore[union-attr]
ENDING = [case for case in GUARDED if not case.values[1].endless]  # type: ignore[union-attr]
CHANGING = [case for case in MATRIX if case.values[1].changes]  # type: ignore[union-attr]


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    pending: list[Any] = list(app.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute):
            found |= {(method, route.path) for method in route.methods}
        else:
            pending += getattr(getattr(route, "original_router", route), "routes", [])
    return found


def test_every_route_is_in_the_matrix(app: FastAPI) -> None:
    assert routes_of(app) == set(DOORS)


async def knock(
    client: httpx.AsyncClient,
    method: str,
    door: Door,
    *,
    headers: dict[str, str] | None = None,
    csrf: str | None = None,
    machine: bool = False,
) -> httpx.Response:
    headers = dict(headers or {})
    extra = door.machine_only if machine else door.person_only
    if door.json is not None:
        if csrf is not None:
            headers["X-CSRF-Token"] = csrf
        return await client.request(method, door.path, json=door.json | extra, headers=headers)
    if door.form is not None:
        form = door.form | {"csrf": csrf or ""}
        if door.app and (page := await client.get("/account")).is_success:
            form["code"] = code_of(page.text, HandClock().time)
        return await client.request(method, door.path, data=form, headers=headers)
    return await client.request(method, door.path, headers=headers)


def turned_away(answer: httpx.Response) -> bool:
    to_sign_in = (
        answer.status_code == 303 and answer.headers["location"] == "/sign-in" and "set-cookie" not in answer.headers
    )
    return to_sign_in or answer.status_code in (401, 403, 421)


@dataclass
class House:
    """One console for all who are turned away: a console takes longer to build than all of them to ask."""

    app: FastAPI
    plane: DeskDouble
    register: Register
    cookies: httpx.Cookies | None = None
    csrf: str = ""


@pytest.fixture(scope="module")
def house(desk_people: Path, tmp_path_factory: pytest.TempPathFactory) -> House:
    data_dir, plane, clock = tmp_path_factory.mktemp("house"), DeskDouble(), HandClock()
    shutil.copytree(desk_people, data_dir, dirs_exist_ok=True)
    register = a_register(data_dir, clock)
    return House(create_console(plane, plane, token=SecretStr(TOKEN), people=register, now=clock), plane, register)


@pytest.fixture
def nothing_happened(house: House) -> Iterator[None]:
    before = house.register.people
    yield
    assert house.register.people == before
    plane = house.plane
    assert plane.kills == plane.rearms == plane.policies == plane.overrides == plane.drilled == []


@pytest.fixture
async def stranger(house: House, nothing_happened: None) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(house.app) as client:
        yield client


@pytest.fixture
async def insider(house: House, nothing_happened: None) -> AsyncIterator[Browser]:
    """A person who stays signed in, whatever others tried with that very session before."""
    async with browse(house.app) as client:
        if house.cookies is None:
            house.csrf, house.cookies = await sign_in(client), client.cookies
        client.cookies = httpx.Cookies(house.cookies)
        yield Browser(client, house.csrf)
        assert (await client.get("/api/desk", headers=SAME_ORIGIN)).status_code == 200


@pytest.mark.parametrize(("method", "door"), GUARDED)
async def test_nobody_gets_nothing(stranger: httpx.AsyncClient, method: str, door: Door) -> None:
    assert turned_away(await knock(stranger, method, door))


@pytest.mark.parametrize(("method", "door"), GUARDED)
@pytest.mark.parametrize("header", [f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer ÿ"])
async def test_a_wrong_token_gets_nothing_even_with_a_good_cookie(
    insider: Browser, method: str, door: Door, header: str
) -> None:
    headers = SAME_ORIGIN | {"Authorization": header}
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    assert turned_away(await knock(insider.client, method, door, headers=raw, csrf=insider.csrf))  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "door"), GUARDED)
async def test_the_token_opens_the_api_and_only_the_api(client: httpx.AsyncClient, method: str, door: Door) -> None:
    answer = await knock(client, method, door, headers=BEARER, machine=True)
    assert answer.is_success if door.kind == "either" else turned_away(answer)


@pytest.mark.parametrize(("method", "door"), ENDING)
async def test_a_session_with_its_csrf_token_opens_everything(person: Browser, method: str, door: Door) -> None:
    answer = await knock(person.client, method, door, headers=SAME_ORIGIN, csrf=person.csrf)
    assert answer.status_code < 400, answer.text
    assert not turned_away(answer)


@pytest.mark.parametrize(("method", "door"), CHANGING)
@pytest.mark.parametrize("csrf", [None, "", "x" * 43])
async def test_a_session_without_its_csrf_token_changes_nothing(
    insider: Browser, method: str, door: Door, csrf: str | None
) -> None:
    assert (await knock(insider.client, method, door, headers=SAME_ORIGIN, csrf=csrf)).status_code == 403


FOREIGN = [
    {},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "https://127.0.0.1:8081"},
    {"Origin": "http://127.0.0.1:8081.evil.example"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
    {"Origin": ORIGIN, "Sec-Fetch-Site": "none"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize(("method", "door"), CHANGING)
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_another_sites_page_changes_nothing_even_knowing_the_csrf_token(
    insider: Browser, method: str, door: Door, headers: dict[str, str]
) -> None:
    assert (await knock(insider.client, method, door, headers=headers, csrf=insider.csrf)).status_code == 403


OWN = [
    SAME_ORIGIN,
    {"Origin": ORIGIN},
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", OWN, ids=str)
async def test_our_own_page_is_known_by_what_each_browser_sends(person: Browser, headers: dict[str, str]) -> None:
    door = DOORS["POST", "/console/kill"]
    assert (await knock(person.client, "POST", door, headers=headers, csrf=person.csrf)).status_code == 202


OTHERS_COOKIES = [
    'theme={"dark":true, "x":1}',
    "a=x[1] y",
    "version=2",
    "domain=x",
    "=nameless",
    "nameless",
    'quoted="unfinished',
    "xperpguard_session=x",
    "Perpguard_Session=x",
    "ÿ=ÿ",
    "",
]


@pytest.mark.parametrize("other", OTHERS_COOKIES)
async def test_cookies_of_other_programs_on_this_host_keep_nobody_out(person: Browser, other: str) -> None:
    ours = f"perpguard_session={person.cookie}"
    person.client.cookies.clear()
    for cookie in (f"{other}; {ours}", f"{ours};{other}"):
        answer = await person.client.get("/", headers=[(b"Cookie", cookie.encode("latin-1"))])
        assert answer.status_code == 200, cookie


@pytest.mark.parametrize("other", ["perpguard_session=x", "perpguard_session=", "perpguard_session=ÿ", "same"])
async def test_two_cookies_called_like_ours_are_nobodys_session(person: Browser, other: str) -> None:
    ours = f"perpguard_session={person.cookie}"
    other = ours if other == "same" else other
    person.client.cookies.clear()
    for cookies in ([f"{other}; {ours}"], [f"{ours}; {other}"], [other, ours]):
        headers = [(b"Cookie", cookie.encode("latin-1")) for cookie in cookies]
        assert (await person.client.get("/api/desk", headers=headers)).status_code == 401, cookies
    assert (await person.client.get("/api/desk", headers={"Cookie": ours})).status_code == 200


WRONG_HOSTS = [
    "evil.example",
    "evil.example:8081",
    "127.0.0.1.evil.example",
    "localhost.",
    "127.0.0.1:80x",
    "[::2]",
    "",
]


@pytest.mark.parametrize(("method", "door"), MATRIX)
@pytest.mark.parametrize("host", WRONG_HOSTS)
async def test_a_name_that_is_not_ours_is_not_answered(insider: Browser, method: str, door: Door, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert (await knock(insider.client, method, door, headers=headers, csrf=insider.csrf)).status_code == 421
    answer = await knock(insider.client, method, door, headers=BEARER | {"Host": host}, machine=True)
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8081", "127.0.0.1", "[::1]:8081", "[::1]", "guard.desk:8081"])
async def test_our_names_are_answered(plane: DeskDouble, host: str) -> None:
    app = create_console(plane, plane, token=SecretStr(TOKEN), hosts=["guard.desk"])
    async with browse(app) as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


async def test_two_host_headers_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers=[("Host", "localhost"), ("Host", "localhost")])
    assert answer.status_code == 421


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/control/kill", "/console/kill", "/control/rearm"])
async def test_a_kill_is_never_anything_but_a_post(
    client: httpx.AsyncClient, method: str, path: str, nothing_happened: None
) -> None:
    answer = await client.request(
        method, f"{path}?scope=desk&reason=x", headers=BEARER | {"X-HTTP-Method-Override": "POST"}
    )
    assert answer.status_code in (405, 422)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/static/../app.py", "/static/VENDORED.md", "/api"])
async def test_nothing_else_is_there(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


async def test_every_answer_keeps_the_page_small(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    plane.broken = True
    paths = ("/healthz", "/sign-in", "/", "/nothing", "/api/desk")
    answers = [await client.get(path, headers=BEARER) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 303, 404, 500]
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert "secret" not in answers[-1].text


async def test_the_cookie_cannot_be_read_sent_across_or_fixed(app: FastAPI) -> None:
    async with browse(app) as client:
        client.cookies.set("perpguard_session", "A" * 43, domain="127.0.0.1")
        answer = await client.post("/sign-in", data=SIGN_IN, headers=SAME_ORIGIN)
        cookie = answer.headers["set-cookie"]
        assert "A" * 43 not in cookie
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert "Secure" not in cookie
        client.cookies.clear()
        fixed = await client.get("/api/desk", headers={"Cookie": f"perpguard_session={'A' * 43}"})
        assert fixed.status_code == 401


async def test_signing_in_again_closes_the_session_before(person: Browser) -> None:
    before = person.cookie
    await sign_in(person.client)
    assert person.cookie != before
    person.client.cookies.clear()
    answer = await person.client.get("/api/desk", headers={"Cookie": f"perpguard_session={before}"})
    assert answer.status_code == 401


async def test_over_tls_the_cookie_is_secure_and_bound_to_the_host(plane: DeskDouble, register: Register) -> None:
    app = create_console(plane, plane, token=SecretStr(TOKEN), people=register, https=True)
    async with browse(app) as client:
        headers = {"Origin": "https://127.0.0.1:8081"}
        answer = await client.post("/sign-in", data=SIGN_IN, headers=headers)
        assert answer.headers["set-cookie"].startswith("__Host-perpguard=")
        assert "Secure" in answer.headers["set-cookie"]


async def test_a_session_ends_after_half_an_hour_of_rest_though_the_page_polls(
    person: Browser, clock: HandClock
) -> None:
    for _ in range(31):
        clock.wind(minutes=1)
        answer = await person.client.get("/partials/desk", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in")


async def test_a_session_ends_after_twelve_hours_of_work(person: Browser, clock: HandClock) -> None:
    for _ in range(24 * 2 + 1):
        assert (await person.client.get("/api/desk")).status_code == 200
        clock.wind(minutes=14.9)
    assert (await person.client.get("/api/desk")).status_code == 401


async def test_signing_out_is_final(person: Browser) -> None:
    cookie = person.cookie
    await person.client.post("/sign-out", data={"csrf": person.csrf}, headers=SAME_ORIGIN)
    answer = await person.client.get("/api/desk", headers={"Cookie": f"perpguard_session={cookie}"})
    assert answer.status_code == 401


async def test_the_table_of_sessions_is_bounded(app: FastAPI, person: Browser) -> None:
    for _ in range(SESSIONS_MAX):
        async with browse(app) as client:
            await sign_in(client)
    assert (await person.client.get("/api/desk")).status_code == 401


async def test_guessing_is_slowed_down_for_the_guesser_alone(app: FastAPI, clock: HandClock) -> None:
    async with browse(app) as guesser, browse(app, "127.0.0.2") as other:
        for _ in range(8):
            wrong = await guesser.post("/sign-in", data=SIGN_IN | {"password": "guess"}, headers=SAME_ORIGIN)
            assert wrong.status_code == 401
        assert (await guesser.post("/sign-in", data=SIGN_IN, headers=SAME_ORIGIN)).status_code == 429
        assert (await guesser.get("/api/desk", headers=BEARER)).status_code == 200, "a right machine never waits"
        assert (await other.post("/sign-in", data=SIGN_IN, headers=SAME_ORIGIN)).status_code == 303
        clock.wind(minutes=5)
        assert (await guesser.post("/sign-in", data=SIGN_IN, headers=SAME_ORIGIN)).status_code == 303


@pytest.mark.parametrize(
    ("https", "peer", "rights"),
    [(True, "127.0.0.1", 303), (False, "127.0.0.1", 429), (True, "10.0.0.9", 429)],
    ids=["behind a TLS proxy of this machine", "no proxy is said to be there", "whoever comes from elsewhere"],
)
async def test_behind_a_tls_proxy_a_guesser_is_slowed_down_by_the_address_that_the_proxy_adds(
    plane: DeskDouble, register: Register, https: bool, peer: str, rights: int
) -> None:
    app = create_console(plane, plane, token=SecretStr(TOKEN), people=register, https=https)
    origin = {"Origin": ORIGIN.replace("http:", "https:") if https else ORIGIN}
    guessing, right = ({"X-Forwarded-For": address} for address in ("203.0.113.66", "198.51.100.7"))
    async with browse(app, peer) as client:
        for number in range(8):
            claimed = {"X-Forwarded-For": f"10.9.9.{number}, 203.0.113.66"}
            form = SIGN_IN | {"name": f"nobody{number}"}
            assert (await client.post("/sign-in", data=form, headers=origin | claimed)).status_code == 401
        assert (await client.post("/sign-in", data=SIGN_IN, headers=origin | guessing)).status_code == 429
        assert (await client.post("/sign-in", data=SIGN_IN, headers=origin | right)).status_code == rights


async def test_guessing_from_everywhere_is_slowed_down_for_that_person_alone(app: FastAPI) -> None:
    for number in range(20):
        async with browse(app, f"10.0.{number}.1") as guesser:
            wrong = await guesser.post("/sign-in", data=SIGN_IN | {"password": "guess"}, headers=SAME_ORIGIN)
            assert wrong.status_code == 401
    async with browse(app) as client:
        assert (await client.post("/sign-in", data=SIGN_IN, headers=SAME_ORIGIN)).status_code == 429
        assert (await client.post("/sign-in", data=SIGN_IN | {"name": "Ben"}, headers=SAME_ORIGIN)).status_code == 303


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_no_other_site_can_sign_a_browser_in(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/sign-in", data=SIGN_IN, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_nobody_signs_in_where_there_are_no_people(plane: DeskDouble) -> None:
    async with browse(create_console(plane, plane, token=SecretStr(TOKEN))) as client:
        answer = await client.post("/sign-in", data=SIGN_IN, headers=SAME_ORIGIN)
        assert answer.status_code == 503
        assert (await client.get("/api/desk", headers=BEARER)).status_code == 200


@dataclass(frozen=True)
class Press:
    """One way to ask for a kill: from where, says the browser, and in what form."""

    origin: str | None
    site: str | None
    host: str
    content_type: str | None

    @property
    def headers(self) -> dict[str, str]:
        named = {"Origin": self.origin, "Sec-Fetch-Site": self.site, "Content-Type": self.content_type}
        return {"Host": self.host} | {name: value for name, value in named.items() if value is not None}

    def is_ours(self, wanted: str) -> bool:
        """From our page, by our name, in the one form that a handler reads."""
        vouched = self.site == "same-origin" and self.origin in (ORIGIN, None, "null")
        return self.host == OUR_HOST and self.content_type == wanted and (vouched or self.by_origin)

    @property
    def by_origin(self) -> bool:
        return self.site is None and self.origin == ORIGIN


OUR_HOST = ORIGIN.removeprefix("http://")
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
PRESSES = [
    Press(origin, site, host, content_type)
    for origin in (ORIGIN, None, "null", "http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8081")
    for site in ("same-origin", "same-site", "cross-site", "none", None)
    for host in (OUR_HOST, "evil.example:8081")
    for content_type in (FORM, JSON, "text/plain", "multipart/form-data; boundary=x", None)
]


@pytest.mark.parametrize(("path", "wanted"), [("/console/kill", FORM), ("/control/kill", JSON)])
async def test_only_our_own_page_presses_the_button(person: Browser, plane: DeskDouble, path: str, wanted: str) -> None:
    form = urlencode(KILL | {"csrf": person.csrf}).encode()
    body = form if wanted == FORM else json.dumps(KILL).encode()
    cookie = {"Cookie": f"perpguard_session={person.cookie}", "X-CSRF-Token": person.csrf}
    for press in PRESSES:
        pressed = len(plane.kills)
        answer = await person.client.post(path, content=body, headers=press.headers | cookie)
        assert (answer.status_code == 202) is press.is_ours(wanted), (press, answer.text)
        assert len(plane.kills) - pressed == press.is_ours(wanted), press
    assert len(plane.kills) == 4


def test_a_short_token_fails_at_start(plane: DeskDouble) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        create_console(plane, plane, token=SecretStr("short"))
