"""What one look at an account shows: every sign whole, as it is counted and as it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rules.kill.evidence import Evidence, ForecastSeen, OrdersSeen, Results
from rules.kill.settings import Triggers
from rules.kill.signs import Action, Sign, Trigger, signs
from rules.kill.views import watched_views
from tests.rules.kill.test_triggers import NOW, SETTINGS, a_leg, made, near, quiet, seen

REDUCE, KILL = Action.REDUCE, Action.KILL
EARLIER, BEFORE = NOW - timedelta(seconds=7), NOW - timedelta(seconds=9)
OLD = NOW - timedelta(seconds=31)


def shown(trigger: Trigger, action: Action, evidence: Evidence, settings: Triggers = SETTINGS) -> Sign:
    (sign,) = [each for each in signs(evidence, settings) if (each.trigger, each.action) == (trigger, action)]
    return sign


def a_sign(trigger: Trigger, action: Action, reason: str, **changes: Any) -> Sign:
    return Sign(
        **({"trigger": trigger, "action": action, "met": True, "stamp": NOW, "reason": reason, "needed": 3} | changes)
    )  # type: ignore[arg-type]


def lost(day: str, **more: Any) -> Evidence:
    """So much is gone of 10,000 today; the record is of ``EARLIER``, the reading of ``BEFORE``."""
    equity = str(10_000 + Decimal(day))
    return quiet(results=replace(made(day), as_of=EARLIER), reading=seen(equity, at=BEFORE), **more)


# Losses.


def test_a_loss_is_told_in_percent_with_the_time_of_what_shows_it() -> None:
    words = "7 % of the equity is lost in a day"
    assert shown(Trigger.DAILY_LOSS, REDUCE, lost("-700")) == a_sign(Trigger.DAILY_LOSS, REDUCE, words, stamp=EARLIER)
    words = "12 % of the equity is lost in a day, and the venue says the same"
    killing = a_sign(Trigger.DAILY_LOSS, KILL, words, stamp=BEFORE, look=True)
    assert shown(Trigger.DAILY_LOSS, KILL, lost("-1200")) == killing


def test_a_drawdown_is_told_as_one() -> None:
    evidence = quiet(results=made("0", equity="6900"), reading=seen("6900"))
    words = "31 % of the highest equity is lost"
    assert shown(Trigger.DRAWDOWN, REDUCE, evidence) == a_sign(Trigger.DRAWDOWN, REDUCE, words)
    words += ", and the venue says the same"
    assert shown(Trigger.DRAWDOWN, KILL, evidence) == a_sign(Trigger.DRAWDOWN, KILL, words, look=True)


@pytest.mark.parametrize(
    ("evidence", "action", "met"),
    [
        (lost("-600"), REDUCE, True),
        (lost("-599"), REDUCE, False),
        (lost("-1000"), KILL, True),
        (lost("-999"), KILL, False),
        (quiet(results=made("-1200"), reading=seen("9001")), KILL, False),
        (quiet(results=made("-1200"), reading=seen("9000")), KILL, True),
        (quiet(results=made("-1200"), reading=None), KILL, None),
        (quiet(results=made("-1200"), reading=seen("8800", at=OLD)), KILL, None),
        (quiet(results=made("-100"), reading=None), KILL, False),
        (quiet(results=None, reading=seen("8800")), REDUCE, None),
        (quiet(results=None, reading=seen("8800")), KILL, None),
        (quiet(results=made("-600", rolling="0.01")), REDUCE, True),
        (quiet(results=made("0.01", equity="9400", rolling="-600")), REDUCE, True),
    ],
)
def test_a_loss_is_met_at_its_limit_and_unknown_where_its_source_is(
    evidence: Evidence, action: Action, met: bool | None
) -> None:
    assert shown(Trigger.DAILY_LOSS, action, evidence).met is met


def test_an_account_that_began_with_nothing_has_nothing_to_lose() -> None:
    for equity in ("0", "-5"):
        nothing = Results(as_of=NOW, day=Decimal(0), rolling=Decimal(0), equity=Decimal(equity), equity_peak=Decimal(0))
        assert shown(Trigger.DAILY_LOSS, REDUCE, quiet(results=nothing)).met is False


@pytest.mark.parametrize(("worth", "open_"), [("87.99", False), ("88", True)])
def test_a_hundredth_of_the_equity_is_worth_closing(worth: str, open_: bool) -> None:
    evidence = replace(lost("-1200"), reading=seen("8800", a_leg(worth)))
    assert shown(Trigger.DAILY_LOSS, KILL, evidence).met is open_


def test_nothing_is_not_worth_closing_however_little_the_equity() -> None:
    evidence = quiet(results=made("-12000"), reading=seen("-2000", a_leg("0")))
    assert shown(Trigger.DAILY_LOSS, KILL, evidence).met is False


def test_a_fact_is_fresh_up_to_its_age() -> None:
    edge = NOW - timedelta(seconds=30)
    assert shown(Trigger.DAILY_LOSS, REDUCE, quiet(results=replace(made("-700"), as_of=edge))).met is True
    assert shown(Trigger.DAILY_LOSS, REDUCE, quiet(results=replace(made("-700"), as_of=OLD))).met is None


# Liquidation.


def test_the_guards_distance_is_told_in_hourly_deviations_of_the_nearest_leg() -> None:
    legs = (
        replace(a_leg(distance=Decimal("0.5")), symbol="DOGEUSDT"),
        a_leg(distance=Decimal("0.018")),
        replace(a_leg(distance=Decimal("0.4")), symbol="ETHUSDT"),
    )
    reading = seen("10000", a_leg(distance=Decimal("0.05"), volatility=None), at=BEFORE)
    evidence = quiet(book=seen("10000", *legs, at=EARLIER), reading=reading)
    words = "BTCUSDT is 1.80 hourly standard deviations from liquidation"
    assert shown(Trigger.LIQUIDATION, REDUCE, evidence) == a_sign(Trigger.LIQUIDATION, REDUCE, words, stamp=EARLIER)
    words += ", and by the venue's own price within 5 %"
    killing = a_sign(Trigger.LIQUIDATION, KILL, words, stamp=BEFORE, look=True)
    assert shown(Trigger.LIQUIDATION, KILL, evidence) == killing


WILD = replace(a_leg(distance=Decimal("0.10"), volatility=Decimal("0.08")), symbol="DOGEUSDT")
AT_ITS_END = a_leg(distance=Decimal("0.018"))


def test_a_leg_that_is_nearer_in_deviations_alone_hides_none_that_both_sources_have_near() -> None:
    """The wild leg is first by the guard's measure and far by the exchange's price; the other is near by both."""
    reading = seen("10000", WILD, a_leg(distance=Decimal("0.05")))
    evidence = quiet(book=seen("10000", WILD, AT_ITS_END), reading=reading)
    reduced = shown(Trigger.LIQUIDATION, REDUCE, evidence)
    assert reduced.reason == "DOGEUSDT is 1.25 hourly standard deviations from liquidation"
    words = "BTCUSDT is 1.80 hourly standard deviations from liquidation, and by the venue's own price within 5 %"
    assert shown(Trigger.LIQUIDATION, KILL, evidence) == a_sign(Trigger.LIQUIDATION, KILL, words, look=True)


def test_legs_of_which_none_is_near_by_both_sources_are_not_killed() -> None:
    far_by_price = seen("10000", WILD, a_leg(distance=Decimal("0.06")))
    assert (
        shown(Trigger.LIQUIDATION, KILL, quiet(book=seen("10000", WILD, AT_ITS_END), reading=far_by_price)).met is False
    )
    far_by_measure = quiet(book=seen("10000", WILD, a_leg()), reading=seen("10000", WILD, AT_ITS_END))
    assert shown(Trigger.LIQUIDATION, KILL, far_by_measure).met is False


def test_each_leg_that_can_be_measured_is_seen_the_nearest_first() -> None:
    unmeasured = replace(a_leg(volatility=None), symbol="ETHUSDT")
    far = replace(a_leg(), symbol="XRPUSDT")
    soft, hard = watched_views(seen("10000", unmeasured, far, AT_ITS_END, WILD), None, SETTINGS)
    assert [(view.symbol, view.soft, view.hard) for view in soft] == [
        ("DOGEUSDT", True, True),
        ("BTCUSDT", True, True),
        ("XRPUSDT", False, False),
    ]
    assert hard == soft
    (unknown,), _ = watched_views(seen("10000", unmeasured), None, SETTINGS)
    assert (unknown.soft, unknown.hard) == (None, None)


def test_a_forecast_is_told_as_one() -> None:
    stated = ForecastSeen(as_of=NOW, probability=Decimal("0.2"), symbol="BTCUSDT")
    evidence = near("0.30", "0.04", forecast=stated)
    words = "liquidation is forecast at 20 %"
    assert shown(Trigger.LIQUIDATION, REDUCE, evidence) == a_sign(Trigger.LIQUIDATION, REDUCE, words)
    words += ", and by the venue's own price within 5 %"
    assert shown(Trigger.LIQUIDATION, KILL, evidence) == a_sign(Trigger.LIQUIDATION, KILL, words, look=True)
    unlikely = replace(evidence, forecast=replace(stated, probability=Decimal("0.05")))
    assert shown(Trigger.LIQUIDATION, REDUCE, unlikely).met is True
    assert shown(Trigger.LIQUIDATION, KILL, unlikely).met is False
    assert shown(Trigger.LIQUIDATION, KILL, unlikely).look is False


def test_a_forecast_of_the_whole_account_is_confirmed_by_any_leg() -> None:
    stated = ForecastSeen(as_of=NOW, probability=Decimal("0.2"))
    other = replace(a_leg(distance=Decimal("0.04")), symbol="ETHUSDT")
    evidence = quiet(forecast=stated, reading=seen("10000", a_leg(), other))
    assert shown(Trigger.LIQUIDATION, KILL, evidence).met is True


@pytest.mark.parametrize(("distance", "action", "met"), [
    ("0.04", REDUCE, True),
    ("0.041", REDUCE, False),
    ("0.02", KILL, True),
    ("0.021", KILL, False),
])  # fmt: skip
def test_a_distance_is_met_at_its_limit(distance: str, action: Action, met: bool) -> None:
    assert shown(Trigger.LIQUIDATION, action, near(distance, "0.01")).met is met


def test_legs_that_cannot_be_measured_are_not_known_and_no_legs_are_far_from_everything() -> None:
    for volatility in (None, Decimal(0)):
        evidence = quiet(book=seen("10000", a_leg(distance=Decimal("0.001"), volatility=volatility)))
        assert [shown(Trigger.LIQUIDATION, action, evidence).met for action in (REDUCE, KILL)] == [None, None]
    flat = quiet(book=replace(seen(), legs=()))
    assert [shown(Trigger.LIQUIDATION, action, flat).met for action in (REDUCE, KILL)] == [False, False]
    unread = quiet(book=seen(at=OLD))
    assert [shown(Trigger.LIQUIDATION, action, unread).met for action in (REDUCE, KILL)] == [None, None]


def test_of_two_legs_equally_near_either_is_told() -> None:
    legs = a_leg(distance=Decimal("0.018")), replace(a_leg(distance=Decimal("0.018")), symbol="ETHUSDT")
    assert shown(Trigger.LIQUIDATION, REDUCE, quiet(book=seen("10000", *legs))).met is True


def test_a_forecast_is_watched_by_its_own_limits_and_the_distance_by_its_own() -> None:
    by_distance = Triggers(liquidation_sigmas_reduce=Decimal(4), liquidation_sigmas_kill=Decimal(2))
    by_forecast = Triggers(liquidation_probability_reduce=Decimal("0.05"), liquidation_probability_kill=Decimal("0.2"))
    likely = ForecastSeen(as_of=NOW, probability=Decimal("0.9"), symbol="BTCUSDT")
    unlikely = replace(likely, probability=Decimal("0.01"))
    assert [sign.met for sign in signs(near("0.01", "0.01"), by_distance)] == [True, True]
    assert [sign.met for sign in signs(near("0.01", "0.01", forecast=unlikely), by_distance)] == [True, True]
    assert [sign.met for sign in signs(near("0.30", "0.01", forecast=likely), by_forecast)] == [True, True]
    assert [sign.met for sign in signs(near("0.30", "0.01", forecast=likely), by_distance)] == [False, False]
    assert list(signs(near("0.01", "0.01"), by_forecast)) == []
    only_reduce = Triggers(liquidation_sigmas_reduce=Decimal(4))
    assert [sign.action for sign in signs(near("0.01", "0.01"), only_reduce)] == [REDUCE]


def test_the_source_that_has_reached_its_limit_is_told_and_the_one_that_the_venue_confirms() -> None:
    distance = "BTCUSDT is 1.00 hourly standard deviations from liquidation"
    unlikely = near("0.01", None, forecast=ForecastSeen(as_of=NOW, probability=Decimal("0.01")))
    assert shown(Trigger.LIQUIDATION, REDUCE, unlikely).reason == distance
    unread = shown(Trigger.LIQUIDATION, KILL, unlikely)
    assert (unread.met, unread.look, unread.reason.partition(",")[0]) == (None, True, distance)
    other = ForecastSeen(as_of=NOW, probability=Decimal("0.9"), symbol="ETHUSDT")
    confirmed = shown(Trigger.LIQUIDATION, KILL, near("0.01", "0.01", forecast=other))
    assert (confirmed.met, confirmed.reason.partition(",")[0]) == (True, distance)


# What is not followed, orders nobody asked for, and anomalies.


def test_an_account_that_is_not_followed_is_told_with_its_age() -> None:
    evidence = quiet(book=seen(at=NOW - timedelta(seconds=600)), results=None, reading=seen(at=BEFORE))
    words = "the account has not been read for 600 s while positions were open"
    assert shown(Trigger.UNREAD, REDUCE, evidence) == a_sign(Trigger.UNREAD, REDUCE, words)
    words += ", and the venue answers the kill"
    assert shown(Trigger.UNREAD, KILL, evidence) == a_sign(Trigger.UNREAD, KILL, words, stamp=BEFORE, look=True)
    early = quiet(book=seen(at=NOW - timedelta(seconds=599)), results=None, reading=seen())
    assert shown(Trigger.UNREAD, KILL, early).met is False
    assert shown(Trigger.UNREAD, KILL, early).look is False
    assert shown(Trigger.UNREAD, KILL, replace(evidence, reading=None)).met is None


def test_orders_nobody_asked_for_are_told_by_what_is_wrong_with_them() -> None:
    orders = OrdersSeen(count=5, newest=EARLIER)
    evidence = quiet(unrecorded=orders, outside=orders)
    words = "5 orders bear the guard's mark and are in no record"
    for action in (REDUCE, KILL):
        sign = a_sign(Trigger.UNRECORDED_ORDERS, action, words, stamp=EARLIER, needed=1)
        assert shown(Trigger.UNRECORDED_ORDERS, action, evidence) == sign
    sign = a_sign(Trigger.OUTSIDE_ORDERS, KILL, "5 orders are not the guard's", stamp=EARLIER, needed=1)
    assert shown(Trigger.OUTSIDE_ORDERS, KILL, evidence) == sign


def test_an_anomaly_is_told_with_how_long_it_has_to_last() -> None:
    sign = a_sign(Trigger.ANOMALY, REDUCE, "the anomaly score has been 0.95 for 30 s", lasting=timedelta(seconds=30))
    assert shown(Trigger.ANOMALY, REDUCE, quiet(anomaly=Decimal("0.95"))) == sign
    assert shown(Trigger.ANOMALY, REDUCE, quiet(anomaly=Decimal("0.94"))).met is False


def test_a_book_that_no_price_ends_is_near_nothing_and_said_so() -> None:
    book = seen("10000", a_leg(distance=Decimal("Infinity")), a_leg(distance=None))
    settings = replace(SETTINGS, liquidation_sigmas_reduce=Decimal(4), liquidation_sigmas_kill=Decimal(2))
    evidence = quiet(book=book, reading=seen())
    words = "no price ends a position of BTCUSDT"
    found = shown(Trigger.LIQUIDATION, REDUCE, evidence, settings)
    assert found == a_sign(Trigger.LIQUIDATION, REDUCE, words, met=False)
    assert shown(Trigger.LIQUIDATION, KILL, evidence, settings).met is False
