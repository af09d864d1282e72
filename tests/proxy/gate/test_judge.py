"""Hold, look, decide, settle: on a real store, with others' orders under way."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from proxy.gate.asking import hold_request, read_off
from proxy.gate.latch import Latch
from proxy.gate.ruling import Outcome, with_client_ids
from proxy.gate.upstream import FenceClosed
from proxy.store.fence import DESK, Scope
from proxy.store.trouble import KeyDisabled, RequestReplayed
from proxy.venues.binance.replies import Reply, Reported
from rules.account import HoldStatus
from rules.flow.message_rate import Cancels, MessageRate
from rules.model import CancelAll, CancelOrder, Intent, SetLeverage, Side, TradingState
from rules.order.client_order_id import ClientOrderIdGate
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from rules.ramp import RAMPED
from tests.properties.rule_strategies import an_example
from tests.proxy.gate.conftest import asking, refusals
from tests.rules.builders import (
    NOW,
    a_buy,
    a_cancel,
    a_policy,
    a_sell,
    an_account,
    an_amend,
    an_instrument,
    an_open_order,
)

ROOM_FOR_ONE = PositionLimit(limit_quantity=Decimal(1))
EXIT = a_sell("BTCUSDT", "1", reduce_only=True)


async def test_an_allowed_entry_is_cleared_held_and_written_down(desk):
    ruling = await desk.judge(ROOM_FOR_ONE).judge(asking(a_buy("BTCUSDT", "1"), name="d"))
    assert list(ruling.cleared) == [0]
    assert (await desk.holds())["d"].status is HoldStatus.PENDING
    assert [(record["kind"], record["id"]) for record in desk.journaled()] == [("decision", "d")]
    ruling.fence()


async def test_a_refused_entry_leaves_no_hold_and_a_record(desk):
    ruling = await desk.judge(ROOM_FOR_ONE).judge(asking(a_buy("BTCUSDT", "1.001"), name="d"))
    assert (ruling.cleared, refusals(ruling)) == ({}, ["POSITION_ABOVE_LIMIT"])
    assert await desk.holds() == {}
    assert [record["kind"] for record in await desk.audit()] == ["intent", "decision"]


@pytest.mark.parametrize("command", [EXIT, a_cancel("BTCUSDT")], ids=["exit", "cancel"])
@pytest.mark.parametrize("rule", RAMPED, ids=lambda rule: rule.rule_id)
async def test_what_reduces_passes_while_a_rearmed_desk_is_reduce_only(desk, rule, command):
    judge = desk.judge(replace(an_example(rule), level="bot:demo-bot"))
    await desk.knows(an_account().long("BTCUSDT", "1"))
    await desk.warden.set_ramp("desk", Decimal(0))
    assert (await judge.judge(asking(command))).cleared


async def test_of_fifty_racing_orders_with_room_for_thirty_exactly_thirty_go(desk):
    judge = desk.judge(PositionLimit(limit_quantity=Decimal(30)))
    rulings = await asyncio.gather(*(judge.judge(asking(a_buy("BTCUSDT", "1"))) for _ in range(50)))
    assert sum(bool(ruling.cleared) for ruling in rulings) == 30
    assert len(await desk.holds()) == 30


async def test_a_refusal_that_rests_on_a_pending_hold_is_looked_at_again(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    first = await judge.judge(asking(a_buy("BTCUSDT", "1")))

    async def refused_by_the_venue():
        await asyncio.sleep(0.03)
        await judge.settle(first, Outcome.REJECTED, [], {"kind": "outcome"})

    second, _ = await asyncio.gather(judge.judge(asking(a_buy("BTCUSDT", "1"))), refused_by_the_venue())
    assert second.cleared


async def stopped_meanwhile(desk, stop):
    """A second order waits for the hold of a first; that one goes, but something stopped the second by then."""
    judge = desk.judge(ROOM_FOR_ONE)
    first = await judge.judge(asking(a_buy("BTCUSDT", "1")))

    async def refused_by_the_venue():
        await asyncio.sleep(0.03)
        await stop()
        await judge.settle(first, Outcome.REJECTED, [], {"kind": "outcome"})

    second, _ = await asyncio.gather(judge.judge(asking(a_buy("BTCUSDT", "1"))), refused_by_the_venue())
    assert not second.cleared
    return refusals(second)


async def test_a_state_that_comes_between_two_looks_counts(desk):
    async def halt():
        await desk.warden.set_state("bot:demo-bot", TradingState.HALTED, generation=1, kill_running=None)

    assert await stopped_meanwhile(desk, halt) == ["TRADING_HALTED"]


async def test_a_key_switched_off_between_two_looks_lets_nothing_more_go(desk):
    async def switch_off():
        await desk.warden.set_key_disabled("pgk_1", disabled=True)

    assert await stopped_meanwhile(desk, switch_off) == ["POSITION_ABOVE_LIMIT"]


async def test_under_another_policy_a_waiting_order_is_not_let_go(desk):
    async def tighten():
        desk.under(PositionLimit(limit_quantity=Decimal("0.5")))

    assert await stopped_meanwhile(desk, tighten) == ["POSITION_ABOVE_LIMIT"]


async def test_the_second_look_is_bounded(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    await judge.judge(asking(a_buy("BTCUSDT", "1")))
    started = time.monotonic()
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    assert refusals(ruling) == ["POSITION_ABOVE_LIMIT"]
    assert 0.4 < time.monotonic() - started < 2


async def test_nobody_waits_for_a_hold_whose_fate_is_unknown(desk, monkeypatch):
    monkeypatch.setattr("proxy.gate.second_look.PAUSES_S", (60,))
    judge = desk.judge(ROOM_FOR_ONE)
    first = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    await judge.settle(first, Outcome.UNKNOWN, [], {"kind": "outcome"})
    async with asyncio.timeout(10):
        ruling = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    assert refusals(ruling) == ["POSITION_ABOVE_LIMIT"]


async def test_nobody_waits_for_a_refusal_that_rests_on_more_than_holds(desk, monkeypatch):
    monkeypatch.setattr("proxy.gate.second_look.PAUSES_S", (60,))
    judge = desk.judge(ROOM_FOR_ONE)
    await judge.judge(asking(a_buy("BTCUSDT", "1")))
    async with asyncio.timeout(10):
        assert not (await judge.judge(asking(a_buy("BTCUSDT", "2")))).cleared


async def test_two_requests_never_wait_for_each_other(desk, monkeypatch):
    monkeypatch.setattr("proxy.gate.second_look.PAUSES_S", (0.05,))
    judge = desk.judge(ROOM_FOR_ONE)
    rulings = await asyncio.gather(*(judge.judge(asking(a_buy("BTCUSDT", "1"))) for _ in range(2)))
    assert sorted(bool(ruling.cleared) for ruling in rulings) == [False, True]


async def test_room_that_comes_free_goes_to_who_came_first(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    first = await judge.judge(asking(a_buy("BTCUSDT", "1")))

    async def ask_after(pause_s):
        await asyncio.sleep(pause_s)
        return await judge.judge(asking(a_buy("BTCUSDT", "1")))

    async def refused_by_the_venue():
        await asyncio.sleep(0.1)
        await judge.settle(first, Outcome.REJECTED, [], {"kind": "outcome"})

    second, third, _ = await asyncio.gather(ask_after(0), ask_after(0.03), refused_by_the_venue())
    assert (bool(second.cleared), bool(third.cleared)) == (True, False)


async def test_a_hold_that_became_a_position_meanwhile_is_not_missed(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    first = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    await judge.settle(first, Outcome.ACCEPTED, [0], {"kind": "outcome"})

    async def surveyed():
        await asyncio.sleep(0.03)
        await desk.knows(an_account().long("BTCUSDT", "1"))

    second, _ = await asyncio.gather(judge.judge(asking(a_buy("BTCUSDT", "1"))), surveyed())
    assert refusals(second) == ["POSITION_ABOVE_LIMIT"]
    assert await desk.holds() == {}


def _two_bots(*, filled):
    """Ada's limit order of 1 rests beside bob's position of 5, or is filled and the position 6."""
    world = an_account().sharing("bob", "BTCUSDT", "5")
    if filled:
        return world.sharing("ada", "BTCUSDT", "1")
    return world.resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", client_order_id="limit", bot="ada"))


async def heard_of_a_fill_meanwhile(desk, judge, command):
    """What is ruled on ``command`` of ada's, while her limit order fills and her market order is still under way."""
    await desk.knows(_two_bots(filled=False))
    entry = await judge.judge(asking(a_buy("BTCUSDT", "1", client_order_id="market"), bot="ada"))
    await judge.settle(entry, Outcome.ACCEPTED, [0], {"kind": "outcome"})

    async def filled():
        await asyncio.sleep(0.03)
        await desk.hears(_two_bots(filled=True))

    ruling, _ = await asyncio.gather(judge.judge(asking(command, bot="ada")), filled())
    assert len(await desk.holds()) == 1, "the market order is still under way"
    return ruling


