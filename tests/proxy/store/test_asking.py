"""What a gate makes of a store that answers wrongly, refuses or is gone: a trouble with a name, never a crash."""

from __future__ import annotations

import asyncio

import pytest

from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable
from proxy.store.voiding import Voiding
from tests.proxy.store.builders import a_request
from tests.proxy.store.lean.fake_store import a_store, always, silence

STRANGE = {
    "a number": b":5\r\n",
    "a word": b"+OK\r\n",
    "nothing": b"$-1\r\n",
    "an empty list": b"*0\r\n",
    "an OK alone": b"*1\r\n$2\r\nOK\r\n",
    "an error inside": b"*2\r\n$2\r\nOK\r\n-ERR inside\r\n",
}


@pytest.fixture
def voided(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Holds that were given to be undone."""
    found: list[str] = []
    monkeypatch.setattr(Voiding, "soon", lambda _self, _account, hold_id: found.append(hold_id))
    return found


async def trouble_of(gate: GateStore) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as failed:
        await gate.hold(a_request("h1"))
    return failed.value


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
async def test_an_answer_that_is_none_is_unreadable_and_its_hold_is_undone(voided: list[str], answer: bytes):
    async with a_store(always(answer)) as store:
        gate = GateStore(store.url, "desk", timeout_s=2.0)
        assert str(await trouble_of(gate)) == "unreadable"
        with pytest.raises(StoreUnavailable, match="unreadable"):
            await gate.look("demo")
        await gate.aclose()
    assert voided == ["h1"]


@pytest.mark.parametrize("kind", ["account", "markets"])
async def test_a_document_nested_without_end_is_unreadable(kind: str):
    deep = b'{"unknown":' + b"[" * 2_000 + b"]" * 2_000 + b"}"
    document = b"$1\r\n7\r\n$%d\r\n%b\r\n" % (len(deep), deep)
    answer = b"*6\r\n*0\r\n" + document + b"*0\r\n:0\r\n+\r\n" if kind == "account" else b"*2\r\n" + document
    async with a_store(always(answer)) as store:
        gate = GateStore(store.url, "desk", timeout_s=2.0)
        with pytest.raises(StoreUnavailable, match="unreadable"):
            await (gate.look("demo") if kind == "account" else gate.markets("binanceusdm"))
        await gate.aclose()


async def test_a_hold_that_was_never_asked_for_need_not_be_undone(voided: list[str]):
    gate = GateStore("redis://127.0.0.1:1", "desk")
    assert not (await trouble_of(gate)).asked
    assert gate.broken
    assert str(await trouble_of(gate)) == "the store failed less than a second ago"
    await gate.aclose()
    assert voided == []


async def test_a_hold_without_an_answer_is_undone(voided: list[str]):
    async with a_store(silence) as store:
        gate = GateStore(store.url, "desk")
        assert (await trouble_of(gate)).asked
        await gate.aclose()
    assert voided == ["h1"]


@pytest.mark.parametrize("code", ["OOM", "READONLY", "BUSY", "NOAUTH"])
async def test_a_refusal_opens_the_breaker_and_tells_its_code(voided: list[str], code: str):
    async with a_store(always(f"-{code} because\r\n".encode())) as store:
        gate = GateStore(store.url, "desk", timeout_s=2.0)
        assert str(await trouble_of(gate)) == code
        assert gate.broken
        with pytest.raises(StoreUnavailable, match=code):
            await gate.look("demo")  # Asks all the same.
        await gate.aclose()
    assert voided == ["h1"]


async def test_what_redis_py_hears_restarts_the_clock_of_an_order_s_call():
    async def reads_alone(call: list[bytes], writer: asyncio.StreamWriter) -> None:
        if call[0] == b"HMGET":
            writer.write(b"*2\r\n$-1\r\n$-1\r\n")
        elif call[0] == b"HELLO":
            writer.write(b"-ERR unknown command\r\n")

    async with a_store(reads_alone) as store:
        gate = GateStore(store.url + "?protocol=2", "desk", timeout_s=0.4)
        order = asyncio.ensure_future(trouble_of(gate))
        began = asyncio.get_running_loop().time()
        for _ in range(6):
            await asyncio.sleep(0.1)
            await gate.markets("binanceusdm")
        assert not order.done(), "given up while the store answered others"
        assert (await order).asked
        assert asyncio.get_running_loop().time() - began >= 0.9
        await gate.aclose()
