"""The sums of one symbol: what its legs are, and what its orders would add if all of them filled.

Kept with the account as it stands, so that the next order only adds what is under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from rules.account import Account, HeldOrder, OpenOrder, Position
from rules.intent import order_only_shrinks
from rules.model import BUY, ZERO, Side
from rules.snapshot import Market


class Total:
    """Sums of one symbol while they are gathered: base units and quote currency, all at least zero."""

    __slots__ = ("buy_notional", "buys", "long", "long_notional", "sell_notional", "sells", "short", "short_notional")

    def __init__(self) -> None:
        self.long = self.short = self.long_notional = self.short_notional = ZERO
        self.buys = self.sells = self.buy_notional = self.sell_notional = ZERO

    def add_position(self, quantity: Decimal, mark: Decimal) -> None:
        """Add a leg; ``quantity`` is signed."""
        if quantity > 0:
            self.long += quantity
            self.long_notional += quantity * mark
        else:
            self.short -= quantity
            self.short_notional -= quantity * mark

    def add_order(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        """Add what an order may still fill, at the highest price it could be worth."""
        if side is BUY:
            self.buys += quantity
            self.buy_notional += quantity * price
        else:
            self.sells += quantity
            self.sell_notional += quantity * price


@dataclass(slots=True)
class _Book:
    """What one symbol has in an account: its legs, and the resting orders that may add to them."""

    positions: list[Position] = field(default_factory=list)
    orders: list[OpenOrder] = field(default_factory=list)


def amended_total(symbol: str, held: Sequence[HeldOrder], account: Account, market: Market | None) -> Total:
    """The sums of one symbol with ``held``, its orders that are under way, amends among them."""
    amended: dict[str, Decimal] = {}
    for order in held:
        if order.replaces is not None:
            amended[order.replaces] = max(amended.get(order.replaces, ZERO), order.quantity)
    total = _account_total(account.found(_account_books).get(symbol, _Book()), amended, market)
    for order in held:
        total.add_order(order.side, order.quantity, held_worth(order, market))
    return total


def held_worth(order: HeldOrder, market: Market | None) -> Decimal:
    """The highest price one unit of an order under way could be worth."""
    named = order.price if order.amendment is None else order.amendment.price
    return _worth(order.price, market, priced=named is not None)


def _worth(price: Decimal | None, market: Market | None, *, priced: bool) -> Decimal:
    """The higher of mark and ``price``, and of the touches for an order that leaves its price to the book."""
    if market is None:
        return price or ZERO
    worth = market.mark_price
    if price is not None and price > worth:
        worth = price
    return worth if priced else max(worth, market.bid_price or ZERO, market.ask_price or ZERO)


def account_totals(account: Account, markets: Mapping[str, Market]) -> dict[str, Total]:
    """The sums of every symbol with a leg or a resting order, with nothing under way. Not to be added to."""
    books = account.found(_account_books)
    return {symbol: _account_total(book, {}, markets.get(symbol)) for symbol, book in books.items()}


def _account_total(book: _Book, amended: Mapping[str, Decimal], market: Market | None) -> Total:
    """The sums of the legs and of what resting orders may still fill, beyond the amends that are held for them.

    An amend counts instead of the order it replaces, but never for less than that order: the hold may have been made
    on an older picture.
    """
    total = Total()
    for position in book.positions:
        total.add_position(position.quantity, position.mark_price if market is None else market.mark_price)
    for order in book.orders:
        leaves = order.leaves_quantity or ZERO
        # Conditional orders cannot be amended; an equal id of theirs is a coincidence.
        if amended and not order.order_type.is_conditional:
            leaves -= amended.get(order.order_id, ZERO)
        if leaves > 0:
            price = order.price
            if order.trigger_price is not None:
                price = order.trigger_price if price is None else max(price, order.trigger_price)
            total.add_order(order.side, leaves, _worth(price, market, priced=price is not None))
    return total


def _account_books(account: Account) -> dict[str, _Book]:
    books: dict[str, _Book] = {}
    for position in account.positions:
        books.setdefault(position.symbol, _Book()).positions.append(position)
    for order in account.open_orders:
        if not order_only_shrinks(order):
            books.setdefault(order.symbol, _Book()).orders.append(order)
    return books
