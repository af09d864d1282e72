"""How far through the mark an entry's price may reach."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.facts import PRICE_WINDOWS_S, PriceRange
from rules.model import OrderType, Side
from rules.order.price_collar import PriceCollar
from rules.rule import FACTS_UNKNOWN
from tests.rules.builders import NOW, a_buy, a_sell, an_account, an_amend, an_open_order, judged

COLLAR = PriceCollar(band=Decimal("0.05"))


def breach(command, world=None):
    return COLLAR.check(command, (world or an_account()).snapshot)


def test_a_buy_at_the_bound_passes():
    assert breach(a_buy("BTCUSDT", "1", "52500")) is None


def test_a_buy_one_tick_above_does_not():
    found = breach(a_buy("BTCUSDT", "1", "52500.1"))
    assert (found.code, found.observed, found.limit) == ("PRICE_OUTSIDE_COLLAR", "52500.1", "52500")
    assert found.advice == "use a price of 52500 or better"
    assert found.message == "BUY price 52500.1 is more than 5 % through the mark 50000"


def test_a_sell_at_the_bound_passes_and_one_tick_below_does_not():
    assert breach(a_sell("BTCUSDT", "1", "47500")) is None
    assert breach(a_sell("BTCUSDT", "1", "47499.9")).limit == "47500"


@pytest.mark.parametrize("command", [a_buy("BTCUSDT", "1", "0.1"), a_sell("BTCUSDT", "1", "999999")], ids=str)
def test_a_price_that_waits_is_free(command):
    assert breach(command) is None


def test_a_market_order_names_no_price():
    assert breach(a_buy("BTCUSDT", "1")) is None


def test_a_stop_limit_is_held_against_its_trigger():
    stop = {"order_type": OrderType.STOP, "trigger_price": "60000"}
    assert breach(a_buy("BTCUSDT", "1", "63000", **stop)) is None
    assert "the trigger 60000" in breach(a_buy("BTCUSDT", "1", "63000.1", **stop)).message


def test_an_amend_is_held_on_the_side_of_the_order_it_changes_whatever_it_says():
    """A resting sell at a thousand is given away, and no buy could be priced better."""
    resting = an_open_order(Side.SELL, "BTCUSDT", "0.5", "51000", order_id="11")
    for said in Side:
        amend = an_amend(said, "BTCUSDT", "0.5", "1000", order_id="11")
        assert breach(amend, an_account().resting(resting)).code == "PRICE_OUTSIDE_COLLAR"


def test_an_amend_is_held_against_the_mark():
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1", "52500", order_id="9")) is None
    assert breach(an_amend(Side.BUY, "BTCUSDT", "1", "52500.1", order_id="9")).code == "PRICE_OUTSIDE_COLLAR"


@pytest.mark.parametrize("match", ["QUEUE", "QUEUE_5", "QUEUE_20"])
def test_an_order_that_queues_is_held_at_its_own_side_of_the_book(match):
    """Wherever the far side stands: it takes nothing from there."""
    buy, sell = a_buy("BTCUSDT", "1", price_match=match), a_sell("BTCUSDT", "1", price_match=match)
    world = an_account().marked("BTCUSDT", "50000", bid_price="52500", ask_price="99999")
    assert breach(buy, world) is None
    above = an_account().marked("BTCUSDT", "50000", bid_price="52500.1", ask_price="99999")
    assert (breach(buy, above).code, breach(buy, above).observed) == ("PRICE_OUTSIDE_COLLAR", "52500.1")
    world = an_account().marked("BTCUSDT", "50000", bid_price="1", ask_price="47500")
    assert breach(sell, world) is None
    below = an_account().marked("BTCUSDT", "50000", bid_price="1", ask_price="47499.9")
    assert (breach(sell, below).code, breach(sell, below).observed) == ("PRICE_OUTSIDE_COLLAR", "47499.9")


def test_an_order_priced_at_the_far_touch_is_held_there():
    near = an_account().marked("BTCUSDT", "50000", bid_price="49999", ask_price="52500")
    far = an_account().marked("BTCUSDT", "50000", bid_price="49999", ask_price="52500.1")
    order = a_buy("BTCUSDT", "1", price_match="OPPONENT")
    assert breach(order, near) is None
    assert breach(order, far).code == "PRICE_OUTSIDE_COLLAR"
    assert breach(a_sell("BTCUSDT", "1", price_match="OPPONENT"), far) is None


def test_a_sell_priced_at_the_far_touch_is_held_at_the_bid():
    order = a_sell("BTCUSDT", "1", price_match="OPPONENT")
    assert breach(order, an_account().marked("BTCUSDT", "50000", bid_price="47500", ask_price="1")) is None
    below = an_account().marked("BTCUSDT", "50000", bid_price="47499.9", ask_price="50000")
    assert breach(order, below).observed == "47499.9"


@pytest.mark.parametrize("match", ["OPPONENT", "OPPONENT_5", "QUEUE", "QUEUE_20"])
@pytest.mark.parametrize(("order", "seen"), [(a_buy, "bid"), (a_sell, "ask")], ids=["buy", "sell"])
def test_an_order_priced_at_an_unseen_book_is_refused(match, order, seen):
    command = order("BTCUSDT", "1", price_match=match)
    found = breach(command)
    assert (found.code, found.advice) == ("PRICE_NOT_KNOWN", "send a limit price")
    assert found.message == f"priceMatch={match} takes its price from a book the guard does not see"
    one_side = an_account().marked("BTCUSDT", "50000", **{f"{seen}_price": "50000"})
    assert (breach(command, one_side) is None) is match.startswith("QUEUE")


def test_an_amend_may_be_priced_at_the_book_too():
    amend = an_amend(Side.BUY, "BTCUSDT", "1", price_match="OPPONENT", order_id="9")
    assert breach(amend).code == "PRICE_NOT_KNOWN"
    world = an_account().marked("BTCUSDT", "50000", bid_price="50000", ask_price="52500.1")
    assert breach(amend, world).code == "PRICE_OUTSIDE_COLLAR"


def test_a_conditional_order_priced_at_a_book_to_come_names_no_price():
    stop = {"order_type": OrderType.STOP, "trigger_price": "40000", "price_match": "OPPONENT"}
    assert breach(a_buy("BTCUSDT", "1", **stop)) is None
    assert breach(a_buy("BTCUSDT", "1", **stop), an_account().marked("BTCUSDT", "50000", ask_price="50000")) is None


def test_without_a_mark_there_is_nothing_to_hold_a_price_against():
    """data_freshness has refused the entry by then."""
    assert breach(a_buy("BTCUSDT", "1", "99999"), an_account().unmarked("BTCUSDT")) is None


CHASE = PriceCollar(band=Decimal("0.50"), window_s=300, window_band=Decimal("0.04"))
"""Over the last five minutes the mark was between 48,000 and 52,000: buys to 49,920, sells from 49,920."""


def a_run(mark="49900", *, low="48000", high="52000", seconds_ago=0, **touch):
    """The ranges are of so many seconds ago; the slower facts beside them are an hour old."""
    at = NOW - timedelta(seconds=seconds_ago)
    ranges = (
        PriceRange(window_s=60, as_of=at, low=Decimal(1), high=Decimal(999_999)),
        PriceRange(window_s=300, as_of=at, low=Decimal(low), high=Decimal(high)),
    )
    world = an_account().marked("BTCUSDT", mark, **touch)
    return world.in_conditions("BTCUSDT", seconds_ago=3_600, ranges=ranges)


def chased(command, world):
    return CHASE.check(command, world.snapshot)


def test_a_buy_may_be_priced_as_far_above_the_window_s_low_as_its_band():
    assert chased(a_buy("BTCUSDT", "1", "49920"), a_run()) is None
    found = chased(a_buy("BTCUSDT", "1", "49920.1"), a_run())
    assert (found.code, found.observed, found.limit) == ("PRICE_OUTSIDE_WINDOW", "49920.1", "49920")
    assert found.message == "BUY price 49920.1 is more than 4 % through 48000, the lowest mark of the last 300 s"
    assert found.advice == "use a price of 49920 or better"


def test_a_sell_may_be_priced_as_far_below_the_window_s_high():
    assert chased(a_sell("BTCUSDT", "1", "49920"), a_run()) is None
    found = chased(a_sell("BTCUSDT", "1", "49919.9"), a_run())
    assert (found.code, found.observed, found.limit) == ("PRICE_OUTSIDE_WINDOW", "49919.9", "49920")
    assert found.message == "SELL price 49919.9 is more than 4 % through 52000, the highest mark of the last 300 s"


@pytest.mark.parametrize(
    ("order", "mark", "touch", "passes"),
    [
        (a_buy, "49920", {}, True),
        (a_buy, "49920.1", {}, False),
        (a_buy, "49900", {"bid_price": "99999", "ask_price": "49920"}, True),
        (a_buy, "49900", {"ask_price": "49920.1"}, False),
        (a_buy, "49920.1", {"ask_price": "49900"}, False),
        (a_sell, "49920", {}, True),
        (a_sell, "49919.9", {}, False),
        (a_sell, "49950", {"bid_price": "49920", "ask_price": "1"}, True),
        (a_sell, "49950", {"bid_price": "49919.9"}, False),
        (a_sell, "49919.9", {"bid_price": "49950"}, False),
    ],
)
def test_a_market_order_is_held_at_the_worse_of_mark_and_far_touch(order, mark, touch, passes):
    assert (chased(order("BTCUSDT", "1"), a_run(mark, **touch)) is None) is passes


def test_an_order_priced_off_the_book_is_held_to_the_window_at_its_touch():
    world = a_run("49000", bid_price="49920", ask_price="49920.1")
    assert chased(a_buy("BTCUSDT", "1", price_match="QUEUE"), world) is None
    assert chased(a_buy("BTCUSDT", "1", price_match="OPPONENT"), world).observed == "49920.1"


def test_an_amend_is_held_to_the_window():
    assert chased(an_amend(Side.BUY, "BTCUSDT", "1", "49920", order_id="9"), a_run()) is None
    assert chased(an_amend(Side.BUY, "BTCUSDT", "1", "49920.1", order_id="9"), a_run()) is not None


STOP, TRAILING = OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET


@pytest.mark.parametrize(
    ("order", "terms", "calm", "ran"),
    [
        (a_buy, {"order_type": STOP, "trigger_price": "60000"}, "49920", "49920.1"),
        (a_buy, {"order_type": TRAILING, "callback_rate": "1", "activate_price": "1"}, "49920", "49920.1"),
        (a_sell, {"order_type": STOP, "trigger_price": "40000"}, "49920", "49919.9"),
        (a_sell, {"order_type": TRAILING, "callback_rate": "1"}, "49920", "49919.9"),
    ],
)
def test_a_conditional_order_is_held_to_the_window_as_far_as_the_market_has_run(order, terms, calm, ran):
    assert chased(order("BTCUSDT", "1", **terms), a_run(calm)) is None
    assert chased(order("BTCUSDT", "1", **terms), a_run(ran)).observed == ran


@pytest.mark.parametrize(("order", "ran", "inside"), [(a_buy, "51000", "49920"), (a_sell, "49000", "49920")])
def test_one_that_waits_within_the_window_passes_however_far_the_market_has_run(order, ran, inside):
    assert chased(order("BTCUSDT", "1", order_type=STOP, trigger_price=inside), a_run(ran)) is None
    limited = {"order_type": OrderType.TAKE_PROFIT, "trigger_price": "50000"}
    assert chased(order("BTCUSDT", "1", inside, **limited), a_run(ran)) is None


@pytest.mark.parametrize(("order", "trigger", "limit"), [(a_buy, "51000", "52000"), (a_sell, "48000", "47000")])
def test_one_that_waits_outside_the_window_passes_while_the_market_has_not_run_there(order, trigger, limit):
    """Its limit is no price of now: it is placed when the market has come to the trigger."""
    command = order("BTCUSDT", "1", limit, order_type=OrderType.STOP, trigger_price=trigger)
    assert chased(command, a_run("49920")) is None


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_window_may_be_a_minute_away(seconds):
    assert chased(a_buy("BTCUSDT", "1", "49920"), a_run(seconds_ago=seconds)) is None


@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        a_run(seconds_ago=60.001),
        a_run(seconds_ago=-60.001),
        an_account().in_conditions(
            "ETHUSDT", ranges=(PriceRange(window_s=300, as_of=NOW, low=Decimal(1), high=Decimal(9)),)
        ),
        an_account().in_conditions(
            "BTCUSDT", ranges=(PriceRange(window_s=60, as_of=NOW, low=Decimal(1), high=Decimal(9)),)
        ),
    ],
    ids=["never seen", "too old", "from the future", "another symbol", "another window"],
)
def test_a_window_that_is_not_known_refuses(world):
    found = chased(a_buy("BTCUSDT", "1", "1"), world)
    assert found.code == FACTS_UNKNOWN
    assert found.message == "how the mark of BTCUSDT has moved over the last 300 s is not known now"


def test_the_collar_of_the_moment_is_told_first_and_needs_no_window():
    assert chased(a_buy("BTCUSDT", "1", "75000.1"), an_account()).code == "PRICE_OUTSIDE_COLLAR"


def test_an_exit_meets_neither():
    assert judged(a_sell("BTCUSDT", "1", reduce_only=True), an_account().long("BTCUSDT", "1"), CHASE).breaches == ()


def test_the_window_may_only_report():
    rule = replace(CHASE, enforcement=Enforcement.REPORT, level="symbol:BTCUSDT")
    decision = judged(a_buy("BTCUSDT", "1", "49920.1"), a_run(), rule)
    assert decision.verdict is Verdict.ALLOW
    assert [(each.code, each.level) for each in decision.would_deny] == [("PRICE_OUTSIDE_WINDOW", "symbol:BTCUSDT")]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"band": Decimal("-0.01")}, "band must not be negative"),
        ({"window_s": 300}, "window_s and window_band go together"),
        ({"window_band": Decimal("0.1")}, "window_s and window_band go together"),
        ({"window_s": 301, "window_band": Decimal("0.1")}, "window_s must be one of 60, 300, 3600"),
    ],
)
def test_a_collar_that_could_not_work_is_none(settings, reason):
    with pytest.raises(ValueError, match=f"^price_collar: {reason}$"):
        PriceCollar(**{"band": Decimal("0.05"), **settings})


def test_a_band_may_be_zero():
    rule = PriceCollar(band=Decimal(0))
    assert rule.check(a_buy("BTCUSDT", "1", "50000"), an_account().snapshot) is None
    assert rule.check(a_buy("BTCUSDT", "1", "50000.1"), an_account().snapshot) is not None


@pytest.mark.parametrize("window_s", PRICE_WINDOWS_S)
def test_every_window_the_warden_measures_may_be_set(window_s):
    assert PriceCollar(band=Decimal(1), window_s=window_s, window_band=Decimal(1)).window_s == window_s
