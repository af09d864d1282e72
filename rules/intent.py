"""What a command does to risk. Decides which rules it meets and whether an outage may stop it.

An EXIT carries the venue's own guarantee that it can only shrink its leg: the reduce-only flag, close-position, or
the closing side of a hedge leg. The guard's picture of the position may be old, so the guarantee is never its own
arithmetic: a shrinking order without the flag is an ENTRY until the flag is put on it.
"""

from __future__ import annotations

from typing import Final, assert_never

from rules.account import OpenOrder
from rules.model import (
    AdjustIsolatedMargin,
    AmendOrder,
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    Command,
    Intent,
    PlaceOrder,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
    TimeInForce,
)
from rules.snapshot import Snapshot

_BOTH: Final = PositionSide.BOTH
_POST_ONLY: Final = (TimeInForce.GTX, TimeInForce.RPI)


def intent_of(command: Command, snapshot: Snapshot) -> Intent:
    """The intent of ``command``; needs the snapshot only to know what an amend changes."""
    return snapshot.last(_intent_of, command)


def _intent_of(command: Command, snapshot: Snapshot) -> Intent:
    match command:
        case PlaceOrder():
            return Intent.EXIT if is_guaranteed_exit(command) else Intent.ENTRY
        case AmendOrder():
            original = find_original(command, snapshot)
            return Intent.EXIT if original is not None and order_only_shrinks(original) else Intent.ENTRY
        case CancelOrder() | CancelAll() | ArmDeadMan():
            return Intent.CANCEL
        case SetLeverage() | SetMarginMode() | SetPositionMode() | SetMultiAssetMode() | AdjustIsolatedMargin():
            return Intent.CONFIG
        case _:
            assert_never(command)


def is_guaranteed_exit(order: PlaceOrder) -> bool:
    """Whether the venue itself guarantees that ``order`` cannot grow or flip a position."""
    return order.reduce_only is True or order.close_position or closes_leg(order.side, order.position_side)


def is_post_only(command: Command) -> bool:
    """Whether the venue itself guarantees that the order takes nothing from the book.

    An amend does not say how long its order lives, so it is none; nor is an order without a limit price.
    """
    if not isinstance(command, PlaceOrder) or command.order_type.is_market:
        return False
    return command.time_in_force in _POST_ONLY


def joins_queue(command: PlaceOrder | AmendOrder) -> bool:
    """Whether the venue prices the order at the near side of the book, or behind it."""
    return command.price_match is not None and command.price_match.startswith("QUEUE")


def closes_leg(side: Side, position_side: PositionSide) -> bool:
    """Hedge mode: selling the LONG leg or buying the SHORT leg can only close it (the venue refuses more)."""
    if position_side == _BOTH:
        return False
    return side == (Side.SELL if position_side == PositionSide.LONG else Side.BUY)


def order_only_shrinks(order: OpenOrder) -> bool:
    """Whether a resting order can only shrink its leg."""
    return order.reduce_only or order.close_position or closes_leg(order.side, order.position_side)


def find_original(command: AmendOrder, snapshot: Snapshot) -> OpenOrder | None:
    """The plain resting order an amend changes, if the guard knows it for certain.

    Conditional orders have ids of their own and cannot be amended. A client id that an order under way bears too may
    have been given anew since the survey, so it names nothing for certain; nor does any while the store is away, for
    what is under way is not known then.
    """
    if snapshot.account is None:
        return None
    if command.order_id is None and (not snapshot.store_reachable or _under_way(command, snapshot)):
        return None
    for order in snapshot.account.open_orders:
        if order.symbol != command.symbol or order.order_type.is_conditional:
            continue
        if command.order_id is not None:
            if order.order_id == command.order_id:
                return order
        elif order.client_order_id == command.client_order_id:
            return order
    return None


def side_of(command: PlaceOrder | AmendOrder, snapshot: Snapshot) -> Side:
    """The side the order is on. An amend may say another than the order it changes has; that one's counts."""
    if isinstance(command, PlaceOrder):
        return command.side
    original = find_original(command, snapshot)
    return command.side if original is None else original.side


def _under_way(command: AmendOrder, snapshot: Snapshot) -> bool:
    """Whether an order under way bears the name."""
    return any(
        held.client_order_id == command.client_order_id and held.symbol == command.symbol
        for hold in snapshot.holds
        for held in hold.orders
    )
