"""A wide spread or a thin book is no place for an entry."""

from decimal import Decimal

import pytest

from rules.decision import Verdict
from rules.market.book_quality import BookQuality
from rules.model import Side, TimeInForce
from tests.rules.builders import a_buy, a_sell, an_account, an_amend, an_open_order, judged

SPREAD = BookQuality(spread_max=Decimal("0.002"))
DEPTH = BookQuality(depth_min=Decimal(100_000))
SHARE = BookQuality(depth_share_max=Decimal("0.5"))
ENTRY = a_buy("BTCUSDT", "1")


def quoted(bid, ask):
    return an_account().marked("BTCUSDT", "50000", bid_price=bid, ask_price=ask)


def deep(*, seconds_ago=0, **depth):
    return an_account().in_conditions("BTCUSDT", seconds_ago=seconds_ago, **depth)


def breach(rule, world, command=ENTRY):
    return rule.check(command, world.snapshot)


def test_the_widest_spread_is_allowed_and_a_tick_more_is_not():
    assert breach(SPREAD, quoted("49950", "50050")) is None
    found = breach(SPREAD, quoted("49950", "50050.1"))
    assert found.code == "SPREAD_ABOVE_LIMIT"
    assert (found.observed, found.limit) == ("0.2002 %", "0.2 %")
    assert found.message == "the spread of BTCUSDT is 0.2002 %"
    assert found.advice == "reduce-only orders and cancels pass"


def test_the_spread_is_a_fraction_of_the_middle_and_not_of_the_mark():
    assert breach(SPREAD, quoted("24975", "25025")) is None
    assert breach(SPREAD, quoted("24975", "25025.1")) is not None


def test_a_wide_spread_is_no_place_for_a_post_only_order_either():
    order = a_buy("BTCUSDT", "1", "50000", time_in_force=TimeInForce.GTX)
    assert breach(SPREAD, quoted("49000", "51000"), order).code == "SPREAD_ABOVE_LIMIT"


@pytest.mark.parametrize(
    "world",
    [quoted(None, "50000"), quoted("50000", None), quoted("50000.1", "50000"), an_account().unmarked("BTCUSDT")],
    ids=["no bid", "no ask", "crossed", "no market"],
)
def test_a_spread_that_cannot_be_told_refuses(world):
    found = breach(SPREAD, world)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the spread of BTCUSDT is not known now")


def test_bid_and_ask_may_meet():
    assert breach(SPREAD, quoted("50000", "50000")) is None


@pytest.mark.parametrize(
    ("order", "taken", "left"), [(a_buy, "ask", "bid"), (a_sell, "bid", "ask")], ids=["buy", "sell"]
)
def test_the_least_depth_is_allowed_and_a_little_less_is_not(order, taken, left):
    command = order("BTCUSDT", "1")
    assert breach(DEPTH, deep(**{f"{taken}_depth": "100000", f"{left}_depth": "1"}), command) is None
    found = breach(DEPTH, deep(**{f"{taken}_depth": "99999.99", f"{left}_depth": "999999"}), command)
    assert found.code == "DEPTH_BELOW_LIMIT"
    assert (found.observed, found.limit) == ("99999.99", "100000.00")
    assert found.message == f"only 99999.99 rests on the {taken} side of BTCUSDT"
    assert found.advice == "post-only and reduce-only orders pass"


def test_an_order_may_be_half_of_the_depth_and_not_a_lot_more():
    world = deep(ask_depth="100000")
    assert breach(SHARE, world, a_buy("BTCUSDT", "1")) is None
    found = breach(SHARE, world, a_buy("BTCUSDT", "1.001"))
    assert found.code == "ORDER_ABOVE_DEPTH_SHARE"
    assert (found.observed, found.limit) == ("50050.00", "50000.00")
    assert found.message == "the order is worth 50050.00, with 100000.00 on the ask side of BTCUSDT"
    assert found.advice == "post-only and reduce-only orders pass"


