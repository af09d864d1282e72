"""One bot floods a gate by REST and by frames while the exchange hangs; another gets in and out as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.store.embedded import EmbeddedStore
from proxy.vault.keys import GuardKey
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import NOW, an_account
from tests.support.gates import NOW_MS, Gate, Keys, a_bare_frame, a_frame, an_exchange

BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
EXIT = BUY | {"side": "SELL", "reduceOnly": "true"}
CANCEL = {"symbol": "BTCUSDT", "origClientOrderId": "x"}
KINDS = {
    "entries": ("POST", "/fapi/v1/order", BUY, "entries"),
    "cancels": ("DELETE", "/fapi/v1/order", CANCEL, "exits"),
    "reads": ("GET", "/fapi/v1/openOrders", {}, "reads"),
}
OF_ONE = {"entries": 4, "exits": 8, "reads": 8}
NAMES = {"entries": "ENTRY", "exits": "EXIT", "reads": "READ"}
KEYLESS = 2


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.in_directory(tmp_path_factory.mktemp("vault"))


@pytest.fixture(scope="module")
def other(keys: Keys) -> GuardKey:
    return keys.vault.issue(bot="other-bot", account="demo", label="other", now=NOW)


@pytest.fixture
async def gate(
    server: EmbeddedStore, keys: Keys, other: GuardKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gate]:
    """A gate with few slots, at a desk that is long two bitcoin; what the exchange is asked it does not answer yet."""
    for name, slots in OF_ONE.items():
        monkeypatch.setattr(f"proxy.gate.fairness.{NAMES[name]}_SLOTS", slots * 4)
        monkeypatch.setattr(f"proxy.gate.fairness.{NAMES[name]}_WAIT_S", 30.0)
    monkeypatch.setattr("proxy.gate.fairness.PUBLIC_SLOTS", KEYLESS * 4)
    desk = Desk(server, tmp_path)
    async with an_exchange() as exchange:
        opened = Gate(desk, keys, exchange)
        await desk.warden.begin_epoch()
        await desk.knows(an_account().long("BTCUSDT", "2"))
        exchange.gate.clear()
        yield opened
        exchange.gate.set()
        await opened.aclose()
        await desk.aclose()


def ask(
    gate: Gate, method: str, path: str, key: GuardKey, number: int = 0, **sent: str
) -> asyncio.Task[httpx.Response]:
    named = {"newClientOrderId": f"n{number}-{key.bot}"} if method == "POST" else {}
    return asyncio.create_task(gate.rest(method, path, {"timestamp": str(NOW_MS), **sent, **named}, key))


async def flooded(gate: Gate, keys: Keys, kind: str) -> list[asyncio.Task[httpx.Response]]:
    """Twice of a kind what one bot may have at the exchange; as many as it may have are there."""
    method, path, sent, lane = KINDS[kind]
    flood = [ask(gate, method, path, keys.hmac, number, **sent) for number in range(2 * OF_ONE[lane])]
    await gate.exchange.received(OF_ONE[lane])
    await asyncio.sleep(0.05)
    assert len(gate.exchange.asked) == OF_ONE[lane], "the rest waits at the gate"
    return flood


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_of_another_waits_behind_a_flood(gate: Gate, keys: Keys, other: GuardKey, kind: str) -> None:
    flood = await flooded(gate, keys, kind)
    before = len(gate.exchange.asked)
    quiet = [
        ask(gate, "POST", "/fapi/v1/order", other, 1, **EXIT),
        ask(gate, "DELETE", "/fapi/v1/order", other, **CANCEL),
        ask(gate, "POST", "/fapi/v1/order", other, 2, **BUY),
        ask(gate, "GET", "/fapi/v1/openOrders", other),
    ]
    await gate.exchange.received(before + len(quiet))
    assert not any(task.done() for task in flood)
    gate.exchange.gate.set()
    assert [answer.status_code for answer in await asyncio.gather(*quiet)] == [200] * 4
    assert {answer.status_code for answer in await asyncio.gather(*flood)} == {200}, "they were only asked to wait"


async def test_who_asks_without_a_key_has_few_slots_and_takes_none_of_a_bots(gate: Gate, keys: Keys) -> None:
    crowd = [asyncio.create_task(gate.keyless(f"/fapi/v1/depth?symbol=BTCUSDT&limit={limit}")) for limit in range(12)]
    await gate.exchange.received(KEYLESS)
    await asyncio.sleep(0.05)
    assert len(gate.exchange.asked) == KEYLESS
    reads = [ask(gate, "GET", "/fapi/v1/openOrders", keys.hmac) for _ in range(OF_ONE["reads"])]
    await gate.exchange.received(KEYLESS + OF_ONE["reads"])
    gate.exchange.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*crowd, *reads)} == {200}


DEPTH = "/fapi/v1/depth?symbol=BTCUSDT&limit="


async def a_crowd(gate: Gate) -> list[asyncio.Task[httpx.Response]]:
    """More than may have their answers under way who name no key."""
    crowd = [asyncio.create_task(gate.keyless(f"{DEPTH}{limit}")) for limit in range(12)]
    await gate.exchange.received(KEYLESS)
    return crowd


async def test_a_bot_that_names_its_key_for_what_anybody_may_read_is_no_stranger(gate: Gate, keys: Keys) -> None:
    crowd = await a_crowd(gate)
    reads = [asyncio.create_task(gate.key_only("GET", f"{DEPTH}{50 + number}", keys.hmac)) for number in range(3)]
    await gate.exchange.received(KEYLESS + 3)
    assert not any(task.done() for task in crowd)
    gate.exchange.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*crowd, *reads)} == {200}


@pytest.mark.parametrize("by", ["the frame's own key", "a logon"])
async def test_so_it_is_with_frames(gate: Gate, keys: Keys, by: str) -> None:
    crowd = await a_crowd(gate)
    async with gate.socket() as socket:
        if by == "a logon":
            assert (await socket.ask(a_frame(keys, "session.logon", {}, keys.ed25519)))["status"] == 200
        named = {} if by == "a logon" else {"apiKey": keys.hmac.key}
        socket.say(a_bare_frame("depth", {"symbol": "BTCUSDT", "limit": 50} | named))
        await gate.exchange.received(KEYLESS + 1)
        assert not any(task.done() for task in crowd)
        gate.exchange.gate.set()
        assert (await socket.answer())["status"] == 200
    await asyncio.gather(*crowd)


async def test_a_key_that_is_not_obeyed_names_nobody(gate: Gate, keys: Keys) -> None:
    off = keys.vault.issue(bot="off-bot", account="demo", label="off", now=NOW)
    keys.vault.disable(off.key, now=NOW)
    crowd = await a_crowd(gate)
    for key in (off, replace(off, key="x" * 64)):
        asking = asyncio.create_task(gate.key_only("GET", f"{DEPTH}50", key))
        await asyncio.sleep(0.05)
        assert len(gate.exchange.asked) == KEYLESS
        crowd.append(asking)
    gate.exchange.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*crowd)} == {200}


@pytest.mark.parametrize("path", [f"{DEPTH}5", "/fapi/v1/historicalTrades?symbol=BTCUSDT"])
async def test_who_knows_a_key_and_not_its_secret_takes_nothing_of_its_bots_own(
    gate: Gate, keys: Keys, path: str
) -> None:
    """The text of a key is no secret: it stands in every request."""
    flood = [asyncio.create_task(gate.key_only("GET", path, keys.hmac)) for _ in range(2 * OF_ONE["reads"])]
    await gate.exchange.received(OF_ONE["reads"])
    await asyncio.sleep(0.05)
    before = len(gate.exchange.asked)
    assert before == OF_ONE["reads"], "the rest waits at the gate"
    own = [
        ask(gate, "GET", "/fapi/v1/openOrders", keys.hmac),
        ask(gate, "POST", "/fapi/v1/order", keys.hmac, 1, **EXIT),
        ask(gate, "DELETE", "/fapi/v1/order", keys.hmac, **CANCEL),
    ]
    await gate.exchange.received(before + len(own))
    gate.exchange.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*own, *flood)} == {200}


async def test_who_asks_for_the_contracts_at_once_shares_an_answer_and_prices_are_nobody_elses(gate: Gate) -> None:
    for path, times in {"/fapi/v1/exchangeInfo": 1, "/fapi/v1/ticker/price?symbol=BTCUSDT": 2}.items():
        gate.exchange.gate.clear()
        before = len(gate.exchange.asked)
        asking = [asyncio.create_task(gate.keyless(path)) for _ in range(KEYLESS)]
        await gate.exchange.received(before + times)
        await asyncio.sleep(0.1)
        assert len(gate.exchange.asked) == before + times
        gate.exchange.gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
        assert (await gate.keyless(path)).status_code == 200
        assert len(gate.exchange.asked) == before + times + 1, "who comes later gets a newer one"


async def test_a_bots_own_flood_of_entries_and_reads_leaves_its_own_way_out_open(gate: Gate, keys: Keys) -> None:
    flood = [*await flooded(gate, keys, "entries")]
    ask_more = [ask(gate, "GET", "/fapi/v1/openOrders", keys.hmac) for _ in range(20)]
    leaving = ask(gate, "POST", "/fapi/v1/order", keys.hmac, 99, **EXIT)
    await gate.exchange.received(OF_ONE["entries"] + OF_ONE["reads"] + 1)
    gate.exchange.gate.set()
    assert (await leaving).status_code == 200
    await asyncio.gather(*flood, *ask_more)


async def test_frames_and_requests_of_a_bot_share_its_slots(gate: Gate, keys: Keys, other: GuardKey) -> None:
    flood = await flooded(gate, keys, "entries")
    async with gate.socket() as socket:
        socket.say(a_frame(keys, "order.place", BUY | {"newClientOrderId": "f1"}, frame_id="waits"))
        socket.say(a_frame(keys, "order.place", BUY | {"newClientOrderId": "f2"}, other, frame_id="goes"))
        await gate.exchange.received(OF_ONE["entries"] + 1)
        assert gate.exchange.asked[-1][2]["newClientOrderId"].endswith("f2")
        gate.exchange.gate.set()
        answers = {answer["id"]: answer["status"] for answer in [await socket.answer(), await socket.answer()]}
    assert answers == {"waits": 200, "goes": 200}
    await asyncio.gather(*flood)


async def test_a_bug_gives_its_slot_back(gate: Gate, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    with monkeypatch.context() as broke:
        broke.setattr(gate.rest_door._orders, "carry", broken)
        for number in range(2 * OF_ONE["entries"]):
            assert (await ask(gate, "POST", "/fapi/v1/order", keys.hmac, number, **BUY)).status_code == 503
        broke.setattr(gate.rest_door._reads, "read", broken)
        for _ in range(2 * OF_ONE["reads"]):
            assert (await ask(gate, "GET", "/fapi/v1/openOrders", keys.hmac)).status_code == 500
    gate.exchange.gate.set()
    assert (await ask(gate, "POST", "/fapi/v1/order", keys.hmac, 99, **BUY)).status_code == 200


async def test_a_bot_that_hangs_up_while_it_waits_has_asked_for_nothing(gate: Gate, keys: Keys) -> None:
    flood = await flooded(gate, keys, "entries")
    async with gate.socket() as socket:
        socket.say(a_frame(keys, "order.place", BUY | {"newClientOrderId": "late"}))
        await asyncio.sleep(0.05)
    gate.exchange.gate.set()
    await asyncio.gather(*flood)
    assert not [sent for _, _, sent in gate.exchange.asked if sent.get("newClientOrderId", "").endswith("late")]
