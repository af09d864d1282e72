"""What is whose on a shared account: a bot's own book and result, and its entries as if they had filled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.account import Position, Share
from rules.model import OrderType, PositionSide, Side
from rules.share import as_if_filled, is_anothers, known_book, own_book, own_pnl
from tests.rules.builders import a_buy, an_account, an_amend, an_open_order

D = Decimal
ME, OTHER = "demo-bot", "other-bot"
BOTH = PositionSide.BOTH


def test_nobody_s_belongs_to_everybody():
    snapshot = an_account().snapshot
    assert [is_anothers(bot, snapshot) for bot in (ME, "", OTHER)] == [False, False, True]


def test_the_own_book_is_what_the_bot_would_have_alone():
    mine = an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="1", bot=ME)
    world = (
        an_account()
        .sharing(ME, "BTCUSDT", "2", "45000")
        .sharing(OTHER, "BTCUSDT", "3")
        .sharing("", "BTCUSDT", "4")
        .sharing(ME, "ETHUSDT", "0")
        .resting(mine, an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="2", bot=OTHER))
        .holding(a_buy("BTCUSDT", "1"), bot=ME)
        .holding(a_buy("BTCUSDT", "1"), bot=OTHER)
    )
    book = own_book(world.snapshot)
    assert book.account.positions == (
        Position(symbol="BTCUSDT", position_side=BOTH, quantity=D(2), entry_price=D(45_000), mark_price=D(50_000)),
    )
    assert book.account.open_orders == (mine,)
    assert [(share.bot, share.symbol) for share in book.account.shares] == [(ME, "BTCUSDT"), (ME, "ETHUSDT")]
    assert [(symbol, len(orders)) for symbol, orders in book.held.items()] == [("BTCUSDT", 1)]
    assert book.before("BTCUSDT").long_quantity == 4
    assert book.account.margin_balance == world.account.margin_balance


def test_each_bot_has_its_own():
    snapshot = an_account().sharing(ME, "BTCUSDT", "2").sharing(OTHER, "BTCUSDT", "3").snapshot
    theirs = replace(snapshot, bot=OTHER)
    assert [own_book(each).account.positions[0].quantity for each in (snapshot, theirs)] == [2, 3]
    assert own_book(snapshot) is own_book(snapshot)


def test_an_unknown_account_has_no_book():
    snapshot = an_account().unsurveyed().snapshot
    for book in (own_book, lambda picture: known_book(a_buy("BTCUSDT", "1"), picture)):
        with pytest.raises(ValueError, match=r"^the book of an unknown account$"):
            book(snapshot)


def test_an_amend_is_of_one_of_the_bot_s_own_orders_or_of_an_unknown_one():
    world = an_account().resting(
        an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="1", client_order_id="a", bot=ME),
        an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="2", client_order_id="b", bot=OTHER),
    )

    def replaced(world, **named):
        return known_book(an_amend(Side.BUY, "BTCUSDT", "2", "41000", **named), world.snapshot)[1].replaces

    assert [replaced(world, order_id=number) for number in ("1", "2")] == ["1", None]
    assert [replaced(world, client_order_id=name) for name in ("a", "b")] == ["1", None]
    under_way = a_buy("BTCUSDT", "1", client_order_id="a")
    assert replaced(world.holding(under_way, bot=OTHER), client_order_id="a") == "1", "names are each bot's own"
    assert replaced(world.holding(under_way, bot=ME), client_order_id="a") is None, "the name may be another's now"


def test_positions_whose_owners_nobody_knows_are_everybody_s():
    command = a_buy("BTCUSDT", "1")
    unshared = an_account().long("BTCUSDT", "2").snapshot
    book, order = known_book(command, unshared)
    assert (book.account, order.quantity) == (unshared.account, 1)
    shared, order = known_book(command, an_account().sharing(OTHER, "BTCUSDT", "2").snapshot)
    assert (shared.account.positions, order.quantity) == ((), 1)
    flat = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "40000", bot=OTHER)).snapshot
    assert known_book(command, flat)[0].account.open_orders == ()


@pytest.mark.parametrize(
    ("money", "made"),
    [
        ({"realised_pnl": "7"}, "7"),
        ({"fees": "7"}, "-7"),
        ({"funding": "7"}, "7"),
        ({"entry_price": "49000"}, "2000"),
        ({"realised_pnl": "100", "fees": "10", "funding": "-1", "entry_price": "50001"}, "87"),
    ],
)
def test_a_result_is_realised_less_fees_with_funding_and_what_is_open(money, made):
    assert own_pnl(an_account().sharing(ME, "BTCUSDT", "2", **money).snapshot) == D(made)


def test_only_the_own_shares_make_the_own_result():
    world = an_account().sharing(ME, "BTCUSDT", "1", "49000").sharing(ME, "ETHUSDT", "-2", "2400")
    assert own_pnl(world.sharing(OTHER, "BTCUSDT", "1", "1").sharing("", "BTCUSDT", "1", "1").snapshot) == 800
    assert own_pnl(replace(world.snapshot, bot=OTHER)) == 0
    snapshot = world.sharing(OTHER, "BTCUSDT", "1", "1").snapshot
    assert [own_pnl(replace(snapshot, bot=bot)) for bot in (ME, OTHER, ME)] == [800, 49_999, 800]
    assert own_pnl(world.unsurveyed().snapshot) == 0


def test_the_mark_comes_before_what_the_survey_saw():
    world = an_account().sharing(ME, "BTCUSDT", "1", "49000").marked("BTCUSDT", "51000")
    assert own_pnl(world.snapshot) == 2000


def test_without_a_mark_the_survey_s_counts_and_then_what_was_paid():
    world = an_account().sharing(ME, "ETHUSDT", "1").sharing(ME, "BTCUSDT", "2", "49000").unmarked("BTCUSDT")
    other, leg = world.account.positions
    surveyed = replace(world, account=replace(world.account, positions=(other, replace(leg, mark_price=D(48_000)))))
    assert own_pnl(surveyed.snapshot) == -2000
    unseen = replace(world, account=replace(world.account, positions=(other,)))
    assert own_pnl(unseen.snapshot) == 0


# As if filled


def test_resting_entries_count_as_shares():
    world = (
        an_account()
        .sharing(OTHER, "BTCUSDT", "1")
        .resting(
            an_open_order(Side.BUY, "BTCUSDT", "2", "40000", order_id="1", bot=ME),
            an_open_order(Side.SELL, "ETHUSDT", "3", "3000", order_id="2", bot=ME),
            an_open_order(
                Side.BUY,
                "DOGEUSDT",
                "4",
                None,
                order_id="3",
                bot=ME,
                order_type=OrderType.STOP_MARKET,
                trigger_price="1",
            ),
        )
    )
    (theirs, *filled) = as_if_filled(world.snapshot).account.shares
    assert (theirs,) == world.account.shares
    assert filled == [
        Share(bot=ME, symbol="BTCUSDT", position_side=BOTH, quantity=D(2), entry_price=D(40_000)),
        Share(bot=ME, symbol="ETHUSDT", position_side=BOTH, quantity=D(-3), entry_price=D(3000)),
        Share(bot=ME, symbol="DOGEUSDT", position_side=BOTH, quantity=D(4), entry_price=D(0)),
    ]


def test_entries_under_way_may_be_filled_and_those_seen_to_rest_are_once():
    resting = an_open_order(Side.BUY, "BTCUSDT", "2", "40000", client_order_id="x", bot=ME)
    world = an_account().holding(a_buy("BTCUSDT", "2", "40000", client_order_id="x"), bot=ME)
    world = world.holding(a_buy("ETHUSDT", "3", "2000", client_order_id="y"), bot=ME)
    world = world.holding(a_buy("DOGEUSDT", "4"), bot=OTHER)
    filled = as_if_filled(world.resting(resting).snapshot).account.shares
    assert [(share.symbol, share.quantity) for share in filled] == [("BTCUSDT", 2), ("ETHUSDT", 3)]


@pytest.mark.parametrize(
    ("sizes", "bot", "symbol", "fills"),
    [
        (["2"], ME, "BTCUSDT", "2"),
        (["2", "3", "2.5"], ME, "BTCUSDT", "3"),
        (["0.5"], ME, "BTCUSDT", "1"),
        (["2"], OTHER, "BTCUSDT", "1"),
        (["2"], ME, "ETHUSDT", "1"),
    ],
    ids=["larger", "several", "smaller", "another's", "of another symbol"],
)
def test_an_entry_that_is_being_amended_fills_at_the_larger_of_the_two_sizes(sizes, bot, symbol, fills):
    world = an_account().resting(
        an_open_order(Side.BUY, "BTCUSDT", "1", "49000", order_id="9", bot=ME),
        an_open_order(Side.BUY, "ETHUSDT", "1", "2000", order_id="9", bot=ME),
    )
    for size in sizes:
        world = world.holding(an_amend(Side.BUY, symbol, size, "51000", order_id="9"), bot=bot)
    filled = {share.symbol: share.quantity for share in as_if_filled(world.snapshot).account.shares}
    assert filled["BTCUSDT"] == D(fills)


def test_an_entry_fills_its_own_leg():
    order = an_open_order(Side.SELL, "BTCUSDT", "1", "60000", position_side=PositionSide.SHORT, bot=ME)
    (share,) = as_if_filled(an_account().hedged().resting(order).snapshot).account.shares
    assert (share.position_side, share.quantity) == (PositionSide.SHORT, -1)


@pytest.mark.parametrize(
    "world",
    [
        an_account(),
        an_account().unsurveyed(),
        an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "40000", bot=OTHER)),
        an_account().resting(an_open_order(Side.SELL, "BTCUSDT", "1", "60000", bot=ME, reduce_only=True)),
    ],
    ids=["nothing", "unknown", "another's", "an exit"],
)
def test_without_an_own_entry_that_rests_nothing_changes(world):
    snapshot = world.snapshot
    assert as_if_filled(snapshot) is snapshot
