"""What bots may not spend of the venue's budget, at the gate's door: entries and reads stop, the way out does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.budget.meter import Payer
from proxy.budget.published import Counter, Limit
from proxy.budget.silence import Way
from proxy.exchange.metering import metering
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_report import Count
from rules.kill.budget import Spend
from rules.model import TradingState
from rules.position.own_share import OwnShare
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import an_account
from tests.support.gates import NOW_MS, Gate, Keys, a_frame, an_exchange

WEIGHT = Counter(Limit.WEIGHT_1M, "")
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
EXIT = BUY | {"side": "SELL", "reduceOnly": "true"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.in_directory(tmp_path_factory.mktemp("vault"))


@pytest.fixture
async def gate(
    server: EmbeddedStore, keys: Keys, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Gate]:
    """A gate at a desk that is long two bitcoin, under the rules that a test asks for."""
    desk = Desk(server, tmp_path)
    async with an_exchange() as exchange:
        opened = Gate(desk, keys, exchange, *getattr(request, "param", ()))
        await desk.warden.begin_epoch()
        await desk.knows(an_account().long("BTCUSDT", "2"))
        yield opened
        await opened.aclose()
        await desk.aclose()


def use(gate: Gate, weight: int = 0, orders: int = 0) -> None:
    """The exchange has counted so much in this minute."""
    reported = {Limit.WEIGHT_1M: weight, Limit.ORDERS_10S: orders, Limit.ORDERS_1M: orders}
    gate.meter.begin(Payer("demo"), Spend()).end(reported)


async def send(gate: Gate, method: str, path: str, **sent: str) -> Any:
    return await gate.rest(method, path, {"timestamp": str(NOW_MS)} | sent)


async def test_a_refusal_says_when_to_come_back_and_leaves_nothing_held(gate: Gate) -> None:
    use(gate, weight=1_950)
    for answer in (
        await send(gate, "POST", "/fapi/v1/order", **BUY),
        await send(gate, "GET", "/fapi/v3/account"),
    ):
        assert answer.status_code == 429
        assert answer.json()["code"] == -1003
        assert " VENUE_BUDGET_RESERVED: Too many requests" in answer.json()["msg"]
        assert answer.headers["retry-after"] == "55"
    assert gate.exchange.asked == []
    waiting = Count(labels=["withhold", "venue_budget", "VENUE_BUDGET_RESERVED"], count=1)
    assert gate.counting.decisions() == [waiting], "the order"
    assert gate.counting.refused() == [Count(labels=["budget"], count=1)], "the read"
    assert await gate.desk.holds() == {}
    (*_, outcome) = await gate.desk.audit()
    assert (outcome["result"], outcome["items"]) == ("NOT_SENT", [{"note": "withheld: 0 VENUE_BUDGET_RESERVED"}])


async def test_of_a_batch_the_exit_goes_and_the_entry_stays(gate: Gate) -> None:
    use(gate, orders=240)
    gate.exchange.body = b'[{"orderId":1,"clientOrderId":"c","status":"NEW"}]'
    answer = await send(gate, "POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([BUY, EXIT]))
    assert answer.status_code == 200
    entry, exit_ = answer.json()
    assert entry["code"] == -1003
    assert exit_["orderId"] == 1
    ((_, path, sent),) = gate.exchange.orders()
    (order,) = json.loads(sent["batchOrders"])
    assert (path, order["side"]) == ("/fapi/v1/batchOrders", "SELL")
    assert await gate.desk.holds() == {}
    (*_, outcome) = await gate.desk.audit()
    assert outcome["items"][-1] == {"note": "withheld: 0 VENUE_BUDGET_RESERVED"}


async def test_exits_and_cancels_use_the_reserve_down_to_nothing(gate: Gate) -> None:
    use(gate, weight=2_400, orders=1_200)
    assert (await send(gate, "POST", "/fapi/v1/order", **EXIT)).status_code == 200
    assert (await send(gate, "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).status_code == 200
    assert (await send(gate, "POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime="0")).is_success
    assert [path for _, path, _ in gate.exchange.orders()] == ["/fapi/v1/order", "/fapi/v1/allOpenOrders"]


WHOSE = pytest.mark.parametrize("gate", [(), (OwnShare(),)], ids=["of everybody", "of the bot alone"], indirect=True)
"""Cut down to the bot's own, a cancel-all begins with a read."""