def test_a_sell_is_held_against_the_bids():
    found = breach(SHARE, deep(bid_depth="100000", ask_depth="9999999"), a_sell("BTCUSDT", "2"))
    assert found.message == "the order is worth 100000.00, with 100000.00 on the bid side of BTCUSDT"


def test_the_headroom_fills_the_share_exactly():
    world = deep(ask_depth="100000")
    decision = judged(a_buy("BTCUSDT", "3"), world, SHARE)
    assert decision.headroom == 1
    assert judged(a_buy("BTCUSDT", "1"), world, SHARE).verdict is Verdict.ALLOW
    assert judged(a_buy("BTCUSDT", "1.001"), world, SHARE).verdict is Verdict.DENY


@pytest.mark.parametrize(
    ("rule", "world"),
    [(SPREAD, quoted("49000", "51000")), (DEPTH, deep(ask_depth="1")), (SHARE, an_account())],
    ids=["spread", "depth", "unknown"],
)
def test_where_no_size_would_do_none_is_named(rule, world):
    assert judged(ENTRY, world, rule).headroom == 0


def test_an_amend_counts_with_what_is_left_of_the_larger_order():
    world = deep(ask_depth="100000").resting(an_open_order(Side.BUY, "BTCUSDT", "1.001", "50000"))
    assert breach(SHARE, world, an_amend(Side.BUY, "BTCUSDT", "0.1", "50000", order_id="1")) is not None


@pytest.mark.parametrize("rule", [DEPTH, SHARE], ids=["depth", "share"])
@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        an_account().in_conditions("ETHUSDT", ask_depth="999999"),
        deep(bid_depth="999999"),
        deep(ask_depth="999999", seconds_ago=300.001),
        deep(ask_depth="999999", seconds_ago=-300.001),
    ],
    ids=["nothing", "another symbol", "the other side", "old", "from the future"],
)
def test_a_depth_that_is_not_known_refuses(rule, world):
    found = breach(rule, world)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the depth of BTCUSDT is not known now")


@pytest.mark.parametrize("seconds_ago", [300, -300])
def test_five_minutes_are_not_old(seconds_ago):
    assert breach(DEPTH, deep(ask_depth="100000", seconds_ago=seconds_ago)) is None


def test_a_share_needs_a_mark():
    found = breach(SHARE, deep(ask_depth="999999").unmarked("BTCUSDT"))
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the mark price of BTCUSDT is not known now")
    assert breach(DEPTH, deep(ask_depth="999999").unmarked("BTCUSDT")) is None


def test_what_is_not_limited_is_not_missed():
    assert breach(SPREAD, quoted("50000", "50000")) is None
    assert breach(DEPTH, deep(ask_depth="100000"), a_buy("BTCUSDT", "99")) is None


def test_the_spread_is_told_before_the_depth():
    both = BookQuality(spread_max=Decimal("0.002"), depth_min=Decimal(100_000))
    assert breach(both, quoted("49000", "51000")).code == "SPREAD_ABOVE_LIMIT"
    assert breach(both, quoted("50000", "50000")).code == "FACTS_UNKNOWN"


def test_the_depth_it_takes_from_is_recorded():
    (measure,) = DEPTH.measure(a_sell("BTCUSDT", "1"), deep(bid_depth="123.456", ask_depth="9").snapshot)
    assert (measure.rule_id, measure.name, measure.value, measure.unit) == (
        "book_quality",
        "depth",
        "123.46",
        "quote currency",
    )
    assert DEPTH.measure(ENTRY, an_account().snapshot) == ()


@pytest.mark.parametrize("field", ["spread_max", "depth_min", "depth_share_max"])
def test_one_limit_is_enough_and_none_is_no_rule(field):
    assert BookQuality(**{field: Decimal(1)})
    with pytest.raises(ValueError, match=r"^book_quality needs spread_max, depth_min or depth_share_max$"):
        BookQuality()
