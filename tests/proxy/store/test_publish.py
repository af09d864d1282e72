"""A survey becomes the account's state, and lets go exactly the holds it has seen."""

import asyncio

import pytest

from proxy.clock import steady_s
from proxy.store.codec import load
from proxy.store.warden_store import VERSIONS_LOST_MAX, EpochLost, WardenStore
from rules.account import HoldStatus
from tests.proxy.store.builders import a_held_order, a_request, publish


async def names(gate):
    return [hold.hold_id for hold in (await gate.look("demo")).holds]


async def accepted(gate, name, *orders):
    await gate.hold(a_request(name, orders=orders or (a_held_order(),)))
    await gate.settle("demo", name, "ACCEPTED", [])


async def test_a_hold_acknowledged_before_the_survey_began_is_let_go(gate, warden):
    await accepted(gate, "h1")
    assert (await publish(warden, 1)).released == 1
    assert await names(gate) == []


async def test_a_hold_acknowledged_since_stays(gate, warden):
    began = await warden.now_us()
    await accepted(gate, "h1")
    assert (await publish(warden, 1, began_us=began)).released == 0
    assert await names(gate) == ["h1"]


async def test_a_hold_made_before_and_acknowledged_since_stays(gate, warden):
    await gate.hold(a_request("h1"))
    began = await warden.now_us()
    await gate.settle("demo", "h1", "ACCEPTED", [])
    await publish(warden, 1, began_us=began)
    assert await names(gate) == ["h1"]


@pytest.mark.parametrize("back_s", [1, 600])
async def test_a_hold_acknowledged_since_stays_where_the_clock_went_back_during_the_survey(gate, warden, back_s):
    """It showed so much more when the survey began."""
    began_s, began_us = steady_s(), await warden.now_us() + back_s * 1_000_000
    await accepted(gate, "h1")
    assert (await publish(warden, 1, began_us=began_us, began_s=began_s)).released == 0
    assert await names(gate) == ["h1"]


async def test_it_stays_also_where_the_store_takes_its_time_to_publish(gate, warden, raw):
    """By then the clock has gone on by as much as it had been set back."""
    began_s, began_us = steady_s(), await warden.now_us() + 200_000
    await accepted(gate, "h1")
    await raw.execute_command("CLIENT", "PAUSE", "10000", "WRITE")
    publishing = asyncio.create_task(publish(warden, 1, began_us=began_us, began_s=began_s))
    while await warden.now_us() < began_us:
        await asyncio.sleep(0.01)
    await raw.execute_command("CLIENT", "UNPAUSE")
    assert (await publishing).released == 0
    assert await names(gate) == ["h1"]


@pytest.mark.parametrize("action", ["ACCEPTED", "UNKNOWN"])
async def test_one_that_is_settled_anew_while_the_survey_is_published_stays(gate, warden, monkeypatch, action):
    await accepted(gate, "h1")
    began_us, right = await warden.now_us(), warden.now_us

    async def settled_anew():
        await gate.settle("demo", "h1", action, [])
        return await right()

    monkeypatch.setattr(warden, "now_us", settled_anew)
    assert (await publish(warden, 1, began_us=began_us)).released == 0
    assert await names(gate) == ["h1"]


@pytest.mark.parametrize("forward_s", [0, 600])
async def test_a_hold_acknowledged_before_is_let_go_however_long_the_survey_took(gate, warden, forward_s):
    """The clock may have gone forward meanwhile."""
    await accepted(gate, "h1")
    await asyncio.sleep(0.05)
    began_s, began_us = steady_s(), await warden.now_us()
    await asyncio.sleep(0.2)
    began_s += forward_s
    assert (await publish(warden, 1, began_us=began_us, began_s=began_s)).released == 1


@pytest.mark.parametrize("status", [HoldStatus.PENDING, HoldStatus.UNKNOWN])
async def test_what_nobody_acknowledged_stays_however_old(gate, warden, status):
    await gate.hold(a_request("h1"))
    if status is HoldStatus.UNKNOWN:
        await gate.settle("demo", "h1", "UNKNOWN", [])
    await publish(warden, 1)
    assert await names(gate) == ["h1"]


async def test_what_is_proven_over_goes_whatever_its_status(gate, warden):
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("h2"))
    assert (await publish(warden, 1, resolved=("h1", "unheard of"))).released == 1
    assert await names(gate) == ["h2"]


