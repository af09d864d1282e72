"""Several bots on one account: each touches what is its own, and none is kept in what is its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.decision import Verdict
from rules.engine import decide_batch
from rules.model import (
    AdjustIsolatedMargin,
    CancelOrder,
    MarginMode,
    OrderType,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
    TimeInForce,
)
from rules.order.max_order_value import MaxOrderValue
from rules.position.own_share import OwnShare
from tests.properties.strategies import books, examples, exits, quantities
from tests.rules.builders import (
    a_buy,
    a_cancel,
    a_close,
    a_policy,
    a_sell,
    an_account,
    an_amend,
    an_open_order,
    codes,
    judged,
)

ME, OTHER = "demo-bot", "other-bot"
RULE = OwnShare()


def shared(mine="1", theirs="2"):
    return an_account().sharing(ME, "BTCUSDT", mine).sharing(OTHER, "BTCUSDT", theirs)


def an_exit(quantity, side=Side.SELL, **terms):
    make = a_sell if side is Side.SELL else a_buy
    return make("BTCUSDT", quantity, reduce_only=True, **terms)


def passes(command, world, rule=RULE):
    return judged(command, world, rule).verdict is Verdict.ALLOW


def test_an_exit_of_the_own_share_passes():
    assert passes(an_exit("1"), shared())


def test_an_exit_beyond_it_is_refused_and_told_how_much_passes():
    decision = judged(an_exit("1.5"), shared(), RULE)
    assert codes(decision) == ["SHARE_EXCEEDED"]
    (breach,) = decision.breaches
    assert (breach.observed, breach.limit, breach.headroom) == ("1.5", "1", 1)
    assert breach.message == "would reduce another bot's share of the BTCUSDT position"
    assert RULE.check(an_exit("1.5"), shared().snapshot).headroom == 1
    assert breach.advice == "close at most 1: your share and what is left of nobody's, less exits that rest"
    assert passes(an_exit("1"), shared())


def test_who_has_no_share_closes_nobody_else_s():
    world = an_account().sharing(OTHER, "BTCUSDT", "2")
    assert judged(an_exit("0.1"), world, RULE).breaches[0].headroom == 0


def test_nobody_s_share_is_open_to_every_bot():
    assert passes(an_exit("3"), shared("1", "1").sharing("", "BTCUSDT", "2"))
    assert not passes(an_exit("3.1"), shared("1", "1").sharing("", "BTCUSDT", "2"))


@pytest.mark.parametrize("theirs", ["0", "-3"])
def test_where_no_other_bot_would_lose_nothing_is_refused(theirs):
    """Whatever the guard believes of the bot's own share."""
    assert passes(an_exit("9"), shared("1", theirs))
    assert RULE.check(an_exit("9"), shared("1", theirs).snapshot) is None


def test_plain_exits_that_rest_count_together():
    resting = an_open_order(Side.SELL, "BTCUSDT", "0.6", "60000", reduce_only=True, bot=ME)
    decision = judged(an_exit("0.5"), shared().resting(resting), RULE)
    assert (codes(decision), decision.breaches[0].headroom) == (["SHARE_EXCEEDED"], Decimal("0.4"))


def test_another_bot_s_resting_exits_do_not():
    resting = an_open_order(Side.SELL, "BTCUSDT", "2", "60000", reduce_only=True, bot=OTHER)
    assert passes(an_exit("1"), shared().resting(resting))


def test_a_stop_and_a_take_profit_each_cover_the_share():
    plain = an_open_order(Side.SELL, "BTCUSDT", "1", "60000", reduce_only=True, bot=ME)
    stop = an_exit("1", order_type=OrderType.STOP_MARKET, trigger_price="45000")
    assert passes(stop, shared().resting(plain))
    assert not passes(replace(stop, quantity=Decimal("1.001")), shared())


def test_the_exits_of_a_batch_count_together():
    decisions = decide_batch((an_exit("0.6"), an_exit("0.6")), shared().snapshot, a_policy(RULE))
    assert [decision.verdict for decision in decisions] == [Verdict.ALLOW, Verdict.DENY]


