"""A book: what stands in an account, or in one bot's part of it, what is under way, and what an order would add.

What stands is summed up once and kept with the account; what is under way is added once a picture; each order that is
judged then costs one symbol. Sums over all symbols are corrected by the symbols that differ, never added up anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from rules.account import Account, HeldOrder, Hold, OpenOrder
from rules.intent import order_only_shrinks
from rules.model import BUY, ZERO, PositionSide, Side
from rules.snapshot import Market, Snapshot
from rules.totals import Total, account_totals, amended_total, held_worth


class Exposure(NamedTuple):
    """Worst case of one symbol. Quantities in base units, notionals in quote currency, all at least zero.

    ``long_*`` is the largest long the account could end with, ``short_*`` the largest short. ``net_low`` and
    ``net_high`` bound the signed notional: equal when nothing is resting or under way. ``gross_notional`` is what
    margin must carry: both legs in hedge mode, the larger direction in one-way mode.
    """

    symbol: str
    long_quantity: Decimal
    short_quantity: Decimal
    long_notional: Decimal
    short_notional: Decimal
    net_low: Decimal
    net_high: Decimal
    gross_notional: Decimal
    hedged: bool

    @property
    def quantity_max(self) -> Decimal:
        """The larger of the two directions, in base units."""
        return self.long_quantity if self.long_quantity >= self.short_quantity else self.short_quantity


class Standing:
    """What an account has on as it stands, by symbol, and the gross notional of it all. Not to be changed."""

    __slots__ = ("exposures", "gross", "symbols")

    def __init__(self, account: Account, markets: Mapping[str, Market]) -> None:
        totals = account_totals(account, markets)
        self.exposures = {symbol: _exposure(symbol, total, account.hedged) for symbol, total in totals.items()}
        self.symbols = tuple(sorted(self.exposures))
        self.gross = sum((each.gross_notional for each in self.exposures.values()), ZERO)


class Book:
    """What stands with what is under way on top: the picture an order is held against.

    ``pending`` has the symbols with something under way, ``held`` what that is.
    """

    __slots__ = ("_after", "_gross", "_gross_after", "_markets", "account", "held", "pending", "standing")

    def __init__(
        self, account: Account, standing: Standing, holds: Sequence[Hold], markets: Mapping[str, Market]
    ) -> None:
        self.account, self.standing, self._markets = account, standing, markets
        self.held = _held(account, holds) if holds else {}
        self.pending: dict[str, Exposure] = {}
        gross = standing.gross
        for symbol, orders in self.held.items():
            found = self.pending[symbol] = self._with(symbol, orders)
            before = standing.exposures.get(symbol)
            gross += found.gross_notional if before is None else found.gross_notional - before.gross_notional
        self._gross = gross
        self._after: tuple[HeldOrder, Exposure] | None = None
        self._gross_after: tuple[HeldOrder, Decimal] | None = None

    def before(self, symbol: str) -> Exposure | None:
        """The worst case of a symbol without the order that is judged; ``None`` when it has none."""
        return self.pending.get(symbol) or self.standing.exposures.get(symbol)

    def after(self, order: HeldOrder) -> Exposure:
        """The worst case of the order's symbol, the order on top."""
        if self._after is not None and self._after[0] is order:
            return self._after[1]
        held = self.held.get(order.symbol, ())
        if order.replaces is None and not (held and any(each.replaces is not None for each in held)):
            found = _added(self.before(order.symbol), (order,), self._markets.get(order.symbol), self.account.hedged)
        else:
            found = self._with(order.symbol, (*held, order))
        self._after = order, found
        return found

    def gross_after(self, order: HeldOrder) -> Decimal:
        """The worst-case gross notional of all symbols together, the order on top."""
        if self._gross_after is not None and self._gross_after[0] is order:
            return self._gross_after[1]
        before, after = self.before(order.symbol), self.after(order)
        more = after.gross_notional if before is None else after.gross_notional - before.gross_notional
        self._gross_after = order, self._gross + more
        return self._gross_after[1]

    def symbols_after(self, order: HeldOrder) -> tuple[str, ...]:
        """Every symbol that has a worst case with the order on top, by name."""
        standing = self.standing.exposures
        if order.symbol in standing and self.pending.keys() <= standing.keys():
            return self.standing.symbols
        return tuple(sorted({*standing, *self.pending, order.symbol}))

    def every_after(self, order: HeldOrder) -> dict[str, Exposure]:
        """The worst case of every symbol, the order on top: ``every`` of one order, by what is known of it."""
        return {**self.standing.exposures, **self.pending, order.symbol: self.after(order)}

    def every(self, extra: Sequence[HeldOrder] = ()) -> dict[str, Exposure]:
        """The worst case of every symbol, with all of ``extra`` on top."""
        found = {**self.standing.exposures, **self.pending}
        for symbol in {order.symbol: None for order in extra}:
            orders = (*self.held.get(symbol, ()), *(order for order in extra if order.symbol == symbol))
            found[symbol] = self._with(symbol, orders)
        return found

    def _with(self, symbol: str, orders: Sequence[HeldOrder]) -> Exposure:
        market, hedged = self._markets.get(symbol), self.account.hedged
        if any(order.replaces is not None for order in orders):
            # What an amend replaces does not count beside it: the sums are made anew.
            return _exposure(symbol, amended_total(symbol, orders, self.account, market), hedged)
        return _added(self.standing.exposures.get(symbol), orders, market, hedged)


