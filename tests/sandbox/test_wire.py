"""The door itself: signatures, error codes, limits, faults and the request log, over plain HTTP."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tests.sandbox.practice import ALICE, ROOT, PracticeServer, start, stop

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "88000",
}


def sign(text: str, secret: str = ALICE[1]) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed(
    venue: PracticeServer, method: str, path: str, params: Mapping[str, object] | None = None, *, in_body: bool = False
) -> httpx.Response:
    text = urlencode({"timestamp": int(time.time() * 1000)} | dict(params or {}))
    text += f"&signature={sign(text)}"
    headers = {"X-MBX-APIKEY": ALICE[0]}
    if in_body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return httpx.request(method, venue.url + path, content=text, headers=headers)
    return httpx.request(method, f"{venue.url}{path}?{text}", headers=headers)


def code(response: httpx.Response) -> int:
    assert response.status_code >= 400, response.text
    return int(response.json()["code"])


@pytest.mark.parametrize("in_body", [True, False])
def test_parameters_travel_in_query_or_body(venue: PracticeServer, in_body: bool) -> None:
    assert signed(venue, "POST", "/fapi/v1/order", LIMIT, in_body=in_body).status_code == 200


def test_a_signature_covers_query_and_body_together(venue: PracticeServer) -> None:
    query, body = urlencode(LIMIT), f"timestamp={int(time.time() * 1000)}"
    url = f"{venue.url}/fapi/v1/order?{query}"
    headers = {"X-MBX-APIKEY": ALICE[0]}
    good = httpx.post(url, content=f"{body}&signature={sign(query + body)}", headers=headers)
    bad = httpx.post(url, content=f"{body}&signature={sign(body)}", headers=headers)
    assert (good.status_code, code(bad)) == (200, -1022)


def test_who_and_when_are_checked(venue: PracticeServer) -> None:
    url = f"{venue.url}/fapi/v3/balance"
    assert code(httpx.get(url)) == -2014
    assert code(httpx.get(url, headers={"X-MBX-APIKEY": "nobody"})) == -2015
    assert code(httpx.get(url, headers={"X-MBX-APIKEY": ALICE[0]})) == -1102
    now = int(time.time() * 1000)
    assert code(signed(venue, "GET", "/fapi/v3/balance", {"timestamp": now - 6_000})) == -1021
    assert signed(venue, "GET", "/fapi/v3/balance", {"timestamp": now - 6_000, "recvWindow": 10_000}).status_code == 200
    assert code(signed(venue, "GET", "/fapi/v3/balance", {"timestamp": now + 2_000})) == -1021
    assert code(signed(venue, "GET", "/fapi/v3/balance", {"recvWindow": 60_001})) == -1131


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": ""}, -1102),
        ({"side": "UP"}, -1117),
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "ICEBERG"}, -1116),
        ({"timeInForce": "DAY"}, -1115),
        ({"quantity": "abc"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "2000"}, -4005),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "0.001"}, -4164),
        ({"quantity": "4"}, -2019),
        ({"price": "99000"}, -4016),
        ({"positionSide": "LONG"}, -4061),
        ({"reduceOnly": "true"}, -2022),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "über"}, -1100),
        ({"timeInForce": "GTX", "price": "90100"}, -5022),
        ({"symbol": "LUNCUSDT", "price": "0.05", "quantity": "1000"}, -4108),
    ],
)
def test_refusals_carry_the_venues_codes(
    venue_for_refusals: PracticeServer, change: dict[str, str], expected: int
) -> None:
    response = signed(venue_for_refusals, "POST", "/fapi/v1/order", LIMIT | change)
    assert (response.status_code, code(response)) == (400, expected)


def test_unknown_paths_and_large_bodies(venue: PracticeServer) -> None:
    missing = httpx.get(f"{venue.url}/fapi/v1/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, -5000)
    assert httpx.post(f"{venue.url}/fapi/v1/order", content=b"x" * 70_000).status_code == 413


def test_price_match_prices_off_the_book(venue: PracticeServer) -> None:
    order = {name: value for name, value in LIMIT.items() if name != "price"} | {"priceMatch": "QUEUE_5"}
    reply = signed(venue, "POST", "/fapi/v1/order", order).json()
    assert float(reply["price"]) < 89_960
    assert reply["priceMatch"] == "QUEUE_5"


def test_limits_are_counted_and_enforced() -> None:
    process, venue = start("--scenario", "flat", "--speed", "0", "--order-limit", "3", "--weight-limit", "100")
    try:
        replies = [signed(venue, "POST", "/fapi/v1/order", LIMIT) for _ in range(4)]
        assert [reply.headers.get("X-MBX-ORDER-COUNT-10S") for reply in replies[:3]] == ["1", "2", "3"]
        assert (replies[3].status_code, code(replies[3])) == (429, -1015)
        busy = [httpx.get(f"{venue.url}/fapi/v1/aggTrades?symbol=BTCUSDT") for _ in range(6)][-1]
        assert (busy.status_code, busy.json()["code"]) == (429, -1003)
        assert int(busy.headers["Retry-After"]) >= 1
    finally:
        stop(process)


def test_a_dropped_reply_executes_and_says_nothing(venue: PracticeServer) -> None:
    venue.faults(drop_reply=1)
    with pytest.raises(httpx.RemoteProtocolError):
        signed(venue, "POST", "/fapi/v1/order", LIMIT)
    assert len(signed(venue, "GET", "/fapi/v1/openOrders").json()) == 1
    assert signed(venue, "POST", "/fapi/v1/order", LIMIT).status_code == 200
    assert [(entry["status"], entry["fault"]) for entry in venue.log()] == [(200, "drop_reply"), (200, "none")]


@pytest.mark.parametrize(("execution", "at_once", "later"), [("now", 1, 1), ("late", 0, 1), ("never", 0, 0)])
def test_unknown_may_mean_done_late_or_never(venue: PracticeServer, execution: str, at_once: int, later: int) -> None:
    venue.faults(unknown_503=1, unknown_503_execution=execution, late_ms=300)
    reply = signed(venue, "POST", "/fapi/v1/order", LIMIT)
    assert (reply.status_code, code(reply)) == (503, -1007)
    assert len(signed(venue, "GET", "/fapi/v1/openOrders").json()) == at_once
    if execution != "now":
        time.sleep(1)
    assert len(signed(venue, "GET", "/fapi/v1/openOrders").json()) == later
    # It is one request however late it was executed, and the log says what came of it.
    [entry] = venue.log()
    assert (entry["status"], entry["fault"]) == (200 if later else 503, "unknown_503")
    assert venue.control.get("/log/totals").json() == {"total": 1, "orders_taken": later}


def test_refused_for_haste_does_not_execute(venue: PracticeServer) -> None:
    venue.faults(reject_429=1, retry_after_s=7)
    reply = signed(venue, "POST", "/fapi/v1/order", LIMIT)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")
    assert signed(venue, "GET", "/fapi/v1/openOrders").json() == []


def test_the_log_counts_mutating_requests_and_keeps_no_signature(venue: PracticeServer) -> None:
    signed(venue, "GET", "/fapi/v1/openOrders")
    signed(venue, "POST", "/fapi/v1/order", LIMIT)
    signed(venue, "DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"})
    entries = venue.log()
    assert [(e["account"], e["method"], e["path"]) for e in entries] == [
        ("alice", "POST", "/fapi/v1/order"),
        ("alice", "DELETE", "/fapi/v1/allOpenOrders"),
    ]
    assert "signature" not in str(entries)
    assert ALICE[1] not in str(entries)
    venue.control.delete("/log")
    assert venue.log() == []


def test_a_transfer_is_booked_and_listed(venue: PracticeServer) -> None:
    told = venue.control.post("/transfer", json={"account": "alice", "amount": "-12.5"})
    (row,) = signed(venue, "GET", "/fapi/v1/income", {"incomeType": "TRANSFER"}).json()
    assert (row["income"], row["symbol"], row["tradeId"]) == ("-12.50000000", "", "")
    balances = signed(venue, "GET", "/fapi/v3/balance").json()
    assert Decimal(balances[0]["balance"]) == Decimal(told.json()["balance"])
    for wrong in ({"account": "alice", "amount": "0"}, {"account": "nobody", "amount": "1"}):
        assert venue.control.post("/transfer", json=wrong).status_code == 400
    more = venue.control.post("/transfer", json={"account": "alice", "amount": "-9987.51"})
    assert (more.status_code, more.json()) == (400, {"error": "MARGIN_INSUFFICIENT"})
    venue.control.post("/transfer", json={"account": "alice", "amount": "-9987.5"}).raise_for_status()
    venue.step(1)


def test_a_copied_isolated_position_has_the_margin_it_is_given(venue: PracticeServer) -> None:
    position = {"account": "alice", "symbol": "BTCUSDT", "quantity": "0.1", "price": "90000", "margin_mode": "ISOLATED"}
    for wrong in ("0", "-1", "NaN", "10001"):
        assert venue.control.post("/position", json=position | {"isolated_margin": wrong}).status_code == 400
    venue.control.post("/position", json=position | {"isolated_margin": "700"}).raise_for_status()
    [row] = signed(venue, "GET", "/fapi/v3/positionRisk").json()
    assert (row["positionAmt"], Decimal(row["isolatedWallet"])) == ("0.100", 700)


# A process whose engine breaks at its tenth step.
BROKEN_ENGINE = """
import sys
import sandbox.server
from sandbox.cli import main