async def test_a_survey_of_one_symbol_lets_go_only_holds_it_covers_whole(gate, warden):
    await accepted(gate, "btc")
    await accepted(gate, "eth", a_held_order("ETHUSDT"))
    await accepted(gate, "both", a_held_order("BTCUSDT"), a_held_order("ETHUSDT"))
    assert (await publish(warden, 1, symbols=frozenset({"BTCUSDT"}))).released == 1
    assert await names(gate) == ["eth", "both"]
    assert (await publish(warden, 2, symbols=frozenset({"BTCUSDT", "ETHUSDT"}))).released == 2


async def test_a_symbol_is_not_covered_by_another_that_contains_it(gate, warden):
    await accepted(gate, "h1", a_held_order("BTCUSD"))
    await publish(warden, 1, symbols=frozenset({"BTCUSDT", "1000BTCUSD"}))
    assert await names(gate) == ["h1"]


async def test_a_survey_of_nothing_lets_nothing_go(gate, warden):
    await accepted(gate, "h1")
    await publish(warden, 1, symbols=frozenset())
    assert await names(gate) == ["h1"]


async def test_the_holds_of_other_accounts_stay(gate, warden):
    await gate.hold(a_request("h1", account="other"))
    await gate.settle("other", "h1", "ACCEPTED", [])
    await publish(warden, 1)
    assert len((await gate.look("other")).holds) == 1


@pytest.mark.parametrize("version", [4, 5])
async def test_an_older_survey_changes_nothing(gate, warden, version):
    await publish(warden, 5)
    await accepted(gate, "h1")
    found = await publish(warden, version, resolved=("h1",))
    assert (found.accepted, found.released) == (False, 0)
    assert await names(gate) == ["h1"]
    assert await warden.account_version("demo") == 5


async def test_versions_are_compared_as_numbers(gate, warden):
    await publish(warden, 9)
    assert (await publish(warden, 10)).accepted


async def test_a_warden_whose_epoch_is_gone_publishes_nothing(gate, warden, raw, keys):
    await accepted(gate, "h1")
    await raw.delete(keys.epoch)
    with pytest.raises(EpochLost):
        await publish(warden, 1)
    assert await names(gate) == ["h1"]
    assert (await gate.look("demo")).account is None


async def test_of_two_wardens_the_later_one_publishes(warden, server, desk):
    later = WardenStore(server.url, desk)
    await later.begin_epoch()
    with pytest.raises(EpochLost):
        await publish(warden, 1)
    assert (await publish(later, 1)).accepted
    await later.aclose()


async def test_every_survey_goes_to_the_audit_with_its_version(warden):
    await publish(warden, 3)
    (record,) = [load(record) for _, record in await warden.read_audit(block_ms=1)]
    assert (record["kind"], record["id"], record["version"]) == ("document", "account:demo@3", "3")
    assert record["content"]["margin_balance"] == "1000.50"


async def test_a_superseded_survey_is_not_archived(warden):
    await publish(warden, 3)
    await publish(warden, 2)
    assert len(await warden.read_audit(block_ms=1)) == 1


async def as_another_version_wrote_it(raw, key):
    """A field that this version cannot read; the document's version stands as it was."""
    body = await raw.hget(key, "body")
    await raw.hset(key, "body", body.replace('"hedged":false', '"hedged":"ONE_WAY"'))


async def test_an_account_that_cannot_be_read_is_none_and_its_version_is_not_given_again(warden, raw, keys, caplog):
    await publish(warden, 41)
    await as_another_version_wrote_it(raw, keys.account("demo"))
    assert await warden.account("demo") is None
    assert await warden.last_account("demo") is None
    assert await warden.last_version("demo") == 41
    await warden.distrust(["demo"])
    assert await warden.last_account("demo") is None
    assert await warden.last_version("demo") == 41 + VERSIONS_LOST_MAX
    assert "what was published of demo last cannot be read" in caplog.text


async def test_of_an_account_that_cannot_be_read_what_was_put_aside_before_is_taken_up(warden, raw, keys):
    await publish(warden, 7)
    await warden.distrust(["demo"])
    await warden.begin_epoch()
    await publish(warden, 7 + VERSIONS_LOST_MAX + 5)
    await as_another_version_wrote_it(raw, keys.account("demo"))
    assert (await warden.last_account("demo")).version == 7 + VERSIONS_LOST_MAX + 5


async def test_a_hold_that_cannot_be_read_hides_no_other(gate, warden, raw, keys, caplog):
    for name in ("h1", "h2"):
        await gate.hold(a_request(name))
    await raw.hset(keys.holds("demo"), "h1", "1|WAITING|1|demo-bot|[]")
    assert [aged.hold.hold_id for aged in await warden.holds("demo")] == ["h2"]
    assert "the hold h1 of demo cannot be read" in caplog.text
