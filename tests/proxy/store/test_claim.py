"""A desk of a store has one guard at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import pytest

from proxy.gate.latch import Latch
from proxy.store.beats import BeatStore
from proxy.store.epoch import GENERATION_MAX
from proxy.store.ownership import OWNED_S, DeskTaken, TakenOver
from proxy.store.warden_store import WardenStore
from rules.facts import Override
from rules.model import Side, TradingState
from tests.proxy.store.builders import an_account_of

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


@pytest.mark.parametrize(("said", "now"), [("40", 40), (str(GENERATION_MAX + 1), 9), ("9" * 30, 9), ("forty", 9)])
async def test_the_number_never_becomes_smaller_unless_no_fence_can_have_it(ours, raw, keys, said, now):
    await ours.claim("here:/data")
    await raw.hset(keys.controls, "generation", said)
    assert await ours.set_state("desk", TradingState.HALTED, generation=9, kill_running=None) == now
    assert await raw.hgetall(keys.controls) == {"guard": OURS, "desk": "HALTED", "generation": str(now)}


MINE, OTHERS = "d1" * 16, "d2" * 16


async def filled(store: WardenStore, raw, keys) -> None:
    """What a guard leaves of one account: a book, a record, a hold, an order's owner, a timer, and two leases."""
    await store.begin_epoch()
    book = an_account_of(7)
    assert (await store.publish_account(book, began_us=0, symbols=None, resolved=(), desk="d")).accepted
    await raw.hset(keys.record("demo"), mapping={"version": "9", "body": "{}", "memory": "{}"})
    for key in (keys.holds("demo"), keys.owners("demo"), keys.timers("demo"), keys.unreported("demo")):
        await raw.hset(key, "field", "value")
    await raw.hset(keys.leases, mapping={"demo|grid": "1|2|0", "elsewhere|calm": "1|2|0"})


async def taken_over(ours: WardenStore, theirs: WardenStore, raw, keys, digest: str) -> TakenOver:
    """``theirs`` had an account of this digest, and left; ``ours`` has one of the same name."""
    await theirs.claim("there:/data")
    assert await theirs.take_over({"demo": digest}) == TakenOver()
    await filled(theirs, raw, keys)
    await raw.delete(keys.guard)
    await ours.claim("here:/data")
    return await ours.take_over({"demo": MINE})


async def test_what_is_of_another_guards_account_of_the_same_name_is_forgotten(ours, theirs, raw, keys):
    found = await taken_over(ours, theirs, raw, keys, OTHERS)
    assert found == TakenOver(from_another=True, dropped=("demo",))
    assert await ours.last_account("demo") is None
    assert await ours.last_version("demo") >= 7, "a gate that follows the desk may have seen that version"
    assert await ours.account_record("demo") is None
    assert (await ours.record_memory("demo"), await ours.last_record_version("demo")) == ((0, None), 9)
    gone = (keys.holds("demo"), keys.owners("demo"), keys.timers("demo"), keys.unreported("demo"), keys.leases)
    assert await raw.exists(*gone) == 0, "a bot's lease, timer and order are its own guard's"
    assert await ours.take_over({"demo": MINE}) == TakenOver(), "after a restart it is ours"


async def test_a_guard_in_another_data_directory_takes_up_its_own_account(ours, theirs, raw, keys):
    found = await taken_over(ours, theirs, raw, keys, MINE)
    assert found == TakenOver(from_another=True)
    assert (await ours.last_account("demo")).version == 7
    assert await ours.record_memory("demo") == (9, b"{}")
    assert await raw.hkeys(keys.leases) == ["demo|grid"], "a lease of an account that it does not have is none of its"


async def test_a_guard_that_changed_the_key_of_an_account_keeps_what_it_knows(ours, raw, keys):
    await ours.claim("here:/data")
    await ours.take_over({"demo": MINE})
    await filled(ours, raw, keys)
    assert await ours.take_over({"demo": OTHERS}) == TakenOver()
    assert await ours.record_memory("demo") == (9, b"{}")
    assert await raw.hlen(keys.leases) == 2


async def test_what_nobody_says_the_owner_of_is_the_guards_that_had_the_desk(ours, theirs, raw, keys):
    """As a guard of before left it."""
    await theirs.claim("there:/data")
    await filled(theirs, raw, keys)
    assert await theirs.take_over({"demo": OTHERS}) == TakenOver()
    await raw.delete(keys.guard, keys.whose)
    await ours.claim("here:/data")
    assert (await ours.take_over({"demo": MINE})).dropped == ("demo",)


async def test_who_ends_before_it_heard_that_another_had_the_desk_has_lost_no_lease_and_no_attempt_is_the_others(
    ours, theirs, raw, keys
):
    """What follows from taking over is done with it: the second call is that of a process that knows nothing."""
    await theirs.claim("there:/data")
    await theirs.take_over({"demo": OTHERS, "kept": MINE})
    attempts = keys.attempts("demo", "grid"), keys.attempts("kept", "grid"), keys.attempts("demo", "nobodys")
    for key in attempts:
        await raw.rpush(key, "1|h|TRIED|[]")
    seconds, _ = await raw.time()
    lapsed = {"kept|grid": "1|30000000|0", "kept|calm": "1|30000000|2", "kept|gone": "released", "demo|grid": "1|2|0"}
    await raw.hset(keys.leases, mapping=lapsed)
    await raw.delete(keys.guard)
    await ours.claim("here:/data")
    accounts, traders = {"demo": MINE, "kept": MINE}, [("grid", "kept"), ("grid", "demo"), ("grid", "elsewhere")]
    assert await ours.take_over(accounts, traders) == TakenOver(from_another=True, dropped=("demo",))
    for _ in range(2):
        leases = await raw.hgetall(keys.leases)
        until_us, ttl_us, steps = map(int, leases.pop("kept|grid").split("|"))
        assert (ttl_us, steps) == (30_000_000, 0)
        assert (seconds + 30) * 1_000_000 <= until_us <= (seconds + 90) * 1_000_000
        assert leases == {"kept|calm": "1|30000000|2", "kept|gone": "released"}, "what had followed stands"
        assert [await raw.llen(key) for key in attempts] == [0, 1, 1]
        assert await ours.take_over(accounts, traders) == TakenOver()
        await raw.hset(keys.leases, mapping={"kept|grid": f"{until_us}|{ttl_us}|0"})


