"""The worst case: what an account's exposure becomes if everything that can fill does fill.

Positions, resting orders, conditional orders and everyone's holds count at once (RTS 6 art. 15(2): every order sent
counts toward limits immediately). Nothing pending or resting earns netting credit, and a position is no credit
against an order on the other side: it may be gone before that order fills. So a bigger order never looks smaller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from rules.intent import find_original, is_guaranteed_exit, order_only_shrinks
from rules.model import AmendOrder, Command, PlaceOrder, PositionSide, Side
from rules.snapshot import Account, Amendment, HeldOrder, OpenOrder, Snapshot
from rules.totals import ZERO, Total, account_totals, held_worth, symbol_total


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
        return max(self.long_quantity, self.short_quantity)


def held_order(command: Command, snapshot: Snapshot) -> HeldOrder | None:
    """The worst case of ``command`` itself, or ``None`` when it cannot add exposure or its size is unknown."""
    return snapshot.last("held_order", command, _held_order)


def _held_order(command: Command, snapshot: Snapshot) -> HeldOrder | None:
    match command:
        case PlaceOrder() if command.quantity is not None and not is_guaranteed_exit(command):
            return HeldOrder(
                symbol=command.symbol,
                side=command.side,
                position_side=command.position_side,
                quantity=command.quantity,
                price=_highest(command.price, command.trigger_price, command.activate_price),
                client_order_id=command.client_order_id or "",
                conditional=command.order_type.is_conditional,
            )
        case AmendOrder():
            return _held_amend(command, snapshot)
        case _:
            return None


def _held_amend(command: AmendOrder, snapshot: Snapshot) -> HeldOrder | None:
    """An amend is judged as the larger of the old and the new order: the old one may fill before the change."""
    original = find_original(command, snapshot)
    if original is not None and order_only_shrinks(original):
        return None
    leaves = command.quantity
    if original is not None:
        leaves = max(command.quantity - original.filled_quantity, original.leaves_quantity or ZERO)
    return HeldOrder(
        symbol=command.symbol,
        side=original.side if original is not None else command.side,
        position_side=original.position_side if original is not None else _only_leg(command, snapshot),
        quantity=leaves,
        price=_highest(command.price, original.price if original is not None else None),
        client_order_id="",  # An amend bears the name of the order it changes; it must not hide behind it.
        replaces=original.order_id if original is not None else None,
        amendment=Amendment(
            order_id=command.order_id,
            client_order_id=command.client_order_id,
            quantity=command.quantity,
            price=command.price,
        ),
    )


def _only_leg(command: AmendOrder, snapshot: Snapshot) -> PositionSide:
    """The leg an unknown order would open: an amend does not say, so the opening side of its direction counts."""
    if snapshot.account is not None and snapshot.account.hedged:
        return PositionSide.LONG if command.side is Side.BUY else PositionSide.SHORT
    return PositionSide.BOTH


def _highest(*prices: Decimal | None) -> Decimal | None:
    return max((price for price in prices if price is not None), default=None)


def order_value(order: HeldOrder, snapshot: Snapshot) -> Decimal:
    """Notional of an order in quote currency, at the highest price it could be worth: mark, limit or trigger.

    An order that leaves its price to the book may trade at either touch, where the guard knows it: a market order at
    the far one, one that joins the queue at the near one.
    """
    return order.quantity * held_worth(order, snapshot.markets.get(order.symbol))


def worst_case(snapshot: Snapshot, extra: Sequence[HeldOrder] = ()) -> Mapping[str, Exposure]:
    """Worst-case exposure by symbol, with ``extra`` on top of everything the snapshot knows.

    Raises ``ValueError`` when the account is unknown: nobody may judge exposure then.
    """
    if len(extra) == 1:
        return snapshot.last("worst_case", extra[0], _with_one_more)
    return _with_more(extra, snapshot)


def notional_after(order: HeldOrder, snapshot: Snapshot) -> Decimal | None:
    """What the symbol's position could be worth on the order's own side, everything pending counted as filled.

    In quote currency; ``None`` while the account or the symbol's mark price is not known. The other side is left out:
    an entry does not add to it, and a position there is no credit against it either.
    """
    if snapshot.account is None or order.symbol not in snapshot.markets:
        return None
    exposure = worst_case(snapshot, (order,))[order.symbol]
    return exposure.long_notional if order.side is Side.BUY else exposure.short_notional


def gross_notional(snapshot: Snapshot, extra: HeldOrder) -> Decimal:
    """Worst-case gross notional of all symbols together, ``extra`` on top. Raises as ``worst_case`` does."""
    return snapshot.last("gross_notional", extra, _gross_notional)


def _gross_notional(extra: HeldOrder, snapshot: Snapshot) -> Decimal:
    return sum((each.gross_notional for each in worst_case(snapshot, (extra,)).values()), ZERO)


def _with_one_more(extra: HeldOrder, snapshot: Snapshot) -> Mapping[str, Exposure]:
    return _with_more((extra,), snapshot)


def _with_more(extra: Sequence[HeldOrder], snapshot: Snapshot) -> Mapping[str, Exposure]:
    if snapshot.account is None:
        raise ValueError("exposure of an unknown account")
    found = {**snapshot.once("exposure", _present)}
    held = snapshot.once("held", _held)
    for symbol in {order.symbol: None for order in extra}:
        orders = (*held.get(symbol, ()), *(order for order in extra if order.symbol == symbol))
        found[symbol] = _exposure(symbol, symbol_total(symbol, orders, snapshot), snapshot)
    return found


def _present(snapshot: Snapshot) -> dict[str, Exposure]:
    """Every symbol's exposure before the order that is judged: as the account stands, or with what is under way."""
    found = {**snapshot.standing("exposure", _standing)}
    for symbol, orders in snapshot.once("held", _held).items():
        found[symbol] = _exposure(symbol, symbol_total(symbol, orders, snapshot), snapshot)
    return found


