"""Rules about single orders that need what the store remembers or what others have under way."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import redis

from proxy.clock import utc_now
from proxy.gate.judge import Judge
from proxy.gate.ruling import Outcome
from proxy.gate.wording import guard_headers
from proxy.gate.wording import refusals as said_of
from proxy.signals.watch import AnomalyWatch
from proxy.store.codec import dump, load, plain
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from rules.flow.anti_slicing import AntiSlicing
from rules.flow.staged_response import StagedResponse
from rules.model import Side
from rules.order.duplicate_order import DuplicateOrder
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.order.self_trade import SelfTrade
from rules.position.own_share import OwnShare
from rules.usual import UsualSizes
from tests.proxy.gate.conftest import asking, refusals
from tests.proxy.signals.test_order_stream import a_record
from tests.rules.builders import a_buy, a_sell, an_account
from tests.support.policies import in_force

ORDER = a_buy("BTCUSDT", "1", "49000")


async def test_the_same_order_again_is_refused_though_the_first_is_over(desk):
    judge = desk.judge(DuplicateOrder(window_s=3600))
    first = await judge.judge(asking(ORDER))
    await judge.settle(first, Outcome.REJECTED, [], {"kind": "outcome"})
    assert await desk.holds() == {}
    assert refusals(await judge.judge(asking(ORDER))) == ["DUPLICATE_ORDER"]
    assert (await judge.judge(asking(a_buy("BTCUSDT", "1", "49000.1")))).cleared
    assert (await judge.judge(asking(ORDER, bot="other-bot"))).cleared


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(hours=1)], ids=["behind", "ahead"])
async def test_a_window_is_as_long_where_the_gate_s_clock_is_not_the_store_s(desk, ahead):
    """A gate ahead of the store would take what was tried just now for long ago; one behind, what was long ago for
    just now."""

    def a_gate(store: GateStore) -> Judge:
        policy = desk.under(DuplicateOrder(window_s=60))
        return Judge(store=store, fence=desk.fence, journal=desk.journal, policy=policy, now=lambda: utc_now() + ahead)

    world, now = an_account(), utc_now() + ahead
    markets = {symbol: replace(market, as_of=now) for symbol, market in world.markets.items()}
    await desk.knows(replace(world, account=replace(world.account, as_of=now), markets=markets))
    judge = a_gate(desk.store)
    first = await judge.judge(asking(ORDER))
    await judge.settle(first, Outcome.REJECTED, [], {"kind": "outcome"})
    assert refusals(await judge.judge(asking(ORDER))) == ["DUPLICATE_ORDER"]
    age(desk, timedelta(seconds=90))
    another = GateStore(desk.url, desk.name, policy_of=in_force, timeout_s=2.0)
    assert (await a_gate(another).judge(asking(ORDER))).cleared
    await another.aclose()


def age(desk, by):
    """What was tried was tried so much earlier."""
    key = Keys(desk.name).attempts("demo", "demo-bot")
    with redis.Redis.from_url(desk.url, decode_responses=True) as client:
        for place, line in enumerate(client.lrange(key, 0, -1)):
            at_us, _, rest = line.partition("|")
            client.lset(key, place, f"{int(at_us) - by // timedelta(microseconds=1)}|{rest}")


async def test_a_bot_is_told_no_size_of_one_rule_where_another_one_names_none(desk):
    judge = desk.judge(MaxOrderValue(limit=Decimal(2_500)), PriceCollar(band=Decimal("0.01")))
    far, near = [await judge.judge(asking(a_buy("BTCUSDT", "0.1", price))) for price in ("60000", "50000")]
    assert [each.code for each in far.decisions[0].breaches] == ["ORDER_VALUE_ABOVE_LIMIT", "PRICE_OUTSIDE_COLLAR"]
    assert "largest quantity" not in said_of(far)[0].msg
    assert said_of(near)[0].msg.endswith("largest quantity allowed now 0.05")


@pytest.mark.parametrize("batch", [False, True], ids=["alone", "batch"])
async def test_a_size_is_told_where_the_pieces_are_held_to_it_and_of_a_batch_none_is(desk, batch):
    judge = desk.judge(MaxOrderValue(limit=Decimal(2_500)), AntiSlicing(window_s=60))
    beside = [a_buy("ETHUSDT", "0.01", "2500")] if batch else []
    ruling = await judge.judge(asking(a_buy("BTCUSDT", "3", "50000"), *beside))
    said, headers = said_of(ruling)[0].msg, guard_headers(ruling)
    assert headers["X-Guard-Code"] == "ORDER_VALUE_ABOVE_LIMIT"
    assert (headers.get("X-Guard-Headroom"), "largest quantity" in said) == ((None, False) if batch else ("0.05", True))
    pieces = [await judge.judge(asking(a_buy("BTCUSDT", "0.05", "50000"))) for _ in range(2)]
    assert [refusals(piece) for piece in pieces] == [[], [] if batch else ["SLICES_ABOVE_REFUSED_SIZE"]]


async def test_an_exit_of_a_batch_is_told_how_much_of_the_share_it_may_close(desk):
    await desk.knows(an_account().sharing("demo-bot", "BTCUSDT", "1").sharing("other-bot", "BTCUSDT", "5"))
    exits = [a_sell("BTCUSDT", size, reduce_only=True) for size in ("0.4", "0.7")]
    ruling = await desk.judge(OwnShare()).judge(asking(*exits))
    assert said_of(ruling)[1].msg.endswith("largest quantity allowed now 0.6")


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


async def test_a_fat_finger_is_refused_before_it_is_sent_by_what_the_warden_knows_of_the_bot(desk):
    usual = an_account().used_to(any_size="60000 120000 240000", symbols=("BTCUSDT",), new_symbol=0.78).usual
    await desk.warden.publish_usual(usual)
    judge = desk.judge(StagedResponse(reduce_at=Decimal("0.7")))
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "3", "49000")))) == ["ANOMALY_REDUCE_ONLY"]
    assert refusals(await judge.judge(asking(a_buy("ETHUSDT", "0.1", "2400")))) == ["ANOMALY_REDUCE_ONLY"]
    assert (await judge.judge(asking(ORDER))).cleared
    assert (await judge.judge(asking(a_buy("BTCUSDT", "3", "49000"), bot="other-bot"))).cleared


async def test_what_is_usual_is_cut_down_to_the_symbols_of_the_order(desk):
    sizes = [UsualSizes(symbol=symbol, side=Side.BUY, bounds=(Decimal(1),)) for symbol in ("BTCUSDT", "ETHUSDT")]
    usual = an_account().used_to(sizes=tuple(sizes), symbols=("BTCUSDT", "ETHUSDT")).usual
    await desk.warden.publish_usual(usual)
    await desk.judge(StagedResponse(reduce_at=Decimal("0.5"))).judge(asking(ORDER))
    (recorded,) = [record["snapshot"]["usual"] for record in await desk.audit() if record["kind"] == "decision"]
    assert recorded == load(dump(plain(replace(usual, sizes=tuple(sizes[:1]), symbols=("BTCUSDT",)))))


async def test_what_the_warden_learned_of_a_bot_stops_its_next_order_before_it_is_sent(desk):
    watch = AnomalyWatch(desk.warden, lambda: [("demo-bot", "demo")])
    await watch.see([a_record(ORDER)] * 5)
    judge = desk.judge(StagedResponse(reduce_at=Decimal("0.5")))
    far, large = a_buy("BTCUSDT", "1", "55000"), a_buy("BTCUSDT", "40", "49000")
    assert refusals(await judge.judge(asking(far))) == ["ANOMALY_REDUCE_ONLY"]
    assert refusals(await judge.judge(asking(large))) == ["ANOMALY_REDUCE_ONLY"]
    assert (await judge.judge(asking(ORDER))).cleared