async def test_who_was_away_while_another_had_the_desk_does_not_go_on_as_if_it_knew_what_is_there(
    ours, theirs, server, desk, raw, keys
):
    await ours.claim("here:/data")
    await ours.take_over({"demo": MINE})
    await ours.keep("here:/data")
    await taken_by_another(theirs, raw, keys)
    before = await raw.hgetall(keys.whose)
    for _ in range(2):
        with pytest.raises(DeskTaken):
            await ours.keep("here:/data")
    assert not await ours.is_claimed() and await raw.hgetall(keys.whose) == before, "its successor waits and takes over"
    for asked in writes_of(ours):
        with pytest.raises(DeskTaken):
            await asked
    successor = WardenStore(server.url, desk, OURS)
    assert await successor.is_left_by_another()
    await successor.claim("here:/data")
    assert await successor.take_over({"demo": MINE}) == TakenOver(from_another=True, dropped=("demo",))
    await filled(successor, raw, keys)
    assert await successor.take_over({"demo": MINE}) == TakenOver(), "what is its own stays its own"
    assert await raw.exists(keys.holds("demo"), keys.timers("demo"), keys.leases) == 3
    await successor.keep("here:/data")
    await successor.aclose()


async def taken_by_another(theirs: WardenStore, raw, keys) -> None:
    """While our guard was away, another had the desk and an account that is called alike, and has left."""
    await raw.delete(keys.guard)
    await theirs.claim("there:/data")
    await theirs.take_over({"demo": OTHERS})
    await raw.delete(keys.guard)


async def test_a_store_that_came_back_empty_is_kept_by_the_guard_that_had_it(ours, raw, keys):
    await ours.claim("here:/data")
    await raw.delete(keys.guard, keys.controls, keys.whose)
    await ours.keep("here:/data")
    assert await ours.controls() == {"guard": OURS}


async def test_no_lease_is_held_against_a_bot_where_another_guard_ended_before_it_took_over(ours, theirs, raw, keys):
    await ours.claim("here:/data")
    await ours.take_over({"demo": MINE})
    await filled(ours, raw, keys)
    await raw.hset(keys.leases, mapping={"demo|grid": "1|30000000|0", "demo|calm": "1|30000000|2"})
    await raw.delete(keys.guard)
    await theirs.claim("there:/data")
    await raw.delete(keys.guard)
    seconds, _ = await raw.time()
    for _ in range(2):
        await ours.claim("here:/data")  # It may end in between, too.
    assert await ours.take_over({"demo": MINE}) == TakenOver(from_another=True)
    leases = await raw.hgetall(keys.leases)
    assert int(leases.pop("demo|grid").partition("|")[0]) >= (seconds + 30) * 1_000_000
    assert leases == {"demo|calm": "1|30000000|2"}
    assert await raw.hlen(keys.holds("demo")) == 1, "the other has told nothing of its account"
    assert await ours.take_over({"demo": MINE}) == TakenOver(), "once"


async def claimed_as_before(raw, keys, guard: str) -> None:
    """What a claim leaves of the version before, which says nothing of owners."""
    await raw.delete(keys.guard)
    await raw.hset(keys.controls, "guard", guard)


async def test_what_an_older_version_left_in_between_is_not_believed(ours, theirs, raw, keys):
    await ours.claim("here:/data")
    await ours.take_over({"demo": MINE})
    await claimed_as_before(raw, keys, THEIRS)
    await filled(theirs, raw, keys)
    await raw.hset(keys.leases, "another|bot", "1|2|0")
    await raw.delete(keys.guard)
    await ours.claim("here:/data")
    await ours.claim("here:/data")
    assert await ours.take_over({"demo": MINE}) == TakenOver(from_another=True, dropped=("demo",))
    assert await raw.exists(keys.holds("demo"), keys.leases) == 0
    assert (await ours.take_over({"demo": MINE})) == TakenOver()


async def test_a_guard_that_is_upgraded_takes_up_what_its_older_version_left_after_another(ours, theirs, raw, keys):
    await theirs.claim("there:/data")
    await theirs.take_over({"demo": OTHERS})
    await claimed_as_before(raw, keys, OURS)
    await filled(ours, raw, keys)
    await ours.claim("here:/data")
    assert await ours.take_over({"demo": MINE}) == TakenOver()
    assert (await ours.record_memory("demo"), await raw.hlen(keys.holds("demo"))) == ((9, b"{}"), 1)
    assert await raw.hlen(keys.leases) == 2


async def test_nothing_is_taken_over_in_anothers_desk(ours, theirs, raw, keys):
    await theirs.claim("there:/data")
    await filled(theirs, raw, keys)
    with pytest.raises(DeskTaken):
        await ours.take_over({"demo": MINE})
    assert await raw.exists(keys.account("demo"), keys.leases) == 2


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
    await warden.keep("nowhere")
    assert not await warden.is_claimed()
