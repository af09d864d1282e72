"""A desk of a store has one guard at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import pytest

from proxy.gate.latch import Latch
from proxy.store.beats import BeatStore
from proxy.store.ownership import OWNED_S, DeskTaken
from proxy.store.warden_store import WardenStore
from rules.facts import Override
from rules.model import Side, TradingState

OURS, THEIRS = "0a" * 16, "0b" * 16


@pytest.fixture
async def ours(server, desk) -> AsyncIterator[WardenStore]:
    opened = WardenStore(server.url, desk, OURS)
    yield opened
    await opened.aclose()


@pytest.fixture
async def theirs(server, desk) -> AsyncIterator[WardenStore]:
    opened = WardenStore(server.url, desk, THEIRS)
    yield opened
    await opened.aclose()


async def test_the_first_has_it_and_the_second_writes_nothing(ours, theirs, raw, keys):
    await ours.claim("here:/data|x")
    with pytest.raises(DeskTaken, match="here:/data"):
        await theirs.claim("there:/data")
    for asked in (
        theirs.record([{"kind": "event"}]),
        theirs.set_state("account:main", TradingState.ACTIVE, generation=9, kill_running=None),
        theirs.controls(),
    ):
        with pytest.raises(DeskTaken):
            await asked
    assert await raw.hgetall(keys.controls) == {"guard": OURS}
    assert await raw.xlen(keys.audit) == 0
    await ours.claim("here, after a restart:/data")
    assert await ours.controls() == {"guard": OURS}


async def test_another_guards_stops_are_none_of_ours_even_before_anything_was_claimed(ours, theirs, warden):
    assert await theirs.controls() == {}
    await ours.claim("here:/data")
    with pytest.raises(DeskTaken):
        await theirs.controls()
    assert await warden.controls() == {"guard": OURS}, "who is of no guard, as the command line, sees them"


def writes_of(store: WardenStore) -> list[Coroutine[Any, Any, Any]]:
    """Everything that a guard writes which is at nobody's door: presses, switched keys, leave that a person gives."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    override = Override(
        override_id="o-1",
        rule_id="order_size",
        bot="grid",
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity_max=Decimal(1),
        expires_at=at,
        ticket="T-1",
        requested_by="ann",
        approved_by="bob",
    )
    return [
        store.set_state("desk", TradingState.HALTED, generation=9, kill_running=True),
        store.record([{"kind": "event"}]),
        store.publish_policy("sha", "loose"),
        store.set_ramp("desk", Decimal("0.1")),
        store.set_key_disabled("pg_1", disabled=True),
        store.grant_override(override),
        store.withdraw_override("o-1"),
    ]


async def test_who_has_not_asked_yet_writes_nothing_into_anothers_desk(ours, theirs, raw, keys):
    await ours.claim("here:/data")
    had = sorted(await raw.keys(f"perpguard:{{{keys.desk}}}:*"))
    for asked in writes_of(theirs):
        with pytest.raises(DeskTaken):
            await asked
    assert await raw.hgetall(keys.controls) == {"guard": OURS}
    assert sorted(await raw.keys(f"perpguard:{{{keys.desk}}}:*")) == had


@pytest.mark.parametrize("whose", ["ours", "nobodys"])
async def test_its_own_guard_writes_and_so_does_who_is_of_none(whose, ours, warden, raw, keys):
    await ours.claim("here:/data")
    store = {"ours": ours, "nobodys": warden}[whose]
    replies = [await asked for asked in writes_of(store)]
    assert await raw.hgetall(keys.controls) == {
        "guard": OURS,
        "desk": "HALTED",
        "generation": "9",
        "kill:desk": "1",
        "ramp:desk": "0.1",
    }
    assert await raw.hgetall(keys.policy) == {"version": "sha", "body": "loose"}
    assert await raw.hkeys(keys.disabled) == ["pg_1"]
    assert (await raw.xlen(keys.audit), replies[-1]) == (1, True)
    assert not await store.withdraw_override("o-1"), "it is gone"
    await store.set_state("desk", TradingState.ACTIVE, generation=10, kill_running=False)
    assert "kill:desk" not in await raw.hgetall(keys.controls)


