"""A symbol that is new to a bot stays tiny until the bot knows what it costs to hold."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.facts import Holding
from rules.flow.funding_probation import FundingProbation
from rules.model import SetLeverage, Side
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, codes, judged

ME, OTHER = "demo-bot", "other-bot"
# 500 of quote currency is 0.01 BTC at the builders' mark of 50,000.
RULE = FundingProbation(limit=Decimal(500), stamps=2)
NEW = an_account().known_bot()


def held_through(stamps, symbol="BTCUSDT", carry="0"):
    return an_account().known_bot(holdings=(Holding(symbol=symbol, funding_stamps=stamps, carry=Decimal(carry)),))


def code(world, command, rule=RULE):
    breach = rule.check(command, world.snapshot)
    return breach.code if breach is not None else None


def test_a_micro_position_passes_and_one_lot_more_does_not():
    assert code(NEW, a_buy("BTCUSDT", "0.01")) is None
    assert code(NEW, a_buy("BTCUSDT", "0.011")) == "PROBATION_ABOVE_LIMIT"
    assert judged(a_sell("BTCUSDT", "1"), NEW, RULE).headroom == Decimal("0.01")


def test_what_is_told_is_how_long_and_how_much():
    breach = RULE.check(a_buy("BTCUSDT", "1"), held_through(1).snapshot)
    assert (breach.observed, breach.limit) == ("50000.00", "500.00")
    assert breach.message == (
        "BTCUSDT has been held through 1 of 2 funding times; until then its position stays within 500.00, and could"
        " reach 50000.00"
    )
    assert breach.advice == "hold a micro-position through the next funding time"


def test_probation_ends_with_the_last_funding_time():
    assert code(held_through(1), a_buy("BTCUSDT", "1")) == "PROBATION_ABOVE_LIMIT"
    assert code(held_through(2), a_buy("BTCUSDT", "1")) is None
    assert code(held_through(3), a_buy("BTCUSDT", "1")) is None


def test_one_funding_time_is_asked_for_where_nothing_is_written():
    rule = FundingProbation(limit=Decimal(500))
    assert code(held_through(0), a_buy("BTCUSDT", "1"), rule) == "PROBATION_ABOVE_LIMIT"
    assert code(held_through(1), a_buy("BTCUSDT", "1"), rule) is None


@pytest.mark.parametrize(
    "world",
    [
        held_through(9, "ETHUSDT"),
        an_account().known_bot(OTHER, holdings=(Holding(symbol="BTCUSDT", funding_stamps=9),)),
        an_account().recorded(),
    ],
    ids=["another symbol", "another bot", "never seen"],
)
def test_nothing_else_proves_the_symbol(world):
    assert code(world, a_buy("BTCUSDT", "0.011")) == "PROBATION_ABOVE_LIMIT"


@pytest.mark.parametrize(
    "world",
    [
        NEW.sharing(ME, "BTCUSDT", "0.006"),
        NEW.long("BTCUSDT", "0.006"),
        NEW.resting(an_open_order(Side.BUY, "BTCUSDT", "0.006", "50000", bot=ME)),
        NEW.holding(a_buy("BTCUSDT", "0.006"), bot=ME),
    ],
    ids=["share", "a position nobody has split", "resting", "under way"],
)
def test_the_worst_case_of_the_symbol_counts(world):
    assert code(world, a_buy("BTCUSDT", "0.004")) is None
    assert code(world, a_buy("BTCUSDT", "0.005")) == "PROBATION_ABOVE_LIMIT"


@pytest.mark.parametrize(
    "world",
    [
        NEW.sharing(OTHER, "BTCUSDT", "9"),
        NEW.sharing(ME, "ETHUSDT", "9"),
        NEW.resting(an_open_order(Side.BUY, "BTCUSDT", "9", "50000", bot=OTHER)),
        NEW.holding(a_buy("BTCUSDT", "9"), bot=OTHER),
    ],
    ids=["another's share", "another symbol", "another's order", "another's hold"],
)
def test_nothing_else_counts(world):
    assert code(world, a_buy("BTCUSDT", "0.01")) is None
    assert code(world, a_buy("BTCUSDT", "0.011")) == "PROBATION_ABOVE_LIMIT"


def test_both_legs_of_a_hedged_symbol_count():
    world = NEW.hedged().sharing(ME, "BTCUSDT", "0.006")
    assert code(world, a_sell("BTCUSDT", "0.004", position_side="SHORT")) is None
    assert code(world, a_sell("BTCUSDT", "0.005", position_side="SHORT")) == "PROBATION_ABOVE_LIMIT"


def test_an_amend_of_the_own_order_replaces_it():
    world = NEW.resting(an_open_order(Side.BUY, "BTCUSDT", "0.006", "50000", order_id="5", bot=ME))
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "0.01", "50000", order_id="5")) is None
    assert code(world, an_amend(Side.BUY, "BTCUSDT", "0.011", "50000", order_id="5")) == "PROBATION_ABOVE_LIMIT"


def test_what_is_not_known_refuses_all_but_a_micro_position():
    breach = RULE.check(a_buy("BTCUSDT", "0.011"), an_account().snapshot)
    assert (breach.code, breach.message) == ("FACTS_UNKNOWN", "how long demo-bot has held BTCUSDT is not known now")
    assert judged(a_buy("BTCUSDT", "1"), an_account(), RULE).headroom == Decimal("0.01")


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_record_serves_for_a_minute(seconds):
    assert code(held_through(2).recorded(seconds_ago=seconds), a_buy("BTCUSDT", "1")) is None
    further = seconds + (0.001 if seconds > 0 else -0.001)
    assert code(held_through(2).recorded(seconds_ago=further), a_buy("BTCUSDT", "1")) == "FACTS_UNKNOWN"


def test_the_carry_is_written_down():
    entry = a_buy("BTCUSDT", "0.001")

    def measured(world, command=entry):
        return [(each.rule_id, each.name, each.value, each.unit) for each in RULE.measure(command, world.snapshot)]

    assert measured(held_through(3, carry="-1.2500")) == [
        ("funding_probation", "funding_stamps", "3", ""),
        ("funding_probation", "carry", "-1.25", "quote currency"),
    ]
    assert measured(NEW)[0] == ("funding_probation", "funding_stamps", "0", "")
    assert measured(an_account()) == [("funding_probation", "funding_stamps", "unknown", "")]
    assert measured(NEW, SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))) == []


def test_an_amend_leaves_the_measures_of_an_entry():
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="1")
    assert RULE.measure(amend, NEW.snapshot) == RULE.measure(a_buy("BTCUSDT", "1"), NEW.snapshot) != ()


def test_exits_cancels_and_settings_pass():
    world = NEW.sharing(ME, "BTCUSDT", "1")
    setting = SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))
    for command in (a_sell("BTCUSDT", "1", reduce_only=True), a_cancel(), setting):
        assert judged(command, world, RULE).verdict is Verdict.ALLOW


def test_an_unknown_account_is_another_rule_s_matter():
    assert code(NEW.unsurveyed(), a_buy("BTCUSDT", "1")) is None


def test_a_report_refuses_nothing():
    decision = judged(a_buy("BTCUSDT", "1"), NEW, replace(RULE, enforcement=Enforcement.REPORT))
    assert (decision.verdict, codes(decision)) == (Verdict.ALLOW, [])
    assert [each.code for each in decision.would_deny] == ["PROBATION_ABOVE_LIMIT"]


def test_a_micro_position_may_be_below_one():
    assert code(NEW, a_buy("DOGEUSDT", "5"), FundingProbation(limit=Decimal("0.5"))) is None


@pytest.mark.parametrize("settings", [{"limit": Decimal(0)}, {"limit": Decimal(1), "stamps": 0}])
def test_a_probation_of_nothing_is_no_rule(settings):
    with pytest.raises(ValueError, match=r"^funding_probation needs limit > 0 and stamps >= 1$"):
        FundingProbation(**settings)
