"""Orders whose answer was lost: which those of a ruling are, and which a bot has read of since."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from proxy.audit.recording import Subject
from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable
from rules.account import HeldOrder, UnreportedOrder


def unreported_of(subject: Subject, lost: Iterable[HeldOrder], at: datetime) -> tuple[UnreportedOrder, ...]:
    """The entries among those ``lost``, whose bot is told that nobody knows. An amend opens nothing a second time."""
    return tuple(
        UnreportedOrder(bot=subject.bot, hold_id=subject.decision_id, at=at, order=order)
        for order in lost
        if order.client_order_id
    )


async def told(store: GateStore, account: str, bot: str, answer: bytes) -> None:
    """A bot got the venue's ``answer`` to a read of orders: what it names is unreported no longer.

    Only the name of an order counts. That an order is in no list proves nothing: it may be filled, or on its way.
    """
    try:
        lost = await store.unreported(account)
        named = [each for each in lost if each.bot == bot and f'"{each.order.client_order_id}"'.encode() in answer]
        if named:
            await store.forget_unreported(account, named)
    except StoreUnavailable:
        # The bot may read again; until then its entries on that side are refused, which is the safe side.
        return