def step(exchange, steps=iter(range(9))):
    next(steps)

sandbox.server.step = step
sys.exit(main(["--port", "0", "--scenario", "flat"]))
"""


def test_an_exchange_whose_clock_breaks_ends_and_says_why() -> None:
    ended = subprocess.run([sys.executable, "-c", BROKEN_ENGINE], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (ended.returncode, "ready" in ended.stdout) == (1, True)
    assert "the exchange cannot go on" in ended.stderr
    assert "StopIteration" in ended.stderr


def test_control_door_refuses_what_it_does_not_know(venue: PracticeServer) -> None:
    assert venue.control.post("/price", json={"symbol": "BTCUSDT", "price": "-1"}).status_code == 400
    assert venue.control.post("/price", json={"symbol": "NOPE", "price": "1"}).json() == {"error": "UNKNOWN_SYMBOL"}
    assert venue.control.post("/faults", json={"typo": 1}).status_code == 400
    assert venue.control.post("/nothing").status_code == 404


def test_two_processes_with_one_seed_and_start_agree_to_the_last_digit() -> None:
    digests = set()
    for _ in range(2):
        process, venue = start("--speed", "0", "--seed", "42", "--start-time", "2026-11-24T07:59:50+00:00")
        try:
            venue.step(40)
            signed(venue, "POST", "/fapi/v1/order", LIMIT | {"newClientOrderId": "same", "price": "86000"})
            venue.step(100)
            digests.add(venue.control.get("/status").json()["digest"])
        finally:
            stop(process)
    assert len(digests) == 1


def test_settings_come_from_a_file_and_unknown_keys_stop_the_start(tmp_path: Path) -> None:
    config = tmp_path / "sandbox.toml"
    config.write_text('seed = 3\nscenario = "flat"\nspeed = 0.0\n')
    process, venue = start("--config", str(config))
    assert venue.control.get("/status").json()["scenario"] == "flat"
    stop(process)
    config.write_text("sede = 3\n")
    refused = subprocess.run(
        [sys.executable, "-m", "sandbox", "--config", str(config)], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert (refused.returncode, "sede" in refused.stderr) == (2, True)


def test_house_names_are_the_exchanges_own() -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--account", "house-1:key:secret:1000"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (refused.returncode, "house-" in refused.stderr) == (2, True)


def test_it_does_not_bind_beyond_loopback_unless_told() -> None:
    command = [sys.executable, "-m", "sandbox", "--host", "0.0.0.0", "--port", "0"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert refused.returncode == 2
    assert "--expose" in refused.stderr