async def test_a_second_look_at_an_exit_counts_the_bots_entries_under_way(desk):
    ruling = await heard_of_a_fill_meanwhile(
        desk, desk.judge(OwnShare(netting=True)), a_sell("BTCUSDT", "2", reduce_only=True)
    )
    assert ruling.cleared


async def test_the_fill_of_an_entry_that_waited_for_its_price_is_heard_of_in_a_second_look(desk):
    """Its bot knows at once. Until the guard does, the entry opens nothing of another bot's."""
    judge = desk.judge(OwnShare())
    world = an_account().sharing("bob", "BTCUSDT", "5")
    await desk.knows(world)
    entry = await judge.judge(asking(a_buy("BTCUSDT", "1", "49000", client_order_id="limit"), bot="ada"))
    await judge.settle(entry, Outcome.ACCEPTED, [0], {"kind": "outcome"})

    async def filled():
        await asyncio.sleep(0.03)
        await desk.hears(world.sharing("ada", "BTCUSDT", "1"))

    ruling, _ = await asyncio.gather(judge.judge(asking(EXIT, bot="ada")), filled())
    assert ruling.cleared


async def test_the_fill_of_an_entry_that_was_amended_larger_is_heard_of_in_a_second_look(desk):
    judge = desk.judge(OwnShare())
    world = an_account().sharing("bob", "BTCUSDT", "5")
    await desk.knows(world.resting(an_open_order(Side.BUY, "BTCUSDT", "1", "49000", order_id="9", bot="ada")))
    await judge.judge(asking(a_cancel()))  # The gate has heard of the order.
    amend = await judge.judge(asking(an_amend(Side.BUY, "BTCUSDT", "2", "51000", order_id="9"), bot="ada"))
    await judge.settle(amend, Outcome.ACCEPTED, [0], {"kind": "outcome"})

    async def filled():
        await asyncio.sleep(0.03)
        await desk.hears(world.sharing("ada", "BTCUSDT", "2"))

    ruling, _ = await asyncio.gather(judge.judge(asking(a_sell("BTCUSDT", "2", reduce_only=True), bot="ada")), filled())
    assert ruling.cleared


