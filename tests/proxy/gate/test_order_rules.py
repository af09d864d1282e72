"""Rules about single orders that need what the store remembers or what others have under way."""

from proxy.gate.ruling import Outcome
from rules.order.duplicate_order import DuplicateOrder
from rules.order.self_trade import SelfTrade
from tests.proxy.gate.conftest import asking, refusals
from tests.rules.builders import a_buy, a_sell

ORDER = a_buy("BTCUSDT", "1", "49000")


async def test_the_same_order_again_is_refused_though_the_first_is_over(desk):
    judge = desk.judge(DuplicateOrder(window_s=3600))
    first = await judge.judge(asking(ORDER))
    await judge.settle(first, Outcome.REJECTED, [], {"kind": "outcome"})
    assert await desk.holds() == {}
    assert refusals(await judge.judge(asking(ORDER))) == ["DUPLICATE_ORDER"]
    assert (await judge.judge(asking(a_buy("BTCUSDT", "1", "49000.1")))).cleared
    assert (await judge.judge(asking(ORDER, bot="other-bot"))).cleared


async def test_a_refused_order_counts_for_no_duplicate(desk):
    judge = desk.judge(DuplicateOrder(window_s=3600, repeats=2))
    answers = [await judge.judge(asking(ORDER)) for _ in range(4)]
    assert [refusals(answer) for answer in answers] == [[], [], ["DUPLICATE_ORDER"], ["DUPLICATE_ORDER"]]
    assert answers[3].decisions[0].breaches[0].observed == "3"


async def test_two_bots_do_not_cross_while_the_first_order_is_still_under_way(desk):
    judge = desk.judge(SelfTrade())
    assert (await judge.judge(asking(ORDER, bot="other-bot"))).cleared
    assert refusals(await judge.judge(asking(a_sell("BTCUSDT", "1", "49000")))) == ["SELF_TRADE"]
    assert (await judge.judge(asking(a_sell("BTCUSDT", "1", "49000.1")))).cleared