def account_book(snapshot: Snapshot) -> Book:
    """The book of the whole account. Raises ``ValueError`` when the account is unknown: nobody may judge it then."""
    return snapshot.once("(book)", _account_book)


def _account_book(snapshot: Snapshot) -> Book:
    account = snapshot.account
    if account is None:
        raise ValueError("exposure of an unknown account")
    standing = snapshot.standing("book", lambda seen: Standing(account, seen.markets))
    return book_of(account, standing, snapshot.holds, snapshot.markets)


def book_of(account: Account, standing: Standing, holds: Sequence[Hold], markets: Mapping[str, Market]) -> Book:
    """The book of an account of which ``standing`` is what it has on, with ``holds`` on top.

    The position mode is as old as the last whole survey, and the stream does not tell of a switch. Whatever names one
    leg of two says that the account has both: then neither nets the other, whatever the account's own word.
    """
    if not account.hedged and (
        account.found(_names_a_leg)
        or any(order.position_side is not PositionSide.BOTH for hold in holds for order in hold.orders)
    ):
        account = replace(account, hedged=True)
        standing = Standing(account, markets)
    return Book(account, standing, holds, markets)


def _names_a_leg(account: Account) -> bool:
    sides = {leg.position_side for leg in account.positions} | {order.position_side for order in account.open_orders}
    return not sides <= {PositionSide.BOTH}


def _held(account: Account, holds: Iterable[Hold]) -> dict[str, list[HeldOrder]]:
    """What is under way, by symbol. Once the survey shows an order the survey counts it: what rests as an order, what
    filled as a position."""
    visible = account.once("(visible)", _visible)
    held: dict[str, list[HeldOrder]] = {}
    for hold in holds:
        for order in hold.orders:
            if order.client_order_id in visible and _held_name(order) in visible[order.client_order_id]:
                continue
            if order.symbol in held:
                held[order.symbol].append(order)
            else:
                held[order.symbol] = [order]
    return held


def _visible(account: Account) -> dict[str, set[tuple[str, Side, bool]]]:
    """What of the account's orders a hold may have become, by client order id."""
    found: dict[str, set[tuple[str, Side, bool]]] = {}
    for order in account.open_orders:
        if not order_only_shrinks(order):
            found.setdefault(order.client_order_id, set()).add(_name(order))
    return found


def _name(order: OpenOrder) -> tuple[str, Side, bool]:
    return order.symbol, order.side, order.order_type.is_conditional


def _held_name(order: HeldOrder) -> tuple[str, Side, bool] | None:
    """What a held order will be seen as. No name is given twice while it may still be in use (``client_order_id``
    gate)."""
    if order.replaces is not None or not order.client_order_id:
        return None
    return order.symbol, order.side, order.conditional


def _added(before: Exposure | None, orders: Sequence[HeldOrder], market: Market | None, hedged: bool) -> Exposure:
    """The worst case of a symbol with more orders, each of which adds to its own side alone."""
    if before is None:
        before = Exposure(orders[0].symbol, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, hedged)
    symbol, long, short, long_notional, short_notional, low, high, _, _ = before
    for order in orders:
        notional = order.quantity * held_worth(order, market)
        if order.side is BUY:
            long += order.quantity
            long_notional += notional
            high = long_notional or high
        else:
            short += order.quantity
            short_notional += notional
            low = -short_notional if short_notional else low
    if hedged:
        gross = long_notional + short_notional
    else:
        gross = long_notional if long_notional >= short_notional else short_notional
    # Past the constructor of named tuples, which is Python code: every order is added to two books.
    return tuple.__new__(Exposure, (symbol, long, short, long_notional, short_notional, low, high, gross, hedged))


def _exposure(symbol: str, total: Total, hedged: bool) -> Exposure:
    long_notional = total.long_notional + total.buy_notional
    short_notional = total.short_notional + total.sell_notional
    if hedged:
        gross = long_notional + short_notional
    else:
        gross = long_notional if long_notional >= short_notional else short_notional
    return Exposure(
        symbol,
        total.long + total.buys,
        total.short + total.sells,
        long_notional,
        short_notional,
        # A lone position is a known signed amount; as soon as the other side could fill, it may be gone.
        -short_notional if short_notional else total.long_notional,
        long_notional if long_notional else -total.short_notional,
        gross,
        hedged,
    )
