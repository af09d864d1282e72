"""The practice exchange's private stream, rendered from what its engine did: in the venue's order, as raw frames.

Orders and trades of the engine share one counter, which gives the order of what happened within one step. Each fill
tells the account first, then the order (Binance USD-M "User Data Streams").
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.engine.account import Account
from sandbox.engine.conditional import ConditionalOrder, ConditionalStatus
from sandbox.engine.exchange import Exchange
from sandbox.engine.model import ZERO, Fill, Order, OrderStatus, PositionSide

Frame = dict[str, Any]


@dataclass
class _Seen:
    """An order as the stream last told it."""

    filled: Decimal
    quantity: Decimal
    price: Decimal
    status: str


class VenueStream:
    """What one account's stream says about everything its engine did since the last ``frames``."""

    def __init__(self, exchange: Exchange, account: Account) -> None:
        self._exchange = exchange
        self._account = account
        self._orders: dict[int, _Seen] = {}
        self._conditionals: dict[int, str] = {}
        self._legs: dict[tuple[str, PositionSide], Decimal] = {}
        self._last_trade = 0
        self._wallet = account.wallet

    def frames(self) -> list[Frame]:
        """Everything new, in the venue's order."""
        told: list[tuple[int, list[Frame]]] = []
        for order in self._account.orders:
            if order.order_id not in self._orders:
                self._orders[order.order_id] = _Seen(ZERO, order.quantity, order.price, "NEW")
                told.append((order.order_id, [self._order(order, "NEW", "NEW", ZERO)]))
            else:
                told.append((0, self._amended(order)))
        for fill in self._account.fills:
            if fill.trade_id > self._last_trade:
                told.append((fill.trade_id, self._filled(fill)))
        self._last_trade = max((fill.trade_id for fill in self._account.fills), default=0)
        for conditional in self._account.conditionals:
            told.append((conditional.conditional_id, self._conditional_new(conditional)))
            told.append((self._exchange._last_id + 1, self._conditional_moved(conditional)))
        told.sort(key=lambda each: each[0])
        frames = [frame for _, each in told for frame in each]
        return frames + [frame for order in self._account.orders for frame in self._ended(order)]

    def _amended(self, order: Order) -> list[Frame]:
        seen = self._orders[order.order_id]
        if (order.quantity, order.price) == (seen.quantity, seen.price):
            return []
        seen.quantity, seen.price = order.quantity, order.price
        status = "PARTIALLY_FILLED" if seen.filled else "NEW"
        return [self._order(order, "AMENDMENT", status, seen.filled)]

    def _filled(self, fill: Fill) -> list[Frame]:
        order = next(each for each in reversed(self._account.orders) if each.order_id == fill.order_id)
        seen = self._orders[order.order_id]
        seen.filled += fill.quantity
        seen.status = "FILLED" if seen.filled == order.quantity else "PARTIALLY_FILLED"
        key = (fill.symbol, fill.position_side)
        self._legs[key] = self._legs.get(key, ZERO) + fill.quantity * fill.side.sign
        trade = self._order(order, "TRADE", seen.status, seen.filled)
        trade["o"] |= {"l": str(fill.quantity), "L": str(fill.price), "t": fill.trade_id, "n": str(fill.commission)}
        return [self._leg(key), trade]

    def _leg(self, key: tuple[str, PositionSide]) -> Frame:
        symbol, side = key
        return self._frame(
            "ACCOUNT_UPDATE",
            a={
                "m": "ORDER",
                "B": [{"a": "USDT", "wb": str(self._account.wallet), "cw": str(self._account.wallet), "bc": "0"}],
                "P": [
                    {
                        "s": symbol,
                        "ps": str(side),
                        "pa": str(self._legs[key]),
                        "ep": str(self._account.position(symbol, side).entry_price),
                        "mt": "cross",
                    }
                ],
            },
        )

    def _ended(self, order: Order) -> list[Frame]:
        seen = self._orders[order.order_id]
        if order.open or seen.status == str(order.status):
            return []
        seen.status = str(order.status)
        execution = "CANCELED" if order.status is OrderStatus.CANCELED else "EXPIRED"
        return [self._order(order, execution, seen.status, seen.filled)]

    def _conditional_new(self, order: ConditionalOrder) -> list[Frame]:
        if order.conditional_id in self._conditionals:
            return []
        self._conditionals[order.conditional_id] = "NEW"
        return [self._conditional(order, "NEW")]

    def _conditional_moved(self, order: ConditionalOrder) -> list[Frame]:
        if self._conditionals[order.conditional_id] == str(order.reported_status):
            return []
        frames = []
        if order.triggered_ms and self._conditionals[order.conditional_id] == "NEW":
            frames.append(self._conditional(order, "TRIGGERED"))
        if order.reported_status is not ConditionalStatus.TRIGGERED:
            frames.append(self._conditional(order, str(order.reported_status)))
        self._conditionals[order.conditional_id] = str(order.reported_status)
        return frames

    def _order(self, order: Order, execution: str, status: str, filled: Decimal) -> Frame:
        seen = self._orders.get(order.order_id)
        return self._frame(
            "ORDER_TRADE_UPDATE",
            o={
                "s": order.symbol,
                "c": order.client_order_id,
                "S": str(order.side),
                "o": str(order.order_type),
                "x": execution,
                "X": status,
                "i": order.order_id,
                "q": str(seen.quantity if seen is not None else order.quantity),
                "p": str(seen.price if seen is not None else order.price),
                "z": str(filled),
                "l": "0",
                "L": "0",
                "ps": str(order.position_side),
                "R": order.reduce_only,
                "cp": order.close_position,
            },
        )

    def _conditional(self, order: ConditionalOrder, status: str) -> Frame:
        terms = order.terms
        return self._frame(
            "ALGO_UPDATE",
            o={
                "s": terms.symbol,
                "caid": order.client_order_id,
                "aid": order.conditional_id,
                "S": str(terms.side),
                "o": str(terms.conditional_type),
                "X": status,
                "q": str(terms.quantity or 0),
                "p": str(terms.price or 0),
                "tp": str(terms.trigger_price or 0),
                "ps": str(terms.position_side),
                "R": terms.reduce_only,
                "cp": terms.close_position,
                "ai": str(order.order.order_id) if order.order is not None and status != "NEW" else "",
            },
        )

    def _frame(self, name: str, **content: Any) -> Frame:
        return {"e": name, "E": self._exchange.now_ms, "T": self._exchange.now_ms, **content}
