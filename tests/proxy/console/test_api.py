"""The control API: strict bodies, the person who is recorded, and errors that repeat nothing."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from proxy.store.codec import plain
from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser
from tests.proxy.console.desk_double import A_DRILL, DeskDouble, a_bot, a_desk, a_rearm, a_refusal, a_story
from tests.support.people import PASSWORD

JSON = BEARER | {"Content-Type": "application/json"}
CANARY = "zq9canary"
PROBLEM = ("type", "title", "status", "detail", "code")
DEEP = b"[" * 100_000

BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "not json": CANARY.encode(),
    "trailing": b'{"scope":"desk","reason":"x"} {}',
    "byte order mark": b'\xef\xbb\xbf{"scope":"desk","reason":"x"}',
    "not utf-8": b'{"scope":"desk","reason":"\xff"}',
    "an array": b'[{"scope":"desk","reason":"x"}]',
    "null": b"null",
    "duplicate": b'{"scope":"account:main","scope":"desk","reason":"x"}',
    "unknown name": b'{"scope":"desk","reason":"x","zq9canary":"1"}',
    "missing": b'{"scope":"desk"}',
    "number": b'{"scope":"desk","reason":1}',
    "huge number": b'{"scope":"desk","reason":1e1000000}',
    "many digits": b'{"scope":"desk","reason":' + b"9" * 20_000 + b"}",
    "NaN": b'{"scope":"desk","reason":NaN}',
    "Infinity": b'{"scope":"desk","reason":-Infinity}',
    "true": b'{"scope":"desk","reason":true}',
    "nested": b'{"scope":"desk","reason":{"zq9canary":"x"}}',
    "deep": b'{"scope":"desk","reason":' + DEEP[:60_000],
    "nul": b'{"scope":"desk","reason":"a\\u0000"}',
    "lone surrogate": b'{"scope":"desk","reason":"\\ud800"}',
    "two lines": b'{"scope":"desk","reason":"a\\nb"}',
    "right-to-left override": '{"scope":"desk","reason":"a\u202eb"}'.encode(),
    "long": b'{"scope":"desk","reason":"' + b"zq9canary" * 100 + b'"}',
    "odd scope": b'{"scope":"zq9canary","reason":"x"}',
    "path in scope": b'{"scope":"account:../x","reason":"x"}',
    "full-width scope": '{"scope":"ｄesk","reason":"x"}'.encode(),
    "newline after scope": b'{"scope":"desk\\n","reason":"x"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_bad_body_is_refused_and_not_repeated(
    client: httpx.AsyncClient, plane: DeskDouble, body: bytes
) -> None:
    answer = await client.post("/control/kill", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert set(PROBLEM) <= set(told) <= {*PROBLEM, "errors"}
    assert (told["type"], told["status"]) == (f"/problems/{told['code']}", 422)
    assert CANARY not in answer.text
    assert plane.kills == []


async def test_a_large_body_is_cut_off(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    body = b'{"scope":"desk","reason":"x"}' + b" " * 65_536
    assert (await client.post("/control/kill", content=body, headers=JSON)).status_code == 413
    assert plane.kills == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
    ids=str,
)
async def test_only_plain_json_is_read(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/control/kill", content=b'{"scope":"desk","reason":"x"}', headers=BEARER | headers)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=1e2",
        "limit=-1",
        "limit=١",
        "limit=1&limit=2",
        "zq9canary=1",
        "bot=%00",
        "bot=%ff",
        "bot=" + CANARY * 100,
        "&".join(f"a{i}=1" for i in range(40)),
    ],
)
async def test_an_odd_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/blocked?{query}", headers=BEARER)
    assert answer.status_code == 422
    assert CANARY not in answer.text


async def test_a_page_of_refusals_says_where_to_go_on(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    plane.refusals, plane.looked_at_max = [a_refusal(), a_refusal(bot="grid-1")], 1
    first = (await client.get("/api/blocked?bot=grid-1", headers=BEARER)).json()
    assert first == {"blocked": [], "next": "1"}
    last = (await client.get(f"/api/blocked?bot=grid-1&before={first['next']}", headers=BEARER)).json()
    assert ([row["bot"] for row in last["blocked"]], last["next"]) == (["grid-1"], None)
    assert (await client.get("/api/blocked?before=x", headers=BEARER)).status_code == 409


@pytest.mark.parametrize("name", ["nothing", "%00", "%2e%2e%2fetc", "a b", "<script>", "x" * 500, "%ff"])
async def test_an_unknown_decision_is_404(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/api/decisions/{name}", headers=BEARER)
    assert answer.status_code == 404


async def test_a_machines_kill_is_named(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    body = {"scope": "account:main", "reason": "heartbeat lost", "by": "pager"}
    answer = await client.post("/control/kill", json=body, headers=BEARER)
    assert answer.status_code == 202
    told = answer.json()
    assert (told["scope"], told["blocked_ms"], told["generation"]) == ("account:main", 11.5, 8)
    assert plane.kills == [{"scope": "account:main", "by": "pager", "reason": "heartbeat lost"}]


async def test_a_persons_kill_bears_the_name_of_the_session(person: Browser, plane: DeskDouble) -> None:
    headers = SAME_ORIGIN | {"X-CSRF-Token": person.csrf}
    body = {"scope": "desk", "reason": "x"}
    assert (await person.client.post("/control/kill", json=body, headers=headers)).status_code == 202
    assert plane.kills[0]["by"] == "Ada Lovelace"
    assert (await person.client.post("/control/kill", json=body | {"by": "Eve"}, headers=headers)).status_code == 422


ASKED = {
    "scope": "desk",
    "name": "Ada Lovelace",
    "reason": "repaired it",
    "typed": "desk",
    "policy": "a1b2c3d4e5f60718",
    "acknowledged": "",
}


async def test_a_person_re_arms_only_by_proving_again_who_it_is(person: Browser, plane: DeskDouble) -> None:
    form = ASKED | {"csrf": person.csrf}
    wrong = await person.client.post("/console/rearm", data=form | {"proof": "no"}, headers=SAME_ORIGIN)
    assert wrong.status_code == 401
    assert "neither your password nor a code" in wrong.text
    other = await person.client.post(
        "/console/rearm", data=form | {"name": "Eve", "proof": PASSWORD}, headers=SAME_ORIGIN
    )
    assert other.status_code == 422
    assert plane.rearms == []
    right = await person.client.post("/console/rearm", data=form | {"proof": PASSWORD}, headers=SAME_ORIGIN)
    assert (right.status_code, "desk is asked for" in right.text) == (200, True)
    assert plane.rearms == [ASKED | {"what": "request"}]


async def test_approving_takes_a_proof_too_and_withdrawing_does_not(person: Browser, plane: DeskDouble) -> None:
    plane.scopes["desk"] = a_rearm(stage="REQUESTED", by="Ben")
    form = {name: text for name, text in ASKED.items() if name not in ("policy", "acknowledged")}
    form["csrf"] = person.csrf
    path = "/console/rearm/approve"
    assert (await person.client.post(path, data=form | {"proof": "no"}, headers=SAME_ORIGIN)).status_code == 401
    assert plane.rearms == []
    right = await person.client.post(path, data=form | {"proof": PASSWORD}, headers=SAME_ORIGIN)
    assert (right.status_code, "reduce-only for now" in right.text) == (200, True)
    taken = {"csrf": person.csrf, "scope": "desk", "reason": "not yet, after all"}
    assert (await person.client.post("/console/rearm/withdraw", data=taken, headers=SAME_ORIGIN)).status_code == 200
    assert [each["what"] for each in plane.rearms] == ["approve", "withdraw"]


async def test_what_must_hold_is_shown_with_its_reason(person: Browser, plane: DeskDouble) -> None:
    page = (await person.client.get("/rearm")).text
    assert "the stream of main is stale" in page
    assert "a1b2c3d4e5f60718" in page
    plane.scopes["desk"] = a_rearm(stage="RAMPING", share="0.25", opened_at="2026-11-24T09:31:00Z", checks=())
    assert "25 %" in (await person.client.get("/partials/rearm")).text


async def test_a_requests_answer_says_that_it_waits(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    answer = await client.post("/control/rearm", json=ASKED, headers=BEARER)
    assert (answer.status_code, answer.json()["stage"]) == (202, "REQUESTED")
    seen = (await client.get("/control/rearm?scope=desk", headers=BEARER)).json()["scopes"]
    assert [view["by"] for view in seen] == ["Ada Lovelace"]
    odd = await client.get("/control/rearm?scope=moon", headers=BEARER)
    assert (odd.status_code, odd.json()["code"]) == (422, "UNKNOWN_SCOPE")


async def test_a_drill_is_begun_by_somebody_and_read_by_its_id(
    client: httpx.AsyncClient, person: Browser, plane: DeskDouble
) -> None:
    begun = await client.post("/control/drill", json={"kind": "dry", "name": "Ada"}, headers=BEARER)
    assert (begun.status_code, begun.json()["running"]) == (202, True)
    form = {"csrf": person.csrf, "kind": "practice"}
    assert (await person.client.post("/console/drill", data=form, headers=SAME_ORIGIN)).status_code == 200
    assert plane.drilled == [{"kind": "dry", "by": "Ada"}, {"kind": "practice", "by": "Ada Lovelace"}]
    told = (await client.get("/api/drills/20261124T093000000000", headers=BEARER)).json()
    assert told == json.loads(json.dumps(plain(A_DRILL)))
    for name in ("20261124T093000000001", "..", "%2e%2e%2fkill", "x"):
        assert (await client.get(f"/api/drills/{name}", headers=BEARER)).status_code == 404
    assert "12.50" in (await person.client.get("/drills")).text


async def test_a_bot_is_let_go_on_and_killed_like_an_account(
    client: httpx.AsyncClient, person: Browser, plane: DeskDouble
) -> None:
    body = {"scope": "bot:grid-1", "name": "Ada", "reason": "repaired it", "typed": "bot:grid-1"}
    assert (await client.post("/control/rearm", json=body, headers=BEARER)).status_code == 200
    form = body | {"csrf": person.csrf, "name": "Ada Lovelace", "proof": PASSWORD, "policy": "", "acknowledged": ""}
    answer = await person.client.post("/console/rearm", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, "bot:grid-1 may trade again" in answer.text) == (200, True)
    assert [each["scope"] for each in plane.rearms] == ["bot:grid-1", "bot:grid-1"]
    kill = await client.post("/control/kill", json={"scope": "bot:grid-1", "reason": "x"}, headers=BEARER)
    assert kill.status_code == 202
    kill = await client.post("/control/kill", json={"scope": "venue:binanceusdm", "reason": "x"}, headers=BEARER)
    assert kill.status_code == 202
    assert [each["scope"] for each in plane.kills] == ["bot:grid-1", "venue:binanceusdm"]


@pytest.mark.parametrize(
    "scope", ["bot:", "bot:a/b", "bot:" + "a" * 33, "bots:grid-1", "symbol:BTCUSDT", "bot:grid-1 "]
)
async def test_a_scope_that_names_nothing_is_not_re_armed(
    client: httpx.AsyncClient, plane: DeskDouble, scope: str
) -> None:
    body = {"scope": scope, "name": "Ada", "reason": "repaired it", "typed": scope}
    answer = await client.post("/control/rearm", json=body, headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (422, "UNKNOWN_SCOPE")
    assert plane.rearms == []


async def test_a_stopped_bot_is_shown_and_offered_to_be_let_go_on(person: Browser, plane: DeskDouble) -> None:
    stopped = a_bot(name="momentum", state="HALTED", stopped_for="EXECUTIONS_ABOVE_LIMIT: 21 entries")
    plane.view = a_desk(bots=(a_bot(), stopped))
    page = (await person.client.get("/")).text
    assert "EXECUTIONS_ABOVE_LIMIT: 21 entries" in page
    plane.scopes = {"bot:momentum": a_rearm(scope="bot:momentum", stage="HALTED", simple=True, checks=())}
    page = (await person.client.get("/rearm")).text
    assert "<option>bot:momentum</option>" in page
    assert "bot:grid-1" not in page
    desk = (await person.client.get("/api/desk", headers=BEARER)).json()
    assert [(each["state"], each["stopped_for"]) for each in desk["bots"]] == [
        ("ACTIVE", ""),
        ("HALTED", "EXECUTIONS_ABOVE_LIMIT: 21 entries"),
    ]


async def test_a_refusal_of_the_warden_reaches_the_person_who_asked(person: Browser, plane: DeskDouble) -> None:
    plane.refuse = "the kill of <main> has not ended"
    form = {"csrf": person.csrf, "scope": "desk", "reason": ""}
    answer = await person.client.post("/console/kill", data=form, headers=SAME_ORIGIN)
    assert answer.status_code == 409
    assert "the kill of &lt;main&gt; has not ended" in answer.text
    body = {"scope": "desk", "name": "Ada", "reason": "repaired it", "typed": "desk"}
    api = await person.client.post("/control/rearm", json=body, headers=BEARER)
    assert (api.status_code, api.json()["code"]) == (409, "REFUSED")


async def test_a_thousand_presses_are_never_rate_limited(client: httpx.AsyncClient, plane: DeskDouble) -> None:
    body = {"scope": "desk", "reason": "flood"}
    answers = await asyncio.gather(*(client.post("/control/kill", json=body, headers=BEARER) for _ in range(1000)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(plane.kills) == 1000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("1.10"), "\ud800", b"x"])
async def test_whatever_the_archive_holds_is_answered(client: httpx.AsyncClient, plane: DeskDouble, value: Any) -> None:
    plane.decisions["odd"] = a_story(outcome={"value": value})
    plane.view = a_desk(bots=(a_bot(anomaly=float("nan")),))
    assert (await client.get("/api/decisions/odd", headers=BEARER)).status_code == 200
    assert (await client.get("/api/desk", headers=BEARER)).json()["bots"][0]["anomaly"] is None


async def test_health_tells_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_over_a_real_socket(app: FastAPI, plane: DeskDouble) -> None:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert (await client.get("/api/desk")).status_code == 401
            assert (await client.get("/api/desk", headers=BEARER)).json()["desk"] == "tokyo"
            killed = await client.post("/control/kill", json={"scope": "desk", "reason": "x"}, headers=BEARER)
            assert killed.status_code == 202
            assert (await client.get("/healthz", headers={"Host": "evil.example"})).status_code == 421
            assert (await client.post("/control/kill", content=BAD_BODIES["NaN"], headers=JSON)).status_code == 422
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /api/decisions/%ff%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 401 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
    finally:
        server.should_exit = True
        await serving
    assert [kill["by"] for kill in plane.kills] == ["holder of the control token"]
