"""How far the market must move before the venue liquidates: too near is refused, with the size that fits."""

from decimal import ROUND_DOWN, ROUND_UP, Decimal, localcontext

import pytest

from rules.model import AdjustIsolatedMargin, MarginMode, OrderType, PositionSide, SetLeverage, Side
from rules.position.liquidation_distance import LiquidationDistance
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, codes, judged
from tests.rules.position.margin_worlds import TIERS, cross, isolated, tiered

RULE = LiquidationDistance(distance_min=Decimal("0.2"))
WORLD = cross().worth("10000")
# Distance 0.2 with 10,000 behind it and 0.4 % to maintain: a long of 49,212.6, a short of 48,828.1.


def breach(command, world=WORLD, rule=RULE):
    return rule.check(command, world.snapshot)


@pytest.mark.parametrize(("order", "fits"), [(a_buy, "0.984"), (a_sell, "0.976")])
def test_one_lot_more_than_fits_is_too_near(order, fits):
    assert breach(order("BTCUSDT", fits)) is None
    assert breach(order("BTCUSDT", str(Decimal(fits) + Decimal("0.001")))).code == "LIQUIDATION_TOO_NEAR"


def test_the_distance_asked_for_is_enough():
    rule = LiquidationDistance(distance_min=Decimal("0.5"))  # (25,100 - 200) / 49,800
    assert breach(a_buy("BTCUSDT", "1"), WORLD.worth("25100"), rule) is None
    assert breach(a_buy("BTCUSDT", "1"), WORLD.worth("25099.99"), rule) is not None


@pytest.mark.parametrize("order", [a_buy, a_sell])
def test_the_headroom_is_the_size_that_fits(order):
    decision = judged(order("BTCUSDT", "5"), WORLD, RULE)
    assert judged(order("BTCUSDT", str(decision.headroom)), WORLD, RULE).breaches == ()
    assert codes(judged(order("BTCUSDT", str(decision.headroom + Decimal("0.001"))), WORLD, RULE)) == [
        "LIQUIDATION_TOO_NEAR"
    ]
    assert decision.headroom > 0


def test_the_refusal_says_where_the_leg_would_end():
    found = breach(a_buy("BTCUSDT", "1"))
    assert (found.observed, found.limit) == ("0.1968", "0.2")
    assert found.message == "BTCUSDT could be liquidated by a move of 0.1968 against it, at 40160.64257028"
    assert found.advice == "size down: a smaller order leaves more distance; so does more margin"


def test_the_refusal_rounds_as_it_always_does_whatever_else_in_the_process_rounds():
    plain = breach(a_buy("BTCUSDT", "1.03"))
    for rounding in (ROUND_UP, ROUND_DOWN):
        with localcontext() as context:
            context.rounding = rounding
            found = breach(a_buy("BTCUSDT", "1.03"))
        assert (found.observed, found.message) == (plain.observed, plain.message)


def test_what_rests_and_is_under_way_takes_room():
    resting = an_open_order(Side.BUY, "BTCUSDT", "0.5", "50000")
    world = WORLD.resting(resting).holding(a_buy("BTCUSDT", "0.2"))
    assert breach(a_buy("BTCUSDT", "0.284"), world) is None
    assert breach(a_buy("BTCUSDT", "0.285"), world) is not None
    assert breach(an_amend(Side.BUY, "BTCUSDT", "0.784", "50000", order_id="1"), world) is None
    assert breach(an_amend(Side.BUY, "BTCUSDT", "0.785", "50000", order_id="1"), world) is not None


def test_an_isolated_leg_is_as_far_as_its_leverage_lets_it():
    assert breach(a_buy("BTCUSDT", "1"), isolated(leverage=4)) is None
    assert breach(a_buy("BTCUSDT", "1"), isolated(leverage=5)).observed == "0.1968"