def test_no_exit_of_a_batch_counts_on_an_entry_that_the_guard_refuses():
    """A bracket in one batch beside an entry that another rule refuses: the entries fall together."""
    bracket = a_buy("BTCUSDT", "2"), a_sell("BTCUSDT", "2", "52000", reduce_only=True), a_buy("ETHUSDT", "100")
    world = an_account().sharing(OTHER, "BTCUSDT", "2")
    policy = a_policy(RULE, MaxOrderValue(limit=Decimal(150_000)))
    decisions = decide_batch(bracket, world.snapshot, policy)
    assert [decision.verdict for decision in decisions] == [Verdict.DENY] * 3
    assert [each.breaches[0].code for each in decisions] == [
        "BATCH_REFUSED",
        "SHARE_EXCEEDED",
        "ORDER_VALUE_ABOVE_LIMIT",
    ]
    within = decide_batch(bracket[:2], world.snapshot, policy)
    assert [decision.verdict for decision in within] == [Verdict.ALLOW] * 2


def test_the_entries_of_a_batch_are_the_bot_s_own():
    orders = (a_buy("BTCUSDT", "1"), a_sell("BTCUSDT", "1"))
    decisions = decide_batch(orders, an_account().snapshot, a_policy(RULE))
    assert [decision.verdict for decision in decisions] == [Verdict.ALLOW, Verdict.ALLOW]


def test_an_entry_under_way_may_have_filled():
    world = shared().holding(a_buy("BTCUSDT", "0.5", client_order_id="x"), bot=ME)
    assert passes(an_exit("1.5"), world)
    assert not passes(an_exit("1.6"), world)
    assert not passes(an_exit("1.5"), shared().holding(a_buy("BTCUSDT", "0.5"), bot=OTHER))
    assert not passes(an_exit("1.5"), shared().holding(a_sell("BTCUSDT", "0.5"), bot=ME))


BOOK = {"bid_price": Decimal("49999.9"), "ask_price": Decimal("50000.1")}


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        (a_buy("BTCUSDT", "0.5"), True),
        (a_buy("BTCUSDT", "0.5", "50000.1"), True),
        (a_buy("BTCUSDT", "0.5", "60000"), True),
        (a_buy("BTCUSDT", "0.5", "50000"), False),
        (a_buy("BTCUSDT", "0.5", "1"), False),
        (a_buy("BTCUSDT", "0.5", "50000.1", time_in_force=TimeInForce.GTX), False),
        (a_buy("BTCUSDT", "0.5", order_type=OrderType.LIMIT, price_match="OPPONENT"), True),
        (a_buy("BTCUSDT", "0.5", order_type=OrderType.LIMIT, price_match="QUEUE_20"), False),
        (a_buy("BTCUSDT", "0.5", order_type=OrderType.STOP_MARKET, trigger_price="60000"), False),
        (a_buy("BTCUSDT", "0.5", "60000", order_type=OrderType.STOP, trigger_price="60000"), False),
        (an_amend(Side.BUY, "BTCUSDT", "0.5", "50000.1", order_id="unseen"), True),
        (an_amend(Side.BUY, "BTCUSDT", "0.5", "50000", order_id="unseen"), False),
    ],
    ids=[
        "market",
        "at the far touch",
        "through it",
        "short of it",
        "far away",
        "post-only",
        "opponent",
        "queue",
        "stop",
        "stop-limit",
        "amend at the touch",
        "amend short of it",
    ],
)
def test_an_entry_under_way_counts_only_where_it_can_fill_at_once(entry, counts):
    """Else a limit that nobody meets, sent ahead of an exit, would open another bot's share to it."""
    world = shared().marked("BTCUSDT", "50000", **BOOK).holding(entry, bot=ME)
    assert passes(an_exit("1.5"), world) is counts
    assert passes(an_exit("1"), world)


def test_a_short_entry_meets_the_bid():
    world = shared("-1", "-2").marked("BTCUSDT", "50000", **BOOK)
    assert passes(an_exit("1.5", Side.BUY), world.holding(a_sell("BTCUSDT", "0.5", "49999.9"), bot=ME))
    assert not passes(an_exit("1.5", Side.BUY), world.holding(a_sell("BTCUSDT", "0.5", "50000"), bot=ME))


def test_without_a_book_the_mark_is_the_touch_and_without_a_mark_it_may_have_filled():
    at, short = (shared().holding(a_buy("BTCUSDT", "0.5", price), bot=ME) for price in ("50000", "49999.9"))
    assert passes(an_exit("1.5"), at)
    assert not passes(an_exit("1.5"), short)
    assert passes(an_exit("1.5"), short.unmarked("BTCUSDT"))


