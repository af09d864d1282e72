"""Between the decision and the send: overrides are used up once, holds shrink to what will be sent."""

import asyncio
from decimal import Decimal

from proxy.gate.ruling import Outcome
from rules.account import HoldStatus
from rules.flow.anti_slicing import AntiSlicing
from rules.model import Side
from rules.order.exit_collar import ExitCollar
from rules.order.max_order_value import MaxOrderValue
from rules.position.position_limit import PositionLimit
from rules.resize import Resize, ResizeMode
from tests.proxy.gate.conftest import asking, refusals
from tests.rules.builders import a_buy, a_sell, an_account, an_override

VALUE = MaxOrderValue(limit=Decimal(1000))
TRIM = (Resize(level="bot:demo-bot", mode=ResizeMode.TRIM),)


class TestOverrides:
    async def test_an_override_lets_one_order_go_and_is_gone(self, desk):
        judge = desk.judge(VALUE)
        desk.grant(an_override())
        first = await judge.judge(asking(a_buy("BTCUSDT", "2"), name="d"))
        assert list(first.cleared) == [0]
        assert first.decisions[0].overrides == ("o1",)
        assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "2")))) == ["ORDER_VALUE_ABOVE_LIMIT"]
        assert list(await desk.holds()) == ["d"]

    async def test_of_orders_at_once_under_one_override_one_goes(self, desk):
        judge = desk.judge(VALUE)
        desk.grant(an_override())
        rulings = await asyncio.gather(*(judge.judge(asking(a_buy("BTCUSDT", "2"))) for _ in range(20)))
        assert sum(bool(ruling.cleared) for ruling in rulings) == 1
        lost = [ruling for ruling in rulings if not ruling.cleared]
        assert {ruling.withheld[0].code for ruling in lost if ruling.withheld} <= {"OVERRIDE_USED"}
        assert all(refusals(ruling) == ["ORDER_VALUE_ABOVE_LIMIT"] for ruling in lost if not ruling.withheld)
        assert len(await desk.holds()) == 1

    async def test_one_that_is_not_usable_any_more_withholds_the_order_and_says_so_in_the_audit(self, desk):
        judge = desk.judge(VALUE)
        desk.grant(an_override())
        rulings = await asyncio.gather(*(judge.judge(asking(a_buy("BTCUSDT", "2"))) for _ in range(2)))
        (late,) = [ruling for ruling in rulings if not ruling.cleared]
        assert (late.withheld[0].code, late.withheld[0].observed) == ("OVERRIDE_USED", "o1")
        told = [record["withheld"] for record in await desk.audit() if record["kind"] == "decision"]
        assert [each["0"]["code"] for each in told if each] == ["OVERRIDE_USED"]

    async def test_each_order_uses_its_own(self, desk):
        judge = desk.judge(VALUE)
        desk.grant(an_override(override_id="o1"))
        desk.grant(an_override(override_id="o2"))
        for name in ("o1", "o2"):
            ruling = await judge.judge(asking(a_buy("BTCUSDT", "2")))
            assert ruling.decisions[0].overrides == (name,)
        assert not (await judge.judge(asking(a_buy("BTCUSDT", "2")))).cleared

    async def test_a_refused_order_leaves_it_for_the_next(self, desk):
        desk.grant(an_override())
        refused = await desk.judge(VALUE, PositionLimit(limit_quantity=Decimal(1))).judge(asking(a_buy("BTCUSDT", "2")))
        assert not refused.cleared
        assert (await desk.judge(VALUE).judge(asking(a_buy("BTCUSDT", "2")))).cleared

    async def test_an_exit_may_use_one_too(self, desk):
        await desk.knows(an_account().long("BTCUSDT", "1"))
        judge = desk.judge(ExitCollar(band=Decimal("0.2")))
        desk.grant(an_override("exit_collar", side=Side.SELL))
        order = a_sell("BTCUSDT", "1", "30000", reduce_only=True)
        assert (await judge.judge(asking(order))).cleared
        assert refusals(await judge.judge(asking(order))) == ["EXIT_PRICE_OUTSIDE_COLLAR"]


