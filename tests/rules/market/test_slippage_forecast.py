"""No order so large that, by the signals' own word, it would probably cost too much."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.decision import Verdict
from rules.fresh import WithoutFacts
from rules.market.slippage_forecast import SlippageForecast
from rules.model import Side
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, judged

RULE = SlippageForecast(probability_max=Decimal("0.1"))
STRICT = replace(RULE, when_stale=WithoutFacts.REFUSE)
ENTRY = a_buy("BTCUSDT", "1")


def forecast(probability, world=None, **terms):
    terms = {"symbol": "BTCUSDT", "side": Side.BUY, "quantity": Decimal(1), "threshold": Decimal("0.002")} | terms
    return (world or an_account()).forecasting("slippage", probability, **terms)


def breach(world, command=ENTRY, rule=RULE):
    return rule.check(command, world.snapshot)


def test_the_limit_itself_is_allowed_and_a_little_more_is_not():
    assert breach(forecast(0.1)) is None
    found = breach(forecast(0.101))
    assert found.code == "SLIPPAGE_PROBABILITY_ABOVE_LIMIT"
    assert (found.observed, found.limit) == ("10.1 %", "10 %")
    assert found.message == "to BUY 1 BTCUSDT or more costs more than 0.2 % with a probability of 10.1 %"
    assert found.advice == "send less, or post-only"


def test_a_smaller_order_passes_and_is_the_headroom():
    world = forecast(0.5)
    assert breach(world, a_buy("BTCUSDT", "0.999")) is None
    assert judged(a_buy("BTCUSDT", "5"), world, RULE).headroom == Decimal("0.999")
    assert judged(a_buy("BTCUSDT", "0.999"), world, RULE).verdict is Verdict.ALLOW


def test_what_is_kept_of_one_symbol_and_side_is_not_used_for_another():
    snapshot = forecast(0.5).snapshot
    assert RULE.check(ENTRY, snapshot) is not None
    assert RULE.check(a_sell("BTCUSDT", "1"), snapshot) is None
    assert RULE.check(a_buy("ETHUSDT", "1"), snapshot) is None
    assert RULE.check(ENTRY, snapshot) is not None


def test_a_larger_order_does_not_pass_by_a_forecast_of_a_smaller_one():
    assert breach(forecast(0.5), a_buy("BTCUSDT", "1.001")) is not None


def test_a_forecast_of_a_larger_order_says_nothing():
    assert breach(forecast(0.5, quantity=Decimal("1.001"))) is None


@pytest.mark.parametrize("probabilities", [(0.2, 0.9), (0.9, 0.2)])
def test_of_several_the_smallest_that_refuses_is_told(probabilities):
    first, second = probabilities
    world = forecast(second, forecast(first, quantity=Decimal("0.5")), quantity=Decimal("0.8"))
    assert breach(world).message.startswith("to BUY 0.5 BTCUSDT")
    world = forecast(first, forecast(second, quantity=Decimal("0.8")), quantity=Decimal("0.5"))
    assert breach(world).message.startswith("to BUY 0.5 BTCUSDT")


def test_one_that_passes_does_not_excuse_a_larger_one():
    world = forecast(0.9, forecast(0.01, quantity=Decimal("0.5")))
    assert breach(world).message.startswith("to BUY 1 BTCUSDT")
    assert breach(world, a_buy("BTCUSDT", "0.999")) is None


@pytest.mark.parametrize(
    "terms",
    [
        {"symbol": "ETHUSDT"},
        {"side": Side.SELL},
        {"seconds_ago": 180.001},
        {"seconds_ago": -180.001},
    ],
)
def test_other_symbols_the_other_side_and_old_ones_are_not_heeded(terms):
    assert breach(forecast(0.9, **terms)) is None
    assert breach(forecast(0.9, **terms), rule=STRICT).code == "FACTS_UNKNOWN"


@pytest.mark.parametrize("terms", [{"seconds_ago": 180}, {"seconds_ago": -180}, {"side": None}, {"symbol": ""}])
def test_a_forecast_at_the_edge_is_heeded(terms):
    assert breach(forecast(0.9, **terms)) is not None
    assert breach(forecast(0.01, **terms), rule=STRICT) is None


def test_a_sell_is_held_against_the_forecast_of_sells():
    assert breach(forecast(0.9, side=Side.SELL), a_sell("BTCUSDT", "1")).message.startswith("to SELL 1 BTCUSDT")


def test_a_forecast_that_names_no_quantity_is_about_every_order():
    assert judged(ENTRY, forecast(0.9, quantity=None), RULE).headroom == 0
    assert breach(forecast(0.9, quantity=None)).message.startswith("to BUY 0 BTCUSDT or more")


def test_a_forecast_that_names_no_cost_is_too_much():
    assert "costs too much with" in breach(forecast(0.9, threshold=None)).message


def test_only_a_cost_the_policy_minds_is_heeded():
    rule = replace(RULE, cost_min=Decimal("0.002"))
    assert breach(forecast(0.9, threshold=Decimal("0.0019")), rule=rule) is None
    assert breach(forecast(0.9, threshold=Decimal("0.002")), rule=rule) is not None
    assert breach(forecast(0.9, threshold=None), rule=rule) is not None


def test_an_amend_counts_as_the_larger_of_both_orders():
    world = forecast(0.9).resting(an_open_order(Side.BUY, "BTCUSDT", "0.5", "50000"))
    assert breach(world, an_amend(Side.BUY, "BTCUSDT", "0.999", "50000", order_id="1")) is None
    assert breach(world, an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="1")) is not None


@pytest.mark.parametrize(
    ("world", "lack"),
    [
        (an_account(), "no forecast is known"),
        (forecast(0.01, seconds_ago=181), "the forecast is 181 s old"),
        (forecast(0.01, forecast(0.01), seconds_ago=190), "the forecast is 190 s old"),
        (forecast(0.01, reliable=False), "the forecast is unreliable"),
    ],
    ids=["none", "old", "one of two is old", "unreliable"],
)
def test_an_absent_or_old_forecast_passes_unless_the_policy_says_otherwise(world, lack):
    assert breach(world) is None
    found = breach(world, rule=STRICT)
    assert (found.code, found.message) == (
        "FACTS_UNKNOWN",
        f"what an order of BTCUSDT would cost ({lack}) is not known now",
    )
    assert judged(ENTRY, world, STRICT).headroom == 0


def test_an_unreliable_forecast_above_the_limit_refuses_all_the_same():
    assert breach(forecast(0.9, reliable=False)).code == "SLIPPAGE_PROBABILITY_ABOVE_LIMIT"


def test_what_was_known_is_recorded_with_its_age():
    measures = RULE.measure(ENTRY, forecast(0.25, seconds_ago=12).snapshot)
    assert [(each.rule_id, each.name, each.value) for each in measures] == [
        ("slippage_forecast", "forecast", "fresh"),
        ("slippage_forecast", "forecast_age", "12"),
        ("slippage_forecast", "probability", "0.25"),
    ]
    assert [each.value for each in RULE.measure(a_sell("BTCUSDT", "1"), forecast(0.25).snapshot)] == ["absent"]


@pytest.mark.parametrize("limit", ["0", "1", "1.5", "-0.1"])
def test_a_limit_is_a_probability(limit):
    with pytest.raises(ValueError, match=r"^slippage_forecast: probability_max must lie between 0 and 1$"):
        SlippageForecast(probability_max=Decimal(limit))