def test_an_entry_of_the_same_batch_opens_no_more_than_it_can_fill():
    world = an_account().sharing(OTHER, "BTCUSDT", "9")
    far, near = (a_buy("BTCUSDT", "9", price, client_order_id="x") for price in ("1", "50000"))
    for entry, verdict in ((far, Verdict.DENY), (near, Verdict.ALLOW)):
        decisions = decide_batch((entry, an_exit("9")), world.snapshot, a_policy(RULE))
        assert [decision.verdict for decision in decisions] == [Verdict.ALLOW, verdict]


def test_a_hold_that_is_seen_to_rest_has_not():
    resting = an_open_order(Side.BUY, "BTCUSDT", "0.5", "40000", client_order_id="x", bot=ME)
    world = shared().holding(a_buy("BTCUSDT", "0.5", client_order_id="x"), bot=ME).resting(resting)
    assert not passes(an_exit("1.5"), world)


@pytest.mark.parametrize("lost", ["store", "account", "stream"])
def test_what_the_guard_cannot_know_it_does_not_refuse(lost):
    world = shared()
    blind = {
        "store": world.without_store(),
        "account": world.unsurveyed(),
        "stream": replace(world, account=replace(world.account, feed_stale=True)),
    }[lost]
    assert passes(an_exit("9"), blind)


def test_hedge_legs_are_shared_one_by_one():
    world = an_account().hedged().sharing(ME, "BTCUSDT", "1").sharing(OTHER, "BTCUSDT", "1")
    world = world.sharing(OTHER, "BTCUSDT", "-5")
    close_long = a_sell("BTCUSDT", "1", position_side=PositionSide.LONG)
    assert passes(close_long, world)
    assert not passes(replace(close_long, quantity=Decimal(2)), world)
    assert not passes(a_buy("BTCUSDT", "1", position_side=PositionSide.SHORT), world)


def test_close_position_needs_the_leg_for_oneself():
    (breach,) = judged(a_close("BTCUSDT"), shared(), RULE).breaches
    assert breach.code == "SHARED_CLOSE"
    assert breach.message == "another bot has a share of the BTCUSDT position, and closePosition would close it too"
    assert breach.advice == "send a reduce-only order with the quantity of your own share"
    assert passes(a_close("BTCUSDT"), shared(theirs="0"))
    assert passes(a_close("BTCUSDT", Side.BUY, "60000"), shared())


@pytest.mark.parametrize("bot", [ME, ""], ids=["own", "nobody's"])
def test_an_amended_exit_is_held_against_the_share_without_itself(bot):
    resting = an_open_order(Side.SELL, "BTCUSDT", "0.6", "60000", order_id="5", reduce_only=True, bot=bot)
    world = an_account().sharing(bot, "BTCUSDT", "1").sharing(OTHER, "BTCUSDT", "2").resting(resting)
    assert passes(an_amend(Side.SELL, "BTCUSDT", "1", "61000", order_id="5"), world)
    assert not passes(an_amend(Side.SELL, "BTCUSDT", "1.1", "61000", order_id="5"), world)


def test_what_an_amended_exit_has_filled_closes_nothing_more():
    resting = an_open_order(Side.SELL, "BTCUSDT", "0.6", "60000", order_id="5", filled="0.4", reduce_only=True, bot=ME)
    world = shared().resting(resting)
    assert passes(an_amend(Side.SELL, "BTCUSDT", "1.4", "61000", order_id="5"), world)
    assert not passes(an_amend(Side.SELL, "BTCUSDT", "1.5", "61000", order_id="5"), world)


def test_an_exit_placed_by_hand_keeps_no_bot_from_moving_its_own():
    own, by_hand = (
        an_open_order(Side.SELL, "BTCUSDT", "1", "60000", order_id=each, reduce_only=True, bot=bot)
        for each, bot in (("5", ME), ("6", ""))
    )
    world = shared().resting(own, by_hand)
    assert passes(an_amend(Side.SELL, "BTCUSDT", "1", "61000", order_id="5"), world)
    assert not passes(an_amend(Side.SELL, "BTCUSDT", "1", "61000", order_id="6"), world)