@WHOSE
async def test_while_a_kill_runs_cancels_leave_it_its_part(gate: Gate) -> None:
    """It cancels the same orders itself; what a bot in a loop used up would be missing when it reads back."""
    gate.exchange.body = b"[]"
    use(gate, weight=2_400)
    await gate.desk.warden.set_state("account:demo", TradingState.HALTED, generation=2, kill_running=True)
    for path in ("/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders"):
        refused = await send(gate, "DELETE", path, symbol="BTCUSDT")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "55")
        assert "VENUE_BUDGET_RESERVED" in refused.text
    assert gate.exchange.asked == []
    await gate.desk.warden.set_state("account:demo", TradingState.HALTED, generation=2, kill_running=False)
    assert (await send(gate, "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).is_success, "it is over"


@WHOSE
async def test_while_a_kill_runs_cancels_pass_as_long_as_its_part_is_there(gate: Gate) -> None:
    gate.exchange.body = b"[]"
    use(gate, weight=1_900)
    await gate.desk.warden.set_state("account:demo", TradingState.HALTED, generation=2, kill_running=True)
    assert (await send(gate, "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")).is_success


async def test_the_venues_own_counter_is_read_off_every_reply(gate: Gate) -> None:
    gate.exchange.headers = {"X-MBX-USED-WEIGHT-1M": "1234", "X-MBX-ORDER-COUNT-10S": "77"}
    assert (await send(gate, "POST", "/fapi/v1/order", **BUY)).is_success
    assert gate.meter.used(WEIGHT) == 1_234
    assert gate.meter.used(Counter(Limit.ORDERS_10S, "demo")) == 77


async def test_another_hosts_counter_is_none_of_ours(gate: Gate) -> None:
    gate.exchange.headers = {"X-MBX-USED-WEIGHT-1M": "5999"}
    use(gate, weight=2_400)
    assert (await send(gate, "GET", "/sapi/v1/capital/config/getall")).is_success
    assert gate.meter.used(WEIGHT) == 2_400


async def test_a_burst_of_reads_stops_before_the_reserve(gate: Gate) -> None:
    """None of them is answered before the last is asked, so nobody but the gate itself could have counted them."""
    gate.exchange.gate.clear()
    bursts = [asyncio.create_task(send(gate, "GET", "/fapi/v1/openOrders")) for _ in range(60)]
    await gate.exchange.received(48)
    gate.exchange.gate.set()
    answers = await asyncio.gather(*bursts)
    assert sorted(answer.status_code for answer in answers) == [200] * 48 + [429] * 12
    assert 48 * 40 == 2_400 - 480


async def test_entries_that_hang_at_the_venue_keep_no_exit_from_leaving(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F14: as many of them as the gate lets a bot have under way, and as there are connections."""
    monkeypatch.setattr("proxy.gate.fairness.ENTRY_SLOTS", 16)
    monkeypatch.setattr("proxy.gate.fairness.ENTRY_WAIT_S", 0.05)
    monkeypatch.setattr("proxy.gate.upstream.CONNECTIONS_MAX", 4)
    narrow = Gate(gate.desk, gate.keys, gate.exchange)
    gate.exchange.gate.clear()
    entries = [BUY | {"newClientOrderId": f"n{number}"} for number in range(5)]
    hanging = [asyncio.create_task(send(narrow, "POST", "/fapi/v1/order", **each)) for each in entries[:4]]
    await gate.exchange.received(4)
    refused = await send(narrow, "POST", "/fapi/v1/order", **entries[4])
    assert "TOO_MANY_UNDER_WAY" in refused.text
    assert refused.headers["retry-after"] == "1"
    leaving = asyncio.create_task(send(narrow, "POST", "/fapi/v1/order", **EXIT))
    await gate.exchange.received(5)
    gate.exchange.gate.set()
    assert (await leaving).status_code == 200
    await asyncio.gather(*hanging)
    await narrow.aclose()


async def test_gates_tell_each_other_what_they_heard(gate: Gate, server: EmbeddedStore, keys: Keys) -> None:
    another = Gate(gate.desk, keys, gate.exchange)
    use(gate, weight=2_000)
    followers = [asyncio.create_task(each.budget.follow()) for each in (gate, another)]
    async with asyncio.timeout(10):
        while another.meter.used(WEIGHT) == 0:
            await asyncio.sleep(0.01)
    for each in followers:
        each.cancel()
    assert (await send(another, "GET", "/fapi/v3/account")).status_code == 429
    await another.aclose()


TOO_MANY = b'{"code":-1003,"msg":"Too many requests; current limit of IP is 2400 requests per minute."}'
BANNED = b'{"code":-1003,"msg":"Way too many requests; IP banned until 1795975091446."}'
TOO_MANY_ORDERS = b'{"code":-1015,"msg":"Too many new orders; current limit is 300 orders per 10s."}'
CANCEL = {"symbol": "BTCUSDT", "orderId": "7"}
MIXED = {"batchOrders": json.dumps([BUY, EXIT])}


async def refused_by_the_exchange(gate: Gate, status: int, body: bytes, retry_after: str = "120") -> None:
    """A bot's request is the one to hear it; then the exchange would answer as usual again."""
    gate.exchange.status, gate.exchange.body, gate.exchange.headers = status, body, {"Retry-After": retry_after}
    answer = await send(gate, "DELETE", "/fapi/v1/order", **CANCEL)
    assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (status, body, retry_after)
    gate.exchange.status, gate.exchange.body, gate.exchange.headers = 200, None, {}
    gate.exchange.asked.clear()


@pytest.mark.parametrize(("status", "body"), [(429, TOO_MANY), (418, BANNED)])
async def test_while_the_exchange_demands_silence_everything_is_answered_here(
    gate: Gate, status: int, body: bytes
) -> None:
    use(gate, weight=2_400)
    await refused_by_the_exchange(gate, status, body)
    answers = [
        await send(gate, "DELETE", "/fapi/v1/order", **CANCEL),
        await send(gate, "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT"),
        await send(gate, "POST", "/fapi/v1/order", **EXIT),
        await send(gate, "POST", "/fapi/v1/order", **BUY),
        await send(gate, "GET", "/fapi/v3/account"),
        await gate.keyless("/fapi/v1/depth?symbol=BTCUSDT"),
        await gate.keyless("/futures/data/basis?pair=BTCUSDT&contractType=PERPETUAL&period=5m"),
    ]
    batch = await send(gate, "POST", "/fapi/v1/batchOrders", **MIXED)
    assert batch.status_code == 200
    assert [each["code"] for each in batch.json()] == [-1003, -1003]
    assert all("VENUE_SILENCE" in each["msg"] for each in batch.json())
    for answer in (*answers[:4], batch):
        assert (answer.headers["x-guard-verdict"], answer.headers["x-guard-code"]) == ("DENY", "VENUE_SILENCE")
        assert (answer.headers["x-guard-rule"], answer.headers["retry-after"]) == ("venue", "120")
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (429, -1003), answer.text
        assert answer.json()["msg"].startswith("GUARD venue VENUE_SILENCE: Too many requests; ")
        assert f"({status})" in answer.json()["msg"]
        assert answer.headers["retry-after"] == "120"
    assert gate.exchange.asked == []
    await gate.rest_door.drain()
    assert await gate.desk.holds() == {}
    outcomes = [record for record in await gate.desk.audit() if "result" in record][-5:]
    assert [record["result"] for record in outcomes] == ["NOT_SENT"] * 5
    note = {"note": f"the exchange demands silence for 120 s ({status})"}
    assert all(record["items"][-1] == note for record in outcomes)


async def test_a_strangers_reads_of_what_has_a_limit_of_its_own_keep_no_bot_from_leaving(gate: Gate) -> None:
    """They need no key, and the exchange counts them apart: 1,000 in five minutes, whatever else leaves."""
    data, funding = "/futures/data/openInterestHist?symbol=BTCUSDT&period=5m", "/fapi/v1/fundingRate?symbol=BTCUSDT"
    for path in (data, funding):
        gate.exchange.status, gate.exchange.body, gate.exchange.headers = 429, TOO_MANY, {"Retry-After": "3600"}
        assert (await gate.keyless(path)).status_code == 429
        gate.exchange.status, gate.exchange.body, gate.exchange.headers = 200, None, {}
    gate.exchange.asked.clear()
    assert (await send(gate, "POST", "/fapi/v1/order", **EXIT)).is_success
    assert (await send(gate, "DELETE", "/fapi/v1/order", **CANCEL)).is_success
    assert (await gate.keyless("/fapi/v1/depth?symbol=BTCUSDT")).is_success
    assert len(gate.exchange.asked) == 3
    refused = await gate.keyless("/futures/data/topLongShortAccountRatio?symbol=BTCUSDT&period=5m")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "120")
    assert "silence of the guard's address on futures-data (429)" in refused.text
    assert "on funding (429)" in (await gate.keyless("/fapi/v1/fundingInfo")).text
    assert len(gate.exchange.asked) == 3


async def test_no_header_of_a_429_keeps_an_exit_here_for_longer_than_two_minutes(gate: Gate) -> None:
    await refused_by_the_exchange(gate, 429, TOO_MANY, retry_after="3600")
    assert (await send(gate, "POST", "/fapi/v1/order", **EXIT)).headers["retry-after"] == "120"


async def test_another_host_of_the_exchange_counts_and_bans_by_itself(gate: Gate) -> None:
    await refused_by_the_exchange(gate, 418, BANNED)
    assert (await send(gate, "GET", "/sapi/v1/capital/config/getall")).is_success
    gate.exchange.status, gate.exchange.body = 418, BANNED
    assert (await send(gate, "GET", "/sapi/v1/margin/allPairs")).status_code == 418
    assert "VENUE_SILENCE" in (await send(gate, "GET", "/sapi/v1/margin/allPairs")).text
    assert len(gate.exchange.asked) == 2


async def test_a_frame_says_when_to_come_again_as_the_exchange_does(gate: Gate) -> None:
    await refused_by_the_exchange(gate, 418, BANNED)
    async with gate.socket() as socket:
        for method, sent in (("order.place", EXIT), ("order.cancel", CANCEL), ("v2/account.status", {})):
            answer = await socket.ask(a_frame(gate.keys, method, sent))
            assert (answer["status"], answer["error"]["code"], answer["rateLimits"]) == (429, -1003, [])
            assert " VENUE_SILENCE: " in answer["error"]["msg"]
            when = answer["error"]["data"]
            assert when == {"serverTime": NOW_MS, "retryAfter": NOW_MS + 120_000}
    assert gate.exchange.asked == []


async def test_gates_keep_the_silence_that_another_was_told(gate: Gate, keys: Keys) -> None:
    another = Gate(gate.desk, keys, gate.exchange)
    await refused_by_the_exchange(gate, 418, BANNED)
    followers = [asyncio.create_task(each.budget.follow()) for each in (gate, another)]
    async with asyncio.timeout(10):
        while another.meter.silence(Way("fapi", "")) is None:
            await asyncio.sleep(0.01)
    for each in followers:
        each.cancel()
    answer = await send(another, "DELETE", "/fapi/v1/order", **CANCEL)
    assert (answer.status_code, gate.exchange.asked) == (429, [])
    await another.aclose()


async def test_once_the_exchange_has_answered_the_kill_the_way_out_is_open(gate: Gate) -> None:
    await refused_by_the_exchange(gate, 418, BANNED, retry_after="259200")
    trace = metering(gate.meter, Payer("demo"), spares_the_kill=False)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as kill,
        kill.get(f"{gate.exchange.url}/fapi/v1/openOrders") as reply,
    ):
        assert reply.status == 200
    assert (await send(gate, "POST", "/fapi/v1/order", **EXIT)).is_success


async def test_too_many_orders_hold_back_entries_of_the_account_and_nothing_else(gate: Gate) -> None:
    await refused_by_the_exchange(gate, 429, TOO_MANY_ORDERS, retry_after="5")
    entry = await send(gate, "POST", "/fapi/v1/order", **BUY)
    assert (entry.status_code, entry.json()["code"], entry.headers["retry-after"]) == (429, -1003, "5")
    assert "GUARD venue_budget VENUE_BUDGET_RESERVED" in entry.text
    assert gate.exchange.asked == []
    assert (await send(gate, "POST", "/fapi/v1/order", **EXIT)).is_success
    assert (await send(gate, "DELETE", "/fapi/v1/order", **CANCEL)).is_success
    assert (await send(gate, "GET", "/fapi/v3/account")).is_success
    assert len(gate.exchange.asked) == 3
