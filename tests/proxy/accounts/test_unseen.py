"""What the venue's list of past orders tells that the shares do not have: all of it once, whatever a warden counted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.accounts.unseen import unseen
from proxy.exchange.payloads import PastOrder
from rules.model import Side
from tests.proxy.accounts.builders import a_resting_order

SLACK_MS = 1_000


def past(name: str, quantity: str, at_ms: int, symbol: str = "BTCUSDT") -> PastOrder:
    """A buy, or with a negative quantity a sale, that filled whole."""
    side = Side.SELL if quantity.startswith("-") else Side.BUY
    order = a_resting_order(name, side, "0", quantity.removeprefix("-"), symbol=symbol)
    return PastOrder(order=order, changed_ms=at_ms, average_price=None)


def found(*orders: PastOrder, missing: str, since_ms: int = 100, slack_ms: int = SLACK_MS) -> list[str]:
    rest = {"BTCUSDT": Decimal(missing)}
    seen = unseen(orders, since_ms, slack_ms, lambda symbol, number: Decimal(0), lambda leg: rest[leg[0]])
    return [each.order.client_order_id for each in seen]


def test_what_changed_since_is_found_oldest_first() -> None:
    orders = (past("b", "-1", 9_000), past("a", "3", 8_000), past("old", "7", 99))
    assert found(*orders, missing="2") == ["a", "b"]


@pytest.mark.parametrize(
    ("missing", "expected"), [("-1", ["new"]), ("1", ["told", "new"]), ("2", ["told", "new"]), ("0", ["new"])]
)
def test_one_that_was_told_of_just_then_is_left_out_where_the_sums_say_that_it_is_counted(
    missing: str, expected: list[str]
) -> None:
    """The list dates it a little later than its event. Where no number fits, all are new that can be."""
    orders = (past("told", "2", 101), past("new", "-1", 9_000))
    if missing == "0":
        orders = (past("told", "2", 100), past("new", "-1", 9_000))
    assert found(*orders, missing=missing) == expected


def test_of_orders_that_moved_nothing_those_of_just_then_are_no_news() -> None:
    assert found(past("cancelled", "0", 101), past("placed", "0", 9_000), missing="0") == ["placed"]


def test_two_that_make_up_for_each_other_are_both_found() -> None:
    assert found(past("a", "-1", 8_000), past("b", "1", 9_000), missing="0") == ["a", "b"]


def test_what_is_counted_of_an_order_is_not_missing() -> None:
    half = {("BTCUSDT", "venue-a"): Decimal(1)}
    orders = (past("a", "2", 9_000),)
    seen = unseen(orders, 100, SLACK_MS, lambda *order: half.get(order, Decimal(0)), lambda leg: Decimal(1))
    assert len(seen) == 1
