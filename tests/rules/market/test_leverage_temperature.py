"""When leverage is crowded, positions stay small or closed."""

from decimal import Decimal

import pytest

from rules.market.leverage_temperature import LeverageTemperature
from rules.model import Side
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, judged

RULE = LeverageTemperature(limit=Decimal("0.9"))
SHRINKING = LeverageTemperature(limit=Decimal("0.9"), warn_at=Decimal("0.5"), limit_notional=Decimal(100_000))
ENTRY = a_buy("BTCUSDT", "1")


def hot(temperature, **facts):
    return an_account().in_conditions("BTCUSDT", temperature=temperature, **facts)


def breach(rule, world, command=ENTRY):
    return rule.check(command, world.snapshot)


@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
@pytest.mark.parametrize("rule", [RULE, SHRINKING], ids=["plain", "shrinking"])
def test_below_the_limit_passes_and_at_it_nothing_does(rule, order):
    assert breach(rule, hot("0.8999"), order("BTCUSDT", "0.0001")) is None
    found = breach(rule, hot("0.9"), order("BTCUSDT", "0.0001"))
    assert found.code == "LEVERAGE_TEMPERATURE_AT_LIMIT"
    assert (found.observed, found.limit) == ("0.90", "0.90")
    assert found.message == "the leverage temperature of BTCUSDT is 0.90"
    assert found.advice == "reduce-only orders and cancels pass"


def test_at_the_limit_no_size_would_do():
    assert judged(ENTRY, hot("1"), RULE).headroom == 0


def test_without_a_warning_mark_any_size_passes_below_the_limit():
    assert breach(RULE, hot("0.89"), a_buy("BTCUSDT", "999")) is None


@pytest.mark.parametrize(
    ("temperature", "largest", "room"),
    [("0.6", "1.5", "75000.00"), ("0.7", "1", "50000.00"), ("0.8", "0.5", "25000.00")],
)
def test_the_room_shrinks_from_the_warning_mark_to_the_limit(temperature, largest, room):
    world = hot(temperature)
    assert breach(SHRINKING, world, a_buy("BTCUSDT", largest)) is None
    found = breach(SHRINKING, world, a_buy("BTCUSDT", str(Decimal(largest) + Decimal("0.001"))))
    assert (found.code, found.limit) == ("POSITION_ABOVE_TEMPERATURE_LIMIT", room)
    assert judged(a_buy("BTCUSDT", "9"), world, SHRINKING).headroom == Decimal(largest)


def test_up_to_the_warning_mark_there_is_no_cap():
    assert breach(SHRINKING, hot("0.5"), a_buy("BTCUSDT", "999")) is None
    assert breach(SHRINKING, hot("0.5001"), a_buy("BTCUSDT", "2")) is not None


def test_what_is_told_is_the_position_that_could_come():
    found = breach(SHRINKING, hot("0.7").long("BTCUSDT", "1"), a_buy("BTCUSDT", "0.5"))
    assert found.observed == "75000.00"
    assert found.message == "BTCUSDT position could reach 75000.00 at a leverage temperature of 0.70"


def test_positions_resting_and_held_orders_of_its_side_count():
    world = (
        hot("0.6")
        .long("BTCUSDT", "0.5")
        .resting(an_open_order(Side.BUY, "BTCUSDT", "0.3", "50000"))
        .holding(a_buy("BTCUSDT", "0.2"))
    )
    assert breach(SHRINKING, world, a_buy("BTCUSDT", "0.5")) is None
    assert breach(SHRINKING, world, a_buy("BTCUSDT", "0.501")) is not None


def test_the_other_side_neither_counts_nor_helps():
    world = hot("0.7").long("BTCUSDT", "30")
    assert breach(SHRINKING, world, a_sell("BTCUSDT", "1")) is None
    assert breach(SHRINKING, world, a_sell("BTCUSDT", "1.001")) is not None


def test_an_amend_counts_as_the_larger_of_both_orders():
    world = hot("0.7").resting(an_open_order(Side.BUY, "BTCUSDT", "0.5", "50000"))
    assert breach(SHRINKING, world, an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="1")) is None
    assert breach(SHRINKING, world, an_amend(Side.BUY, "BTCUSDT", "1.001", "50000", order_id="1")) is not None


@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        an_account().in_conditions("ETHUSDT", temperature="0"),
        an_account().in_conditions("BTCUSDT"),
        hot("0", seconds_ago=900.001),
        hot("0", seconds_ago=-900.001),
    ],
    ids=["nothing", "another symbol", "not measured", "old", "from the future"],
)
def test_a_temperature_that_is_not_known_refuses(world):
    found = breach(RULE, world)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the leverage temperature of BTCUSDT is not known now")
    assert RULE.measure(ENTRY, world.snapshot) == ()


@pytest.mark.parametrize("seconds_ago", [900, -900])
def test_a_quarter_of_an_hour_is_not_old(seconds_ago):
    assert breach(RULE, hot("0", seconds_ago=seconds_ago)) is None


def test_the_temperature_is_recorded():
    (measure,) = RULE.measure(ENTRY, hot("0.456").snapshot)
    assert (measure.rule_id, measure.name, measure.value, measure.unit) == (
        "leverage_temperature",
        "temperature",
        "0.46",
        "0 to 1",
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"limit": "1.01"}, "limit must lie above 0 and not above 1"),
        ({"limit": "0"}, "limit must lie above 0 and not above 1"),
        ({"limit": "0.9", "warn_at": "0.5"}, "warn_at and limit_notional need each other"),
        ({"limit": "0.9", "limit_notional": "5"}, "warn_at and limit_notional need each other"),
        ({"limit": "0.9", "warn_at": "0.9", "limit_notional": "5"}, "warn_at must lie below limit"),
    ],
)
def test_settings_that_contradict_each_other_are_no_rule(settings, reason):
    with pytest.raises(ValueError, match=f"^leverage_temperature: {reason}$"):
        LeverageTemperature(**{name: Decimal(value) for name, value in settings.items()})


def test_the_limit_may_be_the_top_of_the_scale():
    assert breach(LeverageTemperature(limit=Decimal(1)), hot("0.99")) is None
