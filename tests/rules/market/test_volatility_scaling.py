"""A position's cap shrinks as its market becomes wilder."""

from decimal import Decimal

import pytest

from rules.market.volatility_scaling import VolatilityScaling
from rules.model import Side
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, judged

RULE = VolatilityScaling(limit_notional=Decimal(100_000))
ENTRY = a_buy("BTCUSDT", "1")


def swinging(now, usual="0.01", **facts):
    return an_account().in_conditions("BTCUSDT", volatility=now, volatility_usual=usual, **facts)


def breach(world, command=ENTRY, rule=RULE):
    return rule.check(command, world.snapshot)


@pytest.mark.parametrize(
    ("now", "largest", "cap"),
    [
        ("0", "2", "100000.00"),
        ("0.005", "2", "100000.00"),
        ("0.01", "2", "100000.00"),
        ("0.0125", "1.6", "80000.00"),
        ("0.02", "1", "50000.00"),
        ("0.04", "0.5", "25000.00"),
        ("0.4", "0.5", "25000.00"),
    ],
)
@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_the_cap_itself_is_allowed_and_one_lot_more_is_not(now, largest, cap, order):
    world = swinging(now)
    assert breach(world, order("BTCUSDT", largest)) is None
    found = breach(world, order("BTCUSDT", str(Decimal(largest) + Decimal("0.001"))))
    assert (found.code, found.limit) == ("POSITION_ABOVE_VOLATILITY_LIMIT", cap)
    assert judged(order("BTCUSDT", "9"), world, RULE).headroom == Decimal(largest)


def test_what_is_told_is_the_position_that_could_come():
    found = breach(swinging("0.02").long("BTCUSDT", "1"), a_buy("BTCUSDT", "0.5"))
    assert found.observed == "75000.00"
    assert found.message == "BTCUSDT position could reach 75000.00 with its limit at 50 % for volatility"


def test_a_market_that_does_not_move_at_all_scales_nothing():
    assert breach(swinging("0", usual="0"), a_buy("BTCUSDT", "2")) is None


def test_a_floor_of_one_scales_nothing():
    rule = VolatilityScaling(limit_notional=Decimal(100_000), floor=Decimal(1))
    assert breach(swinging("9"), a_buy("BTCUSDT", "2"), rule) is None
    assert breach(swinging("9"), a_buy("BTCUSDT", "2.001"), rule) is not None


def test_positions_resting_and_held_orders_of_its_side_count():
    world = (
        swinging("0.02")
        .long("BTCUSDT", "0.3")
        .resting(an_open_order(Side.BUY, "BTCUSDT", "0.2", "50000"))
        .holding(a_buy("BTCUSDT", "0.1"))
    )
    assert breach(world, a_buy("BTCUSDT", "0.4")) is None
    assert breach(world, a_buy("BTCUSDT", "0.401")) is not None


def test_the_other_side_neither_counts_nor_helps():
    world = swinging("0.02").long("BTCUSDT", "30")
    assert breach(world, a_sell("BTCUSDT", "1")) is None
    assert breach(world, a_sell("BTCUSDT", "1.001")) is not None


def test_an_amend_counts_as_the_larger_of_both_orders():
    world = swinging("0.02").resting(an_open_order(Side.BUY, "BTCUSDT", "0.5", "50000"))
    assert breach(world, an_amend(Side.BUY, "BTCUSDT", "1", "50000", order_id="1")) is None
    assert breach(world, an_amend(Side.BUY, "BTCUSDT", "1.001", "50000", order_id="1")) is not None


@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        an_account().in_conditions("ETHUSDT", volatility="0.01", volatility_usual="0.01"),
        an_account().in_conditions("BTCUSDT", volatility="0.01"),
        an_account().in_conditions("BTCUSDT", volatility_usual="0.01"),
        swinging("0.01", seconds_ago=900.001),
        swinging("0.01", seconds_ago=-900.001),
    ],
    ids=["nothing", "another symbol", "no usual", "no present", "old", "from the future"],
)
def test_a_volatility_that_is_not_known_refuses(world):
    found = breach(world)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the volatility of BTCUSDT is not known now")
    assert RULE.measure(ENTRY, world.snapshot) == ()


@pytest.mark.parametrize("seconds_ago", [900, -900])
def test_a_quarter_of_an_hour_is_not_old(seconds_ago):
    assert breach(swinging("0.01", seconds_ago=seconds_ago)) is None


def test_the_share_of_the_cap_is_recorded():
    (measure,) = RULE.measure(ENTRY, swinging("0.03").snapshot)
    assert (measure.rule_id, measure.name, measure.value, measure.unit) == (
        "volatility_scaling",
        "volatility_scale",
        "0.33",
        "of the limit",
    )


@pytest.mark.parametrize("floor", ["0", "-0.1", "1.01"])
def test_a_floor_is_a_fraction(floor):
    with pytest.raises(ValueError, match=r"^volatility_scaling: floor must lie above 0 and not above 1$"):
        VolatilityScaling(limit_notional=Decimal(1), floor=Decimal(floor))
