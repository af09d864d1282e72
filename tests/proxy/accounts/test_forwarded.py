"""However often a request is told, by its intent, its hold or a journal, each of its orders explains one."""

from __future__ import annotations

from decimal import Decimal

from proxy.accounts import forwarded
from proxy.accounts.forwarded import SETTINGS_S, Forwarded
from rules.account import HeldOrder
from rules.model import PositionSide, Side

A, PLACED = forwarded.order("a"), {"type": "PlaceOrder", "client_order_id": "a"}
HELD = HeldOrder(
    symbol="BTCUSDT",
    side=Side.BUY,
    position_side=PositionSide.BOTH,
    quantity=Decimal(1),
    price=None,
    client_order_id="a",
)


def explained(told: Forwarded) -> int:
    """How many orders of the name are the guard's."""
    return sum(told.explains(A, 0.0) for _ in range(10))


def test_a_request_that_is_told_again_explains_no_more() -> None:
    told = Forwarded()
    assert told.add([PLACED], 0.0, "r1") == [A]
    assert told.add([PLACED], 0.0, "r1") == []
    assert told.add([PLACED], 0.0, "r2") == [A]
    assert explained(told) == 2
    assert told.add([PLACED], 0.0, "r1") == []
    assert explained(told) == 0


def test_an_amend_that_is_told_again_explains_again() -> None:
    told, amended = Forwarded(), {"type": "AmendOrder", "symbol": "BTCUSDT", "client_order_id": "a"}
    for _ in range(2):
        assert told.add([amended], 0.0, "r1") == [forwarded.amend("BTCUSDT", "a")]


def test_what_a_hold_explained_its_request_does_not_explain_again() -> None:
    told = Forwarded()
    told.hold(HELD, 0.0, "r1")
    assert explained(told) == 1
    told.add([PLACED], 0.0, "r1")
    assert explained(told) == 0
    told.add([PLACED], 0.0, "r2")
    assert explained(told) == 1


def test_beside_a_hold_another_request_of_the_name_explains_another_order() -> None:
    told = Forwarded()
    told.hold(HELD, 0.0, "r1")
    for request_id in ("r2", "r1"):
        told.add([PLACED], 0.0, request_id)
    assert explained(told) == 2


def test_a_setting_that_is_told_again_explains_no_longer() -> None:
    told, sent = Forwarded(), {"type": "SetLeverage", "symbol": "BTCUSDT", "leverage": "5"}
    leverage = forwarded.setting("leverage", "BTCUSDT", Decimal(5))
    assert told.add([sent], 0.0, "r1") == [leverage]
    assert told.add([sent], 20.0, "r1") == []
    assert told.explains(leverage, SETTINGS_S)
    assert not told.explains(leverage, SETTINGS_S + 1.0)
    told.remove([sent])
    told.add([sent], 0.0, "r1")
    assert not told.explains(leverage, 0.0)