@pytest.mark.parametrize("bot", [ME, ""], ids=["own", "nobody's"])
def test_exits_amended_in_one_batch_count_together(bot):
    resting = (
        an_open_order(Side.SELL, "BTCUSDT", "0.01", "60000", order_id=each, reduce_only=True, bot=bot) for each in "567"
    )
    world = an_account().sharing(bot, "BTCUSDT", "1").sharing(OTHER, "BTCUSDT", "2").resting(*resting)
    amends = [an_amend(Side.SELL, "BTCUSDT", "0.98", "50000", order_id=each) for each in "567"]
    decisions = decide_batch(amends, world.snapshot, a_policy(RULE))
    assert [decision.verdict for decision in decisions] == [Verdict.ALLOW, Verdict.DENY, Verdict.DENY]
    assert codes(decisions[1]) == ["SHARE_EXCEEDED"]


def test_an_exit_placed_by_hand_is_amended_within_nobody_s_share_alone():
    """What it fills is nobody's, so the bot's own share would never shrink by it and be there to spend again."""
    by_hand = an_open_order(Side.SELL, "BTCUSDT", "0.001", "60000", order_id="5", reduce_only=True)
    to_own = an_amend(Side.SELL, "BTCUSDT", "1", "50000", order_id="5")
    (breach,) = judged(to_own, shared().resting(by_hand), RULE).breaches
    assert (breach.code, breach.headroom) == ("SHARE_EXCEEDED", 0)
    assert breach.advice == "leave at most 0 of it, for what it fills is nobody's; close your share with your own order"
    assert passes(to_own, shared().sharing("", "BTCUSDT", "1").resting(by_hand))
    assert not passes(to_own, shared().sharing("", "BTCUSDT", "0.999").resting(by_hand))


def a_resting_exit(quantity, bot, order_id="5", **terms):
    return an_open_order(Side.SELL, "BTCUSDT", quantity, "60000", order_id=order_id, reduce_only=True, bot=bot, **terms)


def largest_exit(world):
    """How much the bot may close."""
    return judged(an_exit("99"), world, RULE).breaches[0].headroom


@pytest.mark.parametrize(
    ("resting", "room"),
    [
        ((), "3"),
        ((a_resting_exit("0.5", ""),), "2.5"),
        ((a_resting_exit("9", ""),), "1"),
        ((a_resting_exit("1", "third-bot"),), "3"),
        ((a_resting_exit("1.5", "third-bot"),), "2.5"),
        ((a_resting_exit("0.5", ""), a_resting_exit("1.5", "third-bot", "6")), "2"),
        ((a_resting_exit("9", "third-bot"),), "1"),
        ((a_resting_exit("9", "third-bot"), a_resting_exit("0.4", ME, "6")), "0.6"),
        ((a_resting_exit("9", "third-bot", order_type=OrderType.STOP_MARKET, trigger_price="40000"),), "3"),
    ],
    ids=[
        "nothing rests",
        "by hand",
        "more than nobody's by hand",
        "another's own",
        "another's beyond its own",
        "both",
        "another's beyond all",
        "own besides",
        "conditional",
    ],
)
def test_of_nobody_s_share_that_is_left_which_no_exit_counts_on(resting, room):
    """The first to fill would have it, and the next take another bot's. The own share is open whatever rests."""
    world = shared().sharing("", "BTCUSDT", "2").sharing("third-bot", "BTCUSDT", "1").resting(*resting)
    assert largest_exit(world) == Decimal(room)


LESS = "your share and what is left of nobody's, less exits that rest"


@pytest.mark.parametrize(
    ("resting", "advice"),
    [
        ((a_resting_exit("1.5", ""),), f"close at most 1.5: {LESS}"),
        ((a_resting_exit("2.5", OTHER),), f"close at most 2.5: {LESS}"),
        ((a_resting_exit("1.5", ME),), f"close at most 1.5: {LESS}; cancel yours to close more"),
        (
            (a_resting_exit("1", ""), a_resting_exit("0.5", ME, "6")),
            f"close at most 1.5: {LESS}; cancel yours to close more",
        ),
    ],
    ids=["by hand", "another's", "own", "own and by hand"],
)
def test_it_is_told_what_it_may_close_and_to_cancel_only_what_is_its_own(resting, advice):
    world = shared().sharing("", "BTCUSDT", "2").resting(*resting)
    assert judged(an_exit("3.5"), world, RULE).breaches[0].advice == advice


