"""Positions that move together count together, and hedges fail first."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.reading import parse_policy
from rules.exposure import held_order, worst_case
from rules.model import Side
from rules.portfolio.correlated_exposure import CorrelatedExposure
from tests.properties.strategies import books, commands, examples
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, judged

ONE_FOR_ONE = {"default": Decimal(1), "stress_floor": Decimal(1), "hedge_credit": Decimal(1)}


def a_rule(**changes):
    return CorrelatedExposure(**{"limit_notional": Decimal(100_000), **ONE_FOR_ONE, **changes})


def breach(rule, command, world):
    return rule.check(command, world.snapshot)


def squared(rule, world):
    return rule.squared(list(worst_case(world.snapshot).values()))


def test_the_limit_itself_is_allowed_and_one_lot_more_is_not():
    world = an_account().long("ETHUSDT", "20")
    assert breach(a_rule(), a_buy("BTCUSDT", "1"), world) is None
    found = breach(a_rule(), a_buy("BTCUSDT", "1.001"), world)
    assert (found.code, found.limit, found.observed) == ("CORRELATED_EXPOSURE_ABOVE_LIMIT", "100000.00", "100050.00")
    assert found.message == "correlated exposure would be 100050.00"


def test_the_limit_itself_is_allowed_where_the_sum_is_above_it():
    rule = a_rule(default=Decimal(0), stress_floor=Decimal(0), limit_notional=Decimal(250_000))
    world = an_account().long("ETHUSDT", "80")
    assert breach(rule, a_buy("BTCUSDT", "3"), world) is None
    assert breach(rule, a_buy("BTCUSDT", "3.001"), world).observed == "250030.00"


def test_an_account_nobody_has_seen_refuses():
    found = breach(a_rule(), a_buy("BTCUSDT", "1"), an_account().unsurveyed())
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the account is not known now")


def test_the_headroom_fills_the_limit_exactly():
    assert judged(a_buy("BTCUSDT", "5"), an_account().long("ETHUSDT", "20"), a_rule()).headroom == 1


def test_what_is_not_correlated_adds_by_its_square_root():
    rule = a_rule(default=Decimal(0), stress_floor=Decimal(0))
    world = an_account().long("BTCUSDT", "3").long("ETHUSDT", "80")
    assert squared(rule, world) == Decimal(250_000) ** 2


def test_same_sides_count_at_least_the_stress_floor():
    world = an_account().long("BTCUSDT", "1").long("ETHUSDT", "20")
    assert squared(a_rule(default=Decimal("-1"), stress_floor=Decimal("0.9")), world) == Decimal(50_000) ** 2 * (
        2 + Decimal("1.8")
    )


def test_opposite_sides_earn_only_the_hedge_credit():
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20")
    assert squared(a_rule(), world) == 0
    assert squared(a_rule(hedge_credit=Decimal("0.5")), world) == Decimal(50_000) ** 2
    assert squared(a_rule(hedge_credit=Decimal(0)), world) == 2 * Decimal(50_000) ** 2


def test_opposite_sides_of_what_moves_apart_add_up():
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20")
    assert squared(a_rule(default=Decimal(-1), hedge_credit=Decimal(0)), world) == Decimal(100_000) ** 2


def test_every_pair_counts():
    world = an_account().long("BTCUSDT", "1").long("ETHUSDT", "20").long("DOGEUSDT", "500000")
    assert squared(a_rule(), world) == Decimal(150_000) ** 2


def test_two_orders_that_may_fill_add_up():
    world = an_account().resting(
        an_open_order(Side.BUY, "BTCUSDT", "1", "50000", order_id="1"),
        an_open_order(Side.BUY, "ETHUSDT", "20", "2500", order_id="2"),
    )
    assert squared(a_rule(), world) == Decimal(100_000) ** 2


def test_what_may_grow_on_the_other_side_earns_only_the_hedge_credit():
    """Long 50,000 of one, short 50,000 of the other, of which 2,500 more may be sold."""
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20")
    world = world.resting(an_open_order(Side.SELL, "ETHUSDT", "1", "2500"))
    expected = Decimal(50_000) ** 2 + Decimal(52_500) ** 2 - Decimal(50_000) ** 2
    assert squared(a_rule(hedge_credit=Decimal("0.5")), world) == expected


@pytest.mark.parametrize("resting", [False, True])
def test_less_than_a_unit_of_money_counts_as_more_does(resting):
    """0.50 of each: together 1, whatever a hedge would earn."""
    world = an_account().long("BTCUSDT", "0.00001").long("DOGEUSDT", "2.5" if resting else "5")
    if resting:
        world = world.resting(an_open_order(Side.BUY, "DOGEUSDT", "2.5", "0.1"))
    assert squared(a_rule(hedge_credit=Decimal(0)), world) == 1


def test_an_order_that_only_may_fill_is_no_hedge():
    world = an_account().long("BTCUSDT", "1").resting(an_open_order(Side.SELL, "ETHUSDT", "20", "2500"))
    assert squared(a_rule(), world) == 2 * Decimal(50_000) ** 2


def test_a_new_hedge_is_judged_as_if_it_might_not_fill():
    rule = a_rule(limit_notional=Decimal(60_000))
    assert breach(rule, a_sell("ETHUSDT", "20"), an_account().long("BTCUSDT", "1")) is not None


@pytest.mark.parametrize("pair", ["BTCUSDT:ETHUSDT", "ETHUSDT:BTCUSDT"])
def test_a_pair_may_be_written_either_way(pair):
    rule = a_rule(pairs={pair: Decimal("0.5")}, stress_floor=Decimal(0))
    world = an_account().long("BTCUSDT", "1").long("ETHUSDT", "20")
    assert squared(rule, world) == Decimal(50_000) ** 2 * 3


def test_a_limit_may_follow_the_margin_balance():
    rule = CorrelatedExposure(limit_equity=Decimal(2), **ONE_FOR_ONE)
    assert breach(rule, a_buy("BTCUSDT", "2"), an_account().worth("50000")) is None
    assert breach(rule, a_buy("BTCUSDT", "2.001"), an_account().worth("50000")) is not None


def test_a_margin_balance_that_is_gone_allows_nothing():
    rule = CorrelatedExposure(limit_equity=Decimal(2))
    assert breach(rule, a_buy("BTCUSDT", "0.001"), an_account().worth("-5")).limit == "0.00"


def test_the_stricter_of_both_limits_counts():
    rule = a_rule(limit_equity=Decimal(1))
    assert breach(rule, a_buy("BTCUSDT", "2"), an_account().worth("50000")).limit == "50000.00"


def test_an_exit_is_not_its_business():
    world = an_account().long("BTCUSDT", "99")
    assert breach(a_rule(), a_sell("BTCUSDT", "1", reduce_only=True), world) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"limit_notional": None}, " needs limit_notional or limit_equity, or clusters"),
        ({"default": Decimal("1.1")}, ": default must lie between -1 and 1"),
        ({"stress_floor": Decimal("-1.1")}, ": stress_floor must lie between -1 and 1"),
        ({"pairs": {"A:B": Decimal(2)}}, ": A:B must lie between -1 and 1"),
        ({"pairs": {"A:B": Decimal(0), "B:A": Decimal(0)}}, ": pairs has A and B twice"),
        *(
            ({"pairs": {pair: Decimal(0)}}, f': "{pair}" in pairs is no pair of two symbols, such as "AAA:BBB"')
            for pair in ("A-B", "A", "", ":", "A:", ":B", "A:A", "A:B:C", "A: B")
        ),
        ({"hedge_credit": Decimal("1.1")}, ": hedge_credit must lie between 0 and 1"),
        ({"hedge_credit": Decimal("-0.1")}, ": hedge_credit must lie between 0 and 1"),
    ],
)
def test_what_is_no_correlation_is_no_rule(settings, reason):
    with pytest.raises(ValueError, match=f"^correlated_exposure{reason}$"):
        a_rule(**settings)


# Live correlations


LIVE = {"live": True, "live_age_max_s": 60, "stress_floor": Decimal(0), "default": Decimal(1)}
TWO_LONGS = an_account().long("BTCUSDT", "1").long("ETHUSDT", "20")


def observed(rule, world):
    found = breach(rule, a_buy("BTCUSDT", "1"), world)
    return None if found is None else found.observed


def used(rule, world):
    return [
        (each.rule_id, each.name, each.value, each.unit) for each in rule.measure(a_buy("BTCUSDT", "1"), world.snapshot)
    ]


@pytest.mark.parametrize("seconds_ago", [0, 60, -60])
def test_a_measured_correlation_comes_before_the_policy_s(seconds_ago):
    world = TWO_LONGS.correlating(BTCUSDT__ETHUSDT="0", seconds_ago=seconds_ago)
    for written in ({}, {"pairs": {"BTCUSDT:ETHUSDT": Decimal(1)}}):
        assert observed(a_rule(**LIVE, **written, limit_notional=Decimal(111_803)), world) == "111803.40"
    assert observed(a_rule(**{**LIVE, "live": False}), world) == "150000.00"


@pytest.mark.parametrize("seconds_ago", [60.001, -60.001])
def test_one_too_old_is_not_used(seconds_ago):
    world = TWO_LONGS.correlating(BTCUSDT__ETHUSDT="0", seconds_ago=seconds_ago)
    assert observed(a_rule(**LIVE), world) == "150000.00"
    assert used(a_rule(**LIVE), world)[0][2] == "0"


def test_a_pair_that_is_not_measured_is_the_policy_s():
    world = TWO_LONGS.long("DOGEUSDT", "500000").correlating(BTCUSDT__ETHUSDT="0")
    rule = a_rule(**LIVE, pairs={"DOGEUSDT:BTCUSDT": Decimal(0), "ETHUSDT:DOGEUSDT": Decimal(0)})
    assert observed(rule, world) == "122474.49"
    assert used(rule, world) == [
        ("correlated_exposure", "live_pairs", "1", "of 3 pairs"),
        ("correlated_exposure", "correlations_age", "0", "s"),
    ]


def test_the_stress_floor_stays_under_what_was_measured():
    world = TWO_LONGS.correlating(BTCUSDT__ETHUSDT="-1")
    assert observed(a_rule(**{**LIVE, "stress_floor": Decimal(1)}), world) == "150000.00"


def test_a_hedge_earns_its_credit_by_what_was_measured():
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20").correlating(BTCUSDT__ETHUSDT="0.5")
    rule = a_rule(**LIVE)
    assert (
        rule.squared(list(worst_case(world.snapshot).values()), world.conditions.correlations) == Decimal(50_000) ** 2
    )


def squared_live(rule, world):
    exposures = list(worst_case(world.snapshot).values())
    return rule.squared(exposures, world.conditions.correlations, world.conditions.correlation_bands)


def test_the_same_side_counts_by_the_upper_end_of_the_band_and_never_below_the_floor():
    world = TWO_LONGS.correlating(BTCUSDT__ETHUSDT="0.5").within_bands(BTCUSDT__ETHUSDT=("0.1", "0.75"))
    assert squared_live(a_rule(**LIVE), world) == Decimal(50_000) ** 2 * Decimal("3.5")
    assert squared_live(a_rule(**{**LIVE, "stress_floor": Decimal("0.9")}), world) == Decimal(50_000) ** 2 * Decimal(
        "3.8"
    )


@pytest.mark.parametrize(("lower", "left"), [("0.25", "1.5"), ("0", "2"), ("-0.25", "2.5")])
def test_a_hedge_earns_its_credit_by_the_lower_end_of_the_band(lower, left):
    world = an_account().long("BTCUSDT", "1").short("ETHUSDT", "20").correlating(BTCUSDT__ETHUSDT="0.5")
    world = world.within_bands(BTCUSDT__ETHUSDT=(lower, "0.75"))
    assert squared_live(a_rule(**LIVE), world) == Decimal(50_000) ** 2 * Decimal(left)


def test_a_band_that_is_too_old_goes_with_its_correlation():
    world = TWO_LONGS.correlating(BTCUSDT__ETHUSDT="0", seconds_ago=61)
    world = world.within_bands(BTCUSDT__ETHUSDT=("0", "0"))
    assert observed(a_rule(**LIVE), world) == "150000.00"


def test_conditions_without_correlations_leave_the_policy_s():
    for world in (TWO_LONGS, TWO_LONGS.in_conditions("BTCUSDT")):
        assert observed(a_rule(**LIVE), world) == "150000.00"
        assert used(a_rule(**LIVE), world) == [("correlated_exposure", "live_pairs", "0", "of 1 pairs")]


def test_how_old_the_measured_ones_are_is_kept():
    assert used(a_rule(**LIVE), TWO_LONGS.correlating(seconds_ago=90))[1][2:] == ("90", "s")


def test_the_order_s_own_pairs_are_counted():
    rule = a_rule(**LIVE)
    found = rule.measure(a_buy("DOGEUSDT", "1"), TWO_LONGS.correlating(BTCUSDT__ETHUSDT="0").snapshot)
    assert (found[0].value, found[0].unit) == ("1", "of 3 pairs")
    amend = an_amend(Side.BUY, "DOGEUSDT", "1", "0.1", order_id="1")
    assert rule.measure(amend, TWO_LONGS.correlating(BTCUSDT__ETHUSDT="0").snapshot) == found


def test_the_policy_s_own_need_no_word():
    assert used(a_rule(), TWO_LONGS.correlating(BTCUSDT__ETHUSDT="0")) == []
    rule = a_rule(**LIVE)
    assert rule.measure(a_sell("BTCUSDT", "1", reduce_only=True), TWO_LONGS.snapshot) == ()
    assert rule.measure(a_buy("BTCUSDT", "1"), an_account().unsurveyed().snapshot) == ()


# Clusters


MAJORS = {"clusters": {"majors": ("BTCUSDT", "ETHUSDT")}, "limit_notional": None}


def test_a_cluster_has_a_cap_of_its_own():
    rule = a_rule(**MAJORS, cluster_notional=Decimal(100_000))
    world = an_account().long("ETHUSDT", "20").long("DOGEUSDT", "9000000")
    assert breach(rule, a_buy("BTCUSDT", "1"), world) is None
    found = breach(rule, a_buy("BTCUSDT", "1.001"), world)
    assert (found.code, found.observed, found.limit) == ("CLUSTER_EXPOSURE_ABOVE_LIMIT", "100050.00", "100000.00")
    assert found.message == "correlated exposure of cluster majors would be 100050.00"
    assert judged(a_buy("BTCUSDT", "5"), world, rule).headroom == 1


def test_an_order_outside_the_clusters_is_not_held_against_them():
    rule = a_rule(**MAJORS, cluster_notional=Decimal(1))
    assert breach(rule, a_buy("DOGEUSDT", "1000"), an_account().long("BTCUSDT", "9")) is None


def test_a_cluster_s_own_line_comes_before_the_cap_for_all():
    rule = a_rule(
        clusters={"majors": ("BTCUSDT", "ETHUSDT"), "memes": ("DOGEUSDT",)},
        cluster_notional=Decimal(50_000),
        cluster_limits={"memes": Decimal(100)},
    )
    assert breach(rule, a_buy("DOGEUSDT", "1000"), an_account()) is None
    assert breach(rule, a_buy("DOGEUSDT", "1001"), an_account()).limit == "100.00"
    assert breach(rule, a_buy("BTCUSDT", "1.001"), an_account()).limit == "50000.00"


def test_a_symbol_may_be_in_two_clusters_and_the_account_has_its_cap_beside_them():
    rule = a_rule(
        clusters={"a": ("BTCUSDT",), "b": ("BTCUSDT", "ETHUSDT")},
        cluster_limits={"a": Decimal(60_000), "b": Decimal(90_000)},
    )
    assert breach(rule, a_buy("BTCUSDT", "1.201"), an_account()).limit == "60000.00"
    assert breach(rule, a_buy("BTCUSDT", "1"), an_account().long("ETHUSDT", "16.001")).limit == "90000.00"
    assert breach(rule, a_buy("BTCUSDT", "1"), an_account().long("DOGEUSDT", "500001")).limit == "100000.00"


def test_an_unknown_account_refuses():
    assert breach(a_rule(), a_buy("BTCUSDT", "1"), an_account().unsurveyed()).code == "FACTS_UNKNOWN"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"clusters": {"a": ()}, "cluster_notional": Decimal(1)}, ": cluster a has no symbols"),
        ({"clusters": {"a": ("BTCUSDT",)}}, ": cluster a needs cluster_notional or a line in cluster_limits"),
        ({"cluster_limits": {"b": Decimal(1)}}, ": cluster_limits names b, which is no cluster"),
        ({"cluster_notional": Decimal(1)}, ": cluster_notional needs clusters"),
    ],
)
def test_clusters_are_written_out_whole(settings, reason):
    with pytest.raises(ValueError, match=f"^correlated_exposure{reason}$"):
        a_rule(**settings)


def test_the_limit_of_a_cluster_may_be_below_one():
    rule = a_rule(clusters={"a": ("BTCUSDT",)}, cluster_limits={"a": Decimal("0.5")})
    assert breach(rule, a_buy("BTCUSDT", "0.00001"), an_account()) is None
    assert breach(rule, a_buy("BTCUSDT", "0.00002"), an_account()).code == "CLUSTER_EXPOSURE_ABOVE_LIMIT"


def test_clusters_can_be_written_in_a_policy():
    policy = parse_policy(f'[policy]\nname = "test"\nowner = "test"\n{CorrelatedExposure.example}')
    (rule,) = [each for each in policy.rules if isinstance(each, CorrelatedExposure)]
    assert (rule.live, rule.clusters["majors"]) == (True, ("BTCUSDT", "ETHUSDT"))
    assert rule.cluster_limits == {"memes": Decimal(5000)}


@given(st.data(), books())
@examples(60)
def test_the_short_way_says_what_the_matrix_says(data, world):
    """Where the sum of all is within the cap, the matrix must be too."""
    command = data.draw(commands(world))
    rule = a_rule(default=Decimal("0.8"), stress_floor=Decimal("0.9"), limit_notional=Decimal(150_000))
    order = held_order(command, world.snapshot)
    if order is not None:
        exact = rule.squared(list(worst_case(world.snapshot, (order,)).values()))
        assert (rule.check(command, world.snapshot) is None) == (exact <= Decimal(150_000) ** 2)