def _standing(snapshot: Snapshot) -> dict[str, Exposure]:
    return {symbol: _exposure(symbol, total, snapshot) for symbol, total in account_totals(snapshot).items()}


def _held(snapshot: Snapshot) -> dict[str, list[HeldOrder]]:
    """What is under way, by symbol. Once the survey shows an order the survey counts it: what rests as an order, what
    filled as a position."""
    visible = snapshot.account.once("visible", _visible) if snapshot.account is not None else frozenset()
    held: dict[str, list[HeldOrder]] = {}
    for hold in snapshot.holds:
        for order in hold.orders:
            if _held_name(order) not in visible:
                held.setdefault(order.symbol, []).append(order)
    return held


def _visible(account: Account) -> frozenset[tuple[str, Side, bool, str]]:
    return frozenset(_name(order) for order in account.open_orders if not order_only_shrinks(order))


def _name(order: OpenOrder) -> tuple[str, Side, bool, str]:
    return order.symbol, order.side, order.order_type.is_conditional, order.client_order_id


def _held_name(order: HeldOrder) -> tuple[str, Side, bool, str] | None:
    """What a held order will be seen as. No name is given twice while it may still be in use (``client_order_id``
    gate)."""
    if order.replaces is not None or not order.client_order_id:
        return None
    return order.symbol, order.side, order.conditional, order.client_order_id


def _exposure(symbol: str, total: Total, snapshot: Snapshot) -> Exposure:
    long_notional = total.long_notional + total.buy_notional
    short_notional = total.short_notional + total.sell_notional
    # A lone position is a known signed amount; as soon as the other side could fill, it may be gone.
    low = total.long_notional if short_notional == 0 else -short_notional
    high = -total.short_notional if long_notional == 0 else long_notional
    hedged = snapshot.account is not None and snapshot.account.hedged
    return Exposure(
        symbol=symbol,
        long_quantity=total.long + total.buys,
        short_quantity=total.short + total.sells,
        long_notional=long_notional,
        short_notional=short_notional,
        net_low=low,
        net_high=high,
        gross_notional=long_notional + short_notional if hedged else max(long_notional, short_notional),
        hedged=hedged,
    )
