"""Fills of the private stream against stated costs: what is compared, and that a turn is told once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy.exchange.events import OrderEvent
from proxy.signals.book_walk import Slippage
from proxy.signals.fills_keeper import FillsKeeper
from rules.model import OrderType, PositionSide, Side
from rules.snapshot import Market
from tests.rules.builders import NOW

QUOTED = Market(
    symbol="BTCUSDT", mark_price=Decimal(100), as_of=NOW, bid_price=Decimal("99.9"), ask_price=Decimal("100.1")
)


def an_event(order: int, execution: str, status: str, price: str = "0", **changes: Any) -> OrderEvent:
    fields: dict[str, Any] = {
        "at_ms": 0,
        "sent_ms": 0,
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "order_id": str(order),
        "client_order_id": f"x{order}",
        "order_type": OrderType.MARKET,
        "execution": execution,
        "status": status,
        "quantity": Decimal(2),
        "price": None,
        "filled_quantity": Decimal(0),
        "last_quantity": Decimal(1),
        "last_price": Decimal(price),
        "fee": Decimal(0),
        "fee_asset": "USDT",
        "realised_pnl": Decimal(0),
        "trade_id": order,
        "maker": False,
        "reduce_only": False,
        "close_position": False,
    }
    return OrderEvent(**{**fields, **changes})


class Desk:
    def __init__(self, book_bps: float | None = 3.0) -> None:
        self.markets = {"BTCUSDT": QUOTED}
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.book_bps = book_bps
        self.keeper = FillsKeeper(
            account="main", markets=lambda: self.markets, slippage=self._slippage, record=self._record
        )

    def order(self, number: int, price: str, **changes: Any) -> None:
        """Two fills at ``price``, and the end."""
        for execution, status in (("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")):
            self.keeper.heard(an_event(number, execution, status, price, **changes))

    @property
    def compared(self) -> tuple[int, int]:
        return self.keeper.watch.compared, self.keeper.watch.exceeded

    def _slippage(self, symbol: str, side: Side, quantity: Decimal) -> Slippage | None:
        return Slippage(
            symbol=symbol,
            side=side,
            quantity=quantity,
            book_bps=self.book_bps,
            beyond_book=False,
            expected_bps=self.book_bps,
            q90_bps=20,
            q99_bps=40,
            samples=1,
            is_warm=False,
            as_of=NOW,
        )

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.records.append((what, detail))


def test_taker_orders_are_compared_with_what_was_stated():
    desk = Desk()
    desk.order(1, "100.1")
    desk.order(2, "100.3")
    desk.order(3, "99.5", side=Side.SELL)
    assert desk.compared == (3, 2)


def test_makers_and_the_venue_itself_are_not_compared():
    desk = Desk()
    desk.order(1, "105", maker=True)
    desk.order(2, "105", client_order_id="autoclose-5")
    assert desk.compared == (0, 0)


def test_without_quotes_or_a_book_nothing_is_compared():
    blind, unread = Desk(), Desk(book_bps=None)
    blind.markets = {}
    for desk in (blind, unread):
        desk.order(1, "105")
        assert desk.compared == (0, 0)


def test_a_cancelled_rest_ends_an_order():
    desk = Desk()
    desk.keeper.heard(an_event(1, "TRADE", "PARTIALLY_FILLED", "105"))
    assert desk.compared == (0, 0)
    desk.keeper.heard(an_event(1, "CANCELED", "CANCELED"))
    assert desk.compared == (1, 1)


async def test_a_turn_for_the_worse_is_told_once_and_so_is_its_end():
    desk = Desk()
    for number in range(20):
        desk.order(number, "101")
        await desk.keeper.look()
        await desk.keeper.look()
    assert [what for what, _ in desk.records] == ["fills_worse"]
    assert desk.records[0][1] == {"account": "main", "exceeded": 20, "of": 20, "chance": "1e-20"}
    for number in range(20, 220):
        desk.order(number, "100")
        await desk.keeper.look()
    assert [what for what, _ in desk.records] == ["fills_worse", "fills_as_stated"]


def test_an_order_that_is_amended_until_it_takes_is_held_against_the_quotes_of_its_amendment():
    """It rested for ten minutes while the market went half a percent away; then it took the best ask."""
    away = replace(QUOTED, bid_price=Decimal("100.4"), ask_price=Decimal("100.6"))
    desk = Desk()
    for execution, quoted, price in (("NEW", QUOTED, "0"), ("AMENDMENT", away, "0"), ("TRADE", away, "100.6")):
        desk.markets = {"BTCUSDT": quoted}
        desk.keeper.heard(an_event(1, execution, "FILLED" if execution == "TRADE" else "NEW", price))
    assert desk.compared == (1, 0)


def test_an_order_that_has_taken_keeps_its_arrival():
    desk = Desk()
    desk.keeper.heard(an_event(1, "TRADE", "PARTIALLY_FILLED", "100.3"))
    desk.markets = {"BTCUSDT": replace(QUOTED, bid_price=Decimal("100.4"), ask_price=Decimal("100.6"))}
    desk.keeper.heard(an_event(1, "AMENDMENT", "PARTIALLY_FILLED"))
    desk.keeper.heard(an_event(1, "TRADE", "FILLED", "100.3"))
    assert desk.compared == (1, 1)
