"""What bots may not spend of the venue's budget, at the gate's door: entries and reads stop, the way out does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.budget.meter import Payer
from proxy.budget.published import Counter, Limit
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_report import Count
from rules.kill.budget import Spend
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import an_account
from tests.support.gates import NOW_MS, Gate, Keys, an_exchange

WEIGHT = Counter(Limit.WEIGHT_1M, "")
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
EXIT = BUY | {"side": "SELL", "reduceOnly": "true"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.in_directory(tmp_path_factory.mktemp("vault"))


@pytest.fixture
async def gate(server: EmbeddedStore, keys: Keys, tmp_path: Path) -> AsyncIterator[Gate]:
    """A gate at a desk that is long two bitcoin."""
    desk = Desk(server, tmp_path)
    async with an_exchange() as exchange:
        opened = Gate(desk, keys, exchange)
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