async def test_who_was_refused_writes_nothing_into_a_store_that_came_back_empty(ours, theirs, raw, keys):
    await ours.claim("here:/data")
    with pytest.raises(DeskTaken):
        await theirs.claim("there:/data")
    await raw.delete(keys.guard, keys.controls)
    for asked in writes_of(theirs):
        with pytest.raises(DeskTaken):
            await asked


async def test_its_presses_are_not_counted_on_from_another_guards_and_its_stops_stay(ours, theirs, raw, keys):
    await ours.claim("here:/data")
    await ours.set_state("desk", TradingState.HALTED, generation=40, kill_running=False)
    await ours.claim("here:/data")
    assert await ours.controls() == {"guard": OURS, "desk": "HALTED", "generation": "40"}
    await raw.delete(keys.guard)
    await theirs.claim("there:/data")
    assert await theirs.controls() == {"guard": THEIRS, "desk": "HALTED"}
    latch = Latch(cast("Any", None), guard=THEIRS)
    for generation, state in (2, TradingState.HALTED), (3, TradingState.ACTIVE):
        latch.heard(await theirs.controls(), 0.0)
        assert latch.stops("main", "binanceusdm", "grid")
        await theirs.set_state("desk", state, generation=generation, kill_running=False)
    latch.heard(await theirs.controls(), 0.0)
    assert not latch.stops("main", "binanceusdm", "grid"), "a number that the other had reached is not waited for"


async def test_another_guard_has_no_turn_and_leaves_no_beat(ours, server, desk, raw, keys):
    await ours.claim("here:/data")
    mine, theirs, anybodys = (BeatStore(server.url, desk, guard) for guard in (OURS, THEIRS, ""))
    for asked in theirs.take_turn("their warden", 5), theirs.end_turn("their warden"), theirs.publish("beat"):
        with pytest.raises(DeskTaken):
            await asked
    assert (await mine.take_turn("our warden", 5)).ours
    assert not (await anybodys.take_turn("a watchdog elsewhere", 5)).ours, "it is of our guard, and waits"
    await mine.publish("ours")
    assert await anybodys.read() == "ours"
    for each in (mine, theirs, anybodys):
        await each.aclose()


async def test_a_desk_that_another_guard_left_is_told_from_a_free_one(ours, theirs, warden, raw, keys):
    assert not await theirs.is_left_by_another(), "nobody ever had it"
    await ours.claim("here:/data")
    assert not await theirs.is_left_by_another(), "it has it still"
    await raw.delete(keys.guard)
    assert await theirs.is_left_by_another()
    assert not await ours.is_left_by_another()
    assert not await warden.is_left_by_another(), "who is of no guard waits for nobody"


async def test_it_is_kept_for_a_guard_that_is_silent_and_is_free_then(ours, theirs, raw, keys):
    await ours.claim("here:/data")
    assert 0 < await raw.pttl(keys.guard) <= OWNED_S * 1000
    assert await theirs.is_claimed()
    await raw.delete(keys.guard)
    assert not await theirs.is_claimed()
    await theirs.claim("there:/data")
    await theirs.record([{"kind": "event"}])
    assert await raw.hget(keys.controls, "guard") == THEIRS
    with pytest.raises(DeskTaken, match="there:/data"):
        await ours.claim("here:/data")


async def test_another_desk_of_the_store_is_another_matter(ours, server, desk):
    await ours.claim("here:/data")
    other = WardenStore(server.url, f"{desk}-2", THEIRS)
    await other.claim("there:/data")
    await other.aclose()


async def test_who_is_of_no_guard_claims_nothing(warden, ours):
    await warden.claim("nowhere")
    assert not await warden.is_claimed()
