"""After losses there is a pause; getting out needs none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rules.decision import Enforcement, Verdict
from rules.flow.cool_down import CoolDown
from rules.model import SetLeverage, Side
from rules.performance import Whose
from tests.rules.builders import NOW, a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, codes, judged

BY_COUNT = CoolDown(losses=3, window_s=600, pause_s=900)
BY_STREAK = CoolDown(loss_streak=2, pause_s=900)
ENTRY = a_buy("BTCUSDT", "1")


def ago(*seconds):
    return tuple(NOW - timedelta(seconds=each) for each in seconds)


def losing(*seconds, streak=0, of="demo-bot"):
    return an_account().performing(of=of, losses=ago(*seconds), loss_streak=streak)


def code(world, rule=BY_COUNT, command=ENTRY):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


def test_one_loss_less_is_no_pause():
    assert code(losing(20, 10)) is None
    assert code(losing(30, 20, 10)) == "COOLING_DOWN"


def test_the_losses_must_fall_into_the_window():
    assert code(losing(610, 20, 10)) == "COOLING_DOWN"
    assert code(losing(611, 20, 10)) is None


def test_the_pause_begins_with_the_last_of_them_and_ends():
    assert code(losing(901, 900, 899)) == "COOLING_DOWN"
    assert code(losing(902, 901, 900)) is None


def test_a_later_single_loss_does_not_begin_another_pause():
    assert code(losing(1800, 1790, 1780, 10)) is None


def test_any_three_within_the_window_will_do():
    assert code(losing(5000, 800, 700, 300)) == "COOLING_DOWN"


def test_one_loss_can_be_enough():
    rule = replace(BY_COUNT, losses=1, window_s=1)
    assert code(losing(899), rule) == "COOLING_DOWN"
    assert code(losing(900), rule) is None
    assert code(losing(), rule) is None


def test_a_loss_dated_ahead_pauses():
    assert code(losing(2, 1, -5)) == "COOLING_DOWN"


def test_what_is_told_is_why_and_until_when():
    breach = BY_COUNT.check(ENTRY, losing(90, 80, 60).snapshot)
    assert breach.message == "3 losses within 600 s: the bot pauses until 09:44:00 UTC"
    assert (breach.observed, breach.limit) == ("60 s since the last loss", "900 s")
    assert breach.advice == "reduce-only orders and cancels pass; entries pass from 09:44:00 UTC on"
    streak = BY_STREAK.check(ENTRY, losing(5000, 60, streak=4).snapshot)
    assert streak.message == "4 losses in a row: the bot pauses until 09:44:00 UTC"


def test_a_streak_pauses_from_its_newest_loss():
    assert code(losing(5000, 899, streak=2), BY_STREAK) == "COOLING_DOWN"
    assert code(losing(5000, 900, streak=2), BY_STREAK) is None
    assert code(losing(5000, 899, streak=1), BY_STREAK) is None
    assert code(losing(899, streak=1), replace(BY_STREAK, loss_streak=1)) == "COOLING_DOWN"


def test_a_streak_of_losses_nobody_knows_the_time_of_refuses():
    assert code(losing(streak=1), BY_STREAK) == "FACTS_UNKNOWN"
    assert code(losing(streak=0), BY_STREAK) is None
    assert code(losing(5000, streak=1), BY_STREAK) is None


def test_the_newest_of_both_pauses_counts():
    rule = replace(BY_COUNT, loss_streak=2)
    breach = rule.check(ENTRY, losing(1000, 990, 800, 60, streak=2).snapshot)
    assert breach.message.startswith("2 losses in a row")
    assert code(losing(1000, 990, 800, streak=1), rule) == "COOLING_DOWN"
    both = rule.check(ENTRY, losing(80, 70, 60, streak=4).snapshot)
    assert both.message.startswith("3 losses within 600 s")


def test_whose_losses_count_can_be_chosen():
    losses = losing(30, 20, 10, of="account").performing(of="demo-bot")
    assert code(losses) is None
    breach = replace(BY_COUNT, of=Whose.ACCOUNT).check(ENTRY, losses.snapshot)
    assert breach.message.startswith("3 losses within 600 s: the account pauses")
    own = losing(30, 20, 10).performing()
    assert code(own, replace(BY_COUNT, of=Whose.ACCOUNT)) is None


def test_a_bot_never_seen_has_lost_nothing():
    assert code(an_account().performing()) is None
    assert code(losing(30, 20, 10, of="other-bot").performing()) is None


def test_a_bot_the_record_does_not_list_has_lost_nobody_knows_what_if_it_has_a_share():
    world = an_account().performing().long("BTCUSDT", "1").sharing("demo-bot", "BTCUSDT", "1")
    assert code(world) == "FACTS_UNKNOWN"
    assert code(world, replace(BY_COUNT, of=Whose.ACCOUNT)) is None


@pytest.mark.parametrize("of", Whose)
def test_what_is_not_known_refuses(of):
    rule = replace(BY_COUNT, of=of)
    breach = rule.check(ENTRY, an_account().snapshot)
    assert (breach.code, breach.message) == ("FACTS_UNKNOWN", f"what the {of} has lost is not known now")
    assert code(an_account().known_bot(), rule) == "FACTS_UNKNOWN"


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_record_serves_for_a_minute(seconds):
    assert code(losing().recorded(seconds_ago=seconds)) is None
    further = seconds + (0.001 if seconds > 0 else -0.001)
    assert code(losing().recorded(seconds_ago=further)) == "FACTS_UNKNOWN"


def test_exits_cancels_and_settings_pass_and_amends_wait():
    world = losing(30, 20, 10).long("BTCUSDT", "1")
    for command in (a_sell("BTCUSDT", "1", reduce_only=True), a_cancel(), SetLeverage(symbol="BTCUSDT", leverage=1)):
        assert judged(command, world, BY_COUNT).verdict is Verdict.ALLOW
    world = world.resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="5"))
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="5")
    assert codes(judged(amend, world, BY_COUNT)) == ["COOLING_DOWN"]


def test_a_report_refuses_nothing():
    decision = judged(ENTRY, losing(30, 20, 10), replace(BY_COUNT, enforcement=Enforcement.REPORT))
    assert decision.verdict is Verdict.ALLOW
    assert [each.code for each in decision.would_deny] == ["COOLING_DOWN"]


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({}, "losses with window_s, or loss_streak"),
        ({"losses": 3}, "losses and window_s together"),
        ({"window_s": 3, "loss_streak": 1}, "losses and window_s together"),
        ({"loss_streak": 0}, "pause_s, losses, window_s and loss_streak of at least 1"),
        ({"losses": 0, "window_s": 60}, "pause_s, losses, window_s and loss_streak of at least 1"),
        ({"losses": 1, "window_s": 0}, "pause_s, losses, window_s and loss_streak of at least 1"),
        ({"loss_streak": 1, "pause_s": 0}, "pause_s, losses, window_s and loss_streak of at least 1"),
        ({"losses": 101, "window_s": 60}, "losses of at most 100"),
    ],
)
def test_a_pause_that_could_never_be_is_no_rule(settings, needs):
    with pytest.raises(ValueError, match=f"^cool_down needs {needs}$"):
        CoolDown(**({"pause_s": 60} | settings))


def test_everything_may_be_one_and_losses_a_hundred():
    assert CoolDown(loss_streak=1, losses=1, window_s=1, pause_s=1).pause_s == 1
    assert CoolDown(losses=100, window_s=1, pause_s=1).losses == 100
