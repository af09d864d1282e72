"""What becomes of an entry that is too large: refused with its headroom, or sent at that size. No rule of an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rules.model import OrderType, PlaceOrder


class ResizeMode(StrEnum):
    """REFUSE: the bot is told the headroom. TRIM: the largest quantity allowed is sent instead."""

    REFUSE = "refuse"
    TRIM = "trim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """The ``resize`` table of ``bot:NAME``. It has no wider level: a bot must be ready for less than it asked for."""

    level: str
    mode: ResizeMode


def may_be_trimmed(order: PlaceOrder) -> bool:
    """Whether an order is plain enough to be sent smaller: with a size of its own, and neither conditional nor an exit.

    A stop is sized to the position it protects; a smaller one would protect a part of it and look like the whole.
    """
    plain = order.order_type in (OrderType.LIMIT, OrderType.MARKET)
    return plain and order.quantity is not None and not order.close_position


def trims(tables: Sequence[Resize], bot: str) -> bool:
    """Whether a bot's entries are sized down. Without a table they are refused."""
    return any(table.mode is ResizeMode.TRIM for table in tables if table.level == f"bot:{bot}")
