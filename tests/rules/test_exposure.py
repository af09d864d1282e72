"""The worst case: everything that can fill does fill, and nothing that is not there yet is a credit."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.account import Amendment, HeldOrder
from rules.exposure import held_order, order_value, worst_case
from rules.model import OrderType, PositionSide, Side, TimeInForce
from tests.rules.builders import (
    a_buy,
    a_cancel,
    a_close,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
)

BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def exposure(world, symbol="BTCUSDT", *commands):
    extra = [order for command in commands if (order := held_order(command, world.snapshot)) is not None]
    return worst_case(world.snapshot, extra)[symbol]


def test_a_lone_position_is_what_it_is():
    found = exposure(an_account().long("BTCUSDT", "2"))
    assert (found.long_quantity, found.short_quantity) == (2, 0)
    assert found.net_low == found.net_high == found.gross_notional == 100_000


def test_a_lone_short_is_what_it_is():
    found = exposure(an_account().short("BTCUSDT", "2"))
    assert (found.long_quantity, found.short_quantity) == (0, 2)
    assert found.net_low == found.net_high == -100_000


def test_resting_and_held_orders_count_like_filled_ones():
    world = (
        an_account()
        .long("BTCUSDT", "2")
        .resting(an_open_order(BUY, "BTCUSDT", "1", "49000"))
        .holding(a_buy("BTCUSDT", "0.5"))
    )
    assert exposure(world, "BTCUSDT", a_buy("BTCUSDT", "0.25")).long_quantity == Decimal("3.75")


def test_a_conditional_order_counts_at_its_trigger():
    stop = an_open_order(BUY, "BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="60000")
    assert exposure(an_account().resting(stop)).long_notional == 60_000


def test_nothing_resting_or_held_earns_netting_credit():
    """A resting sell does not make room for a buy: the buy may fill first."""
    world = an_account().resting(an_open_order(SELL, "BTCUSDT", "2", "51000")).holding(a_sell("BTCUSDT", "2"))
    assert exposure(world, "BTCUSDT", a_buy("BTCUSDT", "1")).long_quantity == 1


def test_a_position_is_no_credit_against_the_other_side():
    """The position may be closed before the order fills; then the whole order opens the other side."""
    assert exposure(an_account().long("BTCUSDT", "2"), "BTCUSDT", a_sell("BTCUSDT", "3")).short_quantity == 3


def test_the_net_is_a_range_as_soon_as_the_other_side_may_fill():
    found = exposure(an_account().long("BTCUSDT", "2"), "BTCUSDT", a_sell("BTCUSDT", "3"))
    assert (found.net_low, found.net_high) == (-150_000, 100_000)


@pytest.mark.parametrize(
    "order",
    [
        an_open_order(SELL, "BTCUSDT", "2", "51000", reduce_only=True),
        an_open_order(SELL, "BTCUSDT", None, close_position=True, order_type=OrderType.STOP_MARKET),
        an_open_order(SELL, "BTCUSDT", "2", "51000", position_side=LONG),
        an_open_order(BUY, "BTCUSDT", "2", "49000", position_side=SHORT),
    ],
    ids=["reduce-only", "close-position", "sells the long leg", "buys the short leg"],
)
def test_what_can_only_shrink_reserves_nothing(order):
    assert worst_case(an_account().resting(order).snapshot) == {}


@pytest.mark.parametrize(
    "command",
    [a_sell("BTCUSDT", "1", reduce_only=True), a_close("BTCUSDT"), a_cancel()],
    ids=["reduce-only", "close-position", "cancel"],
)
def test_exits_and_cancels_hold_nothing(command):
    assert held_order(command, an_account().long("BTCUSDT", "2").snapshot) is None


def test_both_legs_of_a_hedged_account_count():
    world = an_account().hedged().long("BTCUSDT", "2").short("BTCUSDT", "1")
    assert exposure(world).gross_notional == 150_000


def test_the_larger_direction_counts_in_one_way_mode():
    world = an_account().resting(
        an_open_order(BUY, "BTCUSDT", "2", "50000", order_id="1"),
        an_open_order(SELL, "BTCUSDT", "1", "50000", order_id="2"),
    )
    found = exposure(world)
    assert (found.gross_notional, found.quantity_max) == (100_000, 2)


def test_an_order_is_worth_the_highest_price_it_names_or_the_mark():
    snapshot = an_account().snapshot
    worth = [
        order_value(held_order(order, snapshot), snapshot)
        for order in (
            a_buy("BTCUSDT", "1"),
            a_buy("BTCUSDT", "1", "49000"),
            a_buy("BTCUSDT", "1", "51000"),
            a_buy("BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="52000"),
            a_buy("BTCUSDT", "1", order_type=OrderType.TRAILING_STOP_MARKET, activate_price="53000"),
        )
    ]
    assert worth == [50_000, 50_000, 51_000, 52_000, 53_000]


@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
@pytest.mark.parametrize("terms", [{}, {"price_match": "OPPONENT"}, {"price_match": "QUEUE"}], ids=str)
def test_an_order_priced_by_the_book_is_worth_the_touch_it_may_trade_at(order, terms):
    command = order("BTCUSDT", "2", **terms)

    def worth(**touch):
        snapshot = an_account().marked("BTCUSDT", "50000", **touch).snapshot
        return order_value(held_order(command, snapshot), snapshot)

    assert worth(bid_price="50100", ask_price="50200") == 100_400
    assert worth(bid_price="50100") == 100_200
    assert worth(bid_price="49800", ask_price="49900") == worth() == 100_000


def test_an_order_that_names_its_price_is_not_worth_the_touch():
    snapshot = an_account().marked("BTCUSDT", "50000", bid_price="60000", ask_price="60000").snapshot
    stop = {"order_type": OrderType.STOP_MARKET, "trigger_price": "51000"}
    for command, worth in ((a_buy("BTCUSDT", "1", "40000"), 50_000), (a_buy("BTCUSDT", "1", **stop), 51_000)):
        assert order_value(held_order(command, snapshot), snapshot) == worth


def test_an_amend_to_a_price_of_the_book_is_worth_the_touch():
    world = an_account().marked("BTCUSDT", "50000", bid_price="50000", ask_price="60000")
    snapshot = world.resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9")).snapshot
    matched = an_amend(BUY, "BTCUSDT", "1", price_match="OPPONENT", order_id="9")
    assert order_value(held_order(matched, snapshot), snapshot) == 60_000
    priced = an_amend(BUY, "BTCUSDT", "1", "49500", order_id="9")
    assert order_value(held_order(priced, snapshot), snapshot) == 50_000


def test_without_a_mark_an_order_is_worth_the_price_it_names():
    snapshot = an_account().unmarked("BTCUSDT").snapshot
    assert order_value(held_order(a_buy("BTCUSDT", "2", "49000"), snapshot), snapshot) == 98_000
    assert order_value(held_order(a_buy("BTCUSDT", "2"), snapshot), snapshot) == 0


def test_a_position_is_valued_at_the_survey_s_mark_when_there_is_no_other():
    assert exposure(an_account().long("BTCUSDT", "2").unmarked("BTCUSDT")).long_notional == 100_000


def test_the_exposure_of_an_unknown_account_is_nobody_s_guess():
    with pytest.raises(ValueError, match=r"^exposure of an unknown account$"):
        worst_case(an_account().unsurveyed().snapshot)


def test_orders_without_a_name_are_not_one_another():
    resting = replace(an_open_order(BUY, "BTCUSDT", "1", "49000"), client_order_id="")
    world = an_account().resting(resting).holding(a_buy("BTCUSDT", "1", "49000"))
    assert exposure(world).long_quantity == 2


def test_an_amend_and_its_original_are_never_both_counted():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "2", "49000", order_id="9"))
    assert exposure(world, "BTCUSDT", an_amend(BUY, "BTCUSDT", "3", "49000", order_id="9")).long_quantity == 3


def test_an_amend_to_less_counts_the_original_which_may_fill_first():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "2", "49000", order_id="9"))
    assert exposure(world, "BTCUSDT", an_amend(BUY, "BTCUSDT", "1", "49000", order_id="9")).long_quantity == 2


def test_an_amend_to_less_is_held_as_large_as_its_original():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "2", "49000", order_id="9"))
    assert held_order(an_amend(BUY, "BTCUSDT", "1", "49000", order_id="9"), world.snapshot).quantity == 2


def test_an_amend_names_the_total_so_what_is_filled_is_not_counted_again():
    world = an_account().long("BTCUSDT", "1")
    world = world.resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9", filled="1"))
    assert exposure(world, "BTCUSDT", an_amend(BUY, "BTCUSDT", "3", "49000", order_id="9")).long_quantity == 3


def test_an_amend_is_worth_the_higher_of_both_prices():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "52000", order_id="9"))
    assert exposure(world, "BTCUSDT", an_amend(BUY, "BTCUSDT", "1", "49000", order_id="9")).long_notional == 52_000


def test_a_held_amend_is_its_original_changed_and_bears_no_name():
    world = an_account().hedged()
    world = world.resting(
        an_open_order(SELL, "BTCUSDT", "1", "52000", order_id="9", client_order_id="x", position_side=SHORT)
    )
    amend = an_amend(BUY, "BTCUSDT", "2", "53000", order_id="9", client_order_id="x")
    assert held_order(amend, world.snapshot) == HeldOrder(
        symbol="BTCUSDT",
        side=SELL,
        position_side=SHORT,
        quantity=Decimal(2),
        price=Decimal(53_000),
        client_order_id="",
        replaces="9",
        amendment=Amendment(order_id="9", client_order_id="x", quantity=Decimal(2), price=Decimal(53_000)),
    )


@pytest.mark.parametrize(
    ("command", "passive"),
    [
        (a_buy("BTCUSDT", "1"), False),
        (a_buy("BTCUSDT", "1", "50000"), False),
        (a_buy("BTCUSDT", "1", "50000", time_in_force=TimeInForce.GTX), True),
        (a_buy("BTCUSDT", "1", order_type=OrderType.LIMIT, price_match="QUEUE_5"), True),
        (a_buy("BTCUSDT", "1", order_type=OrderType.LIMIT, price_match="OPPONENT_5"), False),
        (replace(an_amend(BUY, "BTCUSDT", "1", None, order_id="9"), price_match="QUEUE"), True),
        (an_amend(BUY, "BTCUSDT", "1", "50000", order_id="9"), False),
    ],
)
def test_what_takes_nothing_from_the_book_is_held_as_such(command, passive):
    assert held_order(command, an_account().snapshot).passive is passive


def test_an_amend_of_an_unknown_order_counts_whole_on_the_leg_it_would_open():
    legs = [
        held_order(an_amend(side, "BTCUSDT", "3", order_id="9"), world.snapshot).position_side
        for world in (an_account().hedged(), an_account(), an_account().unsurveyed())
        for side in (BUY, SELL)
    ]
    assert legs == [PositionSide.LONG, PositionSide.SHORT, *[PositionSide.BOTH] * 4]
    order = held_order(an_amend(SELL, "BTCUSDT", "3", order_id="9"), an_account().hedged().snapshot)
    assert (order.quantity, order.position_side, order.replaces) == (3, SHORT, None)


def test_two_amends_of_one_order_under_way_both_count():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9"))
    world = world.holding(an_amend(BUY, "BTCUSDT", "2", "49000", order_id="9"))
    assert exposure(world, "BTCUSDT", an_amend(BUY, "BTCUSDT", "3", "49000", order_id="9")).long_quantity == 5


def test_of_two_amends_held_on_an_old_picture_the_larger_stands_for_what_still_rests():
    """Held are 3 and 2 for an order that was 1 then; of its 5 the amend to 3 stands for three."""
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9"))
    held = world
    for quantity in ("3", "2"):
        held = held.holding(an_amend(BUY, "BTCUSDT", quantity, "49000", order_id="9"))
    now = an_account().resting(an_open_order(BUY, "BTCUSDT", "5", "49000", order_id="9"))
    assert exposure(replace(now, holds=held.holds)).long_quantity == 3 + 2 + (5 - 3)


def test_sells_under_way_add_up():
    world = an_account().holding(a_sell("BTCUSDT", "1")).holding(a_sell("BTCUSDT", "2"))
    found = exposure(world)
    assert (found.short_quantity, found.short_notional, found.symbol) == (3, 150_000, "BTCUSDT")


def test_an_amend_held_on_an_old_picture_hides_none_of_what_still_rests():
    """Two gates: one made the order 5, the other, not knowing yet, holds an amend of 1. Five may still fill."""
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "5", "49000", order_id="9"))
    world = world.holding(
        HeldOrder(
            symbol="BTCUSDT",
            side=BUY,
            position_side=PositionSide.BOTH,
            quantity=Decimal(1),
            price=None,
            client_order_id="",
            replaces="9",
        )
    )
    assert exposure(world).long_quantity == 5


def test_a_held_amend_replaces_only_the_order_of_its_own_symbol():
    """Binance counts order ids per symbol, so two symbols may bear the same one."""
    world = (
        an_account()
        .resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9"))
        .resting(an_open_order(BUY, "ETHUSDT", "4", "2400", order_id="9"))
        .holding(an_amend(BUY, "BTCUSDT", "1", "49500", order_id="9"))
    )
    assert "ETHUSDT" in worst_case(world.snapshot)


def test_a_held_order_that_the_survey_shows_is_counted_once():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "1", "50000", client_order_id="x"))
    assert exposure(world.holding(a_buy("BTCUSDT", "1", client_order_id="x"))).long_quantity == 1


def test_a_held_amend_is_not_the_order_whose_name_it_calls():
    """Two amends of "x" follow each other; the second finds its name in use, so it replaces nothing for certain."""
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "0.1", "50000", client_order_id="x"))
    for quantity in ("0.2", "9"):
        world = world.holding(an_amend(BUY, "BTCUSDT", quantity, "50000", client_order_id="x"))
    assert exposure(world).long_quantity >= 9


def test_an_amend_of_an_order_too_young_for_the_survey_is_not_hidden_by_the_survey_that_shows_it():
    """Placed, amended, then a survey arrives that read the order before the amend."""
    young = an_account().holding(a_buy("BTCUSDT", "0.1", "50000", client_order_id="x"))
    young = young.holding(an_amend(BUY, "BTCUSDT", "9", "50000", client_order_id="x"))
    surveyed = young.resting(an_open_order(BUY, "BTCUSDT", "0.1", "50000", client_order_id="x"))
    assert exposure(surveyed).long_quantity >= 9


@pytest.mark.parametrize(
    "seen",
    [
        an_open_order(SELL, "BTCUSDT", "1", "50000", client_order_id="x", reduce_only=True),
        an_open_order(SELL, "BTCUSDT", "1", "50000", client_order_id="x"),
    ],
    ids=["an exit", "the other side"],
)
def test_a_held_entry_is_not_hidden_by_another_order_of_its_name(seen):
    """An exit "x" was cancelled after the survey read it, and its name given to an entry: exits reserve no name."""
    world = an_account().resting(seen).holding(a_buy("BTCUSDT", "5", client_order_id="x"))
    assert exposure(world).long_quantity == 5