def test_a_stop_is_told_of_no_exits_that_rest():
    world = shared().sharing("", "BTCUSDT", "2").resting(a_resting_exit("1", ME))
    stop = an_exit("3.5", order_type=OrderType.STOP_MARKET, trigger_price="45000")
    assert judged(stop, world, RULE).breaches[0].advice == "close at most 3: your share and nobody's"


@pytest.mark.parametrize(
    ("entry", "room"),
    [(a_buy("BTCUSDT", "2"), "3"), (a_buy("BTCUSDT", "1.5"), "2.5"), (a_buy("BTCUSDT", "2", "1"), "1")],
    ids=["all of it", "a part of it", "one that waits"],
)
def test_an_exit_of_another_s_on_a_fill_that_is_on_its_way_takes_nothing_of_nobody_s(entry, room):
    """The other bot knows of its fill before the guard does, and its exit of that rests first."""
    world = shared().sharing("", "BTCUSDT", "2").sharing("third-bot", "BTCUSDT", "1")
    world = world.holding(entry, bot="third-bot").resting(a_resting_exit("3", "third-bot"))
    assert largest_exit(world) == Decimal(room)


def test_a_stop_is_held_against_own_and_nobody_s_whatever_rests():
    world = shared().sharing("", "BTCUSDT", "2").resting(a_resting_exit("1", ME), a_resting_exit("2", "", "6"))
    stop = an_exit("3", order_type=OrderType.STOP_MARKET, trigger_price="45000")
    assert passes(stop, world)
    assert not passes(replace(stop, quantity=Decimal("3.001")), world)


@pytest.mark.parametrize(("own_rests", "room"), [("1", "2"), ("1.5", "1.5"), ("3", "0")])
def test_an_amend_of_nobody_s_leaves_what_own_exits_count_on(own_rests, room):
    by_hand = a_resting_exit("0.001", "")
    world = shared().sharing("", "BTCUSDT", "2").resting(a_resting_exit(own_rests, ME, "6"), by_hand)
    (breach,) = judged(an_amend(Side.SELL, "BTCUSDT", "99", "50000", order_id="5"), world, RULE).breaches
    assert (breach.code, breach.headroom) == ("SHARE_EXCEEDED", Decimal(room))


@pytest.mark.parametrize(
    ("to", "ok"), [("0.001", True), ("0.1", True), ("0.4", True), ("0.401", False), ("0.6", False)]
)
def test_an_own_exit_is_made_smaller_whatever_else_rests(to, ok):
    """Though the share has fallen below what rests: to refuse it would leave the larger one."""
    world = shared("0.4").resting(a_resting_exit("0.6", ME), a_resting_exit("0.4", ME, "6"))
    decision = judged(an_amend(Side.SELL, "BTCUSDT", to, "60000", order_id="5"), world, RULE)
    assert (decision.verdict is Verdict.ALLOW) is ok
    assert ok or decision.breaches[0].headroom == Decimal("0.4")
    assert ok or decision.breaches[0].advice == "leave at most 0.4 of it"


def test_an_own_exit_is_made_no_larger_by_that():
    world = shared("1").resting(a_resting_exit("0.4", ME), a_resting_exit("0.9", ME, "6"))
    assert passes(an_amend(Side.SELL, "BTCUSDT", "0.4", "50000", order_id="5"), world)
    larger = an_amend(Side.SELL, "BTCUSDT", "0.401", "50000", order_id="5")
    advice = "leave at most 0.4 of it; cancel your other exits to close more"
    assert [breach.advice for breach in judged(larger, world, RULE).breaches] == [advice]


@pytest.mark.parametrize(("theirs", "ok"), [("0", True), ("0.001", False)])
def test_the_first_entry_of_others_on_its_way_keeps_no_exit(theirs, ok):
    """A limit of the rule that its page names: whether that entry ever fills nobody knows."""
    world = shared("2", theirs).holding(a_buy("BTCUSDT", "1"), bot=OTHER)
    assert passes(an_exit("3"), world) is ok


