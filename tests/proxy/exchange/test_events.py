"""The private stream's frames as events: exact numbers, known names, and no silent gaps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from proxy.exchange.events import AccountEvent, AlgoEvent, ConfigEvent, OrderEvent, UnreadableEvent, read_event
from rules.model import MarginMode, OrderType, PositionSide, Side

# Binance "Event: Order Update" of the USD-M user data streams, reduced to the fields that are read.
ORDER: dict[str, Any] = {
    "e": "ORDER_TRADE_UPDATE",
    "E": 1568879465651,
    "T": 1568879465650,
    "o": {
        "s": "BTCUSDT",
        "c": "TEST",
        "S": "SELL",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.003",
        "p": "7000.10",
        "ap": "0",
        "sp": "0",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "i": 8886774,
        "l": "0.001",
        "z": "0.002",
        "L": "7000.10",
        "N": "USDT",
        "n": "0.00280004",
        "T": 1568879465650,
        "t": 55,
        "m": True,
        "R": False,
        "ps": "BOTH",
        "cp": False,
        "rp": "-1.5",
    },
}
ACCOUNT = {
    "e": "ACCOUNT_UPDATE",
    "E": 1564745798939,
    "T": 1564745798938,
    "a": {
        "m": "FUNDING_FEE",
        "B": [{"a": "USDT", "wb": "122624.12345678", "cw": "100.12345678", "bc": "-0.5"}],
        "P": [{"s": "BTCUSDT", "pa": "-0.003", "ep": "7000.1", "cr": "0", "up": "0", "mt": "isolated", "ps": "BOTH"}],
    },
}


def test_an_execution_keeps_its_exact_numbers() -> None:
    event = read_event(ORDER)
    assert isinstance(event, OrderEvent)
    assert (event.side, event.position_side, event.order_type) == (Side.SELL, PositionSide.BOTH, OrderType.LIMIT)
    assert (event.filled_quantity, event.last_quantity) == (Decimal("0.002"), Decimal("0.001"))
    assert event.leaves_quantity == Decimal("0.001")
    assert (event.fee, event.realised_pnl, event.trade_id) == (Decimal("0.00280004"), Decimal("-1.5"), 55)
    assert not event.is_forced


@pytest.mark.parametrize(
    ("told", "average_price"), [({"ap": "7000.05"}, Decimal("7000.05")), ({"ap": "0"}, None), ({}, None)]
)
def test_what_has_filled_has_an_average_price_where_the_venue_tells_it(
    told: dict[str, str], average_price: Decimal | None
) -> None:
    silent = {name: value for name, value in ORDER["o"].items() if name != "ap"}
    event = read_event(ORDER | {"o": silent | told})
    assert isinstance(event, OrderEvent)
    assert event.average_price == average_price


def test_nothing_is_left_of_an_order_at_its_end() -> None:
    event = read_event(ORDER | {"o": ORDER["o"] | {"x": "CANCELED", "X": "CANCELED"}})  # type: ignore[operator]
    assert isinstance(event, OrderEvent)
    assert event.leaves_quantity == 0


def test_the_venues_own_orders_are_told_apart() -> None:
    event = read_event(ORDER | {"o": ORDER["o"] | {"c": "autoclose-17", "o": "LIQUIDATION"}})  # type: ignore[operator]
    assert isinstance(event, OrderEvent)
    assert event.is_forced


def test_balances_and_legs_after_funding() -> None:
    event = read_event(ACCOUNT)
    assert isinstance(event, AccountEvent)
    assert event.reason == "FUNDING_FEE"
    assert event.balances[0].change == Decimal("-0.5")
    leg = event.positions[0]
    assert (leg.quantity, leg.margin_mode) == (Decimal("-0.003"), MarginMode.ISOLATED)


def test_an_isolated_leg_tells_its_margin_where_the_venue_does() -> None:
    def margin(**leg: str) -> Decimal | None:
        told = {**ACCOUNT["a"]["P"][0], **leg}  # type: ignore[index]
        event = read_event(ACCOUNT | {"a": {"m": "ORDER", "P": [told]}})
        assert isinstance(event, AccountEvent)
        return event.positions[0].isolated_margin

    assert margin() is None
    assert margin(iw="13200.70726908") == Decimal("13200.70726908")
    assert margin(iw="0") is None
    assert margin(iw="5", mt="cross") is None


def test_a_conditional_order_that_closes_the_position_has_no_size() -> None:
    order = {"caid": "c1", "aid": 7, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT", "S": "SELL"}
    order |= {"ps": "BOTH", "f": "GTC", "q": "0", "X": "NEW", "tp": "6000", "p": "0", "cp": True, "R": True}
    event = read_event({"e": "ALGO_UPDATE", "E": 2, "T": 1, "o": order})
    assert isinstance(event, AlgoEvent)
    assert event.quantity is None
    assert event.is_open


def test_a_setting_that_changed() -> None:
    event = read_event({"e": "ACCOUNT_CONFIG_UPDATE", "E": 2, "T": 1, "ac": {"s": "BTCUSDT", "l": 25}})
    assert event == ConfigEvent(at_ms=1, sent_ms=2, symbol="BTCUSDT", leverage=Decimal(25), multi_assets=None)


def test_what_repeats_another_event_is_left_out() -> None:
    assert read_event({"e": "TRADE_LITE", "E": 1}) is None


@pytest.mark.parametrize(
    "frame",
    [
        {"e": "SOMETHING_NEW", "E": 1},
        {},
        ORDER | {"o": {}},
        ORDER | {"o": ORDER["o"] | {"q": "many"}},  # type: ignore[operator]
        ORDER | {"E": None},
        {"e": "ACCOUNT_UPDATE", "E": 1, "a": {"m": "ORDER", "P": [{"s": "BTCUSDT"}]}},
    ],
)
def test_what_is_not_understood_is_an_error(frame: dict[str, object]) -> None:
    with pytest.raises(UnreadableEvent):
        read_event(frame)


@pytest.mark.parametrize(
    "change",
    [
        {"q": "NaN"},
        {"z": "Infinity"},
        {"L": "1e1000000"},
        {"ap": "NaN"},
        {"ap": True},
        {"l": True},
        {"R": "false"},
        {"cp": 1},
        {"c": ["TEST"]},
        {"s": 7},
        {"i": None},
        {"t": "55"},
    ],
    ids=lambda change: next(f"{name}={value}" for name, value in change.items()),
)
def test_a_value_of_another_kind_is_not_understood(change: dict[str, object]) -> None:
    with pytest.raises(UnreadableEvent):
        read_event({**ORDER, "o": {**ORDER["o"], **change}})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", [[], {}, ["ORDER_TRADE_UPDATE"], None, 1], ids=str)
def test_a_name_that_is_no_text_is_not_understood(name: object) -> None:
    with pytest.raises(UnreadableEvent):
        read_event({**ORDER, "e": name})


@pytest.mark.parametrize("sent", [float("inf"), float("nan"), "1568879465651", True], ids=str)
def test_a_time_that_is_no_whole_number_is_not_understood(sent: object) -> None:
    with pytest.raises(UnreadableEvent):
        read_event({**ORDER, "E": sent})