async def hearing_meanwhile(desk, judge, command, world):
    """The ruling on ``command``, of which the warden hears ``world`` a moment after it was asked for."""

    async def told():
        await asyncio.sleep(0.03)
        await desk.hears(world)

    ruling, _ = await asyncio.gather(judge.judge(asking(command)), told())
    return ruling


@pytest.mark.parametrize(
    ("cancel", "reply"),
    [
        (a_cancel("BTCUSDT", order_id="9"), Reply(outcome=Reported.ACCEPTED, order_id="9", status="CANCELED")),
        (CancelOrder(symbol="BTCUSDT", client_order_id="maker"), Reply(outcome=Reported.ACCEPTED, order_id="9")),
        (CancelAll(symbol="BTCUSDT"), Reply(outcome=Reported.ACCEPTED, code=200)),
    ],
    ids=["by id", "by name", "all"],
)
async def test_an_order_that_the_venue_said_is_cancelled_is_waited_for(desk, cancel, reply):
    """Its bot places the next under the same name at once, and the private stream is some milliseconds behind."""
    judge = desk.judge(ClientOrderIdGate())
    resting = an_open_order(Side.BUY, "BTCUSDT", "1", "49000", order_id="9", client_order_id="maker")
    await desk.knows(an_account().resting(resting))
    again = a_buy("BTCUSDT", "1", "49000", client_order_id="maker")
    assert refusals(await judge.judge(asking(again))) == ["CLIENT_ORDER_ID_IN_USE"]
    judge.heard(asking(cancel).subject, cancel, reply)
    assert (await hearing_meanwhile(desk, judge, again, an_account())).cleared