def test_nobody_s_exit_beyond_nobody_s_share_is_not_moved_by_making_it_smaller():
    assert not passes(
        an_amend(Side.SELL, "BTCUSDT", "0.1", "50000", order_id="5"), shared().resting(a_resting_exit("1", ""))
    )


def test_an_exit_that_a_batch_makes_smaller_counts_as_it_was():
    """The old one may fill before the change."""
    first, second = (
        an_open_order(Side.SELL, "BTCUSDT", "0.5", "60000", order_id=each, reduce_only=True, bot=ME) for each in "56"
    )
    amends = [
        an_amend(Side.SELL, "BTCUSDT", size, "60000", order_id=each) for size, each in (("0.1", "5"), ("0.9", "6"))
    ]
    decisions = decide_batch(amends, shared().resting(first, second).snapshot, a_policy(RULE))
    assert [decision.verdict for decision in decisions] == [Verdict.ALLOW, Verdict.DENY]


# Entries


@pytest.mark.parametrize(
    "world",
    [
        an_account().sharing(OTHER, "BTCUSDT", "-1"),
        an_account().resting(an_open_order(Side.SELL, "BTCUSDT", "1", "60000", bot=OTHER)),
        an_account().holding(a_sell("BTCUSDT", "1"), bot=OTHER),
    ],
    ids=["share", "resting", "under way"],
)
def test_an_entry_against_another_bot_is_refused_unless_netting(world):
    (breach,) = judged(a_buy("BTCUSDT", "1"), world, RULE).breaches
    assert breach.code == "SHARE_OPPOSED"
    assert breach.message == (
        "another bot is, or may come to be, on the other side of BTCUSDT; the two would net each other out"
    )
    assert breach.advice == "close your own share with reduceOnly=true, or trade the other side on another account"
    assert passes(a_buy("BTCUSDT", "1"), world, OwnShare(netting=True))
    assert passes(a_sell("BTCUSDT", "1"), world)
    assert passes(a_buy("ETHUSDT", "1"), world)


@pytest.mark.parametrize(
    "world",
    [
        an_account().sharing("", "BTCUSDT", "-1"),
        an_account().sharing(ME, "BTCUSDT", "-1"),
        an_account().sharing(OTHER, "BTCUSDT", "0"),
        an_account().resting(an_open_order(Side.SELL, "BTCUSDT", "1", "60000", bot=ME)),
        an_account().resting(an_open_order(Side.SELL, "BTCUSDT", "1", "60000", reduce_only=True, bot=OTHER)),
        an_account().holding(a_sell("BTCUSDT", "1"), bot=ME),
        an_account().hedged().sharing(OTHER, "BTCUSDT", "-1"),
    ],
    ids=["nobody's", "own", "flat", "own order", "an exit", "own under way", "hedged"],
)
def test_what_nets_no_other_bot_passes(world):
    leg = PositionSide.LONG if world.account.hedged else PositionSide.BOTH
    assert passes(a_buy("BTCUSDT", "1", position_side=leg), world)


@pytest.mark.parametrize(
    "world",
    [
        an_account().sharing(OTHER, "BTCUSDT", "3"),
        an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "3", "49000", order_id="6", bot=OTHER)),
        an_account().holding(a_buy("BTCUSDT", "3"), bot=OTHER),
    ],
    ids=["share", "resting", "under way"],
)
@pytest.mark.parametrize(
    ("bot", "to", "ok"),
    [(ME, "2.001", False), (ME, "2", True), (ME, "1.5", True), ("", "3", False), ("", "2", False), ("", "1.5", False)],
)
def test_an_amend_grows_no_entry_against_another_bot_and_moves_none_of_nobody_s(world, bot, to, ok):
    """Else a thousandth that rests becomes an order that could not have been placed."""
    entry = an_open_order(Side.SELL, "BTCUSDT", "1.5", "60000", order_id="5", filled="0.5", bot=bot)
    amend = an_amend(Side.SELL, "BTCUSDT", to, "50000", order_id="5")
    assert codes(judged(amend, world.resting(entry), RULE)) == ([] if ok else ["SHARE_OPPOSED"])
    assert passes(amend, world.resting(entry), OwnShare(netting=True))
    assert passes(amend, an_account().sharing(ME, "BTCUSDT", "3").resting(entry))