class TestSizingDown:
    async def test_the_hold_shrinks_to_what_will_be_sent(self, desk):
        judge = desk.judge(VALUE, resizes=TRIM)
        ruling = await judge.judge(asking(a_buy("BTCUSDT", "2", client_order_id="c"), name="d"))
        assert ruling.cleared[0].command == a_buy("BTCUSDT", "0.02", client_order_id="c")
        hold = (await desk.holds())["d"]
        assert (hold.status, [order.quantity for order in hold.orders]) == (HoldStatus.PENDING, [Decimal("0.02")])

    async def test_it_stays_so_whatever_the_venue_says(self, desk):
        judge = desk.judge(VALUE, resizes=TRIM)
        for outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN):
            ruling = await judge.judge(asking(a_buy("BTCUSDT", "2", client_order_id=outcome.value), name=outcome.value))
            await judge.settle(ruling, outcome, [0], {"kind": "outcome"})
            hold = (await desk.holds())[outcome.value]
            assert (hold.status.value, [order.quantity for order in hold.orders]) == (outcome.value, [Decimal("0.02")])

    async def test_an_intent_sized_down_again_and_again_sends_no_more_than_would_have_passed_whole(self, desk):
        judge = desk.judge(VALUE, AntiSlicing(window_s=60), resizes=TRIM)
        first, *later = [await judge.judge(asking(a_buy("BTCUSDT", "2"))) for _ in range(4)]
        assert first.cleared[0].command.quantity == Decimal("0.02")
        assert not any(each.cleared for each in later)
        assert {each.decisions[0].breaches[-1].code for each in later} == {"SLICES_ABOVE_REFUSED_SIZE"}
        assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "0.001")))) == ["SLICES_ABOVE_REFUSED_SIZE"]
        assert (await judge.judge(asking(a_buy("ETHUSDT", "0.1", "2500")))).cleared

    async def test_orders_at_once_share_the_room_out(self, desk):
        judge = desk.judge(PositionLimit(limit_quantity=Decimal("0.03")), resizes=TRIM)
        rulings = await asyncio.gather(*(judge.judge(asking(a_buy("BTCUSDT", "0.02"))) for _ in range(3)))
        sent = [ruling.cleared[0].command.quantity for ruling in rulings if ruling.cleared]
        assert sum(sent) <= Decimal("0.03")
        assert sorted(sent)[-1] == Decimal("0.02")

    async def test_room_that_may_come_free_is_waited_for(self, desk):
        judge = desk.judge(PositionLimit(limit_quantity=Decimal("0.03")), resizes=TRIM)
        first = await judge.judge(asking(a_buy("BTCUSDT", "0.02")))

        async def refused_by_the_venue():
            await asyncio.sleep(0.03)
            await judge.settle(first, Outcome.REJECTED, [], {"kind": "outcome"})

        second, _ = await asyncio.gather(judge.judge(asking(a_buy("BTCUSDT", "0.03"))), refused_by_the_venue())
        assert second.cleared[0].command.quantity == Decimal("0.03")
        assert second.decisions[0].trimmed_from is None

    async def test_without_its_hold_a_smaller_order_is_not_sent(self, desk, monkeypatch):
        judge = desk.judge(VALUE, resizes=TRIM)
        hold = desk.store.hold

        async def hold_and_lose(request):
            view = await hold(request)
            await desk.store.settle("demo", request.hold_id, "RELEASE", [])
            return view

        monkeypatch.setattr(desk.store, "hold", hold_and_lose)
        ruling = await judge.judge(asking(a_buy("BTCUSDT", "2")))
        assert (ruling.cleared, ruling.withheld[0].code) == ({}, "NOT_RESERVED")
