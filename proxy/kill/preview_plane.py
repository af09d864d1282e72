"""What a press would do, as the control door shows it before anybody presses. Never on the way of the press itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledOrder:
    """One order that would be cancelled. ``kind`` is ``plain`` or ``conditional``; ``bot`` is empty for nobody's."""

    kind: str
    symbol: str
    side: str
    order_type: str
    quantity: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    bot: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLeg:
    """One position that would be closed: ``quantity`` without its sign, in base units; money in quote currency.

    ``cost`` is what closing gives away against the mark, before fees; ``in_book`` the part of the quantity that stands
    in the book as it was read. Both are ``None`` where the book was not read.
    """

    symbol: str
    side: str
    quantity: Decimal
    mark_price: Decimal
    notional: Decimal
    cost: Decimal | None
    in_book: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPreview:
    """One account's part. ``age_s`` is how old the guard's picture is, ``None`` before the first survey.

    ``orders_left_out`` counts orders that are not listed here but would be cancelled; ``trouble`` says what is not
    known. ``part_of`` is the bot to whose part the press is kept, empty where all of the account is closed.
    """

    name: str
    venue: str
    age_s: float | None
    part_of: str
    orders: Sequence[CancelledOrder]
    orders_left_out: int
    legs: Sequence[ClosedLeg]
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KillPreview:
    """What a press of ``scope`` would do. ``cost`` adds up the legs whose book was read, ``uncosted`` counts others.

    ``depth_age_s`` is the age of the oldest book it rests on, ``None`` where none was read.
    """

    scope: str
    at: str
    accounts: Sequence[AccountPreview]
    orders: int
    legs: int
    notional: Decimal
    cost: Decimal
    uncosted: int
    depth_age_s: float | None


class PreviewPlane(Protocol):
    """A look ahead."""

    async def preview(self, scope: str) -> KillPreview:
        """What a press would do. Raises ``Refused`` for a scope this desk does not have."""
        ...
