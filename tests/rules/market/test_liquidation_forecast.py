"""No new risk while a liquidation is likely, by the signals' own word."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.fresh import WithoutFacts
from rules.market.liquidation_forecast import LiquidationForecast
from tests.rules.builders import a_buy, an_account, judged

RULE = LiquidationForecast(probability_max=Decimal("0.05"), horizon_s=3600)
STRICT = replace(RULE, when_stale=WithoutFacts.REFUSE)
ENTRY = a_buy("BTCUSDT", "1")
HOLDING = an_account().long("BTCUSDT", "1")


def breach(world, rule=RULE):
    return rule.check(ENTRY, world.snapshot)


def measured(world, rule=RULE):
    return [(each.name, each.value, each.unit) for each in rule.measure(ENTRY, world.snapshot)]


@pytest.mark.parametrize(("symbol", "whose"), [("BTCUSDT", "BTCUSDT"), ("", "the account")])
def test_the_limit_itself_is_allowed_and_a_little_more_is_not(symbol, whose):
    assert breach(HOLDING.forecasting("liquidation", 0.05, symbol=symbol)) is None
    found = breach(HOLDING.forecasting("liquidation", 0.0501, symbol=symbol))
    assert found.code == "LIQUIDATION_PROBABILITY_ABOVE_LIMIT"
    assert (found.observed, found.limit) == ("5.01 %", "5 %")
    assert found.message == f"a liquidation of {whose} within 3600 s has a probability of 5.01 %"
    assert found.advice == "reduce the position or add margin; reduce-only orders and cancels pass"


def test_what_is_kept_of_one_symbol_or_rule_is_not_used_for_another():
    snapshot = HOLDING.forecasting("liquidation", 0.4, symbol="BTCUSDT").snapshot
    later = replace(RULE, horizon_s=60)
    for order, rule, refuses in (
        (a_buy("ETHUSDT", "1"), RULE, False),
        (ENTRY, RULE, True),
        (ENTRY, later, False),
        (a_buy("ETHUSDT", "1"), RULE, False),
    ):
        assert (rule.check(order, snapshot) is not None) is refuses


@pytest.mark.parametrize("rule", [RULE, STRICT], ids=["pass", "refuse"])
def test_a_flat_account_is_held_to_a_forecast_too(rule):
    assert breach(an_account().forecasting("liquidation", 0.9), rule) is not None


def test_the_highest_counts_in_any_order():
    low, high = ("liquidation", 0.01), ("liquidation", 0.4)
    assert breach(HOLDING.forecasting(*low).forecasting(*high)).observed == "40 %"
    assert breach(HOLDING.forecasting(*high).forecasting(*low)).observed == "40 %"


@pytest.mark.parametrize(
    "terms", [{"symbol": "ETHUSDT"}, {"horizon_s": 3601}, {"seconds_ago": 300.001}, {"seconds_ago": -300.001}]
)
def test_other_symbols_farther_horizons_and_old_ones_are_not_heeded(terms):
    world = HOLDING.forecasting("liquidation", 0.9, **terms)
    assert breach(world) is None
    assert breach(world, STRICT).code == "FACTS_UNKNOWN"


@pytest.mark.parametrize("terms", [{"horizon_s": 3600}, {"horizon_s": 60}, {"seconds_ago": 300}, {"seconds_ago": -300}])
def test_a_forecast_at_the_edge_is_heeded(terms):
    assert breach(HOLDING.forecasting("liquidation", 0.9, **terms)) is not None
    assert breach(HOLDING.forecasting("liquidation", 0.01, **terms), STRICT) is None


@pytest.mark.parametrize(("horizon_s", "heeded"), [(86_400, True), (86_401, False)])
def test_a_day_is_looked_ahead_unless_told_otherwise(horizon_s, heeded):
    world = HOLDING.forecasting("liquidation", 0.9, horizon_s=horizon_s)
    assert (breach(world, LiquidationForecast(probability_max=Decimal("0.05"))) is not None) is heeded


def test_a_forecast_of_another_kind_is_none():
    world = HOLDING.forecasting("slippage", 0.9, symbol="BTCUSDT")
    assert breach(world) is None
    assert measured(world) == [("forecast", "absent", "")]


@pytest.mark.parametrize(
    ("world", "lack"),
    [
        (HOLDING, "no forecast is known"),
        (HOLDING.recorded(), "no forecast is known"),
        (HOLDING.forecasting("liquidation", 0.01, seconds_ago=500), "the forecast is 500 s old"),
        (
            HOLDING.forecasting("liquidation", 0.01).forecasting("liquidation", 0.01, seconds_ago=400),
            "the forecast is 400 s old",
        ),
        (HOLDING.forecasting("liquidation", 0.01, reliable=False), "the forecast is unreliable"),
    ],
    ids=["no record", "none stated", "old", "one of two is old", "unreliable"],
)
def test_an_absent_or_old_forecast_passes_unless_the_policy_says_otherwise(world, lack):
    assert breach(world) is None
    found = breach(world, STRICT)
    assert found.code == "FACTS_UNKNOWN"
    assert found.message == f"how likely a liquidation is ({lack}) is not known now"


@pytest.mark.parametrize("rule", [RULE, STRICT], ids=["pass", "refuse"])
def test_without_positions_no_forecast_is_missed(rule):
    """Else an account could never open its first position: nobody forecasts the liquidation of nothing."""
    assert breach(an_account(), rule) is None


def test_an_account_that_is_not_known_is_not_taken_for_flat():
    assert breach(an_account().unsurveyed(), STRICT).code == "FACTS_UNKNOWN"


def test_an_old_forecast_beside_a_fresh_one_does_not_hide_it():
    world = HOLDING.forecasting("liquidation", 0.9).forecasting("liquidation", 0.01, seconds_ago=400)
    assert breach(world).code == "LIQUIDATION_PROBABILITY_ABOVE_LIMIT"


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (HOLDING, [("forecast", "absent", "")]),
        (
            HOLDING.forecasting("liquidation", 0.012, seconds_ago=42.9),
            [("forecast", "fresh", ""), ("forecast_age", "42", "s"), ("probability", "0.012", "")],
        ),
        (
            HOLDING.forecasting("liquidation", 0.012, seconds_ago=301),
            [("forecast", "stale", ""), ("forecast_age", "301", "s")],
        ),
        (
            HOLDING.forecasting("liquidation", 0.012, seconds_ago=10).forecasting("liquidation", 0.9, seconds_ago=400),
            [("forecast", "stale", ""), ("forecast_age", "400", "s"), ("probability", "0.012", "")],
        ),
        (
            HOLDING.forecasting("liquidation", 0.00001, seconds_ago=-7),
            [("forecast", "fresh", ""), ("forecast_age", "7", "s"), ("probability", "0.00001", "")],
        ),
        (
            HOLDING.forecasting("liquidation", 0.012, reliable=False),
            [("forecast", "unreliable", ""), ("forecast_age", "0", "s"), ("probability", "0.012", "")],
        ),
    ],
)
def test_what_was_known_is_recorded_with_its_age(world, expected):
    assert measured(world) == expected
    assert {each.rule_id for each in RULE.measure(ENTRY, world.snapshot)} == {"liquidation_forecast"}


def test_a_forecast_for_the_symbol_is_written_down():
    world = HOLDING.forecasting("liquidation", 0.01, symbol="BTCUSDT")
    assert measured(world) == measured(HOLDING.forecasting("liquidation", 0.01))
    assert measured(HOLDING.forecasting("liquidation", 0.01, symbol="ETHUSDT")) == [("forecast", "absent", "")]


def test_a_probability_that_is_no_number_refuses():
    decision = judged(ENTRY, HOLDING.forecasting("liquidation", float("nan")), RULE)
    assert [breach.code for breach in decision.breaches] == ["RULE_FAILED"]


def test_an_unreliable_forecast_above_the_limit_refuses_all_the_same():
    assert breach(HOLDING.forecasting("liquidation", 0.9, reliable=False)).code == "LIQUIDATION_PROBABILITY_ABOVE_LIMIT"


def test_size_is_not_the_matter():
    assert judged(ENTRY, HOLDING.forecasting("liquidation", 0.9), RULE).breaches[0].headroom is None


@pytest.mark.parametrize("limit", ["0", "1", "1.5", "-0.1"])
def test_a_limit_is_a_probability(limit):
    with pytest.raises(ValueError, match=r"^liquidation_forecast: probability_max must lie between 0 and 1$"):
        LiquidationForecast(probability_max=Decimal(limit))