async def test_a_position_that_the_venue_said_is_closed_is_waited_for(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    await desk.knows(an_account().long("BTCUSDT", "1"))
    await judge.judge(asking(EXIT))
    judge.heard(asking(EXIT).subject, EXIT, Reply(outcome=Reported.ACCEPTED, order_id="8", status="FILLED"))
    assert (await hearing_meanwhile(desk, judge, a_buy("BTCUSDT", "1"), an_account())).cleared


async def test_what_the_venue_said_is_over_counts_until_the_stream_says_so(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    await desk.knows(an_account().long("BTCUSDT", "1"))
    await judge.judge(asking(EXIT))
    judge.heard(asking(EXIT).subject, EXIT, Reply(outcome=Reported.ACCEPTED, order_id="8", status="FILLED"))
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "1")))) == ["POSITION_ABOVE_LIMIT"]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (EXIT, Reply(outcome=Reported.ACCEPTED, order_id="8", status="NEW")),
        (EXIT, Reply(outcome=Reported.REJECTED, code=-2022)),
        (EXIT, Reply(outcome=Reported.UNKNOWN)),
        (a_buy("BTCUSDT", "1"), Reply(outcome=Reported.ACCEPTED, order_id="8", status="FILLED")),
        (a_sell("ETHUSDT", "1", reduce_only=True), Reply(outcome=Reported.ACCEPTED, order_id="8", status="FILLED")),
    ],
    ids=["rests", "refused", "unknown", "the same way", "another symbol"],
)
async def test_nobody_waits_for_what_is_not_over(desk, monkeypatch, command, reply):
    monkeypatch.setattr("proxy.gate.second_look.PAUSES_S", (60,))
    judge = desk.judge(ROOM_FOR_ONE)
    await desk.knows(an_account().long("BTCUSDT", "1"))
    judge.heard(asking(command).subject, command, reply)
    async with asyncio.timeout(10):
        assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "1")))) == ["POSITION_ABOVE_LIMIT"]


async def test_a_second_look_at_a_setting_counts_others_orders_under_way(desk, monkeypatch):
    monkeypatch.setattr("proxy.gate.second_look.PAUSES_S", (0.01,))
    judge = desk.judge(OwnShare())
    await judge.judge(asking(a_buy("BTCUSDT", "1"), bot="bob"))
    ruling = await judge.judge(asking(SetLeverage(symbol="BTCUSDT", leverage=Decimal(2)), bot="ada"))
    assert refusals(ruling) == ["SETTING_NOT_OWNED"]


async def test_a_disabled_key_reserves_nothing(desk):
    await desk.warden.set_key_disabled("pgk_1", disabled=True)
    with pytest.raises(KeyDisabled):
        await desk.judge().judge(asking(a_buy("BTCUSDT", "1")))
    assert await desk.holds() == {}


async def test_an_entry_that_came_before_is_not_judged_again(desk):
    judge = desk.judge()
    await judge.judge(asking(a_buy("BTCUSDT", "1"), digest="same"))
    with pytest.raises(RequestReplayed):
        await judge.judge(asking(a_buy("BTCUSDT", "1"), digest="same"))
    assert len(await desk.holds()) == 1


