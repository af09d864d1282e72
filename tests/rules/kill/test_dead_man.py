"""Which symbols a venue's dead-man timer may stand on: never one where it could take a position's stop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rules.account import Account
from rules.decision import Enforcement
from rules.kill.dead_man import FLATTEN_S, in_maintenance, may_stand, refresh_s, relies_on_stops
from rules.kill.settings import DeadMan, KillSettings, Watchdog
from rules.market.maintenance_window import MaintenanceWindow, Window
from rules.model import OrderType, Side
from tests.rules.builders import NOW, World, a_policy, an_account, an_open_order

STOP = an_open_order(
    Side.SELL, "BTCUSDT", "1", order_type=OrderType.STOP_MARKET, reduce_only=True, trigger_price="45000"
)
PROTECTED = an_account().long("BTCUSDT", "1").resting(STOP)


def account(world: World) -> Account:
    assert world.account is not None
    return world.account


def settings(countdown_s: int, silent_s: int = 10) -> KillSettings:
    return KillSettings(dead_man=DeadMan(countdown_s=countdown_s), watchdog=Watchdog(silent_s=silent_s))


def test_a_timer_is_armed_anew_after_a_third():
    assert refresh_s(settings(60)) == 20


@pytest.mark.parametrize(
    ("world", "relies"),
    [
        (PROTECTED, True),
        (PROTECTED.long("ETHUSDT", "1"), True),
        (an_account().resting(STOP), False),
        (an_account().long("BTCUSDT", "0").resting(STOP), False),
        (an_account().long("BTCUSDT", "1"), False),
        (an_account().long("ETHUSDT", "1").resting(STOP), False),
        (an_account().long("BTCUSDT", "1").resting(an_open_order(Side.SELL, "BTCUSDT", "1", "51000")), False),
        (
            an_account()
            .long("BTCUSDT", "1")
            .resting(an_open_order(Side.SELL, "BTCUSDT", "1", "51000", reduce_only=True)),
            False,
        ),
        (
            an_account()
            .long("BTCUSDT", "1")
            .resting(an_open_order(Side.BUY, "BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="55000")),
            False,
        ),
    ],
    ids=[
        "a stop",
        "another symbol beside it",
        "no position",
        "a leg of nothing",
        "no order",
        "a stop of another symbol",
        "a plain order",
        "a plain exit",
        "a conditional entry",
    ],
)
def test_only_an_open_leg_with_a_conditional_exit_relies_on_stops(world: World, relies: bool):
    assert relies_on_stops("BTCUSDT", account(world)) is relies


def test_where_nothing_relies_on_stops_a_timer_stands_whoever_watches():
    assert may_stand("ETHUSDT", account(PROTECTED), settings(6), watched_from_elsewhere=False)


def test_a_stop_s_timer_stands_only_under_a_watchdog_elsewhere_that_is_done_before_it():
    """Armed anew after 30 of 90 seconds, a timer leaves 60: what the watchdog's silence and its closes may take."""
    just_enough, too_slow = settings(90, 60 - FLATTEN_S), settings(90, 61 - FLATTEN_S)
    assert may_stand("BTCUSDT", account(PROTECTED), just_enough, watched_from_elsewhere=True)
    assert not may_stand("BTCUSDT", account(PROTECTED), too_slow, watched_from_elsewhere=True)
    assert not may_stand("BTCUSDT", account(PROTECTED), just_enough, watched_from_elsewhere=False)


def test_maintenance_begins_as_long_ahead_as_the_rule_says_and_ends_with_its_window():
    begins, ends = NOW, NOW + timedelta(hours=1)
    policy = a_policy(MaintenanceWindow(windows=(Window(begins=begins, ends=ends),), ahead_s=600))
    second = timedelta(seconds=1)
    ahead = timedelta(seconds=600)
    assert [
        in_maintenance(policy.rules, "main", "BTCUSDT", at)
        for at in (begins - ahead - second, begins - ahead, begins, ends - second, ends)
    ] == [
        False,
        True,
        True,
        True,
        False,
    ]


DOWN = (Window(begins=NOW, ends=NOW + timedelta(hours=1)),)


@pytest.mark.parametrize("enforcement", [Enforcement.OFF, Enforcement.REPORT])
def test_a_rule_that_does_not_enforce_announces_no_maintenance(enforcement: Enforcement):
    rule = MaintenanceWindow(windows=DOWN, enforcement=enforcement)
    assert not in_maintenance([rule], "main", "BTCUSDT", NOW)
    assert not in_maintenance([], "main", "BTCUSDT", NOW)


@pytest.mark.parametrize(
    ("level", "down"),
    [
        ("desk", [("main", "BTCUSDT"), ("main", "ETHUSDT"), ("other", "BTCUSDT")]),
        ("account:main", [("main", "BTCUSDT"), ("main", "ETHUSDT")]),
        ("symbol:BTCUSDT", [("main", "BTCUSDT"), ("other", "BTCUSDT")]),
        ("bot:grid", []),
        ("bot:main", []),
    ],
)
def test_a_window_holds_for_what_its_level_names(level: str, down: list[tuple[str, str]]):
    policy = a_policy(MaintenanceWindow(windows=DOWN, level=level))
    asked = [("main", "BTCUSDT"), ("main", "ETHUSDT"), ("other", "BTCUSDT")]
    assert [each for each in asked if in_maintenance(policy.rules, *each, NOW)] == down
