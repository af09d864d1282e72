"""What becomes of a hold, and the records that say so."""

import asyncio
from dataclasses import replace

import pytest
import redis.asyncio

from proxy.store import settling_again
from proxy.store.codec import load
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.trouble import StoreUnavailable
from proxy.under_way import UNDER_WAY_MAX_S
from rules.account import HeldOrder, HoldStatus, UnreportedOrder
from tests.proxy.store.builders import a_held_order, a_request, publish
from tests.rules.builders import NOW


async def held(gate):
    return {hold.hold_id: hold for hold in (await gate.look("demo")).holds}


async def test_a_released_hold_is_gone(gate):
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "RELEASE", [])
    assert await held(gate) == {}


@pytest.mark.parametrize("status", [HoldStatus.ACCEPTED, HoldStatus.UNKNOWN])
async def test_a_hold_keeps_its_place_and_its_orders(gate, status):
    await gate.hold(a_request("h1"))
    before = (await held(gate))["h1"]
    await gate.settle("demo", "h1", status.value, [])
    after = (await held(gate))["h1"]
    assert (after.status, after.sequence, after.bot, after.orders) == (
        status,
        before.sequence,
        before.bot,
        before.orders,
    )


async def test_a_hold_shrinks_to_what_the_venue_took(gate):
    await gate.hold(a_request("h1", orders=(a_held_order(), a_held_order("ETHUSDT"))))
    await gate.settle("demo", "h1", "ACCEPTED", [], (a_held_order("ETHUSDT"),))
    assert (await held(gate))["h1"].orders == (a_held_order("ETHUSDT"),)


async def test_keep_changes_nothing_but_the_record(gate, warden):
    await gate.hold(a_request("h1"))
    before = await held(gate)
    await gate.settle("demo", "h1", "KEEP", [{"kind": "outcome"}])
    assert await held(gate) == before
    assert [load(record)["kind"] for _, record in await warden.read_audit(block_ms=1)] == ["intent", "outcome"]


async def test_settling_what_the_warden_released_brings_nothing_back(gate, warden):
    await gate.hold(a_request("h1"))
    await publish(warden, 1, resolved=("h1",))
    await gate.settle("demo", "h1", "ACCEPTED", [{"kind": "outcome"}], (a_held_order(),))
    assert await held(gate) == {}


async def test_the_records_of_one_settlement_stay_together(gate, warden):
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "RELEASE", [{"kind": "decision"}, {"kind": "outcome"}])
    kinds = [load(record)["kind"] for _, record in await warden.read_audit(block_ms=1)]
    assert kinds == ["intent", "decision", "outcome"]


async def test_a_settled_hold_is_told_with_the_time_of_its_change(gate, warden):
    await gate.hold(a_request("h1"))
    between = await warden.now_us()
    await gate.settle("demo", "h1", "ACCEPTED", [])
    (aged,) = await warden.holds("demo")
    assert between <= aged.at_us <= await warden.now_us()


async def test_a_lost_answer_does_not_make_a_hold_younger(gate, warden):
    await gate.hold(a_request("h1"))
    (made,) = await warden.holds("demo")
    await gate.settle("demo", "h1", "UNKNOWN", [])
    (lost,) = await warden.holds("demo")
    assert (lost.hold.status, lost.at_us) == (HoldStatus.UNKNOWN, made.at_us)
    await gate.settle("demo", "h1", "ACCEPTED", [])
    (taken,) = await warden.holds("demo")
    assert taken.at_us > made.at_us


SECOND = a_held_order("ETHUSDT")


def unreported(order: HeldOrder) -> UnreportedOrder:
    return UnreportedOrder(bot="demo-bot", hold_id="h1", at=NOW, order=order)


@pytest.mark.parametrize(
    ("action", "took", "lost", "left"),
    [
        ("ACCEPTED", (a_held_order(), SECOND), (), ()),
        ("RELEASE", None, (), ()),
        ("UNKNOWN", (a_held_order(), SECOND), (SECOND,), (SECOND,)),
    ],
)
async def test_an_answer_that_is_told_late_is_one_also_where_the_warden_took_it_for_lost(
    gate, warden, action, took, lost, left
):
    """After a long outage the warden looks at old holds while gates tell what they heard during it."""
    await gate.hold(a_request("h1", orders=(a_held_order(), SECOND)))
    await gate.hold(a_request("h2"))
    for hold in (await held(gate)).values():
        await warden.lose("demo", hold, NOW)
    assert len(await gate.unreported("demo")) == 2, "of two with one name the newer"
    others = [each for each in await gate.unreported("demo") if each.hold_id == "h2"]
    await gate.settle("demo", "h1", action, [], took, [unreported(order) for order in lost])
    mine = [each.order for each in await gate.unreported("demo") if each.hold_id == "h1"]
    assert mine == list(left)
    assert [each for each in await gate.unreported("demo") if each.hold_id == "h2"] == others


@pytest.mark.parametrize(
    ("action", "after"), [("ACCEPTED", [HoldStatus.ACCEPTED]), ("RELEASE", []), ("UNKNOWN", [HoldStatus.UNKNOWN])]
)
async def test_a_hold_that_was_settled_since_it_was_read_is_not_lost(gate, warden, action, after):
    await gate.hold(a_request("h1"))
    (aged,) = await warden.holds("demo")
    await gate.settle("demo", "h1", action, [])
    await warden.lose("demo", aged.hold, NOW)
    assert [hold.status for hold in (await held(gate)).values()] == after
    assert await gate.unreported("demo") == ()


