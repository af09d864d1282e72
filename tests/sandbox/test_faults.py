"""The fault console over plain HTTP: what a bot sees, and what really happened."""

from __future__ import annotations

import time
from itertools import pairwise

import httpx
import pytest

from sandbox.binance.bans import BAN_FIRST_S, BAN_LONGEST_S, REFUSALS_TOLERATED, Bans, RateLimited
from sandbox.faults import Faults
from tests.sandbox.practice import PracticeServer, start, stop
from tests.sandbox.test_wire import LIMIT, code, signed

MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


def armed(venue: PracticeServer) -> dict[str, object]:
    return dict(venue.control.get("/faults").raise_for_status().json())


def position(venue: PracticeServer) -> float:
    rows = signed(venue, "GET", "/fapi/v3/positionRisk", {"symbol": "BTCUSDT"}).json()
    return sum(float(row["positionAmt"]) for row in rows)


def test_a_lost_request_drops_the_connection_and_executes_nothing(venue: PracticeServer) -> None:
    venue.faults(lost_request=1)
    with pytest.raises(httpx.RemoteProtocolError):
        signed(venue, "POST", "/fapi/v1/order", LIMIT)
    assert signed(venue, "GET", "/fapi/v1/openOrders").json() == []
    assert venue.log() == []
    assert (armed(venue)["lost_request"], armed(venue)["hits"]) == (0, {"lost_request": 1})


def test_a_doubled_order_without_an_id_is_two_orders(venue: PracticeServer) -> None:
    venue.faults(duplicate=1)
    assert signed(venue, "POST", "/fapi/v1/order", MARKET).status_code == 200
    assert position(venue) == 0.02
    assert [entry["fault"] for entry in venue.log()] == ["duplicate", "duplicate"]


def test_a_doubled_order_with_an_id_is_told_that_its_id_is_taken(venue: PracticeServer) -> None:
    venue.faults(duplicate=1)
    reply = signed(venue, "POST", "/fapi/v1/order", LIMIT | {"newClientOrderId": "mine"})
    assert (reply.status_code, code(reply)) == (400, -4116)
    assert [row["clientOrderId"] for row in signed(venue, "GET", "/fapi/v1/openOrders").json()] == ["mine"]


