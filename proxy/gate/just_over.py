"""What the venue has just told a bot is over, of which the private stream may not have told the guard.

A bot that is answered CANCELED or FILLED acts on it at once. For some milliseconds more its order still rests in the
account that its next one is judged on, or its position still stands. Nothing here is ever counted: it is a reason to
look again before that next one is refused.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeVar

from proxy.venues.binance.replies import Reply, Reported
from rules.account import Account, OpenOrder, Position, Share
from rules.model import ZERO, CancelAll, CancelOrder, Command, LegKey, PlaceOrder
from rules.snapshot import Snapshot

KEPT_S: Final = 1.0
"""Longer than the second look takes: by then the stream has told, or the account is stale."""

KEPT_MAX: Final = 256
"""Of one account. A bot that ends more within ``KEPT_S`` is refused as if nothing were kept."""

SWEPT_MAX: Final = 32
"""Of calls that cancel all of a symbol."""

Part = TypeVar("Part", Position, Share)

FILLED: Final = "FILLED"
"""Binance's word for an order whose whole quantity was executed."""


@dataclass(frozen=True, slots=True)
class _Cancelled:
    """One order, by any of its ``ids``; ``symbol`` is ``None`` where the bot named none."""

    at_s: float
    symbol: str | None
    conditional: bool
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Swept:
    """All of a symbol, but for what was ``placed`` since."""

    at_s: float
    symbol: str
    conditional: bool
    placed: set[str]


@dataclass(slots=True)
class _Leg:
    """``fills`` are what was executed and not yet told, signed; ``stood`` is what the leg was before them."""

    stood: Decimal
    fills: deque[tuple[float, Decimal]]

    def told(self, quantity: Decimal) -> None:
        """The leg is known to be of this ``quantity``: what it has moved pays the fills off, the oldest first."""
        while self.fills:
            moved, (_, first) = quantity - self.stood, self.fills[0]
            if moved * first < 0:
                self.stood = quantity  # Something else came in between.
            if moved * first <= 0 or abs(moved) < abs(first):
                return
            self.stood += first
            self.fills.popleft()

    def hoped(self, quantity: Decimal, whole: Decimal) -> Decimal:
        """What ``quantity``, the leg or a bot's part of it, will be at best when all is told; never beyond flat.

        ``whole`` is the leg as it is known.
        """
        left = sum((fill for _, fill in self.fills), ZERO) - (whole - self.stood)
        after = quantity + left
        return quantity if left * quantity >= 0 else after if after * quantity > 0 else ZERO


class JustOver:
    """Of one gate: its own answers of the last second, by account. ``steady_s`` is a steady clock."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self._cancelled: defaultdict[str, deque[_Cancelled]] = defaultdict(lambda: deque(maxlen=KEPT_MAX))
        self._swept: defaultdict[str, deque[_Swept]] = defaultdict(lambda: deque(maxlen=SWEPT_MAX))
        self._legs: defaultdict[str, dict[LegKey, _Leg]] = defaultdict(dict)

    def told(self, account: str, command: Command, reply: Reply, known: Account | None) -> None:
        """The venue answered ``command``; ``known`` is the account as this gate last saw it, for what was filled."""
        if reply.outcome is not Reported.ACCEPTED:
            return
        now, names = self._steady_s(), {each for each in (reply.order_id, reply.client_order_id) if each}
        if isinstance(command, PlaceOrder):
            if swept := self._swept[account]:
                _prune(swept, now)
                for each in swept:
                    each.placed.update(names)
            if reply.status == FILLED and command.quantity is not None and known is not None:
                self._fill(account, command, command.quantity, known, now)
        elif isinstance(command, CancelOrder):
            ids = names | {each for each in (command.order_id, command.client_order_id) if each}
            self._cancelled[account].append(_Cancelled(now, command.symbol, command.conditional, tuple(ids)))
        elif isinstance(command, CancelAll):
            self._swept[account].append(_Swept(now, command.symbol, command.conditional, placed=set()))

    def seen(self, account: Account | None) -> None:
        """The account as a judge sees it: fills that it has are awaited no more."""
        legs = self._legs.get(account.name) if account is not None else None
        if not legs or account is None:
            return
        since = self._steady_s() - KEPT_S
        for key, leg in tuple(legs.items()):
            while leg.fills and leg.fills[0][0] < since:
                leg.fills.popleft()
            leg.told(_quantity(account, key))
            if not leg.fills:
                del legs[key]

    def hoped(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it will be once the stream has told, at best; the very same when nothing is awaited."""
        account = snapshot.account
        if account is None:
            return snapshot
        self.seen(account)
        cancelled, swept = self._cancelled[account.name], self._swept[account.name]
        legs = self._legs[account.name]
        _prune(cancelled, self._steady_s())
        _prune(swept, self._steady_s())
        orders = _without(account.open_orders, cancelled, swept) if cancelled or swept else account.open_orders
        positions = tuple(_closed(each, account, legs) for each in account.positions) if legs else account.positions
        if len(orders) == len(account.open_orders) and positions == account.positions:
            return snapshot
        shares = tuple(
            _closed(share, account, legs) if share.bot == snapshot.bot else share for share in account.shares
        )
        return replace(snapshot, account=replace(account, open_orders=orders, positions=positions, shares=shares))

    def _fill(self, account: str, order: PlaceOrder, quantity: Decimal, known: Account, now: float) -> None:
        self.seen(known)
        key, legs = (order.symbol, order.position_side), self._legs[account]
        if key not in legs:
            legs[key] = _Leg(stood=_quantity(known, key), fills=deque(maxlen=KEPT_MAX))
        legs[key].fills.append((now, quantity * order.side.sign))


def _quantity(account: Account, key: LegKey) -> Decimal:
    return sum((each.quantity for each in account.positions if (each.symbol, each.position_side) == key), ZERO)


def _closed(part: Part, account: Account, legs: Mapping[LegKey, _Leg]) -> Part:
    key = part.symbol, part.position_side
    leg = legs.get(key)
    return part if leg is None else replace(part, quantity=leg.hoped(part.quantity, _quantity(account, key)))


def _prune(kept: deque[_Cancelled] | deque[_Swept], now: float) -> None:
    while kept and kept[0].at_s < now - KEPT_S:
        kept.popleft()


def _without(
    orders: Sequence[OpenOrder], cancelled: Iterable[_Cancelled], swept: Iterable[_Swept]
) -> tuple[OpenOrder, ...]:
    """One pass over the orders: an account may have hundreds, and a bot cancel as many."""
    one = {(each.conditional, id): each.symbol for each in cancelled for id in each.ids}
    every = {(each.conditional, each.symbol): each.placed for each in swept}

    def rests(order: OpenOrder) -> bool:
        conditional, names = order.order_type.is_conditional, (order.order_id, order.client_order_id)
        placed = every.get((conditional, order.symbol))
        if placed is not None and placed.isdisjoint(names):
            return False
        return not any((conditional, id) in one and one[conditional, id] in (None, order.symbol) for id in names)

    return tuple(order for order in orders if rests(order))
