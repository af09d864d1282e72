"""No new risk shortly before the exchange goes down, nor while it is down."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from proxy.policy.reading import PolicyError, parse_policy
from rules.account import Position
from rules.market.maintenance_window import MaintenanceWindow, Window
from rules.model import PositionSide
from tests.rules.builders import NOW, a_buy, a_sell, an_account, judged

HOUR = timedelta(hours=1)
ENTRY = a_buy("BTCUSDT", "1")
HEAD = '[policy]\nname = "test"\nowner = "risk@desk.example"\n\n[desk.maintenance_window]\nenforcement = "enforce"\n'


def a_rule(begins, ends=HOUR, **changes):
    """A window around NOW."""
    return MaintenanceWindow(windows=(Window(begins=NOW + begins, ends=NOW + ends),), **changes)


def breach(rule, world=None, command=ENTRY):
    return rule.check(command, (world or an_account()).snapshot)


@pytest.mark.parametrize(
    ("begins", "ends", "refused"),
    [
        (timedelta(seconds=1801), HOUR, False),
        (timedelta(seconds=1800), HOUR, True),
        (timedelta(0), HOUR, True),
        (-HOUR, timedelta(microseconds=1), True),
        (-HOUR, timedelta(0), False),
    ],
    ids=["long before", "ahead of it", "as it begins", "the last moment", "as it ends"],
)
def test_only_exits_pass_from_ahead_of_the_window_until_it_ends(begins, ends, refused):
    found = breach(a_rule(begins, ends))
    assert (found is not None) is refused


def test_how_long_ahead_may_be_set():
    assert breach(a_rule(timedelta(seconds=61), ahead_s=60)) is None
    assert breach(a_rule(timedelta(seconds=60), ahead_s=60)) is not None


def test_the_refusal_says_when_and_why():
    window = Window(begins=NOW + timedelta(minutes=10), ends=NOW + HOUR, reason="system upgrade")
    found = breach(MaintenanceWindow(windows=(window,)))
    assert found.code == "MAINTENANCE_ANNOUNCED"
    assert found.message == (
        "the exchange is down from 2026-11-24 09:40:00 UTC to 2026-11-24 10:30:00 UTC (system upgrade)"
    )
    assert (found.observed, found.limit) == ("2026-11-24 09:30:00 UTC", "2026-11-24 09:10:00 UTC")
    assert breach(a_rule(timedelta(0))).message.endswith("10:30:00 UTC")


def test_the_refusal_lists_what_can_be_closed_in_a_fixed_order():
    legs = [("ETHUSDT", "-5.50"), ("BTCUSDT", "2"), ("DOGEUSDT", "100")]
    listed = []
    for order in (legs, list(reversed(legs))):
        world = an_account()
        for symbol, quantity in order:
            world = world.short(symbol, quantity[1:]) if quantity.startswith("-") else world.long(symbol, quantity)
        listed.append(breach(a_rule(timedelta(0)), world).advice)
    assert (
        listed
        == ["reduce-only orders and cancels pass; open: long 2 BTCUSDT, long 100 DOGEUSDT, short 5.5 ETHUSDT"] * 2
    )


def test_both_legs_of_a_hedged_account_are_listed():
    world = an_account().hedged().short("BTCUSDT", "1").long("BTCUSDT", "2")
    assert breach(a_rule(timedelta(0)), world).advice.endswith("open: long 2 BTCUSDT, short 1 BTCUSDT")


@pytest.mark.parametrize(("count", "ending"), [(10, "long 1 S09"), (11, "long 1 S09 and 1 more"), (12, " and 2 more")])
def test_a_long_list_is_cut_short_and_says_so(count, ending):
    world = an_account()
    positions = tuple(
        Position(
            symbol=f"S{number:02}",
            position_side=PositionSide.BOTH,
            quantity=Decimal(1),
            entry_price=Decimal(1),
            mark_price=Decimal(1),
        )
        for number in range(count)
    )
    world = replace(world, account=replace(world.account, positions=positions))
    assert breach(a_rule(timedelta(0)), world).advice.endswith(ending)


@pytest.mark.parametrize("world", [an_account(), an_account().unsurveyed()], ids=["flat", "not known"])
def test_without_positions_there_is_nothing_to_close(world):
    assert breach(a_rule(timedelta(0)), world).advice == "no position is open; cancels pass"


def test_of_several_windows_the_one_that_ends_last_is_told_in_any_order():
    windows = [
        Window(begins=NOW, ends=NOW + HOUR, reason="short"),
        Window(begins=NOW, ends=NOW + 3 * HOUR, reason="long"),
        Window(begins=NOW + 48 * HOUR, ends=NOW + 49 * HOUR, reason="later"),
    ]
    assert "(long)" in breach(MaintenanceWindow(windows=tuple(windows))).message
    assert "(long)" in breach(MaintenanceWindow(windows=tuple(reversed(windows)))).message


def test_of_windows_that_end_together_the_later_beginning_is_told_in_any_order():
    windows = [Window(begins=NOW, ends=NOW + HOUR, reason="a"), Window(begins=NOW - HOUR, ends=NOW + HOUR, reason="b")]
    assert "(a)" in breach(MaintenanceWindow(windows=tuple(windows))).message
    assert "(a)" in breach(MaintenanceWindow(windows=tuple(reversed(windows)))).message


def test_an_exit_and_the_other_direction():
    world = an_account().long("BTCUSDT", "1")
    assert breach(a_rule(timedelta(0)), world, a_sell("BTCUSDT", "1", reduce_only=True)) is None
    assert breach(a_rule(timedelta(0)), world, a_sell("BTCUSDT", "1")) is not None
    assert judged(ENTRY, world, a_rule(timedelta(0))).breaches[0].headroom is None


def test_windows_are_read_from_a_policy():
    policy = parse_policy(
        HEAD
        + """
