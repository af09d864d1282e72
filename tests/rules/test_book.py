"""The sums behind the worst case: what stands, what is under way on top, and the gross of it all, to the number."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.account import HeldOrder, Hold, HoldStatus
from rules.book import Exposure, account_book
from rules.exposure import exposure_after, gross_notional, held_order, worst_case
from rules.model import Command, OrderType, PositionSide, Side
from rules.share import own_book
from tests.rules.builders import World, a_buy, a_sell, an_account, an_amend, an_open_order

BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def held(world: World, command: Command) -> HeldOrder:
    found = held_order(command, world.snapshot)
    assert found is not None
    return found


def standing(world: World) -> Exposure:
    return worst_case(world.snapshot)["BTCUSDT"]


def test_resting_sells_add_up():
    world = (
        an_account()
        .short("BTCUSDT", "1")
        .resting(
            an_open_order(SELL, "BTCUSDT", "2", "51000", order_id="1"),
            an_open_order(SELL, "BTCUSDT", "3", "52000", order_id="2"),
        )
    )
    found = standing(world)
    assert (found.short_quantity, found.short_notional) == (6, 50_000 + 102_000 + 156_000)
    assert found.quantity_max == 6


def test_what_stands_is_worth_the_mark_of_now_and_not_the_survey_s():
    world = an_account().long("BTCUSDT", "2").marked("BTCUSDT", "60000")
    assert standing(world).long_notional == 120_000


def test_what_stands_is_worth_the_mark_of_now_beside_an_amend_too():
    world = an_account().long("BTCUSDT", "2").resting(an_open_order(BUY, "BTCUSDT", "1", "49000", order_id="9"))
    world = world.marked("BTCUSDT", "60000").holding(an_amend(BUY, "BTCUSDT", "1", "49500", order_id="9"))
    found = standing(world)
    assert (found.symbol, found.long_notional) == ("BTCUSDT", 180_000)


@pytest.mark.parametrize(("price", "worth"), [("49000", 60_000), ("61000", 61_000), ("60000", 60_000)])
def test_a_resting_stop_limit_is_worth_the_higher_of_its_two_prices(price, worth):
    stop = an_open_order(BUY, "BTCUSDT", "1", price, order_type=OrderType.STOP, trigger_price="60000")
    assert standing(an_account().resting(stop)).long_notional == worth


def test_an_amend_stands_for_its_own_order_and_for_no_other():
    world = an_account().resting(
        an_open_order(BUY, "BTCUSDT", "1", "50000", order_id="8"),
        an_open_order(BUY, "BTCUSDT", "2", "50000", order_id="9"),
    )
    assert standing(world.holding(an_amend(BUY, "BTCUSDT", "3", "50000", order_id="9"))).long_quantity == 1 + 3


def test_an_amend_does_not_stand_for_a_conditional_order_that_happens_to_have_the_same_id():
    stop = an_open_order(BUY, "BTCUSDT", "4", order_type=OrderType.STOP_MARKET, trigger_price="60000", order_id="9")
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "2", "50000", order_id="9"), stop)
    assert standing(world.holding(an_amend(BUY, "BTCUSDT", "3", "50000", order_id="9"))).long_quantity == 3 + 4


def test_an_amend_of_an_order_that_is_gone_counts_whole():
    world = an_account().resting(an_open_order(BUY, "BTCUSDT", "2", "50000", order_id="9"))
    under_way = world.holding(an_amend(BUY, "BTCUSDT", "3", "50000", order_id="9"))
    assert standing(replace(an_account(), holds=under_way.holds)).long_quantity == 3


def test_of_a_batch_under_way_the_order_that_is_seen_hides_none_of_the_others():
    world = an_account()
    batch = tuple(held(world, a_buy("BTCUSDT", "1", "50000", client_order_id=name)) for name in ("seen", "unseen"))
    hold = Hold(hold_id="h", bot="other-bot", sequence=1, status=HoldStatus.PENDING, orders=batch)
    seen = world.resting(an_open_order(BUY, "BTCUSDT", "1", "50000", client_order_id="seen"))
    assert standing(replace(seen, holds=(hold,))).long_quantity == 2


def test_an_order_of_unknown_worth_moves_no_bound():
    world = an_account().long("BTCUSDT", "2").unmarked("BTCUSDT").holding(a_sell("BTCUSDT", "1"))
    found = standing(world)
    assert (found.net_low, found.net_high, found.short_quantity) == (100_000, 100_000, 1)


# Both legs of a hedged account count, whatever way the sums are made


def hedged() -> World:
    world = an_account().hedged().long("BTCUSDT", "2").short("BTCUSDT", "1")
    return world.resting(an_open_order(BUY, "BTCUSDT", "1", "50000", order_id="9", position_side=LONG))


@pytest.mark.parametrize(
    ("command", "gross"),
    [
        (a_sell("BTCUSDT", "1", position_side=SHORT), 250_000),
        (an_amend(BUY, "BTCUSDT", "2", "50000", order_id="9"), 250_000),
    ],
    ids=["one order more", "an amend"],
)
def test_both_legs_count_beside_what_is_under_way(command, gross):
    found = standing(hedged().holding(command))
    assert (found.gross_notional, found.hedged) == (gross, True)


# The gross of all symbols


@pytest.mark.parametrize("under_way", ["BTCUSDT", "ETHUSDT"], ids=["on what stands", "where nothing stands"])
def test_what_is_under_way_comes_once_on_top_of_what_stands(under_way):
    quantity = {"BTCUSDT": "1", "ETHUSDT": "20"}[under_way]
    world = an_account().long("BTCUSDT", "2").holding(a_buy(under_way, quantity))
    for symbol, more in (("BTCUSDT", "1"), ("ETHUSDT", "20"), ("DOGEUSDT", "500000")):
        assert gross_notional(world.snapshot, held(world, a_buy(symbol, more))) == 100_000 + 50_000 + 50_000


def test_asked_twice_of_an_order_the_answer_is_the_same_and_of_another_it_is_its_own():
    world = an_account().long("BTCUSDT", "2")
    snapshot, one, two = world.snapshot, held(world, a_buy("BTCUSDT", "1")), held(world, a_buy("BTCUSDT", "2"))
    for order, gross in ((one, 150_000), (one, 150_000), (two, 200_000), (one, 150_000)):
        assert gross_notional(snapshot, order) == gross
        assert exposure_after(snapshot, order).long_notional == gross


def test_what_a_command_holds_is_worked_out_once_a_picture():
    snapshot, command = an_account().snapshot, a_buy("BTCUSDT", "1", "49000")
    found = held_order(command, snapshot)
    assert held_order(command, snapshot) is found
    assert found == HeldOrder(
        symbol="BTCUSDT",
        side=BUY,
        position_side=PositionSide.BOTH,
        quantity=Decimal(1),
        price=Decimal(49_000),
        client_order_id="",
    )


def test_what_is_found_in_an_account_is_worked_out_once():
    account, asked = an_account().account, []
    assert account is not None
    for _ in range(2):
        assert account.found(asked.append) is None
    assert asked == [account]


@pytest.mark.parametrize("bot", ["", "demo-bot"], ids=["of the account", "of a bot"])
def test_two_legs_under_way_net_nothing_though_the_account_was_last_seen_in_one_way_mode(bot):
    """The mode was switched since: the stream does not tell of it, and the next survey is seconds away."""
    world = an_account().worth("50000")
    long = held(world, a_buy("BTCUSDT", "3", position_side=LONG))
    hold = Hold(hold_id="h", bot="demo-bot", sequence=1, status=HoldStatus.ACCEPTED, orders=(long,))
    seen = replace(world.snapshot, holds=(hold,))
    short = held_order(a_sell("BTCUSDT", "3", position_side=SHORT), seen)
    assert short is not None
    book = own_book(seen) if bot else account_book(seen)
    assert book.after(short).gross_notional == 300_000
    assert book.gross_after(short) == 300_000


def test_a_leg_that_stands_says_so_too():
    in_hedge_mode = an_account().hedged().long("BTCUSDT", "3").snapshot
    assert in_hedge_mode.account is not None
    seen = replace(in_hedge_mode, account=replace(in_hedge_mode.account, hedged=False))
    short = held_order(a_sell("BTCUSDT", "2", position_side=SHORT), seen)
    assert short is not None
    assert exposure_after(seen, short).gross_notional == 250_000
