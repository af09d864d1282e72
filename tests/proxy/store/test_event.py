"""One script per event: the account's new document, and the holds that it now counts as orders."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.decoding import build
from proxy.store.codec import load, plain
from proxy.store.conversion import NOTHING, Amended, Conversion, Ended, Taken
from proxy.store.gate_store import GateStore
from proxy.store.owners import order_field, trade_field
from proxy.store.trouble import StoreUnavailable
from proxy.store.warden_store import EpochLost, WardenStore
from rules.account import Amendment, HoldStatus
from rules.facts import AccountRecord
from rules.model import Side
from tests.proxy.store.builders import a_held_order, a_request, an_account_of, publish
from tests.rules.builders import NOW

NAMED = "BTCUSDT", Side.BUY, False, "bot|1"


def taken(symbol="BTCUSDT", side=Side.BUY, conditional=False, client_order_id="bot|1"):
    return Conversion(
        taken=(Taken(symbol=symbol, side=side, conditional=conditional, client_order_id=client_order_id),)
    )


def named(name, **changes):
    return replace(a_held_order(), client_order_id=name, **changes)


def amend(quantity="2", price="50000", order_id="7", **changes):
    asked = Amendment(order_id=order_id, client_order_id=None, quantity=Decimal(quantity), price=Decimal(price))
    return replace(a_held_order(), client_order_id="", replaces=order_id, amendment=asked, **changes)


def amended(quantity="2.00", price="50000.0", order_id="7"):
    change = Amended(
        symbol="BTCUSDT", order_id=order_id, client_order_id="c", quantity=Decimal(quantity), price=Decimal(price)
    )
    return Conversion(amended=(change,))


async def tell(warden, version, conversion=NOTHING, resolved=(), **owners):
    return await warden.publish_events(
        an_account_of(version), conversion=conversion, resolved=resolved, desk="desk", **owners
    )


async def held(gate):
    return {hold.hold_id: [order.client_order_id for order in hold.orders] for hold in (await gate.look("demo")).holds}


async def test_an_order_the_venue_took_is_no_longer_held(gate, warden):
    await gate.hold(a_request("h1"))
    done = await tell(warden, 1, taken())
    assert (done.accepted, done.matched) == (True, (True,))
    seen = await gate.look("demo")
    holds, account = seen.holds, seen.account
    assert (holds, account.version) == ((), 1)


async def test_an_order_nothing_was_held_for_is_told_apart(gate, warden):
    await gate.hold(a_request("h1"))
    assert (await tell(warden, 1, taken(client_order_id="stranger"))).matched == (False,)
    assert await held(gate) == {"h1": ["bot|1"]}


@pytest.mark.parametrize(
    "other", [{"symbol": "BTCUSD"}, {"side": Side.SELL}, {"conditional": True}, {"client_order_id": "bot|10"}]
)
async def test_a_hold_goes_only_for_its_own_order(gate, warden, other):
    await gate.hold(a_request("h1"))
    await tell(warden, 1, taken(**other))
    assert await held(gate) == {"h1": ["bot|1"]}


@pytest.mark.parametrize("status", list(HoldStatus))
async def test_a_hold_goes_whatever_its_status(gate, warden, status):
    await gate.hold(a_request("h1"))
    if status is not HoldStatus.PENDING:
        await gate.settle("demo", "h1", status.value, [])
    await tell(warden, 1, taken())
    assert await held(gate) == {}


async def test_the_hold_of_a_batch_keeps_the_others(gate, warden):
    await gate.hold(a_request("h1", orders=(named("a"), named("b"), named("c"))))
    await tell(warden, 1, taken(client_order_id="b"))
    assert await held(gate) == {"h1": ["a", "c"]}


async def test_a_settlement_that_comes_late_brings_nothing_back(gate, warden):
    orders = (named("a"), named("b"), named("c", price=None))
    await gate.hold(a_request("h1", orders=orders))
    await tell(warden, 1, taken(client_order_id="a"))
    await gate.settle("demo", "h1", "ACCEPTED", [], (orders[0], orders[2]))
    assert await held(gate) == {"h1": ["c"]}
    await tell(warden, 2, taken(client_order_id="c"))
    await gate.settle("demo", "h1", "ACCEPTED", [], orders)
    assert await held(gate) == {}


async def test_a_settlement_of_what_is_all_converted_leaves_no_empty_hold(gate, warden):
    await gate.hold(a_request("h1", orders=(named("a"), named("b"))))
    await tell(warden, 1, taken(client_order_id="a"))
    await gate.settle("demo", "h1", "ACCEPTED", [], (named("a"),))
    assert await held(gate) == {}


async def test_one_event_takes_one_hold_the_oldest(gate, warden):
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("h2"))
    await tell(warden, 1, taken())
    assert list(await held(gate)) == ["h2"]


async def test_an_amend_is_known_by_its_numbers(gate, warden):
    await gate.hold(a_request("h1", orders=(amend("2"),)))
    await gate.hold(a_request("h2", orders=(amend("3"),)))
    await tell(warden, 1, amended("3.000"))
    assert list(await held(gate)) == ["h1"]
    await tell(warden, 2, amended("2", order_id="8"))
    assert list(await held(gate)) == ["h1"]


async def test_a_new_order_takes_no_amend_and_the_end_of_an_order_takes_all_of_its_amends(gate, warden):
    await gate.hold(a_request("h1", orders=(amend("2"), amend("3"))))
    await gate.hold(a_request("h2", orders=(amend("2", order_id="8"),)))
    await tell(warden, 1, taken(client_order_id=""))
    assert list(await held(gate)) == ["h1", "h2"]
    await tell(warden, 2, Conversion(ended=(Ended(symbol="BTCUSDT", order_id="7"),)))
    assert list(await held(gate)) == ["h2"]


async def test_what_is_proven_over_goes(gate, warden):
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("h2"))
    await tell(warden, 1, resolved=("h1",))
    assert list(await held(gate)) == ["h2"]


async def test_an_older_version_changes_nothing(gate, warden):
    await tell(warden, 5)
    await gate.hold(a_request("h1"))
    assert not (await tell(warden, 5, taken())).accepted
    assert await held(gate) == {"h1": ["bot|1"]}


async def test_a_warden_whose_epoch_is_gone_changes_nothing(gate, warden, server, desk):
    await gate.hold(a_request("h1"))
    later = WardenStore(server.url, desk)
    await later.begin_epoch()
    with pytest.raises(EpochLost):
        await tell(warden, 1, taken())
    assert await held(gate) == {"h1": ["bot|1"]}
    await later.aclose()


async def test_a_survey_turns_holds_into_the_orders_it_shows(gate, warden):
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "UNKNOWN", [])
    done = await warden.publish_account(
        an_account_of(1), began_us=0, symbols=None, resolved=(), desk="desk", conversion=taken()
    )
    assert done.matched == (True,)
    assert await held(gate) == {}


async def documents(warden):
    records = [load(record) for _, record in await warden.read_audit(block_ms=1)]
    return [record["id"] for record in records if record["kind"] == "document"]


async def test_a_version_is_archived_when_it_is_first_looked_at(gate, warden):
    for version in (1, 2, 3):
        await tell(warden, version)
    assert await documents(warden) == []
    await gate.hold(a_request("h1"))
    await gate.look("demo")
    assert await documents(warden) == ["account:demo@3"]
    await tell(warden, 4)
    await gate.look("demo")
    assert await documents(warden) == ["account:demo@3", "account:demo@4"]


async def test_what_is_remembered_of_an_account_is_archived_when_an_order_is_judged_on_it(gate, warden, desk):
    for version in (1, 2):
        await warden.publish_record(AccountRecord(account="demo", version=version, as_of=NOW))
    assert await documents(warden) == []
    for name in ("h1", "h2"):
        view = await gate.hold(a_request(name))
    records = [load(record) for _, record in await warden.read_audit(block_ms=1)]
    (record,) = [record for record in records if record["kind"] == "document"]
    assert (record["id"], record["name"], record["version"]) == ("record:demo@2", "record:demo", "2")
    assert (record["desk"], record["at"]) == (desk, plain(NOW))
    assert build(record["content"], AccountRecord) == view.record


async def test_for_another_archive_what_is_archived_comes_again_when_it_is_looked_at(gate, warden):
    await tell(warden, 1)
    await warden.publish_record(AccountRecord(account="demo", version=2, as_of=NOW))
    await warden.forget_archived(["demo", "never published"])
    for name in ("h1", "h2"):
        await gate.hold(a_request(name))
    named = ["account:demo@1", "record:demo@2"]
    assert await documents(warden) == named
    await warden.forget_archived(["demo"])
    assert await documents(warden) == named
    for name in ("h3", "h4"):
        await gate.hold(a_request(name))
    assert await documents(warden) == [*named, *named]


async def test_an_archived_version_reads_back_as_it_was_published(gate, warden):
    await tell(warden, 1)
    await gate.look("demo")
    (record,) = [load(record) for _, record in await warden.read_audit(block_ms=1)]
    await publish(warden, 2)
    survey = load((await warden.read_audit(block_ms=1))[-1][1])
    assert record.keys() == survey.keys()
    assert record["content"] == survey["content"] | {"version": 1}
    assert (record["name"], record["version"], record["desk"]) == ("account:demo", "1", "desk")


async def test_a_hold_whose_gate_gave_up_is_undone_even_when_it_is_made_later(own_server, desk):
    hasty = GateStore(own_server.url, desk, timeout_s=0.05)
    patient = GateStore(own_server.url, desk, timeout_s=5.0)
    await hasty.warm()
    await patient.look("demo")
    os.kill(own_server.pid, signal.SIGSTOP)
    with pytest.raises(StoreUnavailable):
        await hasty.hold(a_request("h1"))
    os.kill(own_server.pid, signal.SIGCONT)
    await hasty._voiding.done()
    assert (await patient.look("demo")).holds == ()
    with pytest.raises(StoreUnavailable):
        await patient.hold(a_request("h1", replay_digest="again"))
    assert (await patient.look("demo")).holds == ()
    await hasty.aclose()
    await patient.aclose()


async def test_owners_are_remembered_in_the_same_step(gate, warden):
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("h2"))
    mine, yours = order_field("BTCUSDT", "1"), trade_field("BTCUSDT", "2")
    await tell(warden, 1, taken(), resolved=("h2",), owners={mine: "ada", yours: "bob"})
    assert await gate.owners("demo", [mine, yours]) == {mine: "ada", yours: "bob"}
    assert await held(gate) == {}


async def test_owners_of_a_document_that_is_late_wait_for_the_next(gate, warden):
    mine = order_field("BTCUSDT", "1")
    await tell(warden, 2)
    assert not (await tell(warden, 2, owners={mine: "ada"})).accepted
    assert await gate.owners("demo", [mine]) == {}


async def test_it_says_whether_orders_are_kept_that_their_bot_knows_nothing_of(gate, warden):
    assert not (await tell(warden, 1)).unreported
    await warden._redis.hset(warden._keys.unreported(an_account_of(1).name), "o-1", "{}")
    assert (await tell(warden, 2)).unreported


@pytest.mark.parametrize("separator", ["-", "/"])
async def test_orders_of_a_batch_are_found_whatever_their_names_are_made_of(gate, warden, separator):
    """Each that is told of leaves the hold written anew, by a library that writes a slash in its own way."""
    one, two, three = (f"grid{separator}{number}" for number in range(3))
    await gate.hold(a_request("h1", orders=(named(one), named(two), named(three))))
    await gate.settle("demo", "h1", "UNKNOWN", [], (named(one), named(two)))
    await tell(warden, 1, taken(client_order_id=one))
    await tell(warden, 2, taken(client_order_id=two))
    assert await held(gate) == {}