ahead_s = 3600
windows = [
    { begins = 2026-12-01T06:00:00Z, ends = 2026-12-01T08:00:00Z, reason = "system upgrade" },
    { begins = 2026-12-08T07:00:00+01:00, ends = 2026-12-08T09:00:00+01:00 },
]
"""
    )
    (rule,) = [rule for rule in policy.rules if isinstance(rule, MaintenanceWindow)]
    assert rule.ahead_s == 3600
    assert rule.windows == (
        Window(
            begins=datetime(2026, 12, 1, 6, tzinfo=UTC),
            ends=datetime(2026, 12, 1, 8, tzinfo=UTC),
            reason="system upgrade",
        ),
        Window(begins=datetime(2026, 12, 8, 6, tzinfo=UTC), ends=datetime(2026, 12, 8, 8, tzinfo=UTC)),
    )
    assert rule.windows[1].begins.tzinfo == timezone(HOUR)


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ("[{ begins = 2026-12-01T06:00:00, ends = 2026-12-01T08:00:00Z }]", "begins.*offset"),
        ("[{ begins = 2026-12-01T06:00:00Z, ends = 2026-12-01T08:00:00 }]", "ends.*offset"),
        ("[{ begins = 2026-12-01T06:00:00Z, ends = 2026-12-01T06:00:00Z }]", "must end after it begins"),
        ("[{ begins = 2026-12-01T06:00:00Z, ends = 2026-12-01T07:59:00+02:00 }]", "must end after it begins"),
        ("[{ begins = 2026-12-01T06:00:00Z }]", "ends"),
        ("[]", "maintenance_window needs at least one window"),
    ],
)
def test_what_is_no_window_is_no_policy(windows, reason):
    with pytest.raises(PolicyError, match=reason):
        parse_policy(f"{HEAD}windows = {windows}\n")


@pytest.mark.parametrize(
    ("begins", "ends", "reason"),
    [
        (NOW.replace(tzinfo=None), NOW, "^begins must say its offset from UTC, as in 2026-12-01T06:00:00Z$"),
        (NOW, NOW.replace(tzinfo=None), "^ends must say its offset from UTC, as in 2026-12-01T06:00:00Z$"),
        (NOW, NOW, "^a maintenance window must end after it begins$"),
    ],
)
def test_what_is_wrong_with_a_window_is_said(begins, ends, reason):
    with pytest.raises(ValueError, match=reason):
        Window(begins=begins, ends=ends)


def test_no_window_is_no_rule():
    with pytest.raises(ValueError, match=r"^maintenance_window needs at least one window$"):
        MaintenanceWindow(windows=())
