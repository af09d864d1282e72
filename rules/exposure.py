"""The worst case: what an account's exposure becomes if everything that can fill does fill.

Positions, resting orders, conditional orders and everyone's holds count at once (RTS 6 art. 15(2): every order sent
counts toward limits immediately). Nothing pending or resting earns netting credit, and a position is no credit
against an order on the other side: it may be gone before that order fills. So a bigger order never looks smaller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rules.account import Amendment, HeldOrder, OpenOrder
from rules.book import Exposure, account_book
from rules.intent import find_original, is_guaranteed_exit, is_post_only, joins_queue, order_only_shrinks
from rules.model import ZERO, AmendOrder, Command, PlaceOrder, PositionSide, Side
from rules.snapshot import Snapshot
from rules.totals import held_worth


def held_order(command: Command, snapshot: Snapshot) -> HeldOrder | None:
    """The worst case of ``command`` itself, or ``None`` when it cannot add exposure or its size is unknown."""
    try:  # As ``last`` would find it, in a place of its own: forty rules ask for this.
        if snapshot.asked is command:
            return snapshot.held
    except AttributeError:
        pass  # Nobody has asked yet.
    held = _held_order(command, snapshot)
    object.__setattr__(snapshot, "held", held)
    object.__setattr__(snapshot, "asked", command)
    return held


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
                passive=is_post_only(command) or joins_queue(command),
            )
        case AmendOrder():
            return _held_amend(command, snapshot)
        case _:
            return None


def leaves_at_most(amend: AmendOrder, original: OpenOrder) -> Decimal:
    """The larger of the old and the new order: the old one may fill before the change."""
    return max(amend.quantity - original.filled_quantity, original.leaves_quantity or ZERO)


def _held_amend(command: AmendOrder, snapshot: Snapshot) -> HeldOrder | None:
    """An amend is judged as the larger of the old and the new order: the old one may fill before the change."""
    original = find_original(command, snapshot)
    if original is not None and order_only_shrinks(original):
        return None
    leaves = leaves_at_most(command, original) if original is not None else command.quantity
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
        passive=joins_queue(command),
    )


def _only_leg(command: AmendOrder, snapshot: Snapshot) -> PositionSide:
    """The leg an unknown order would open: an amend does not say, so the opening side of its direction counts."""
    if snapshot.account is not None and snapshot.account.hedged:
        return PositionSide.LONG if command.side is Side.BUY else PositionSide.SHORT
    return PositionSide.BOTH


def _highest(*prices: Decimal | None) -> Decimal | None:
    highest = None
    for price in prices:
        if price is not None and (highest is None or price > highest):
            highest = price
    return highest


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
    return account_book(snapshot).every(extra)


def exposure_after(snapshot: Snapshot, order: HeldOrder) -> Exposure:
    """Worst-case exposure of the order's symbol, the order on top. Raises as ``worst_case`` does."""
    return account_book(snapshot).after(order)


def notional_after(order: HeldOrder, snapshot: Snapshot) -> Decimal | None:
    """What the symbol's position could be worth on the order's own side, everything pending counted as filled.

    In quote currency; ``None`` while the account or the symbol's mark price is not known. The other side is left out:
    an entry does not add to it, and a position there is no credit against it either.
    """
    if snapshot.account is None or order.symbol not in snapshot.markets:
        return None
    exposure = exposure_after(snapshot, order)
    return exposure.long_notional if order.side.sign > 0 else exposure.short_notional


def gross_notional(snapshot: Snapshot, order: HeldOrder) -> Decimal:
    """Worst-case gross notional of all symbols together, the order on top. Raises as ``worst_case`` does."""
    return account_book(snapshot).gross_after(order)
