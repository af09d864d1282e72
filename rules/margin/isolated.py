"""The distance of an isolated leg, which stands alone with its own margin."""

from __future__ import annotations

from decimal import Decimal

from rules.account import Account, HeldOrder, Position
from rules.book import Exposure, account_book
from rules.exposure import order_value
from rules.margin.known import isolated_margin_of, leverage_of, mark_of, tiers_of
from rules.margin.maintenance import maintenance_margin
from rules.margin.moves import Moving, distance_to_liquidation
from rules.model import ZERO, Side
from rules.snapshot import Snapshot


def isolated_distance(
    order: HeldOrder, account: Account, mark: Decimal, paid: Decimal, snapshot: Snapshot
) -> tuple[Decimal, Decimal]:
    """The fraction its market may move against it, and the maintenance margin of the whole leg.

    The leg has its margin and profit behind it, and for each order that grows it the margin the venue will set aside:
    what it fills at by the leverage. ``paid`` is what the order loses at once, and no other order makes up for it:
    those that rest may not fill. Raises ``MarginUnknown``.
    """
    legs = [leg for leg in account.positions if leg.symbol == order.symbol and leg.quantity * order.side.sign > 0]
    tiers, leverage = tiers_of(order.symbol, snapshot), leverage_of(order.symbol, account)
    held = sum((abs(leg.quantity) * mark for leg in legs), ZERO)
    backing = sum((isolated_backing(leg, snapshot) for leg in legs), ZERO)
    before = account_book(snapshot).before(order.symbol)
    after = account_book(snapshot).after(order)
    ordered = _side_notional(before, order.side) if before is not None else ZERO
    whole = _side_notional(after, order.side)
    growing = order.side is Side.SELL
    own = order_value(order, snapshot)
    others, filled, margined = whole - own, own, own
    if growing and paid:
        # It is worth the mark once it has filled below it, whatever price it named before that was higher.
        filled = order.quantity * mark
        margined = filled - paid
    cases = [
        (held, backing),
        (ordered, backing + (ordered - held) / leverage),
        (held + filled, backing + margined / leverage - paid),
        (others + filled, backing + (others - held + margined) / leverage - paid),
    ]
    distance = min(
        distance_to_liquidation(behind, [Moving(notional, (notional,), growing, tiers)])
        for notional, behind in cases
        if notional > ZERO
    )
    return distance, maintenance_margin(whole, tiers)


def isolated_backing(leg: Position, snapshot: Snapshot) -> Decimal:
    """What stands behind an isolated leg: its own margin and its profit. Raises ``MarginUnknown``."""
    return isolated_margin_of(leg) + leg.quantity * (mark_of(leg.symbol, snapshot) - leg.entry_price)


def set_aside(exposure: Exposure, account: Account, snapshot: Snapshot) -> Decimal:
    """The margin that an isolated symbol's orders take from the cross balance when they fill, in quote currency.

    It is that of what may open or grow a leg, at the leverage set. Raises ``MarginUnknown``.
    """
    held = sum(
        (
            abs(leg.quantity) * mark_of(leg.symbol, snapshot)
            for leg in account.positions
            if leg.symbol == exposure.symbol
        ),
        ZERO,
    )
    return (exposure.long_notional + exposure.short_notional - held) / leverage_of(exposure.symbol, account)


def _side_notional(exposure: Exposure, side: Side) -> Decimal:
    return exposure.long_notional if side is Side.BUY else exposure.short_notional
