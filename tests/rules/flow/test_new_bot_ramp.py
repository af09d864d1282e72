"""What a bot may have at risk grows with its age and its clean record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.flow.new_bot_ramp import CountsFrom, NewBotRamp
from rules.model import SetLeverage, Side
from tests.rules.builders import NOW, a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, codes, judged

ME, OTHER = "demo-bot", "other-bot"
# 1,000 at first, 0.02 BTC at the builders' mark of 50,000; 101,000 after ten days.
RULE = NewBotRamp(start=Decimal(1000), full=Decimal(101_000), ramp_days=10)


def aged(days):
    return an_account().known_bot(days=days)


def code(world, command, rule=RULE):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


@pytest.mark.parametrize(
    ("days", "lots"),
    [(0, "0.02"), (1, "0.22"), (5, "1.02"), (9, "1.82"), (10, "2.02"), (365, "2.02"), (-1, "0.02")],
)
def test_the_cap_grows_evenly_from_start_to_full(days, lots):
    assert code(aged(days), a_buy("BTCUSDT", lots)) is None
    assert code(aged(days), a_buy("BTCUSDT", str(Decimal(lots) + Decimal("0.001")))) == "RAMP_ABOVE_LIMIT"
    assert judged(a_buy("BTCUSDT", "9"), aged(days), RULE).headroom == Decimal(lots)


def test_what_is_told_is_the_age_and_the_cap():
    breach = RULE.check(a_buy("BTCUSDT", "1"), aged(1.5).snapshot)
    assert breach.message == "after 1.50 of 10 days the bot's own book may reach 16000.00, not 50000.00"
    assert (breach.observed, breach.limit) == ("50000.00", "16000.00")
    assert breach.advice == "the cap grows to 101000.00"


def test_a_bot_never_seen_begins_at_the_start():
    assert code(an_account().recorded(), a_buy("BTCUSDT", "0.02")) is None
    assert code(an_account().recorded(), a_buy("BTCUSDT", "0.021")) == "RAMP_ABOVE_LIMIT"


def test_a_refusal_starts_the_days_anew_unless_the_first_day_is_to_count():
    world = aged(365).known_bot(clean_since=NOW - timedelta(days=1))
    assert code(world, a_buy("BTCUSDT", "0.221")) == "RAMP_ABOVE_LIMIT"
    rule = replace(RULE, counts_from=CountsFrom.FIRST_SEEN)
    assert code(world, a_buy("BTCUSDT", "2.02"), rule) is None
    assert code(world, a_buy("BTCUSDT", "2.021"), rule) == "RAMP_ABOVE_LIMIT"


@pytest.mark.parametrize(
    "world",
    [
        aged(0).sharing(ME, "BTCUSDT", "0.01"),
        aged(0).sharing(ME, "ETHUSDT", "-0.2"),
        aged(0).long("BTCUSDT", "0.01"),
        aged(0).resting(an_open_order(Side.BUY, "BTCUSDT", "0.01", "50000", bot=ME)),
        aged(0).holding(a_buy("BTCUSDT", "0.01"), bot=ME),
    ],
    ids=["share", "another symbol", "a position nobody has split", "resting", "under way"],
)
def test_everything_of_the_bot_s_counts(world):
    assert code(world, a_buy("BTCUSDT", "0.01")) is None
    assert code(world, a_buy("BTCUSDT", "0.011")) == "RAMP_ABOVE_LIMIT"


@pytest.mark.parametrize(
    "world",
    [
        aged(0).sharing(OTHER, "BTCUSDT", "9"),
        aged(0).resting(an_open_order(Side.BUY, "BTCUSDT", "9", "50000", bot=OTHER)),
        aged(0).holding(a_buy("BTCUSDT", "9"), bot=OTHER),
        aged(0).known_bot(OTHER),
    ],
    ids=["share", "order", "hold", "age"],
)
def test_nothing_of_another_s_does(world):
    assert code(world, a_buy("BTCUSDT", "0.02")) is None
    assert code(world, a_buy("BTCUSDT", "0.021")) == "RAMP_ABOVE_LIMIT"


def test_an_amend_of_the_own_order_replaces_it():
    world = aged(0).resting(an_open_order(Side.BUY, "BTCUSDT", "0.01", "50000", order_id="5", bot=ME))
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "0.02", "50000", order_id="5")) is None
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "0.021", "50000", order_id="5")) == "RAMP_ABOVE_LIMIT"


def test_what_is_not_known_refuses_all_but_the_start():
    assert code(an_account(), a_buy("BTCUSDT", "0.02")) is None
    breach = RULE.check(a_buy("BTCUSDT", "0.021"), an_account().snapshot)
    assert (breach.code, breach.message) == ("FACTS_UNKNOWN", "since when demo-bot has a clean record is not known now")


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_record_serves_for_a_minute(seconds):
    assert code(aged(365).recorded(seconds_ago=seconds), a_buy("BTCUSDT", "2")) is None
    further = seconds + (0.001 if seconds > 0 else -0.001)
    assert code(aged(365).recorded(seconds_ago=further), a_buy("BTCUSDT", "2")) == "FACTS_UNKNOWN"


def test_the_cap_is_written_down():
    def measured(world):
        (found,) = RULE.measure(a_buy("BTCUSDT", "1"), world.snapshot)
        return found.rule_id, found.name, found.value, found.unit

    assert measured(aged(5)) == ("new_bot_ramp", "cap", "51000.00", "quote currency")
    assert measured(an_account()) == ("new_bot_ramp", "cap", "unknown", "quote currency")


def test_exits_cancels_and_settings_pass():
    world = aged(0).sharing(ME, "BTCUSDT", "1")
    setting = SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))
    for command in (a_sell("BTCUSDT", "1", reduce_only=True), a_cancel(), setting):
        assert judged(command, world, RULE).verdict is Verdict.ALLOW


def test_an_unknown_account_is_another_rule_s_matter():
    assert code(aged(0).unsurveyed(), a_buy("BTCUSDT", "1")) is None


def test_a_report_refuses_nothing():
    decision = judged(a_buy("BTCUSDT", "1"), aged(0), replace(RULE, enforcement=Enforcement.REPORT))
    assert (decision.verdict, codes(decision)) == (Verdict.ALLOW, [])
    assert [each.code for each in decision.would_deny] == ["RAMP_ABOVE_LIMIT"]


def test_a_ramp_may_be_flat_and_a_day_short():
    assert NewBotRamp(start=Decimal(1), full=Decimal(1), ramp_days=1).full == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"start": Decimal(2), "full": Decimal(1), "ramp_days": 1},
        {"start": Decimal(0), "full": Decimal(1), "ramp_days": 1},
        {"start": Decimal(1), "full": Decimal(2), "ramp_days": 0},
    ],
)
def test_a_ramp_that_leads_nowhere_is_no_rule(settings):
    with pytest.raises(ValueError, match=r"^new_bot_ramp needs 0 < start <= full and ramp_days >= 1$"):
        NewBotRamp(**settings)
