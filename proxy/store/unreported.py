"""Orders whose answer was lost, as the store keeps them: written by gates, dropped by gates and by the warden."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from proxy.decoding import build
from proxy.store.codec import dump, load
from rules.account import Account, HeldOrder, OpenOrder, UnreportedOrder

log = logging.getLogger("perpguard.store")

KEPT_S: Final = 7 * 86_400
"""How long they are kept after the last of them. The rule that looks at them forgets sooner."""


class MayRepeat(ValueError):
    """An entry may repeat a lost order that cannot be read."""


@dataclass(frozen=True, slots=True)
class UnreadableOrder:
    """A lost order that another version of the guard wrote, as its text.

    Whatever its shape, the names of its bot, its symbol and its hold stand in it: what it may be, it is taken for.
    """

    body: str

    def names(self, *names: str) -> bool:
        """Whether all of these stand in it, each as a whole text of JSON."""
        return all(f'"{name}"' in self.body for name in names)


def unreported_field(lost: UnreportedOrder) -> str:
    """Where an order stands in the hash: a symbol uses a name once for plain and once for conditional orders."""
    order = lost.order
    return f"{order.symbol}|{'conditional' if order.conditional else 'plain'}|{order.client_order_id}"


def unreported_arguments(lost: Sequence[UnreportedOrder]) -> tuple[str | int | bytes, ...]:
    """What ``settle`` is given to write these orders down."""
    return len(lost), KEPT_S, *(part for each in lost for part in (unreported_field(each), dump(each)))


def decode_unreported(bodies: Iterable[str]) -> tuple[UnreportedOrder, ...]:
    """The orders as they were written, oldest first, without those that cannot be read."""
    readable = [each for each in map(_decode, bodies) if isinstance(each, UnreportedOrder)]
    return tuple(sorted(readable, key=lambda each: (each.at, each.order.client_order_id)))


def unreported_beside(orders: Iterable[HeldOrder], bot: str, bodies: Sequence[str]) -> tuple[UnreportedOrder, ...]:
    """As ``decode_unreported``, for a request of ``bot`` that holds ``orders``. Raises ``MayRepeat`` where one of these
    is an entry that may repeat what cannot be read: of its bot, in its symbol."""
    if not bodies:
        return ()
    entries = [order.symbol for order in orders if order.amendment is None and order.replaces is None]
    for lost in map(_decode, bodies):
        if isinstance(lost, UnreadableOrder) and any(lost.names(bot, symbol) for symbol in entries):
            raise MayRepeat
    return decode_unreported(bodies)


def spent(kept: Mapping[str, str], hold_ids: frozenset[str], account: Account) -> list[str]:
    """The fields, of those ``kept``, of the orders of which nothing can be left."""
    return [field for field, body in kept.items() if not may_stand(_decode(body), hold_ids, account)]


def proven_absent(kept: Mapping[str, str], hold_id: str, names: frozenset[str]) -> list[str]:
    """The fields, of those ``kept``, of the orders of a hold that never were, by client order id."""
    return [field for field, body in kept.items() if _is_of(_decode(body), hold_id, names)]


def may_stand(lost: UnreportedOrder | UnreadableOrder, hold_ids: frozenset[str], account: Account) -> bool:
    """Whether anything may be left of a lost order: under way, resting, or in a position on its side; of one that
    cannot be read, in any order or position of a symbol that it names."""
    if isinstance(lost, UnreadableOrder):
        symbols = {each.symbol for each in account.open_orders} | {each.symbol for each in account.positions}
        return any(map(lost.names, hold_ids)) or any(map(lost.names, symbols))
    order = lost.order
    return (
        lost.hold_id in hold_ids
        or any(_may_be(resting, lost) for resting in account.open_orders)
        or any(
            (position.symbol, position.position_side) == (order.symbol, order.position_side)
            and position.quantity * order.side.sign > 0
            for position in account.positions
        )
    )


def _may_be(resting: OpenOrder, lost: UnreportedOrder) -> bool:
    """Whether the resting order may be the lost one. The venue may name a conditional order anew when it triggers."""
    order = lost.order
    if resting.symbol != order.symbol:
        return False
    if resting.client_order_id == order.client_order_id:
        return True
    return (
        order.conditional
        and not resting.order_type.is_conditional
        and (resting.bot, resting.side, resting.position_side) == (lost.bot, order.side, order.position_side)
    )


def _is_of(lost: UnreportedOrder | UnreadableOrder, hold_id: str, names: frozenset[str]) -> bool:
    if isinstance(lost, UnreadableOrder):
        return any(lost.names(hold_id, name) for name in names)
    return lost.hold_id == hold_id and lost.order.client_order_id in names


@lru_cache(maxsize=1024)
def _decode(body: str) -> UnreportedOrder | UnreadableOrder:
    """An order as it was written; of one that cannot be read the log says so.

    It comes back with every order of its account until its bot has asked for it.
    """
    try:
        return build(load(body), UnreportedOrder)
    except (msgspec.DecodeError, RecursionError) as trouble:
        log.error("the lost order %.300s cannot be read: %s", body, trouble)
        return UnreadableOrder(body)