@pytest.mark.parametrize("command", [EXIT, a_cancel()], ids=["exit", "cancel"])
async def test_exits_and_cancels_may_be_repeated_to_the_byte(desk, command):
    judge = desk.judge()
    for _ in range(2):
        assert (await judge.judge(asking(command, digest="same"))).cleared


@pytest.mark.parametrize("command", [EXIT, a_cancel()], ids=["exit", "cancel"])
async def test_without_the_store_exits_and_cancels_go_and_are_spooled(own_desk, own_server, command):
    judge = own_desk.judge(ROOM_FOR_ONE)
    await judge.judge(asking(a_buy("BTCUSDT", "0.1")))
    own_server.stop()
    ruling = await judge.judge(asking(command, name="away"))
    assert (list(ruling.cleared), ruling.fence, ruling.store_reachable) == ([0], None, False)
    await judge.settle(ruling, Outcome.ACCEPTED, [0], {"kind": "outcome", "id": "away"})
    spooled = [record["kind"] for record in own_desk.journaled() if record["id"] == "away"]
    assert spooled == ["decision", "outcome"]


async def test_a_store_that_has_no_list_of_symbols_is_not_taken_for_an_exchange_without_the_symbol(desk):
    judge = desk.judge()
    await desk.warden.publish_instruments("binanceusdm", "none", {})
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "0.1"), name="h1"))) == ["INSTRUMENTS_UNKNOWN"]
    await desk.warden.publish_instruments("binanceusdm", "one", {"ETHUSDT": an_instrument("ETHUSDT")})
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "0.1"), name="h2"))) == ["UNKNOWN_SYMBOL"]


async def test_on_a_desk_that_another_guard_has_exits_go_nothing_else_does_and_nothing_is_asked_or_told_there(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    await judge.judge(asking(a_buy("BTCUSDT", "0.1")))
    held, written = await desk.holds(), len(await desk.warden.read_audit(block_ms=1))
    desk.store.taken = lambda: True
    for command in (a_buy("BTCUSDT", "0.1"), SetLeverage(symbol="BTCUSDT", leverage=Decimal(2))):
        assert refusals(await judge.judge(asking(command, name="refused"))) == ["DESK_TAKEN"]
    ruling = await judge.judge(asking(EXIT, name="exit"))
    await judge.settle(ruling, Outcome.ACCEPTED, [0], {"kind": "outcome", "id": "exit"})
    assert list(ruling.cleared) == [0]
    desk.store.taken = lambda: False
    assert (await desk.holds(), len(await desk.warden.read_audit(block_ms=1))) == (held, written)
    assert [record["kind"] for record in desk.journaled() if record["id"] == "exit"] == ["decision", "outcome"]


@pytest.mark.parametrize(
    "command",
    [a_buy("BTCUSDT", "0.1"), SetLeverage(symbol="BTCUSDT", leverage=Decimal(2))],
    ids=["entry", "setting"],
)
async def test_without_the_store_nothing_that_adds_risk_goes(own_desk, own_server, command):
    own_server.stop()
    ruling = await own_desk.judge().judge(asking(command))
    assert (ruling.cleared, refusals(ruling), ruling.reserved) == ({}, ["STORE_UNAVAILABLE"], False)


@pytest.mark.parametrize(
    ("named", "passes"), [({"client_order_id": "x"}, False), ({"order_id": "7"}, True)], ids=["by name", "by number"]
)
async def test_without_the_store_an_amend_is_an_exit_by_number_alone(own_desk, own_server, named, passes):
    """Another gate may have given the name to an entry since; a number is the exchange's, and given once."""
    await own_desk.knows(an_account().resting(replace(_named_x(reduce_only=True), order_id="7")))
    judge = own_desk.judge()
    amend = an_amend(Side.BUY, "BTCUSDT", "9", "50000", **named)
    await judge.judge(asking(a_cancel()))
    ruling = await judge.judge(asking(amend))
    assert (bool(ruling.cleared), ruling.reserved) == (True, False), "with the store both are exits, and hold nothing"
    own_server.stop()
    ruling = await judge.judge(asking(amend))
    assert bool(ruling.cleared) is passes
    assert refusals(ruling) == ([] if passes else ["STORE_UNAVAILABLE"])


async def test_a_gate_that_never_saw_the_store_lets_exits_go(own_desk, own_server):
    own_server.stop()
    assert (await own_desk.judge().judge(asking(EXIT))).cleared


async def test_a_full_audit_stops_entries_only(desk, monkeypatch):
    monkeypatch.setattr("proxy.store.hold_script.AUDIT_LENGTH_MAX", 0)
    judge = desk.judge()
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "1")))) == ["STORE_UNAVAILABLE"]
    assert (await judge.judge(asking(EXIT))).cleared