def test_faults_are_aimed_at_orders_unless_told_otherwise(venue: PracticeServer) -> None:
    venue.faults(reject_429=1)
    assert signed(venue, "GET", "/fapi/v1/openOrders").status_code == 200
    assert signed(venue, "DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}).status_code == 200
    assert signed(venue, "POST", "/fapi/v1/order", LIMIT).status_code == 429


@pytest.mark.parametrize(("scope", "read", "cancel"), [("reads", 429, 200), ("writes", 200, 429), ("all", 429, 429)])
def test_a_scope_names_the_requests_that_are_hit(venue: PracticeServer, scope: str, read: int, cancel: int) -> None:
    venue.faults(reject_429=2, scope=scope)
    assert signed(venue, "GET", "/fapi/v1/openOrders").status_code == read
    assert signed(venue, "DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}).status_code == cancel


def test_each_late_order_is_executed_at_its_own_time_and_none_once_disarmed(venue: PracticeServer) -> None:
    for late_ms in (60_000, 100, 1_000):
        venue.faults(unknown_503=1, unknown_503_execution="late", late_ms=late_ms)
        assert signed(venue, "POST", "/fapi/v1/order", MARKET).status_code == 503
    time.sleep(0.6)
    assert position(venue) == 0.01
    venue.control.delete("/faults").raise_for_status()
    time.sleep(0.7)
    assert position(venue) == 0.01


def test_latency_and_jitter_delay_the_answer(venue: PracticeServer) -> None:
    venue.faults(latency_ms=200, jitter_ms=100)
    began = time.monotonic()
    httpx.get(f"{venue.url}/fapi/v1/ping").raise_for_status()
    assert time.monotonic() - began >= 0.2


def test_jitter_is_a_matter_of_the_seed() -> None:
    delays = [Faults(seed=seed, latency_ms=100, jitter_ms=50).delay_s() for seed in (1, 1, 2)]
    assert delays[0] == delays[1] != delays[2]
    many = Faults(seed=3, latency_ms=100, jitter_ms=50)
    assert all(0.1 <= many.delay_s() <= 0.15 for _ in range(200))


def test_a_banned_caller_is_told_how_long_and_hears_nothing_else(venue: PracticeServer) -> None:
    venue.faults(ban_418=60)
    for reply in (
        httpx.get(f"{venue.url}/fapi/v1/ping"),
        signed(venue, "POST", "/fapi/v1/order", LIMIT),
        signed(venue, "GET", "/fapi/v3/balance"),
    ):
        assert (reply.status_code, code(reply)) == (418, -1003)
        assert 58 <= int(reply.headers["Retry-After"]) <= 60
    assert 58 <= int(str(armed(venue)["ban_418"])) <= 60
    venue.control.delete("/faults").raise_for_status()
    assert httpx.get(f"{venue.url}/fapi/v1/ping").status_code == 200


def test_ignoring_429_leads_to_418() -> None:
    process, venue = start("--scenario", "flat", "--speed", "0", "--weight-limit", "1")
    try:
        replies = [httpx.get(f"{venue.url}/fapi/v1/ping").status_code for _ in range(REFUSALS_TOLERATED + 3)]
    finally:
        stop(process)
    assert replies[-1] == 418
    assert set(replies[1:-1]) == {429}


def test_a_repeated_ban_lasts_longer_up_to_three_days() -> None:
    bans, now_ms, lengths = Bans(), 0, []
    for _ in range(14):
        for _ in range(REFUSALS_TOLERATED + 1):
            bans.count_refusal("somebody", now_ms)
        with pytest.raises(RateLimited) as caught:
            bans.check("somebody", now_ms)
        lengths.append(caught.value.retry_after)
        now_ms += lengths[-1] * 1000
        bans.check("somebody", now_ms)
    bans.check("somebody else", 0)
    assert lengths[0] == BAN_FIRST_S
    assert all(later == min(2 * earlier, BAN_LONGEST_S) for earlier, later in pairwise(lengths))
    assert lengths[-1] == BAN_LONGEST_S


def test_refusals_that_are_far_apart_do_not_ban() -> None:
    bans = Bans()
    for minute in range(REFUSALS_TOLERATED * 3):
        bans.count_refusal("somebody", minute * 10_000)
        bans.check("somebody", minute * 10_000)


def test_maintenance_refuses_commands_answers_reads_and_says_so(venue: PracticeServer) -> None:
    signed(venue, "POST", "/fapi/v1/order", LIMIT)
    venue.faults(maintenance=True)
    assert httpx.get(f"{venue.url}/sapi/v1/system/status").json()["status"] == 1
    for method, path, params in (
        ("POST", "/fapi/v1/order", LIMIT),
        ("DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}),
    ):
        reply = signed(venue, method, path, params)
        assert (reply.status_code, code(reply)) == (503, -1016)
    assert len(signed(venue, "GET", "/fapi/v1/openOrders").json()) == 1
    venue.price("BTCUSDT", "80000")
    venue.step(4)
    assert len(signed(venue, "GET", "/fapi/v1/openOrders").json()) == 1
    venue.faults(maintenance=False)
    venue.step(1)
    assert signed(venue, "GET", "/fapi/v1/openOrders").json() == []
    assert httpx.get(f"{venue.url}/sapi/v1/system/status").json()["status"] == 0


def test_an_outage_is_an_internal_error_and_is_not_announced(venue: PracticeServer) -> None:
    venue.control.post("/scenario", json={"scenario": "outage"}).raise_for_status()
    venue.step(241)
    assert venue.control.get("/status").json()["halted"] == "outage"
    reply = signed(venue, "POST", "/fapi/v1/order", LIMIT)
    assert (reply.status_code, code(reply)) == (503, -1001)
    assert httpx.get(f"{venue.url}/sapi/v1/system/status").json()["status"] == 0
    venue.step(480)
    assert signed(venue, "POST", "/fapi/v1/order", LIMIT | {"price": "80000"}).status_code == 200


def test_an_empty_book_has_nobody_for_a_market_order(venue: PracticeServer) -> None:
    venue.faults(empty_book=["BTCUSDT"])
    assert httpx.get(f"{venue.url}/fapi/v1/depth?symbol=BTCUSDT").json()["asks"] == []
    assert code(signed(venue, "POST", "/fapi/v1/order", MARKET)) == -4131
    other = MARKET | {"symbol": "ETHUSDT", "quantity": "0.1"}
    assert signed(venue, "POST", "/fapi/v1/order", other).status_code == 200
    venue.faults(empty_book=True)
    assert code(signed(venue, "POST", "/fapi/v1/order", other)) == -4131
    venue.faults(empty_book=False)
    assert signed(venue, "POST", "/fapi/v1/order", MARKET).status_code == 200


def test_partial_fills_are_armed_by_number_and_fraction(venue: PracticeServer) -> None:
    venue.faults(partial_fills=1, partial_fill_fraction="0.5")
    crossing = LIMIT | {"price": "90100", "quantity": "0.1", "newOrderRespType": "RESULT"}
    order = signed(venue, "POST", "/fapi/v1/order", crossing).json()
    assert (order["status"], order["executedQty"]) == ("PARTIALLY_FILLED", "0.050")
    venue.step(1)
    query = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    assert signed(venue, "GET", "/fapi/v1/order", query).json()["status"] == "FILLED"


def test_clearing_disarms_everything(venue: PracticeServer) -> None:
    before = armed(venue)
    venue.faults(latency_ms=1, lost_request=3, scope="all", partial_fills=3, maintenance=True, empty_book=True)
    venue.faults(ban_418=100)
    venue.control.delete("/faults").raise_for_status()
    assert armed(venue) == before


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "everything"},
        {"jitter_ms": -1},
        {"partial_fill_fraction": "0"},
        {"partial_fill_fraction": "NaN"},
        {"empty_book": ["NOPEUSDT"]},
        {"ban_418": 10**9},
        {"maintenance": "yes"},
    ],
)
def test_what_cannot_be_armed_is_refused(venue_for_refusals: PracticeServer, body: dict[str, object]) -> None:
    before = armed(venue_for_refusals)
    assert venue_for_refusals.control.post("/faults", json=body).status_code == 400
    assert armed(venue_for_refusals) == before
