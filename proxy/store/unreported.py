"""Orders whose answer was lost, as the store keeps them: written by gates, dropped by gates and by the warden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from proxy.decoding import build
from proxy.store.codec import dump, load
from rules.account import Account, OpenOrder, UnreportedOrder

KEPT_S: Final = 7 * 86_400
"""How long they are kept after the last of them. The rule that looks at them forgets sooner."""


def unreported_field(lost: UnreportedOrder) -> str:
    """Where an order stands in the hash: a symbol uses a name once for plain and once for conditional orders."""
    order = lost.order
    return f"{order.symbol}|{'conditional' if order.conditional else 'plain'}|{order.client_order_id}"


def unreported_arguments(lost: Sequence[UnreportedOrder]) -> tuple[str | int | bytes, ...]:
    """What ``settle`` is given to write these orders down."""
    return len(lost), KEPT_S, *(part for each in lost for part in (unreported_field(each), dump(each)))


def decode_unreported(bodies: Iterable[str]) -> tuple[UnreportedOrder, ...]:
    """The orders as they were written, oldest first."""
    return tuple(sorted(map(_decode, bodies), key=lambda each: (each.at, each.order.client_order_id)))


@lru_cache(maxsize=1024)
def _decode(body: str) -> UnreportedOrder:
    """One comes back with every order of its account until its bot has asked for it."""
    return build(load(body), UnreportedOrder)


def may_stand(lost: UnreportedOrder, hold_ids: frozenset[str], account: Account) -> bool:
    """Whether anything may be left of a lost order: under way, resting, or in a position on its side."""
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
