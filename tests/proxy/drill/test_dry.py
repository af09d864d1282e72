"""A dry drill: the whole job, and nothing that could change an account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.drill.dry import DryHands, SendRefused, never_sends
from proxy.exchange.venue_account import VenueAccount
from proxy.kill.hands import Reading
from proxy.store.fence import Fence
from proxy.vault.keys import Secret
from rules.kill.events import CancelStep, CloseStep
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder
from rules.model import PositionSide, Side

LEG = OpenLeg(symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=Decimal("-2"))
ORDER = RestingOrder(symbol="BTCUSDT", order_id="1")


class Account:
    """A venue that shows what it is told to, and has no way to be sent anything."""

    name = "main"

    def __init__(self) -> None:
        self.reading = Reading(plain_orders=(ORDER,), conditional_orders=(ORDER,), positions=(LEG,))

    async def survey(self, *, orders: bool = True) -> Reading:
        return self.reading


def a_close(quantity: str) -> CloseStep:
    return CloseStep(leg=LEG, side=Side.BUY, quantity=Decimal(quantity), sequence=1)


async def test_what_would_have_gone_is_read_no_more():
    hands = DryHands(Account())
    await hands.cancel(CancelStep(symbol="BTCUSDT", kind=OrderKind.PLAIN))
    reading = await hands.survey()
    assert (reading.plain_orders, reading.conditional_orders) == ((), (ORDER,))
    assert (await hands.close(a_close("0.5"), "pgk-1")).filled_quantity == Decimal("0.5")
    assert [leg.quantity for leg in (await hands.survey()).positions] == [Decimal("-1.5")]
    await hands.close(a_close("1.5"), "pgk-2")
    assert (await hands.survey()).positions == ()


async def test_a_leg_that_others_close_meanwhile_is_flat_and_never_turns():
    account = Account()
    hands = DryHands(account)
    await hands.close(a_close("1.5"), "pgk-1")
    account.reading = Reading(
        plain_orders=(),
        conditional_orders=(),
        positions=(OpenLeg(symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=Decimal("-1")),),
    )
    assert (await hands.survey()).positions == ()


SENDS: list[Callable[[VenueAccount], Awaitable[Any]]] = [
    lambda venue: venue.cancel_order("BTCUSDT", "x"),
    lambda venue: venue.cancel_conditional("BTCUSDT", "x"),
    lambda venue: venue.calls.once(venue.calls.client.fapiPrivatePostOrder, {"symbol": "BTCUSDT"}),
    lambda venue: venue.calls.once(venue.calls.client.fapiPrivateDeleteAllOpenOrders, {"symbol": "BTCUSDT"}),
    lambda venue: venue.calls.once(venue.calls.client.fapiPrivatePostLeverage, {"symbol": "BTCUSDT", "leverage": "1"}),
]


@pytest.mark.parametrize("send", SENDS)
async def test_the_client_itself_refuses_every_request_that_is_no_read(send: Callable[[VenueAccount], Awaitable[Any]]):
    venue = never_sends(
        VenueAccount(
            name="main", venue="binanceusdm", api_key="k", secret=Secret("s"), base_url="http://127.0.0.1:9", timeout=1
        )
    )
    try:
        with pytest.raises(SendRefused, match="a dry run asked for"):
            await send(venue)
    finally:
        await venue.aclose()


async def test_its_fence_is_not_the_live_guards(tmp_path: Path):
    from proxy.drill.dry import rehearse_dry
    from rules.kill.settings import FLATTEN_DEFAULT

    live = Fence.initialise(tmp_path)
    before = live.generation()
    account = Account()
    account.reading = Reading(plain_orders=(), conditional_orders=(), positions=())
    report = await rehearse_dry(
        [account], FLATTEN_DEFAULT, by="ann", at=datetime(2026, 11, 27, tzinfo=UTC), say=lambda line: None
    )
    assert (report.passed, report.phase, live.generation(), live.scopes()) == (True, "FLAT", before, frozenset())