async def test_a_full_disk_withholds_entries_and_lets_exits_go(desk):
    desk.fill_the_disk()
    judge = desk.judge()
    entry = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    assert (entry.cleared, entry.withheld[0].code) == ({}, "AUDIT_UNAVAILABLE")
    assert await desk.holds() == {}
    desk.journal._spoiled = False
    desk.fill_the_disk()
    assert (await judge.judge(asking(EXIT))).cleared


async def test_what_was_not_reserved_is_not_sent(desk):
    """The cached picture knows "x" as an exit, so nothing is held; the new one says that it is an entry."""
    await desk.knows(an_account().resting(_named_x(reduce_only=True)))
    judge = desk.judge()
    await judge.judge(asking(a_cancel()))
    await desk.knows(an_account().resting(_named_x(reduce_only=False)))
    ruling = await judge.judge(asking(an_amend(Side.BUY, "BTCUSDT", "9", "50000", client_order_id="x")))
    assert (ruling.cleared, ruling.withheld[0].code) == ({}, "NOT_RESERVED")


def _named_x(*, reduce_only):
    return an_open_order(Side.BUY, "BTCUSDT", "1", "50000", client_order_id="x", reduce_only=reduce_only)


@pytest.mark.parametrize("scope", [DESK, Scope("demo")], ids=str)
async def test_a_kill_between_the_decision_and_the_write_stops_the_write(desk, scope):
    ruling = await desk.judge().judge(asking(a_buy("BTCUSDT", "1")))
    desk.fence.engage(scope)
    with pytest.raises(FenceClosed):
        ruling.fence()


async def test_a_re_arm_in_between_stops_it_too(desk):
    ruling = await desk.judge().judge(asking(a_buy("BTCUSDT", "1")))
    desk.fence.engage(DESK)
    desk.fence.release(DESK)
    with pytest.raises(FenceClosed):
        ruling.fence()


async def test_the_kill_of_another_account_stops_what_was_judged_before_it_once(desk):
    """Its epoch is everybody's: sending again is cheap, sending under a new generation is not."""
    judge = desk.judge()
    before = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    desk.fence.engage(Scope("other"))
    with pytest.raises(FenceClosed):
        before.fence()
    (await judge.judge(asking(a_buy("BTCUSDT", "1")))).fence()


async def test_an_entry_is_counted_in_while_it_goes_out_and_out_again_when_it_may_not(desk):
    latch = Latch(cast(Any, None))
    latch.heard({"generation": "1"}, time.monotonic())
    judge = desk.judge(latch=latch)
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    left = ruling.fence()
    latch.heard({"generation": "2", "desk": "HALTED"}, time.monotonic())
    with pytest.raises(FenceClosed):
        ruling.fence()
    assert not latch.obeys_more(), "one is still on its way out"
    left()
    assert latch.obeys_more()


async def test_an_exit_meets_no_fence(desk):
    ruling = await desk.judge().judge(asking(EXIT))
    desk.fence.engage(DESK)
    assert ruling.fence is None


async def test_a_lost_epoch_stops_the_write(desk, tmp_path):
    ruling = await desk.judge().judge(asking(a_buy("BTCUSDT", "1")))
    (tmp_path / "kill" / "epoch").unlink()
    with pytest.raises(FenceClosed):
        ruling.fence()


