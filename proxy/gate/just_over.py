"""What the venue has just told a bot is over, of which the private stream may not have told the guard.

A bot that is answered CANCELED or FILLED acts on it at once. For some milliseconds more its order still rests in the
account that its next one is judged on, or its position still stands. Nothing here is ever counted: it is a reason to
look again before that next one is refused.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeVar

from proxy.venues.binance.replies import Reply, Reported
from rules.model import ZERO, CancelAll, CancelOrder, Command, PlaceOrder
from rules.snapshot import Account, OpenOrder, Position, Share, Snapshot

KEPT_S: Final = 1.0
"""Longer than the second look takes: by then the stream has told, or the account is stale."""

KEPT_MAX: Final = 256
"""Of one account. A bot that ends more within ``KEPT_S`` is refused as if nothing were kept."""

FILLED: Final = "FILLED"
"""Binance's word for an order whose whole quantity was executed."""

Leg = TypeVar("Leg", Position, Share)


@dataclass(frozen=True, slots=True)
class _Over:
    at_s: float
    command: CancelOrder | CancelAll | PlaceOrder
    ids: frozenset[str]

    def ended(self, order: OpenOrder) -> bool:
        """Whether it is this order that was cancelled."""
        command = self.command
        if isinstance(command, PlaceOrder) or order.order_type.is_conditional is not command.conditional:
            return False
        if command.symbol not in (None, order.symbol):
            return False
        return isinstance(command, CancelAll) or not self.ids.isdisjoint((order.order_id, order.client_order_id))


class JustOver:
    """Of one gate: its own answers of the last second, by account. ``steady_s`` is a steady clock."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self._over: defaultdict[str, deque[_Over]] = defaultdict(lambda: deque(maxlen=KEPT_MAX))

    def told(self, account: str, command: Command, reply: Reply) -> None:
        """The venue answered ``command``."""
        if reply.outcome is not Reported.ACCEPTED:
            return
        if isinstance(command, PlaceOrder):
            if reply.status == FILLED and command.quantity is not None:
                self._keep(account, command, frozenset())
        elif isinstance(command, CancelOrder):
            ids = (command.order_id, command.client_order_id, reply.order_id, reply.client_order_id)
            self._keep(account, command, frozenset(each for each in ids if each))
        elif isinstance(command, CancelAll):
            self._keep(account, command, frozenset())

    def hoped(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it will be once the stream has told, at best; the very same when nothing is awaited."""
        account = snapshot.account
        over = self._recent(account.name) if account is not None else ()
        if account is None or not over:
            return snapshot
        hoped = _without(account, over, snapshot.bot)
        return snapshot if hoped is account else replace(snapshot, account=hoped)

    def _keep(self, account: str, command: CancelOrder | CancelAll | PlaceOrder, ids: frozenset[str]) -> None:
        self._over[account].append(_Over(self._steady_s(), command, ids))

    def _recent(self, account: str) -> tuple[_Over, ...]:
        kept, since = self._over[account], self._steady_s() - KEPT_S
        while kept and kept[0].at_s < since:
            kept.popleft()
        return tuple(kept)


def _without(account: Account, over: Iterable[_Over], bot: str) -> Account:
    """The account without the orders that were cancelled, and with what was filled against its legs closed."""
    over = tuple(over)
    orders = tuple(order for order in account.open_orders if not any(each.ended(order) for each in over))
    filled = [each.command for each in over if isinstance(each.command, PlaceOrder)]
    positions = _closed(account.positions, filled)
    shares = (
        *(share for share in account.shares if share.bot != bot),
        *_closed([share for share in account.shares if share.bot == bot], filled),
    )
    if len(orders) == len(account.open_orders) and positions == account.positions:
        return account
    return replace(account, open_orders=orders, positions=positions, shares=shares)


def _closed(legs: Iterable[Leg], filled: Iterable[PlaceOrder]) -> tuple[Leg, ...]:
    return tuple(replace(leg, quantity=_left(leg, filled)) for leg in legs)


def _left(leg: Leg, filled: Iterable[PlaceOrder]) -> Decimal:
    """What is left of a leg after those fills that went against it; never beyond flat."""
    quantity = leg.quantity
    for order in filled:
        same = (order.symbol, order.position_side) == (leg.symbol, leg.position_side)
        if same and quantity * order.side.sign < 0:
            assert order.quantity is not None  # noqa: S101 - only such are kept
            after = quantity + order.quantity * order.side.sign
            quantity = after if after * quantity > 0 else ZERO
    return quantity