def test_a_leg_that_is_too_near_already_is_not_bought_far_again():
    world = isolated(leverage=2).isolating("BTCUSDT", "1", margin="5000")
    assert judged(a_buy("BTCUSDT", "5"), world, RULE).headroom == 0


def test_a_wild_market_asks_for_more_distance():
    rule = LiquidationDistance(distance_min=Decimal("0.1"), multiple_of_volatility=Decimal(8))
    calm = WORLD.in_conditions("BTCUSDT", volatility="0.005")
    wild = WORLD.in_conditions("BTCUSDT", volatility="0.025")
    assert breach(a_buy("BTCUSDT", "0.985"), calm, rule) is None
    assert breach(a_buy("BTCUSDT", "0.984"), wild, rule) is None
    assert breach(a_buy("BTCUSDT", "0.985"), wild, rule).limit == "0.2"
    assert breach(a_buy("BTCUSDT", "2"), calm, rule).limit == "0.1"


def test_a_mark_cannot_fall_by_more_than_all_but_rise_by_more():
    """With a volatility of 25 % an hour eight times it is twice the mark: a long that never ends is far enough."""
    rule = LiquidationDistance(distance_min=Decimal("0.1"), multiple_of_volatility=Decimal(8))
    wild = WORLD.in_conditions("BTCUSDT", volatility="0.25")
    assert breach(a_buy("BTCUSDT", "0.2"), wild, rule) is None  # All that backs it is 10,000: no fall takes that.
    assert breach(a_buy("BTCUSDT", "0.201"), wild, rule).limit == "1"
    assert breach(a_sell("BTCUSDT", "0.099"), wild, rule) is None
    assert breach(a_sell("BTCUSDT", "0.1"), wild, rule).limit == "2"


@pytest.mark.parametrize(
    "order",
    [
        a_sell("BTCUSDT", "0.9", "40000"),
        a_sell("BTCUSDT", "0.9", "40000", order_type=OrderType.STOP, trigger_price="50000"),
    ],
    ids=["limit", "stop limit"],
)
def test_a_sell_far_through_the_mark_has_lost_the_difference_already(order):
    assert breach(a_sell("BTCUSDT", "0.9")) is None
    assert breach(order).code == "LIQUIDATION_TOO_NEAR"


def test_a_sell_amended_far_through_the_mark_has_lost_the_difference_already():
    world = WORLD.resting(an_open_order(Side.SELL, "BTCUSDT", "0.9", "50000", order_id="7"))
    assert breach(an_amend(Side.SELL, "BTCUSDT", "0.9", "50000", order_id="7"), world) is None
    assert breach(an_amend(Side.SELL, "BTCUSDT", "0.9", "40000", order_id="7"), world).code == "LIQUIDATION_TOO_NEAR"


def test_a_volatility_that_is_asked_for_and_not_known_lets_nothing_in():
    rule = LiquidationDistance(distance_min=Decimal("0.1"), multiple_of_volatility=Decimal(8), facts_age_max_s=60)
    order = a_buy("BTCUSDT", "0.001")
    unknown = [
        WORLD,
        WORLD.in_conditions("ETHUSDT", volatility="0.001"),
        WORLD.in_conditions("BTCUSDT"),
        WORLD.in_conditions("BTCUSDT", volatility="0.001", seconds_ago=61),
        WORLD.in_conditions("BTCUSDT", volatility="0.001", seconds_ago=-61),
    ]
    found = [breach(order, world, rule) for world in unknown]
    assert {(each.code, each.message) for each in found} == {
        ("FACTS_UNKNOWN", "the volatility of BTCUSDT is not known now")
    }
    for seconds in (60, -60):
        assert breach(order, WORLD.in_conditions("BTCUSDT", volatility="0.001", seconds_ago=seconds), rule) is None


