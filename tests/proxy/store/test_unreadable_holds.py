"""A hold that another version of the guard wrote counts until it is proven over, and keeps nothing else up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from proxy.store.conversion import Amended, Conversion, Ended, Taken
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.trouble import StoreUnavailable
from proxy.store.warden_store import WardenStore
from rules.model import Side
from tests.proxy.store.builders import a_held_order, a_request, an_account_of, publish

ORDER = a_held_order()
EVENTS = Conversion(
    taken=(Taken(symbol="BTCUSDT", side=Side.BUY, conditional=False, client_order_id=ORDER.client_order_id),),
    amended=(
        Amended(symbol="BTCUSDT", order_id="7", client_order_id="bot|1", quantity=ORDER.quantity, price=ORDER.price),
    ),
    ended=(Ended(symbol="BTCUSDT", order_id="bot|1"),),
)
"""They name the order that is held, in every way in which events name one."""

SHAPES = {
    "a field more": "{sequence}|{status}|{us}|{us}|{bot}|{body}",
    "a field more at the end": "{sequence}|{status}|{us}|{bot}|{body}|1",
    "a field less": "{sequence}|{status}|{us}|{body}",
    "another status": "{sequence}|Taken_2|{us}|{bot}|{body}",
    "an object": '{sequence}|{status}|{us}|{bot}|{{"v":2,"orders":{body}}}',
    "texts": '{sequence}|{status}|{us}|{bot}|["bot|1"]',
    "numbers": '{sequence}|{status}|{us}|{bot}|["bot|1",5,null]',
    "a number": "{sequence}|{status}|{us}|{bot}|5",
    "no JSON": '{sequence}|{status}|{us}|{bot}|["bot|1"',
    "nested without end": '{sequence}|{status}|{us}|{bot}|[{{"client_order_id":"bot|1","x":'
    + "[" * 2000
    + "]" * 2000
    + "}}]",
    "another text": '{{"client_order_id":"bot|1"}}',
    "nothing": "",
}


async def rewrite(raw: Redis, keys: Keys, name: str, shape: str) -> str:
    """Another version writes a hold anew in its own words, which come back."""
    told = await raw.hget(keys.holds("demo"), name)  # type: ignore[misc]  # redis-py types it for both clients
    sequence, status, us, bot, body = told.split("|", 4)
    text = SHAPES[shape].format(sequence=sequence, status=status, us=us, bot=bot, body=body)
    await raw.hset(keys.holds("demo"), name, text)  # type: ignore[misc]
    return text


async def tell(warden: WardenStore, version: int, *resolved: str) -> tuple[bool, ...]:
    done = await warden.publish_events(an_account_of(version), conversion=EVENTS, resolved=resolved, desk="desk")
    assert done.accepted
    return done.matched


@pytest.mark.parametrize("shape", SHAPES)
async def test_events_that_name_its_order_are_published_and_take_the_order_of_another(
    gate: GateStore, warden: WardenStore, raw: Redis, keys: Keys, shape: str
) -> None:
    await gate.hold(a_request("h1"))
    text = await rewrite(raw, keys, "h1", shape)
    assert (await warden.all_holds("demo"))[1] == {"h1"}
    assert await tell(warden, 1) == (False,)
    assert await raw.hgetall(keys.holds("demo")) == {"h1": text}  # type: ignore[misc]
    await raw.delete(keys.holds("demo"))
    await gate.hold(a_request("h2"))
    await raw.hset(keys.holds("demo"), "h1", text)  # type: ignore[misc]
    assert await tell(warden, 2) == (True,)
    assert await raw.hgetall(keys.holds("demo")) == {"h1": text}  # type: ignore[misc]


@pytest.mark.parametrize("shape", SHAPES)
async def test_it_goes_by_proof_alone(gate: GateStore, warden: WardenStore, raw: Redis, keys: Keys, shape: str) -> None:
    """Its status, its symbols and its time may mean something else, so no survey lets it go by these."""
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "ACCEPTED", [])
    await rewrite(raw, keys, "h1", shape)
    assert (await publish(warden, 1)).released == 0
    assert (await publish(warden, 2, symbols=frozenset({"ETHUSDT"}))).released == 0
    with pytest.raises(StoreUnavailable, match="unreadable"):
        await gate.look("demo")
    done = await warden.publish_account(
        an_account_of(3), began_us=1, symbols=None, resolved=("h1",), desk="desk", conversion=EVENTS
    )
    assert (done.accepted, done.released) == (True, 1)
    assert (await gate.look("demo")).holds == ()


async def test_one_whose_symbols_are_called_otherwise_is_covered_by_no_survey(
    gate: GateStore, warden: WardenStore, raw: Redis, keys: Keys
) -> None:
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "ACCEPTED", [])
    told = await raw.hget(keys.holds("demo"), "h1")  # type: ignore[misc]
    await raw.hset(keys.holds("demo"), "h1", told.replace('"symbol"', '"instrument"'))  # type: ignore[misc]
    assert (await publish(warden, 1, symbols=frozenset({"ETHUSDT"}))).released == 0
    assert (await publish(warden, 2)).released == 0


@pytest.mark.parametrize("shape", ["another status", "another text", "nothing"])
async def test_what_its_gate_says_of_it_spoils_nothing(gate: GateStore, raw: Redis, keys: Keys, shape: str) -> None:
    await gate.hold(a_request("h1"))
    text = await rewrite(raw, keys, "h1", shape)
    for action in ("ACCEPTED", "UNKNOWN", "KEEP"):
        await gate.settle("demo", "h1", action, [{"kind": "outcome"}])
    assert not await gate.shrink("demo", "demo-bot", "h1", replace(ORDER, quantity=ORDER.quantity / 2))
    assert await raw.hget(keys.holds("demo"), "h1") == text  # type: ignore[misc]
    assert [record["r"] for _, record in (await raw.xrange(keys.audit))[-3:]] == ['{"kind":"outcome"}'] * 3
    await gate.settle("demo", "h1", "RELEASE", [])
    assert await raw.hgetall(keys.holds("demo")) == {}  # type: ignore[misc]


@pytest.mark.parametrize("shape", ["an object", "numbers", "no JSON"])
async def test_of_one_of_which_the_venue_took_a_part_the_whole_is_held(
    gate: GateStore, raw: Redis, keys: Keys, shape: str
) -> None:
    await gate.hold(a_request("h1", orders=(ORDER, a_held_order("ETHUSDT"))))
    text = await rewrite(raw, keys, "h1", shape)
    await gate.settle("demo", "h1", "ACCEPTED", [], (ORDER,))
    assert await raw.hget(keys.holds("demo"), "h1") == text  # type: ignore[misc]
