"""The same order again within a short time."""

from dataclasses import replace

import pytest

from rules.account import HoldStatus
from rules.decision import Enforcement, Verdict
from rules.engine import decide_batch
from rules.model import OrderType, PositionSide, Side
from rules.order.duplicate_order import DuplicateOrder
from tests.rules.builders import a_buy, a_policy, a_sell, an_account, an_amend, an_open_order, codes, judged

RULE = DuplicateOrder(window_s=5)
ORDER = a_buy("BTCUSDT", "1", "49000", client_order_id="first")
AGAIN = a_buy("BTCUSDT", "1.000", "49000.0", client_order_id="second")


def breach(command, world, rule=RULE):
    return rule.check(command, world.snapshot)


def test_the_first_passes_and_the_second_does_not():
    assert breach(AGAIN, an_account()) is None
    found = breach(AGAIN, an_account().having_tried(ORDER))
    assert (found.code, found.observed, found.limit) == ("DUPLICATE_ORDER", "2", "1")
    assert found.message == "this is the same order 2 times within 5 s"
    assert found.advice == (
        "read what became of the earlier order; if another one is wanted, change its price or quantity, or wait 5 s"
    )


def test_as_many_as_are_allowed_pass():
    rule = DuplicateOrder(window_s=5, repeats=3)
    twice = an_account().having_tried(ORDER).having_tried(ORDER)
    assert breach(AGAIN, twice, rule) is None
    found = breach(AGAIN, twice.having_tried(ORDER), rule)
    assert (found.observed, found.limit) == ("4", "3")
    assert found.message == "this is the same order 4 times within 5 s"


@pytest.mark.parametrize(("seconds_ago", "refused"), [(5, True), (5.001, False), (-1, True)])
def test_it_is_remembered_for_the_window(seconds_ago, refused):
    world = an_account().having_tried(ORDER, seconds_ago=seconds_ago)
    assert (breach(AGAIN, world) is not None) is refused


@pytest.mark.parametrize(
    "command",
    [
        a_buy("BTCUSDT", "1.001", "49000"),
        a_buy("BTCUSDT", "1", "49000.1"),
        a_buy("BTCUSDT", "1"),
        a_buy("ETHUSDT", "1", "49000"),
        a_sell("BTCUSDT", "1", "49000"),
        a_buy("BTCUSDT", "1", "49000", position_side=PositionSide.LONG),
        a_buy("BTCUSDT", "1", order_type=OrderType.STOP_MARKET, trigger_price="49000"),
    ],
    ids=["quantity", "price", "market", "symbol", "side", "leg", "kind"],
)
def test_what_differs_in_one_term_is_another_order(command):
    assert breach(command, an_account().having_tried(ORDER)) is None
    assert breach(command, an_account().having_tried(command)) is not None


def test_what_was_refused_was_not_sent():
    assert breach(AGAIN, an_account().having_tried(ORDER, refused=True)) is None
    assert breach(AGAIN, an_account().having_tried(ORDER, refused_at_size="0.5")) is None


def test_a_refused_one_whose_hold_is_not_released_yet_was_not_sent_either():
    world = an_account().having_tried(ORDER, refused=True).holding(ORDER, bot="demo-bot")
    (hold,), (attempt,) = world.holds, world.attempts
    assert breach(AGAIN, replace(world, holds=(replace(hold, hold_id=attempt.hold_id),))) is None


@pytest.mark.parametrize("status", HoldStatus)
def test_one_under_way_that_is_not_remembered_counts(status):
    assert breach(AGAIN, an_account().holding(ORDER, bot="demo-bot", status=status)).observed == "2"


def test_one_under_way_is_counted_once():
    rule = DuplicateOrder(window_s=5, repeats=2)
    world = an_account().having_tried(ORDER).holding(ORDER, bot="demo-bot")
    assert breach(AGAIN, world, rule) is not None, "two orders, of two requests"
    (hold,), (attempt,) = world.holds, world.attempts
    assert breach(AGAIN, replace(world, holds=(replace(hold, hold_id=attempt.hold_id),)), rule) is None


@pytest.mark.parametrize("remembered", [True, False])
def test_one_still_under_way_counts_however_long_ago_it_was_sent(remembered):
    """Whether some other rule looks back further makes no difference."""
    world = an_account().having_tried(ORDER, seconds_ago=600).holding(ORDER, bot="demo-bot", status=HoldStatus.UNKNOWN)
    (hold,), (attempt,) = world.holds, world.attempts
    holds = (replace(hold, hold_id=attempt.hold_id),)
    assert breach(AGAIN, replace(world, holds=holds, attempts=world.attempts if remembered else ())).observed == "2"


def test_of_a_batch_all_that_was_sent_counts_though_less_is_under_way():
    world = an_account().having_tried(ORDER).holding(a_sell("BTCUSDT", "1"), bot="demo-bot")
    (hold,), (attempt,) = world.holds, world.attempts
    assert breach(AGAIN, replace(world, holds=(replace(hold, hold_id=attempt.hold_id),))) is not None


def test_the_store_is_asked_for_the_whole_window_and_a_little_more():
    assert a_policy(RULE).attempts_window_s == RULE.looks_back_s == 6


def test_the_same_order_of_another_bot_is_no_matter_of_this_one():
    assert breach(AGAIN, an_account().holding(ORDER, bot="other-bot")) is None


def test_every_order_of_an_earlier_request_counts():
    world = an_account().having_tried(ORDER)
    (attempt,) = world.attempts
    other = an_account().having_tried(a_sell("BTCUSDT", "1")).attempts[0].orders
    batch = replace(attempt, orders=(*other, *attempt.orders, *attempt.orders))
    assert breach(AGAIN, replace(world, attempts=(batch,))).observed == "3"


def test_a_batch_may_not_bear_the_same_order_twice():
    first, second = decide_batch((ORDER, AGAIN), an_account().snapshot, a_policy(RULE))
    assert codes(second) == ["DUPLICATE_ORDER"]
    assert codes(first) == ["BATCH_REFUSED"]


def test_an_amend_adds_no_order():
    resting = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "49000", order_id="9"))
    known = an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="9")
    unknown = an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="404")
    for amend in (known, unknown):
        world = resting.having_tried(amend).holding(amend, bot="demo-bot")
        assert breach(amend, world) is None
        assert breach(AGAIN, world) is None
        assert breach(amend, resting.having_tried(ORDER)) is None


def test_an_exit_may_be_sent_as_often_as_it_takes():
    leave = a_sell("BTCUSDT", "1", reduce_only=True)
    assert breach(leave, an_account().long("BTCUSDT", "1").having_tried(a_sell("BTCUSDT", "1"))) is None


def test_it_may_only_report_and_for_one_bot():
    rule = replace(RULE, enforcement=Enforcement.REPORT, level="bot:demo-bot")
    world = an_account().having_tried(ORDER)
    decision = judged(AGAIN, world, rule)
    assert decision.verdict is Verdict.ALLOW
    assert [(each.rule_id, each.level) for each in decision.would_deny] == [("duplicate_order", "bot:demo-bot")]
    assert codes(judged(AGAIN, world, RULE)) == ["DUPLICATE_ORDER"]
    assert judged(AGAIN, world, replace(RULE, level="bot:other-bot")).verdict is Verdict.ALLOW


def test_a_window_is_bounded():
    assert DuplicateOrder(window_s=3600).repeats == 1
    with pytest.raises(ValueError, match=r"^duplicate_order: window_s must be at most 3600$"):
        DuplicateOrder(window_s=3601)