def test_what_the_arithmetic_needs_and_nobody_knows_lets_nothing_in():
    for world, missing in [
        (WORLD.listing("BTCUSDT"), "the margin tiers of BTCUSDT"),
        (tiered(an_account()), "the margin mode of BTCUSDT"),
        (WORLD.unsurveyed(), "the account"),
    ]:
        found = breach(a_buy("BTCUSDT", "0.001"), world)
        assert (found.code, found.message) == ("FACTS_UNKNOWN", f"{missing} is not known now")


def test_exits_and_cancels_are_not_its_business():
    world = WORLD.worth("1").long("BTCUSDT", "1")
    assert breach(a_sell("BTCUSDT", "1", reduce_only=True), world) is None
    assert judged(a_sell("BTCUSDT", "1", reduce_only=True), world, RULE).breaches == ()


def test_distance_price_and_margin_are_recorded_with_every_entry():
    world = WORLD.long("ETHUSDT", "4")
    found = RULE.measure(a_buy("BTCUSDT", "0.1", "50000"), world.snapshot)
    assert [(each.rule_id, each.name, each.value, each.unit) for each in found] == [
        ("liquidation_distance", "distance", "0.6653", "fraction"),
        ("liquidation_distance", "liquidation_price", "16733.60107095", "quote"),
        ("liquidation_distance", "maintenance_margin", "60.00", "quote"),
        ("liquidation_distance", "maintenance_margin_before", "40.00", "quote"),
    ]


def test_nothing_is_recorded_of_what_is_not_known_or_no_entry():
    assert RULE.measure(a_buy("BTCUSDT", "1"), WORLD.listing("BTCUSDT").snapshot) == ()
    assert RULE.measure(a_sell("BTCUSDT", "1", reduce_only=True), WORLD.snapshot) == ()


@pytest.mark.parametrize("distance", ["1", "1.5"])
def test_a_distance_no_mark_can_fall_is_refused(distance):
    with pytest.raises(
        ValueError, match=r"^liquidation_distance needs a distance_min below 1: a mark cannot fall by more than all$"
    ):
        LiquidationDistance(distance_min=Decimal(distance))


def test_a_symbol_that_is_isolated_among_cross_ones_stands_alone():
    assert breach(a_buy("BTCUSDT", "1"), WORLD.setting("BTCUSDT", MarginMode.ISOLATED, leverage=3).worth("1")) is None


def in_usdc(mode=MarginMode.CROSS, multi_assets=False):
    """A contract margined in USDC, on an account whose 250,000 USDT say nothing of its USDC."""
    world = cross().worth("250000").with_assets(multi_assets).marked("BTCUSDC", "50000")
    return world.listing("BTCUSDC", quote_asset="USDC", tiers=TIERS).setting("BTCUSDC", mode, leverage=3)


def test_the_balance_in_another_currency_is_not_known_in_single_asset_mode():
    found = breach(a_buy("BTCUSDC", "0.38"), in_usdc())
    assert (found.code, found.message) == (
        "FACTS_UNKNOWN",
        "the USDC balance behind BTCUSDC is not known now",
    )
    assert RULE.measure(a_buy("BTCUSDC", "0.38"), in_usdc().snapshot) == ()


def test_what_stands_on_its_own_margin_or_on_all_assets_is_judged():
    for world in (in_usdc(MarginMode.ISOLATED), in_usdc(multi_assets=True), in_usdc(multi_assets=None)):
        assert breach(a_buy("BTCUSDC", "0.38"), world) is None
    assert breach(a_buy("BTCUSDC", "0.38"), in_usdc(MarginMode.ISOLATED).setting("BTCUSDC", MarginMode.ISOLATED))
    for quote in ("USDT", ""):
        world = WORLD.with_assets(False).listing("BTCUSDT", quote_asset=quote, tiers=TIERS)
        assert breach(a_buy("BTCUSDT", "0.1"), world) is None