@pytest.mark.parametrize("scope", [DESK, Scope("demo")], ids=str)
async def test_the_sentinel_stops_entries_when_the_store_knows_of_no_kill(desk, scope):
    desk.fence.engage(scope)
    judge = desk.judge()
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "1")))) == ["TRADING_HALTED"]
    assert (await judge.judge(asking(EXIT))).cleared


async def test_while_a_kill_runs_only_cancels_go(desk):
    await desk.warden.set_state("account:demo", TradingState.HALTED, generation=2, kill_running=True)
    judge = desk.judge()
    assert refusals(await judge.judge(asking(EXIT))) == ["KILL_RUNNING"]
    assert (await judge.judge(asking(a_cancel()))).cleared


async def test_an_accepted_batch_holds_what_the_venue_took(desk):
    judge = desk.judge()
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "1"), a_buy("ETHUSDT", "2"), name="d"))
    await judge.settle(ruling, Outcome.ACCEPTED, [1], {"kind": "outcome"})
    held = (await desk.holds())["d"]
    assert (held.status, [order.symbol for order in held.orders]) == (HoldStatus.ACCEPTED, ["ETHUSDT"])


async def test_an_unknown_outcome_keeps_the_whole_hold(desk):
    judge = desk.judge()
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "1"), a_buy("ETHUSDT", "2"), name="d"))
    await judge.settle(ruling, Outcome.UNKNOWN, [], {"kind": "outcome"})
    held = (await desk.holds())["d"]
    assert (held.status, len(held.orders)) == (HoldStatus.UNKNOWN, 2)


async def test_of_a_batch_is_held_what_the_venue_took_and_what_nobody_knows_of(desk):
    judge = desk.judge()
    names = ("taken", "lost", "refused")
    batch = (a_buy("BTCUSDT", "1", client_order_id=name) for name in names)
    ruling = await judge.judge(asking(*batch, name="d"))
    await judge.settle(ruling, Outcome.UNKNOWN, [0], {"kind": "outcome"}, unknown=[1])
    held = (await desk.holds())["d"]
    assert (held.status, [order.client_order_id for order in held.orders]) == (HoldStatus.UNKNOWN, ["taken", "lost"])
    assert [each.order.client_order_id for each in await desk.store.unreported("demo")] == ["lost"]


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.NOT_SENT])
async def test_what_the_venue_did_not_take_is_let_go(desk, outcome):
    judge = desk.judge()
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    await judge.settle(ruling, outcome, [], {"kind": "outcome"})
    assert await desk.holds() == {}
    assert [record["kind"] for record in await desk.audit()] == ["intent", "decision", "outcome"]


async def test_when_the_store_dies_before_the_settlement_the_hold_stays_and_the_outcome_is_on_disk(
    own_desk, own_server
):
    judge = own_desk.judge()
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "1"), name="d"))
    own_server.stop()
    await judge.settle(ruling, Outcome.REJECTED, [], {"kind": "outcome", "id": "d"})
    assert [record["kind"] for record in own_desk.journaled()] == ["decision", "outcome"]


async def test_the_exits_of_a_refused_batch_go_and_its_hold_with_them(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    ruling = await judge.judge(asking(EXIT, a_buy("BTCUSDT", "9")))
    assert list(ruling.cleared) == [0]
    await judge.settle(ruling, Outcome.ACCEPTED, [0], {"kind": "outcome"})
    assert await desk.holds() == {}


async def test_an_exit_of_a_refused_batch_that_nobody_knows_of_holds_none_of_its_entries(desk):
    judge = desk.judge(ROOM_FOR_ONE)
    ruling = await judge.judge(asking(EXIT, a_buy("BTCUSDT", "9")))
    await judge.settle(ruling, Outcome.UNKNOWN, [], {"kind": "outcome"})
    assert await desk.holds() == {}


async def test_a_store_whose_words_this_gate_cannot_read_lets_exits_go_and_nothing_else(desk):
    judge = desk.judge()
    await desk.knows(an_account().long("BTCUSDT", "1"))
    assert (await judge.judge(asking(a_buy("BTCUSDT", "0.1")))).cleared
    desk.publish_conditions_of_another_version()
    assert (await judge.judge(asking(EXIT))).cleared
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "0.1")))) == ["STORE_UNAVAILABLE"]