def test_an_amended_entry_is_judged_by_the_side_it_has():
    entry = an_open_order(Side.SELL, "BTCUSDT", "0.001", "60000", order_id="5", bot=ME)
    world = an_account().sharing(OTHER, "BTCUSDT", "3").resting(entry)
    breach = RULE.check(an_amend(Side.BUY, "BTCUSDT", "3", "50000", order_id="5"), world.snapshot)
    assert breach.code == "SHARE_OPPOSED"


def test_the_entries_of_hedge_legs_are_amended_freely():
    entry = an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="5", position_side=PositionSide.LONG)
    world = an_account().hedged().sharing(OTHER, "BTCUSDT", "-3").resting(entry)
    assert passes(an_amend(Side.BUY, "BTCUSDT", "3", "50000", order_id="5"), world)


# Orders and settings of others


@pytest.mark.parametrize(("bot", "ok"), [(ME, True), ("", True), (OTHER, False)])
@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.STOP_MARKET])
def test_only_own_orders_and_nobody_s_are_cancelled_by_the_venue_s_id(bot, ok, order_type):
    trigger = "60000" if order_type.is_conditional else None
    order = an_open_order(
        Side.BUY, "BTCUSDT", "1", "40000", order_id="7", bot=bot, order_type=order_type, trigger_price=trigger
    )
    cancel = CancelOrder(symbol="BTCUSDT", order_id="7", conditional=order_type.is_conditional)
    decision = judged(cancel, an_account().resting(order), RULE)
    told = [(breach.code, breach.message, breach.observed) for breach in decision.breaches]
    assert told == ([] if ok else [("ORDER_NOT_OWNED", "Unknown order sent.", "7")])
    assert passes(replace(cancel, conditional=not cancel.conditional), an_account().resting(order))


def test_a_cancel_of_what_nobody_knows_passes():
    assert passes(a_cancel("BTCUSDT", "404"), shared())


def test_another_bot_s_order_is_not_amended():
    order = an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="7", bot=OTHER)
    decision = judged(an_amend(Side.BUY, "BTCUSDT", "1", "41000", order_id="7"), an_account().resting(order), RULE)
    breach = decision.breaches[0]
    assert (breach.code, breach.message, breach.observed) == ("ORDER_NOT_OWNED", "Unknown order sent.", "7")


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("reduce_only", [False, True])
def test_whoever_guesses_at_another_bot_s_order_hears_the_same_whichever_side_is_said(side, reduce_only):
    order = an_open_order(Side.SELL, "BTCUSDT", "1", "61000", order_id="7", bot=OTHER, reduce_only=reduce_only)
    world = an_account().long("BTCUSDT", "1").resting(order)
    breach = judged(an_amend(side, "BTCUSDT", "1", "61500", order_id="7"), world, RULE).breaches[0]
    assert (breach.code, breach.message, breach.observed) == ("ORDER_NOT_OWNED", "Unknown order sent.", "7")


def test_one_amended_by_its_own_name_is_told_no_id_of_the_venue_s():
    order = an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="7", client_order_id="x", bot=OTHER)
    amend = an_amend(Side.BUY, "BTCUSDT", "1", "41000", client_order_id="x")
    assert RULE.check(amend, an_account().resting(order).snapshot).observed == ""


def test_a_crash_over_whose_an_order_is_cancels_it():
    world = shared()
    broken = replace(world, account=replace(world.account, open_orders=None))
    assert passes(a_cancel("BTCUSDT", "7"), broken)


SETTINGS = [
    SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)),
    SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.ISOLATED),
    AdjustIsolatedMargin(symbol="BTCUSDT", position_side=PositionSide.BOTH, amount=Decimal(-5)),
    SetPositionMode(hedged=True),
    SetMultiAssetMode(enabled=True),
]


@pytest.mark.parametrize("command", SETTINGS, ids=lambda each: type(each).__name__)
def test_a_setting_another_bot_relies_on_stays(command):
    in_use = [
        an_account().sharing(OTHER, "BTCUSDT", "1"),
        an_account().resting(an_open_order(Side.SELL, "BTCUSDT", "1", "60000", bot=OTHER)),
        an_account().holding(a_sell("BTCUSDT", "1"), bot=OTHER),
    ]
    assert [codes(judged(command, world, RULE)) for world in in_use] == [["SETTING_NOT_OWNED"]] * 3
    assert passes(command, an_account().sharing(ME, "BTCUSDT", "1").sharing("", "BTCUSDT", "1"))