async def test_each_account_is_in_doubt_until_its_own_holds_were_gone_through(warden, raw, keys):
    assert not await warden.is_doubted(["demo", "other"]) and not await warden.is_doubted([])
    await warden.distrust(["demo", "other"])
    assert not await warden.is_doubted([]) and not await warden.is_doubted(["a third"])
    await warden.forget_times("demo", ())
    await warden.begin_epoch()
    assert [await warden.is_doubted([name]) for name in ("demo", "other")] == [False, True]
    assert await warden.is_doubted(["demo", "other"])
    await warden.forget_times("other", ())
    assert not await raw.exists(keys.doubted("demo"), keys.doubted("other"))


async def test_of_holds_that_another_clock_timed_nobody_knows_when_until_they_change(gate, warden):
    for name in ("pending", "taken", "lost", "settled"):
        await gate.hold(a_request(name))
    await gate.settle("demo", "taken", "ACCEPTED", [])
    await gate.settle("demo", "lost", "UNKNOWN", [])
    found = await warden.holds("demo")
    await gate.settle("demo", "settled", "ACCEPTED", [])
    await gate.hold(a_request("new"))
    await warden.forget_times("demo", found)
    now = {aged.hold.hold_id: aged for aged in await warden.holds("demo")}
    assert [now[name].at_us for name in ("pending", "taken", "lost")] == [0, 0, 0]
    assert now["settled"].at_us and now["new"].at_us
    assert [replace(aged, at_us=0) for aged in now.values()][:3] == [replace(aged, at_us=0) for aged in found][:3]
    await gate.settle("demo", "pending", "UNKNOWN", [])
    await gate.settle("demo", "taken", "ACCEPTED", [])
    now = {aged.hold.hold_id: aged for aged in await warden.holds("demo")}
    assert now["pending"].at_us == 0 < now["taken"].at_us


@pytest.fixture
async def hurt(own_server):
    """A gate with a hold, and its store, which takes nothing until it is said."""
    gate = GateStore(own_server.url, "desk", timeout_s=2.0)
    await gate.hold(a_request("h1"))
    async with redis.asyncio.Redis.from_url(own_server.url) as client:
        await client.replicaof("127.0.0.1", "1")
        yield gate, client
    await gate.aclose()


async def test_what_nobody_knows_of_an_order_is_told_again_too(hurt):
    gate, client = hurt
    lost = UnreportedOrder(bot="demo-bot", hold_id="h1", at=NOW, order=a_held_order())
    with pytest.raises(StoreUnavailable):
        await gate.settle("demo", "h1", "UNKNOWN", [{"kind": "outcome"}], (a_held_order(),), [lost])
    await client.replicaof("NO", "ONE")
    await gate._settling_again.done()
    assert [hold.status for hold in (await held(gate)).values()] == [HoldStatus.UNKNOWN]
    assert await gate.unreported("demo") == (lost,)


async def test_nothing_is_told_again_of_what_the_warden_released_meanwhile(hurt):
    gate, client = hurt
    with pytest.raises(StoreUnavailable):
        await gate.settle("demo", "h1", "ACCEPTED", [], (a_held_order(),))
    await client.replicaof("NO", "ONE")
    await client.delete(Keys("desk").holds("demo"))
    await gate._settling_again.done()
    assert await held(gate) == {}


async def test_it_is_told_again_for_a_while_only(hurt, monkeypatch):
    assert settling_again.UNTOLD_KEPT_S > UNDER_WAY_MAX_S, "a warden asks after a failover when that is over"
    monkeypatch.setattr(settling_again, "UNTOLD_KEPT_S", 0.1)
    monkeypatch.setattr(settling_again, "TELL_TIMEOUT_S", 0.05)
    gate, client = hurt
    with pytest.raises(StoreUnavailable):
        await gate.settle("demo", "h1", "RELEASE", [])
    async with asyncio.timeout(5):
        await gate._settling_again.done()
    await client.replicaof("NO", "ONE")
    assert [hold.status for hold in (await held(gate)).values()] == [HoldStatus.PENDING]


async def test_a_gate_that_ends_waits_for_no_store(hurt):
    gate, _ = hurt
    before = asyncio.all_tasks()
    with pytest.raises(StoreUnavailable):
        await gate.settle("demo", "h1", "RELEASE", [])
    async with asyncio.timeout(1):
        await gate.aclose()
    assert asyncio.all_tasks() <= before


async def test_nothing_is_told_again_where_the_desk_is_another_guards(hurt, monkeypatch):
    monkeypatch.setattr(settling_again, "UNTOLD_KEPT_S", 0.1)
    gate, client = hurt
    with pytest.raises(StoreUnavailable):
        await gate.settle("demo", "h1", "RELEASE", [])
    gate.taken = lambda: True
    await client.replicaof("NO", "ONE")
    async with asyncio.timeout(5):
        await gate._settling_again.done()
    gate.taken = lambda: False
    assert [hold.status for hold in (await held(gate)).values()] == [HoldStatus.PENDING]
