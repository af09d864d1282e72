"""The holds as one server tells them, and whether it may have lost any: then that one is gone says nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.warden_store import WardenStore
from tests.proxy.store.builders import a_request
from tests.proxy.store.failover import demote, promote


async def fill(warden: WardenStore) -> str:
    run_id, _ = await warden.server()
    await warden.fill(run_id)
    return run_id


async def test_a_server_that_was_filled_tells_every_hold_of_the_accounts_asked_for(
    gate: GateStore, warden: WardenStore
) -> None:
    run_id = await fill(warden)
    for hold_id, account in (("h1", "demo"), ("h2", "other"), ("h3", "third")):
        await gate.hold(a_request(hold_id, account=account))
    told = await warden.told_holds(["demo", "other", "never seen"])
    assert told.server.startswith(f"{run_id} ") and told.whole
    assert [(account, hold.hold_id) for account, hold in told.holds] == [("demo", "h1"), ("other", "h2")]


async def begin_nothing(warden: WardenStore) -> None:
    return


async def fill_another(warden: WardenStore) -> None:
    await warden.fill("another")


async def lose_all(warden: WardenStore) -> None:
    await fill(warden)
    await warden._redis.flushall()


async def distrust_for_others(warden: WardenStore) -> None:
    await warden.distrust(["third"])
    await fill(warden)


async def distrust(warden: WardenStore) -> None:
    await warden.distrust(["demo", "other"])
    await fill(warden)


async def distrust_and_go_through_another(warden: WardenStore) -> None:
    await distrust(warden)
    await warden.begin_epoch()
    await warden.forget_times("other", [])


@pytest.mark.parametrize(
    "befalls", [begin_nothing, fill_another, lose_all, distrust, distrust_for_others, distrust_and_go_through_another]
)
async def test_a_server_that_may_have_lost_some_says_so(
    own_server: EmbeddedStore, befalls: Callable[[WardenStore], Awaitable[None]]
) -> None:
    warden = WardenStore(own_server.url, "desk")
    await warden.begin_epoch()
    await befalls(warden)
    assert not (await warden.told_holds(["demo", "other"])).whole
    await warden.aclose()


async def test_a_server_that_was_gone_through_since_tells_them_all_again(warden: WardenStore) -> None:
    await distrust_and_go_through_another(warden)
    await warden.forget_times("demo", [])
    assert (await warden.told_holds(["demo", "other"])).whole


async def test_a_new_server_tells_them_all_as_soon_as_a_warden_has_filled_it(own_server: EmbeddedStore) -> None:
    warden = WardenStore(own_server.url, "desk")
    assert not (await warden.told_holds(["demo"])).whole
    await warden.begin_epoch()
    await fill(warden)
    assert (await warden.told_holds(["demo"])).whole
    await warden.aclose()


async def test_a_replica_may_lack_what_was_written_since(own_server: EmbeddedStore) -> None:
    warden = WardenStore(own_server.url, "desk")
    await warden.begin_epoch()
    await fill(warden)
    await demote(own_server)
    assert not (await warden.told_holds(["demo"])).whole
    await warden.aclose()


async def test_a_server_that_was_a_replica_meanwhile_is_another(own_server: EmbeddedStore) -> None:
    """Failed over to another one and back between two looks, it may have lost what was written before."""
    warden = WardenStore(own_server.url, "desk")
    await warden.begin_epoch()
    await fill(warden)
    before, again = await warden.told_holds(["demo"]), await warden.told_holds(["demo"])
    assert again.server == before.server
    await demote(own_server)
    await promote(own_server)
    after = await warden.told_holds(["demo"])
    assert after.whole and after.server != before.server
    await warden.aclose()


async def test_a_hold_that_cannot_be_read_may_be_any(
    gate: GateStore, warden: WardenStore, raw: Redis, keys: Keys
) -> None:
    await fill(warden)
    await gate.hold(a_request("h1"))
    assert (await warden.told_holds(["demo", "other"])).whole
    await raw.hset(keys.holds("other"), "h2", "1|HELD OTHERWISE|0|grid|[]")
    told = await warden.told_holds(["demo", "other"])
    assert not told.whole and [hold.hold_id for _, hold in told.holds] == ["h1"]