@pytest.mark.parametrize("quote", ["", None])
def test_a_contract_whose_currency_is_not_told_is_known_by_its_name(quote):
    world = in_usdc().unlisted("BTCUSDC") if quote is None else in_usdc().listing("BTCUSDC", quote_asset=quote)
    assert breach(a_buy("BTCUSDC", "0.38"), world).message == "the balance behind BTCUSDC is not known now"


def test_contracts_with_a_wallet_of_their_own_take_no_room_from_the_others():
    order, rule = a_buy("BTCUSDT", "0.02"), LiquidationDistance(distance_min=Decimal("0.15"))
    world = in_usdc().worth("10000").long("BTCUSDT", "0.04")
    assert breach(order, world, rule) is None
    assert breach(order, world.isolating("BTCUSDC", "0.4", margin="12000"), rule) is None
    assert breach(order, world.long("BTCUSDC", "2"), rule) is None
    assert breach(order, world.with_assets(True).long("BTCUSDC", "2"), rule).code == "LIQUIDATION_TOO_NEAR"


def test_an_order_through_the_mark_is_as_near_beside_larger_ones_that_may_never_fill():
    rule = LiquidationDistance(distance_min=Decimal("0.04"))
    world = isolated(leverage=20).worth("1000000")
    order = a_buy("BTCUSDT", "1", "51000")
    assert codes(judged(order, world, rule)) == ["LIQUIDATION_TOO_NEAR"]
    resting = world.resting(an_open_order(Side.BUY, "BTCUSDT", "10", "40000"))
    assert codes(judged(order, resting, rule)) == ["LIQUIDATION_TOO_NEAR"]


def test_of_an_order_against_a_position_the_leg_it_would_open_is_recorded():
    found = RULE.measure(a_buy("BTCUSDT", "0.1"), WORLD.short("BTCUSDT", "4").snapshot)
    assert {each.name: each.value for each in found} == {
        "distance": "2.004",
        "liquidation_price": "0",
        "maintenance_margin": "20.00",
        "maintenance_margin_before": "900.00",
    }


def test_the_margin_before_is_of_what_the_same_balance_stands_behind():
    """A contract of another wallet is in neither; that it is not listed takes no record away."""
    order, world = a_buy("BTCUSDT", "0.1"), in_usdc().long("BTCUSDT", "2")
    alone = RULE.measure(order, world.snapshot)
    beside = world.long("BTCUSDC", "4")
    assert {each.name: each.value for each in alone}["maintenance_margin_before"] == "400.00"
    assert RULE.measure(order, beside.snapshot) == alone
    assert RULE.measure(order, beside.unlisted("BTCUSDC").snapshot) == alone
    together = RULE.measure(order, beside.with_assets(True).snapshot)
    assert {each.name: each.value for each in together}["maintenance_margin_before"] == "1300.00"


def test_an_isolated_leg_is_in_the_margin_before_and_not_after():
    world = WORLD.isolating("ETHUSDT", "10", margin="4000")
    found = {each.name: each.value for each in RULE.measure(a_buy("BTCUSDT", "0.1"), world.snapshot)}
    assert (found["maintenance_margin_before"], found["maintenance_margin"]) == ("100.00", "20.00")


def leverage(number):
    return SetLeverage(symbol="BTCUSDT", leverage=Decimal(number))


def taking(amount, leg=PositionSide.BOTH):
    return AdjustIsolatedMargin(symbol="BTCUSDT", position_side=leg, amount=-Decimal(amount))


RESTING = an_open_order(Side.BUY, "BTCUSDT", "1", "50000")