async def test_a_forced_exit_holds_nothing_once_it_is_taken(desk):
    await desk.knows(an_account().long("BTCUSDT", "2"))
    judge = desk.judge(ReduceOnlyExits(mode=ExitMode.FORCE))
    ruling = await judge.judge(asking(a_sell("BTCUSDT", "2")))
    assert ruling.decisions[0].intent is Intent.EXIT
    assert ruling.cleared[0].command.reduce_only is True
    await judge.settle(ruling, Outcome.ACCEPTED, [0], {"kind": "outcome"})
    assert await desk.holds() == {}


async def test_the_rate_counts_entries_and_no_exits(desk):
    judge = desk.judge(MessageRate(per_second=Decimal("0.001"), burst=Decimal(2)))
    answers = [await judge.judge(asking(a_buy("BTCUSDT", "0.1"))) for _ in range(3)]
    assert [refusals(answer) for answer in answers] == [[], [], ["MESSAGE_RATE_ABOVE_LIMIT"]]
    assert (await judge.judge(asking(EXIT))).cleared


def test_of_the_buckets_a_bot_is_counted_in_only_its_own_is_slowed_by_its_score():
    request, levels = asking(a_buy("BTCUSDT", "0.1")), ("desk", "account:demo", "bot:demo-bot", "symbol:BTCUSDT")
    rates = [MessageRate(per_second=Decimal(1), burst=Decimal(2), level=level) for level in levels]
    asked = hold_request(request, read_off(request, lambda: an_account().snapshot), a_policy(*rates), NOW)
    assert [bucket.scope for bucket in asked.buckets if bucket.own] == ["message_rate@bot:demo-bot"]
    assert len(asked.buckets) == len(levels)


async def test_cancels_and_exits_that_are_counted_make_the_next_entry_wait_and_never_wait_themselves(desk):
    judge = desk.judge(MessageRate(per_second=Decimal("0.001"), burst=Decimal(2), cancels=Cancels.COUNTED))
    for command in (a_cancel(), EXIT, a_cancel()):
        assert (await judge.judge(asking(command))).cleared
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "0.1")))) == ["MESSAGE_RATE_ABOVE_LIMIT"]
    assert (await judge.judge(asking(a_cancel()))).cleared


async def test_amends_can_have_an_allowance_of_their_own(desk):
    await desk.knows(an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "0.1", "50000", order_id="5")))
    slow = {"per_second": Decimal("0.001"), "amends_per_second": Decimal("0.001")}
    judge = desk.judge(MessageRate(**slow, burst=Decimal(1), amends_burst=Decimal(2)))
    amends = [
        await judge.judge(asking(an_amend(Side.BUY, "BTCUSDT", "0.1", price, order_id="5")))
        for price in ("49001", "49002", "49003")
    ]
    assert [refusals(answer) for answer in amends] == [[], [], ["MESSAGE_RATE_ABOVE_LIMIT"]]
    entries = [await judge.judge(asking(a_buy("BTCUSDT", "0.1"))) for _ in range(2)]
    assert [refusals(answer) for answer in entries] == [[], ["MESSAGE_RATE_ABOVE_LIMIT"]]


async def test_a_name_that_is_under_way_is_not_taken_twice(desk):
    judge = desk.judge()
    await judge.judge(asking(a_buy("BTCUSDT", "0.1", client_order_id="x")))
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "0.1", client_order_id="x")))
    assert refusals(ruling) == ["CLIENT_ORDER_ID_IN_USE"]


def test_orders_without_a_name_get_one_that_names_the_decision():
    first, second, third = with_client_ids(
        (a_buy("BTCUSDT", "1"), a_buy("BTCUSDT", "1", client_order_id="mine"), a_cancel()), "abc", "gXYZ"
    )
    assert (first.client_order_id, second.client_order_id, third) == ("gXYZpg-abc-0", "mine", a_cancel())
