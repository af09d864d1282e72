"""No new risk while a leg stands without a protective stop."""

from datetime import timedelta
from decimal import Decimal

import pytest

from rules.facts import Unprotected
from rules.model import OrderType, PositionSide, Side
from rules.position.protective_stop import ProtectiveStop
from rules.protection import Band
from tests.rules.builders import (
    NOW,
    a_buy,
    a_cancel,
    a_close,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

RULE = ProtectiveStop(within_s=10, distance_max=Decimal("0.05"))
BARE = an_account().long("BTCUSDT", "1")


def a_stop(symbol="BTCUSDT", trigger="48000", **terms):
    return an_open_order(
        Side.SELL, symbol, "1", order_type=OrderType.STOP_MARKET, reduce_only=True, trigger_price=trigger, **terms
    )


def bare_for(seconds, *, symbol="BTCUSDT", side=PositionSide.BOTH):
    return Unprotected(symbol=symbol, position_side=side, since=NOW - timedelta(seconds=seconds))


def breach(world, command=None, rule=RULE):
    return rule.check(command or a_buy("ETHUSDT", "1"), world.snapshot)


def test_an_account_without_legs_or_with_a_stop_for_each_lets_everything_in():
    assert breach(an_account()) is None
    assert breach(BARE.resting(a_stop())) is None


@pytest.mark.parametrize(("seconds", "code"), [(0, None), (10, None), (10.1, "PROTECTIVE_STOP_MISSING")])
@pytest.mark.parametrize("ahead", [1, -1], ids=["past", "future"])
def test_a_bare_leg_has_its_time(seconds, code, ahead):
    found = breach(BARE.recorded(unprotected=(bare_for(ahead * seconds),)))
    assert (found.code if found is not None else None) == code


@pytest.mark.parametrize(
    "command", [a_buy("BTCUSDT", "1"), a_sell("ETHUSDT", "1", "2500"), an_amend(Side.BUY, "ETHUSDT", "1", order_id="9")]
)
def test_every_entry_on_the_account_waits_for_the_stop(command):
    world = BARE.recorded(unprotected=(bare_for(60),))
    assert breach(world, command).code == "PROTECTIVE_STOP_MISSING"


@pytest.mark.parametrize(("world", "side"), [(BARE, "SELL"), (an_account().short("BTCUSDT", "1"), "BUY")])
def test_the_refusal_says_which_leg_and_what_would_pass(world, side):
    found = breach(world.recorded(unprotected=(bare_for(60),)))
    assert (found.observed, found.limit) == ("60 s", "10 s")
    assert found.message == "the BTCUSDT position has been without a protective stop for 60 s"
    assert found.advice == f"send a reduce-only {side} stop for all of it, at most 0.05 of the entry price away"


def test_the_leg_that_is_bare_the_longest_is_named():
    world = BARE.long("ETHUSDT", "1").recorded(unprotected=(bare_for(20), bare_for(30, symbol="ETHUSDT")))
    assert "ETHUSDT" in breach(world).message
    same = BARE.long("ETHUSDT", "1").recorded(unprotected=(bare_for(20), bare_for(20, symbol="ETHUSDT")))
    assert "ETHUSDT" in breach(same).message


def test_a_stop_that_has_come_since_the_record_was_written_counts():
    assert breach(BARE.resting(a_stop()).recorded(unprotected=(bare_for(60),))) is None


def test_a_leg_the_record_does_not_list_is_as_old_as_the_record():
    rule = ProtectiveStop(within_s=3, distance_max=Decimal("0.05"))
    assert breach(BARE.recorded(seconds_ago=3), rule=rule) is None
    assert breach(BARE.recorded(seconds_ago=4), rule=rule).observed == "4 s"


@pytest.mark.parametrize("seconds", [10, -10])
def test_the_record_serves_as_long_as_it_may(seconds):
    assert breach(BARE.recorded(seconds_ago=seconds, unprotected=(bare_for(1),))) is None


@pytest.mark.parametrize(
    "world", [BARE, BARE.recorded(seconds_ago=10.1), BARE.recorded(seconds_ago=-10.1)], ids=["none", "old", "future"]
)
def test_nobody_knowing_since_when_lets_nothing_in(world):
    found = breach(world)
    assert (found.code, found.message) == (
        "FACTS_UNKNOWN",
        "since when the account's legs are without a stop is not known now",
    )


def test_an_unknown_account_lets_nothing_in():
    found = breach(an_account().unsurveyed())
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the account is not known now")


def test_stops_exits_and_cancels_pass():
    world = BARE.recorded(unprotected=(bare_for(60),))
    for command in (a_close("BTCUSDT"), a_sell("BTCUSDT", "1", reduce_only=True), a_cancel()):
        assert codes(judged(command, world, RULE)) == []
    assert breach(world, a_cancel()) is None


def test_a_stop_out_of_the_band_is_none():
    rule = ProtectiveStop(within_s=10, distance_max=Decimal("0.05"), distance_min=Decimal("0.01"))
    for trigger, counts in (("47500", True), ("47499", False), ("49500", True), ("49501", False)):
        world = BARE.resting(a_stop(trigger=trigger)).recorded(unprotected=(bare_for(60),))
        assert (breach(world, rule=rule) is None) is counts


def test_a_symbol_s_own_table_looks_at_that_symbol_alone():
    rule = ProtectiveStop(within_s=10, distance_max=Decimal("0.05"), level="symbol:ETHUSDT")
    bare = (bare_for(60), bare_for(60, symbol="ETHUSDT"))
    assert breach(BARE.recorded(unprotected=bare), rule=rule) is None
    assert breach(BARE.long("ETHUSDT", "1").recorded(unprotected=bare), rule=rule) is not None
    assert (rule.symbol, RULE.symbol, ProtectiveStop(within_s=1, distance_max=1, level="account:x").symbol) == (
        "ETHUSDT",
        "",
        "",
    )


def test_trailing_stops_count_where_the_desk_says_so():
    trailing = an_open_order(Side.SELL, "BTCUSDT", "1", order_type=OrderType.TRAILING_STOP_MARKET, reduce_only=True)
    world = BARE.resting(trailing).recorded(unprotected=(bare_for(60),))
    assert breach(world) is not None
    assert breach(world, rule=ProtectiveStop(within_s=10, distance_max=Decimal("0.05"), trailing=True)) is None


def test_two_legs_of_one_symbol_may_be_bare_for_as_long():
    legs = an_account().hedged().long("BTCUSDT", "1").short("BTCUSDT", "1")
    both = [bare_for(11, side=side) for side in (PositionSide.LONG, PositionSide.SHORT)]
    found = breach(legs.recorded(unprotected=tuple(both)))
    assert (found.code, found.observed) == ("PROTECTIVE_STOP_MISSING", "11 s")


def test_the_band_is_what_the_policy_says():
    rule = ProtectiveStop(within_s=1, distance_max=Decimal("0.1"), distance_min=Decimal("0.1"), trailing=True)
    assert rule.band == Band(distance_max=Decimal("0.1"), distance_min=Decimal("0.1"), trailing=True)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match=r"^protective_stop needs a distance_min of at most distance_max$"):
        ProtectiveStop(within_s=1, distance_max=Decimal("0.05"), distance_min=Decimal("0.06"))
    with pytest.raises(
        ValueError, match=r"^protective_stop is set for the desk, an account or a symbol: a leg is the account's$"
    ):
        ProtectiveStop(within_s=1, distance_max=Decimal("0.05"), level="bot:grid")
