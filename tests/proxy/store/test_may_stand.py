"""Whether anything may be left of an order whose answer was lost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from proxy.store.unreported import may_stand
from rules.account import OpenOrder, UnreportedOrder
from rules.model import OrderType, PositionSide, Side
from tests.proxy.store.builders import a_held_order, an_account_of
from tests.rules.builders import NOW

STOP = UnreportedOrder(bot="bob", hold_id="h1", at=NOW, order=replace(a_held_order(), conditional=True))
LIMIT = replace(STOP, order=a_held_order())


def stands(lost: UnreportedOrder, **terms: Any) -> bool:
    """Beside a buy of the bot's that the venue named."""
    order = OpenOrder(
        symbol="BTCUSDT",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        order_type=OrderType.LIMIT,
        leaves_quantity=Decimal(1),
        price=Decimal(50_000),
        trigger_price=None,
        reduce_only=False,
        close_position=False,
        order_id="900",
        client_order_id="auto-900",
        bot="bob",
    )
    return may_stand(lost, frozenset(), an_account_of(1, open_orders=(replace(order, **terms),)))


def test_a_stop_that_triggered_may_stand_under_the_venues_name() -> None:
    assert stands(STOP)
    assert not stands(LIMIT), "of other orders the name says it"
    assert stands(LIMIT, client_order_id=LIMIT.order.client_order_id)


@pytest.mark.parametrize(
    "other",
    [
        {"bot": "ada"},
        {"bot": ""},
        {"symbol": "ETHUSDT"},
        {"side": Side.SELL},
        {"position_side": PositionSide.LONG},
        {"order_type": OrderType.STOP},
    ],
)
def test_but_not_as_an_order_that_it_cannot_have_become(other: dict[str, Any]) -> None:
    assert not stands(STOP, **other)