@pytest.mark.parametrize(
    ("command", "where"), [(SETTINGS[0], "of BTCUSDT"), (SETTINGS[3], "on this account")], ids=["symbol", "account"]
)
def test_it_says_what_the_other_bot_relies_on(command, where):
    (breach,) = judged(command, an_account().sharing(OTHER, "BTCUSDT", "1"), RULE).breaches
    assert breach.message == (f"another bot has a share or an order {where}, and relies on the setting as it is")
    assert breach.advice == "settings may be changed while no other bot uses them"


@pytest.mark.parametrize("command", SETTINGS[:3], ids=lambda each: type(each).__name__)
def test_a_symbol_no_other_bot_uses_is_free(command):
    assert passes(command, an_account().sharing(OTHER, "ETHUSDT", "1"))


def test_a_setting_that_changes_nothing_passes():
    world = an_account().sharing(OTHER, "BTCUSDT", "1")
    leg = replace(world.account.positions[0], leverage=Decimal(5))
    world = replace(world, account=replace(world.account, positions=(leg,)))
    assert passes(SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)), world)
    assert not passes(SetLeverage(symbol="BTCUSDT", leverage=Decimal(6)), world)
    assert passes(SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.CROSS), world)


def test_a_setting_that_a_symbol_without_a_position_has_already_passes():
    world = an_account().resting(an_open_order(Side.SELL, "BTCUSDT", "1", "60000", bot=OTHER))
    as_set = world.setting("BTCUSDT", MarginMode.CROSS, leverage=5)
    leverage, mode = (
        SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)),
        SetMarginMode(symbol="BTCUSDT", margin_mode=MarginMode.CROSS),
    )
    assert [passes(command, as_set) for command in (leverage, mode)] == [True, True]
    assert [passes(command, world) for command in (leverage, mode)] == [False, False]
    otherwise = world.setting("BTCUSDT", MarginMode.ISOLATED, leverage=6)
    assert [passes(command, otherwise) for command in (leverage, mode)] == [False, False]


def test_a_leg_and_a_setting_that_say_different_things_are_no_agreement():
    world = an_account().sharing(OTHER, "BTCUSDT", "1").setting("BTCUSDT", MarginMode.ISOLATED, leverage=5)
    assert passes(SetLeverage(symbol="BTCUSDT", leverage=Decimal(5)), world)  # The leg itself does not say.
    leg = replace(world.account.positions[0], leverage=Decimal(6))
    world = replace(world, account=replace(world.account, positions=(leg,)))
    for leverage in (5, 6):
        assert not passes(SetLeverage(symbol="BTCUSDT", leverage=Decimal(leverage)), world)
    for mode in MarginMode:
        assert not passes(SetMarginMode(symbol="BTCUSDT", margin_mode=mode), world)


def test_an_account_is_shared_whole_or_not():
    with pytest.raises(ValueError) as refused:
        OwnShare(level="symbol:BTCUSDT")
    assert str(refused.value) == (
        "own_share is set for the desk, an account or a bot: an account is shared whole or not"
    )
    assert OwnShare(level="account:main").level == "account:main"


# What holds for every world


@given(st.data(), books(hedged=False))
@examples(120)
def test_a_bot_can_always_close_its_own_share(data, world):
    world = replace(world, account=replace(world.account, positions=()))
    mine = data.draw(quantities("BTCUSDT")) * data.draw(st.sampled_from([1, -1]))
    world = world.sharing(ME, "BTCUSDT", str(mine))
    for bot in ("a", "b"):
        theirs = data.draw(quantities("BTCUSDT")) * data.draw(st.sampled_from([1, -1]))
        world = world.sharing(bot, "BTCUSDT", str(theirs))
    close = an_exit(str(abs(mine)), Side.SELL if mine > 0 else Side.BUY)
    assert passes(close, world)


@given(st.data(), books())
@examples(120)
def test_a_bot_alone_is_never_refused_an_exit(data, world):
    """Whatever shares the guard believes in: they are all its own or nobody's."""
    for bot in (ME, ""):
        world = world.sharing(bot, "BTCUSDT", str(data.draw(quantities("BTCUSDT"))))
    assert passes(data.draw(exits(world.account.hedged)), world)
