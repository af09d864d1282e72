"""The trading socket: the same orders, checks, limits and faults as over REST, in frames; sessions log on once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.sandbox.practice import ALICE, PracticeServer, start, stop
from tests.sandbox.sockets import Ear, listen, signed_frame, trader

DOOR = "/ws-fapi/v1"
BTC = "BTCUSDT"
LIMIT = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 0.01, "price": "88000.0"}
SESSION_KEY = "alice-ed25519"


@pytest.fixture
def private_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def venue_with_ed25519(private_key: Ed25519PrivateKey, tmp_path: Path) -> Iterator[PracticeServer]:
    """Alice also has a key proven by a key pair."""
    pem = tmp_path / "alice.pem"
    pem.write_bytes(private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    process, server = start("--scenario", "flat", "--speed", "0", "--ed25519", f"alice:{SESSION_KEY}:{pem}")
    yield server
    server.control.close()
    stop(process)


def logon(private_key: Ed25519PrivateKey, method: str = "session.logon", **params: Any) -> dict[str, Any]:
    named = {"apiKey": SESSION_KEY, "timestamp": int(time.time() * 1000), **params}
    text = "&".join(f"{name}={named[name]}" for name in sorted(named))
    signature = base64.b64encode(private_key.sign(text.encode())).decode()
    return {"id": "logon", "method": method, "params": named | {"signature": signature}}


async def call(ear: Ear, method: str, frame_id: Any = 1, **params: Any) -> Any:
    return await ear.ask(**signed_frame(ALICE, method, frame_id, **params))


async def test_an_order_lives_and_dies_over_the_socket(venue: PracticeServer) -> None:
    async with listen(venue, DOOR) as ear:
        placed = await call(ear, "order.place", "first", **LIMIT, newClientOrderId="mine-1")
        assert (placed["id"], placed["status"], placed["result"]["status"]) == ("first", 200, "NEW")
        changed = {"symbol": BTC, "side": "BUY", "quantity": "0.02", "price": "88100", "origClientOrderId": "mine-1"}
        modified = await call(ear, "order.modify", **changed)
        assert modified["result"]["price"] == "88100.0"
        asked = await call(ear, "order.status", symbol=BTC, orderId=placed["result"]["orderId"])
        assert asked["result"]["origQty"] == "0.020"
        cancelled = await call(ear, "order.cancel", symbol=BTC, origClientOrderId="mine-1")
        assert cancelled["result"]["status"] == "CANCELED"
    assert trader(venue).open_orders() == []
    entries = [(entry["method"], entry["path"], entry["account"], entry["status"]) for entry in venue.log()]
    assert entries == [("WS", name, "alice", 200) for name in ("order.place", "order.modify", "order.cancel")]
    assert not any({"signature", "apiKey"} & set(entry["params"]) for entry in venue.log())  # type: ignore[call-overload]


async def test_conditional_orders_and_reads(venue: PracticeServer) -> None:
    stop_loss = {"algoType": "CONDITIONAL", "symbol": BTC, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.1"}
    async with listen(venue, DOOR) as ear:
        placed = await call(ear, "algoOrder.place", **stop_loss, triggerPrice="85000")
        assert placed["result"]["algoStatus"] == "NEW"
        cancelled = await call(ear, "algoOrder.cancel", algoId=placed["result"]["algoId"])
        assert cancelled["result"]["msg"] == "success"
        balance = (await call(ear, "v2/account.balance"))["result"][0]["balance"]
        assert balance == (await call(ear, "account.balance"))["result"][0]["balance"] == "10000.00000000"
        assert len((await call(ear, "account.status"))["result"]["positions"]) == 6
        assert (await call(ear, "v2/account.status"))["result"]["positions"] == []
        assert len((await call(ear, "account.position"))["result"]) == 6
        assert (await call(ear, "v2/account.position"))["result"] == []
        assert (await ear.ask(id=1, method="ticker.price", params={"symbol": BTC}))["result"]["price"] == "90000.0"
        assert (await ear.ask(id=1, method="ticker.book", params={"symbol": BTC}))["result"]["bidPrice"] == "89995.5"
        assert len((await ear.ask(id=1, method="depth", params={"symbol": BTC, "limit": 5}))["result"]["bids"]) == 5
    assert [entry["path"] for entry in venue.log()] == ["algoOrder.place", "algoOrder.cancel"]


async def test_the_user_stream_can_be_started_here(venue: PracticeServer) -> None:
    async with listen(venue, DOOR) as ear:
        none = await ear.ask(id=1, method="userDataStream.ping", params={"apiKey": ALICE[0]})
        assert (none["status"], none["error"]["code"]) == (400, -1125)
        started = await ear.ask(id=1, method="userDataStream.start", params={"apiKey": ALICE[0]})
        pinged = await ear.ask(id=1, method="userDataStream.ping", params={"apiKey": ALICE[0]})
        assert pinged["result"] == started["result"]
        stopped = await ear.ask(id=1, method="userDataStream.stop", params={"apiKey": ALICE[0]})
        assert (stopped["status"], stopped["result"]) == (200, {})


async def test_values_may_be_signed_raw_or_percent_encoded(venue: PracticeServer) -> None:
    params = LIMIT | {"newClientOrderId": "a/b:c"}
    raw = signed_frame(ALICE, "order.place", **params)
    other = {"apiKey": ALICE[0], "timestamp": int(time.time() * 1000), **params, "newClientOrderId": "d/e:f"}
    payload = urlencode(sorted(other.items()))
    signature = hmac.new(ALICE[1].encode(), payload.encode(), hashlib.sha256).hexdigest()
    encoded = {"id": 2, "method": "order.place", "params": other | {"signature": signature}}
    async with listen(venue, DOOR) as ear:
        assert (await ear.ask(**raw))["status"] == (await ear.ask(**encoded))["status"] == 200


@pytest.mark.parametrize(
    ("credential", "method", "params", "status", "code"),
    [
        (ALICE, "order.cancelReplace", LIMIT, 400, -1020),
        (("nobody", "x"), "order.place", LIMIT, 401, -2015),
        ((ALICE[0], "wrong"), "order.place", LIMIT, 400, -1022),
        (ALICE, "order.place", LIMIT | {"timestamp": 1}, 400, -1021),
        (ALICE, "order.place", LIMIT | {"symbol": "NOPE"}, 400, -1121),
        (ALICE, "order.place", LIMIT | {"quantity": 50}, 400, -2019),
        (ALICE, "order.status", {"symbol": BTC, "orderId": 1}, 400, -2013),
        (ALICE, "session.logon", {}, 401, -2015),
        (ALICE, "session.dance", {}, 400, -1020),
    ],
)
async def test_refusals_carry_the_venues_codes(
    venue_for_refusals: PracticeServer,
    credential: tuple[str, str],
    method: str,
    params: dict[str, Any],
    status: int,
    code: int,
) -> None:
    async with listen(venue_for_refusals, DOOR) as ear:
        answer = await ear.ask(**signed_frame(credential, method, **params))
    assert (answer["status"], answer["error"]["code"]) == (status, code), answer


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", -1135),
        ("[]", -1135),
        ('{"id":1,"params":{}}', -1135),
        ('{"id":1,"method":"order.place","params":[]}', -1135),
        ('{"id":[1],"method":"depth"}', -1130),
        ('{"id":1,"method":"depth"}', -1102),
        ('{"id":1,"method":"order.place","params":{"symbol":"BTCUSDT"}}', -2014),
        (r'{"id":1,"method":"depth","params":{"symbol":"\ud800"}}', -1121),
    ],
)
async def test_frames_that_make_no_sense_are_answered_too(
    venue_for_refusals: PracticeServer, text: str, code: int
) -> None:
    async with listen(venue_for_refusals, DOOR) as ear:
        await ear.connection.send(text)
        assert (await ear.next())["error"]["code"] == code


async def test_rate_limits_are_told_and_shared_with_rest(venue: PracticeServer) -> None:
    trader(venue).order(BTC, "BUY", "0.01", "88000")
    async with listen(venue, DOOR) as ear:
        told = (await call(ear, "order.place", **LIMIT))["rateLimits"]
        assert [(row["rateLimitType"], row["interval"], row["limit"]) for row in told] == [
            ("ORDERS", "SECOND", 300),
            ("ORDERS", "MINUTE", 1200),
            ("REQUEST_WEIGHT", "MINUTE", 2400),
        ]
        assert told[1]["count"] == 2
        assert "rateLimits" not in await call(ear, "order.place", **LIMIT, returnRateLimits="false")
    async with listen(venue, f"{DOOR}?returnRateLimits=false") as ear:
        assert "rateLimits" not in await call(ear, "order.place", **LIMIT)


async def test_haste_is_refused_in_a_frame() -> None:
    process, venue = start("--scenario", "flat", "--speed", "0", "--order-limit", "2")
    try:
        async with listen(venue, DOOR) as ear:
            answers = [await call(ear, "order.place", **LIMIT) for _ in range(3)]
        assert [answer["status"] for answer in answers] == [200, 200, 429]
        assert answers[-1]["error"]["code"] == -1015
    finally:
        stop(process)


async def test_a_session_logs_on_once_and_then_signs_no_more(
    venue_with_ed25519: PracticeServer, private_key: Ed25519PrivateKey
) -> None:
    def unsigned(method: str, **params: Any) -> dict[str, Any]:
        return {"id": 5, "method": method, "params": {"timestamp": int(time.time() * 1000), **params}}

    async with listen(venue_with_ed25519, DOOR) as ear:
        assert (await ear.ask(**unsigned("order.place", **LIMIT)))["error"]["code"] == -2014
        bad = logon(Ed25519PrivateKey.generate())
        assert (await ear.ask(**bad))["error"]["code"] == -1022
        session = (await ear.ask(**logon(private_key)))["result"]
        assert session["apiKey"] == SESSION_KEY
        assert session["authorizedSince"] >= session["connectedSince"]
        assert (await ear.ask(**unsigned("order.place", **LIMIT)))["status"] == 200
        assert (await ear.ask(**unsigned("account.balance", timestamp=1)))["error"]["code"] == -1021
        # Another key may still sign for itself.
        assert (await call(ear, "order.place", **LIMIT))["status"] == 200
        assert (await ear.ask(id=6, method="session.status"))["result"]["apiKey"] == SESSION_KEY
        assert (await ear.ask(id=7, method="session.logout"))["result"]["apiKey"] is None
        assert (await ear.ask(**unsigned("order.place", **LIMIT)))["error"]["code"] == -2014


async def test_ed25519_signs_rest_requests_and_single_frames(
    venue_with_ed25519: PracticeServer, private_key: Ed25519PrivateKey
) -> None:
    venue = venue_with_ed25519
    text = urlencode({"timestamp": int(time.time() * 1000)})
    signature = base64.b64encode(private_key.sign(text.encode())).decode()

    def balance(signature: str) -> httpx.Response:
        url = f"{venue.url}/fapi/v3/balance?{text}&{urlencode({'signature': signature})}"
        return httpx.get(url, headers={"X-MBX-APIKEY": SESSION_KEY})

    assert balance(signature).json()[0]["balance"] == "10000.00000000"
    assert balance(signature[:-4] + "AAAA").json()["code"] == -1022
    assert balance("not base64").json()["code"] == -1022
    async with listen(venue, DOOR) as ear:
        assert (await ear.ask(**logon(private_key, "order.place", **LIMIT)))["status"] == 200


async def test_frames_meet_the_faults_of_orders(venue: PracticeServer) -> None:
    async with listen(venue, DOOR) as ear:
        venue.faults(reject_429=1, retry_after_s=7)
        refused = await call(ear, "order.place", **LIMIT)
        assert (refused["status"], refused["error"]["code"]) == (429, -1003)
        told = refused["error"]["data"]
        assert told["retryAfter"] - told["serverTime"] == 7_000
        venue.faults(unknown_503=1, unknown_503_execution="now")
        unknown = await call(ear, "order.place", **LIMIT)
        assert (unknown["status"], unknown["error"]["code"]) == (503, -1007)
        venue.faults(drop_reply=1)
        await ear.connection.send(json.dumps(signed_frame(ALICE, "order.place", **LIMIT)))
        await ear.closed()
    assert len(trader(venue).open_orders()) == 2
    assert [entry["fault"] for entry in venue.log()] == ["reject_429", "unknown_503", "drop_reply"]


async def test_slow_answers_do_not_hold_up_the_frames_behind_them(venue: PracticeServer) -> None:
    venue.faults(latency_ms=500)
    async with listen(venue, DOOR) as ear:
        for number in range(5):
            await ear.connection.send(json.dumps(signed_frame(ALICE, "order.place", number, **LIMIT)))
        answers = [await ear.next()]
        assert len(venue.log()) == 5
        answers += [await ear.next() for _ in range(4)]
    assert {answer["id"] for answer in answers} == set(range(5))


async def test_an_order_whose_sender_has_gone_is_executed_all_the_same(venue: PracticeServer) -> None:
    async with listen(venue, DOOR) as ear:
        await ear.connection.send(json.dumps(signed_frame(ALICE, "order.place", **LIMIT)))
    async with asyncio.timeout(5):
        while not trader(venue).open_orders():
            await asyncio.sleep(0.02)


async def test_a_banned_caller_is_told_until_when(venue: PracticeServer) -> None:
    venue.faults(ban_418=60)
    async with listen(venue, DOOR) as ear:
        refused = await call(ear, "order.place", **LIMIT)
    assert refused["status"] == 418
    assert 58_000 < refused["error"]["data"]["retryAfter"] - time.time() * 1000 <= 60_000


@pytest.mark.parametrize(("scope", "read", "cancel"), [("reads", 429, 400), ("writes", 400, 429), ("all", 429, 429)])
async def test_a_scope_names_the_operations_that_are_hit(
    venue: PracticeServer, scope: str, read: int, cancel: int
) -> None:
    venue.faults(reject_429=2, scope=scope)
    async with listen(venue, DOOR) as ear:
        assert (await call(ear, "order.status", symbol=BTC, orderId=1))["status"] == read
        assert (await call(ear, "order.cancel", symbol=BTC, orderId=1))["status"] == cancel


async def test_orders_of_the_socket_are_counted_among_the_orders_taken(venue: PracticeServer) -> None:
    async with listen(venue, DOOR) as ear:
        assert (await call(ear, "order.place", **LIMIT))["status"] == 200
        assert (await call(ear, "order.place", **LIMIT | {"price": "1"}))["status"] == 400
    assert venue.control.get("/log/totals").json() == {"total": 2, "orders_taken": 1}


async def test_limits_that_never_refuse_are_listed_as_exchange_info_lists_them() -> None:
    process, venue = start("--scenario", "flat", "--speed", "0", "--order-limit", "0", "--weight-limit", "0")
    try:
        async with listen(venue, DOOR) as ear:
            told = (await call(ear, "order.place", **LIMIT))["rateLimits"]
        listed = httpx.get(f"{venue.url}/fapi/v1/exchangeInfo").json()["rateLimits"]
    finally:
        stop(process)

    def limits(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return sorted((row["rateLimitType"], row["interval"], row["limit"]) for row in rows)

    assert limits(told) == limits(listed)


async def test_an_id_that_no_answer_could_repeat_is_refused_and_the_socket_lives(venue: PracticeServer) -> None:
    async with listen(venue, DOOR) as ear:
        asked = '{"id": "\\ud800", "method": "ticker.price", "params": {"symbol": "BTCUSDT"}}'
        await ear.connection.send(asked)
        assert (await ear.next())["error"]["code"] == -1130
        await ear.connection.send(asked.replace("\\ud800", "\\ud83d\\ude80"))
        assert (await ear.next())["id"] == "\N{ROCKET}"