@pytest.mark.parametrize(
    "world",
    [
        isolated(leverage=4).resting(RESTING),
        isolated(leverage=4).holding(a_buy("BTCUSDT", "1")),
        isolated(leverage=4).isolating("BTCUSDT", "1", margin="12500").resting(RESTING),
    ],
    ids=["resting", "under way", "on top of a leg"],
)
def test_a_leverage_that_brings_what_may_fill_too_near_is_refused(world):
    assert judged(leverage(4), world, RULE).breaches == ()
    found = breach(leverage(10), world)
    assert (found.code, found.limit) == ("LIQUIDATION_TOO_NEAR", "0.2")
    assert found.message.startswith("BTCUSDT could be liquidated by a move of ")
    assert found.advice == "a smaller change, or a smaller leg, leaves more"
    assert codes(judged(leverage(10), world, RULE)) == ["LIQUIDATION_TOO_NEAR"]


@pytest.mark.parametrize(
    "world",
    [
        isolated(leverage=4),
        isolated(leverage=4).isolating("BTCUSDT", "1", margin="12500"),
        isolated(leverage=4).isolating("BTCUSDT", "1", margin="5000"),
        isolated(leverage=20).resting(RESTING),
        cross(leverage=4).resting(RESTING),
        an_account(),
    ],
    ids=["nothing there", "a leg alone", "a leg too near already", "lowered", "cross", "nothing known, nothing there"],
)
def test_a_leverage_that_brings_nothing_nearer_passes(world):
    assert breach(leverage(10), world) is None


def test_margin_may_be_taken_away_down_to_the_distance():
    """Distance 0.2 of a long of 50,000 with 0.4 % to maintain: 10,160 must stay."""
    world = isolated(leverage=10).isolating("BTCUSDT", "1", margin="16667")
    assert breach(taking("6507"), world) is None
    found = breach(taking("6508"), world)
    assert (found.code, found.observed) == ("LIQUIDATION_TOO_NEAR", "0.2")
    assert codes(judged(taking("11600"), world, RULE)) == ["LIQUIDATION_TOO_NEAR"]


def test_margin_taken_from_one_leg_is_that_legs_matter_alone():
    world = isolated(hedged=True, leverage=10)
    world = world.isolating("BTCUSDT", "1", margin="16667").isolating("BTCUSDT", "-1", margin="2500")
    assert breach(taking("5000", PositionSide.LONG), world) is None
    assert breach(taking("7000", PositionSide.LONG), world).code == "LIQUIDATION_TOO_NEAR"
    assert breach(taking("1", PositionSide.SHORT), world).code == "LIQUIDATION_TOO_NEAR"


def test_margin_that_is_added_passes_whatever_is_known():
    adding = AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(1))
    near = isolated().isolating("BTCUSDT", "1", margin="300")
    for world in (near, near.listing("BTCUSDT"), isolated().isolating("BTCUSDT", "1", margin=None), an_account()):
        assert breach(adding, world) is None


@pytest.mark.parametrize(
    ("command", "world", "missing"),
    [
        (taking("1"), isolated().isolating("BTCUSDT", "1", margin=None), "the margin of the isolated BTCUSDT leg"),
        (taking("1"), isolated().holding(a_buy("BTCUSDT", "1")), "the isolated BTCUSDT leg"),
        (
            taking("1"),
            isolated().isolating("BTCUSDT", "1", margin="9").listing("BTCUSDT"),
            "the margin tiers of BTCUSDT",
        ),
        (leverage(10), tiered(an_account()).resting(RESTING), "the margin mode of BTCUSDT"),
    ],
)
def test_a_setting_whose_distance_nobody_knows_is_refused(command, world, missing):
    found = breach(command, world)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", f"{missing} is not known now")


def test_a_setting_is_held_against_the_volatility_too():
    rule = LiquidationDistance(distance_min=Decimal("0.1"), multiple_of_volatility=Decimal(8))
    world = isolated(leverage=4).resting(RESTING)
    assert breach(leverage(5), world.in_conditions("BTCUSDT", volatility="0.02"), rule) is None
    assert breach(leverage(5), world.in_conditions("BTCUSDT", volatility="0.025"), rule).limit == "0.2"
    assert breach(leverage(5), world, rule).message == "the volatility of BTCUSDT is not known now"
