"""What the venue has just told a bot is over, of which the private stream may not have told the guard.

A bot that is answered CANCELED or FILLED acts on it at once. For some milliseconds more its order still rests in the
account that its next one is judged on, or its position still stands. Nothing here is ever counted: it is a reason to
look again before that next one is refused.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from proxy.venues.binance.replies import Reply, Reported
from rules.model import ZERO, CancelAll, CancelOrder, Command, PlaceOrder, PositionSide
from rules.snapshot import Account, OpenOrder, Position, Share, Snapshot

KEPT_S: Final = 1.0
"""Longer than the second look takes: by then the stream has told, or the account is stale."""

KEPT_MAX: Final = 256
"""Of one account. A bot that ends more within ``KEPT_S`` is refused as if nothing were kept."""

FILLED: Final = "FILLED"
"""Binance's word for an order whose whole quantity was executed."""


@dataclass(frozen=True, slots=True)
class _Cancelled:
    """``symbol`` is ``None`` where the bot named none; ``ids`` where it named no order and all of the symbol went."""

    at_s: float
    symbol: str | None
    conditional: bool
    ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Filled:
    """``stood`` is what the legs were as the gate knew them when the answer came."""

    at_s: float
    order: PlaceOrder
    stood: Decimal | None


class JustOver:
    """Of one gate: its own answers of the last second, by account. ``steady_s`` is a steady clock."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self._cancelled: defaultdict[str, deque[_Cancelled]] = defaultdict(lambda: deque(maxlen=KEPT_MAX))
        self._filled: defaultdict[str, deque[_Filled]] = defaultdict(lambda: deque(maxlen=KEPT_MAX))

    def told(self, account: str, command: Command, reply: Reply, known: Account | None) -> None:
        """The venue answered ``command``; ``known`` is the account as this gate last saw it."""
        if reply.outcome is not Reported.ACCEPTED:
            return
        now = self._steady_s()
        if isinstance(command, PlaceOrder):
            if reply.status == FILLED and command.quantity is not None:
                self._filled[account].append(_Filled(now, command, _quantity(known, command)))
        elif isinstance(command, CancelOrder):
            named = (command.order_id, command.client_order_id, reply.order_id, reply.client_order_id)
            ids = tuple(each for each in named if each)
            self._cancelled[account].append(_Cancelled(now, command.symbol, command.conditional, ids))
        elif isinstance(command, CancelAll):
            self._cancelled[account].append(_Cancelled(now, command.symbol, command.conditional, None))

    def hoped(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it will be once the stream has told, at best; the very same when nothing is awaited."""
        account = snapshot.account
        if account is None:
            return snapshot
        since = self._steady_s() - KEPT_S
        cancelled, filled = self._cancelled[account.name], self._filled[account.name]
        for kept in (cancelled, filled):
            while kept and kept[0].at_s < since:
                kept.popleft()
        orders = _without(account.open_orders, cancelled) if cancelled else account.open_orders
        # What has moved since the answer came was told of: it is not closed a second time.
        closing = [each.order for each in filled if each.stood == _quantity(account, each.order)]
        positions = _closed(account.positions, closing) if closing else account.positions
        if len(orders) == len(account.open_orders) and positions == account.positions:
            return snapshot
        shares = tuple(
            share if share.bot != snapshot.bot else replace(share, quantity=_left(share, closing))
            for share in account.shares
        )
        return replace(snapshot, account=replace(account, open_orders=orders, positions=positions, shares=shares))


def _quantity(account: Account | None, order: PlaceOrder) -> Decimal | None:
    """What stands in the leg that an order is of; ``None`` while the account is not known."""
    if account is None:
        return None
    legs = (each for each in account.positions if (each.symbol, each.position_side) == _leg(order))
    return sum((each.quantity for each in legs), ZERO)


def _leg(order: PlaceOrder) -> tuple[str, PositionSide]:
    return order.symbol, order.position_side


def _without(orders: Sequence[OpenOrder], cancelled: Iterable[_Cancelled]) -> tuple[OpenOrder, ...]:
    """One pass over the orders: an account may have hundreds, and a bot cancel as many."""
    one = {(each.conditional, id): each.symbol for each in cancelled if each.ids is not None for id in each.ids}
    every = {(each.conditional, each.symbol) for each in cancelled if each.ids is None}

    def rests(order: OpenOrder) -> bool:
        conditional = order.order_type.is_conditional
        if (conditional, order.symbol) in every:
            return False
        keys = (conditional, order.order_id), (conditional, order.client_order_id)
        return not any(key in one and one[key] in (None, order.symbol) for key in keys)

    return tuple(order for order in orders if rests(order))


def _closed(legs: Iterable[Position], filled: Sequence[PlaceOrder]) -> tuple[Position, ...]:
    return tuple(replace(leg, quantity=_left(leg, filled)) for leg in legs)


def _left(leg: Position | Share, filled: Iterable[PlaceOrder]) -> Decimal:
    """What is left of a leg after those fills that went against it; never beyond flat."""
    quantity = leg.quantity
    for order in filled:
        if _leg(order) == (leg.symbol, leg.position_side) and quantity * order.side.sign < 0:
            assert order.quantity is not None  # noqa: S101 - only such are kept
            after = quantity + order.quantity * order.side.sign
            quantity = after if after * quantity > 0 else ZERO
    return quantity
