"""What killing a book would cost of the venue's budget, and how much of the budget is therefore kept from the bots.

Pure arithmetic. It counts the kill as ``rules.kill.machine`` runs it: a survey, one round of cancels, a round of closes
for as many slices as the largest leg needs, each resting on a survey of its own, the calm read-backs at the end, and
what the report asks for. A book that is too thin for these slices takes more; the margin of the reserve is for that.
What the venue charges for each step comes in as ``Prices``; it knows no venue and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_UP
from typing import Final

from rules.account import Account, Position
from rules.instrument import Instrument
from rules.kill.rounds import CALM_READS
from rules.kill.settings import Reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """A part of a venue's budget: request weight, and orders placed or amended."""

    weight: int = 0
    orders: int = 0

    def __add__(self, other: Spend) -> Spend:
        return Spend(weight=self.weight + other.weight, orders=self.orders + other.orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a venue charges for each step of a kill, in weight.

    ``survey`` reads every order and position and the touch of the books, ``listing`` the limits of the venue's orders,
    once; ``cancel`` takes one kind of one symbol; ``depth`` looks at a book before a slice, ``close`` sends an order
    and asks what became of it, ``fees`` asks what was charged on a symbol.
    """

    survey: int
    listing: int
    cancel: int
    depth: int
    close: int
    fees: int


ORDERS_PER_SLICE: Final = 2
"""A slice's first order stops at a band of its mark; what that leaves takes another, further through."""


def cost_of_killing(account: Account, instruments: Mapping[str, Instrument], prices: Prices) -> Spend:
    """What it takes to bring ``account`` as it is now to a proven flat, when nothing goes wrong.

    A symbol whose limits are not known is closed in one slice, as the kill does it.
    """
    kinds = {(order.symbol, order.order_type.is_conditional) for order in account.open_orders}
    slices = [_slices(leg, instruments.get(leg.symbol)) for leg in account.positions if leg.quantity]
    surveys = 1 + bool(kinds) + max(slices, default=0) + CALM_READS
    orders = sum(slices) * ORDERS_PER_SLICE
    return Spend(
        weight=prices.listing
        + surveys * prices.survey
        + len(kinds) * prices.cancel
        + sum(slices) * prices.depth
        + orders * prices.close
        + len({leg.symbol for leg in account.positions}) * prices.fees,
        orders=orders,
    )


def reserve(costs: Iterable[int], limit: int, settings: Reserve) -> int:
    """How much of a ``limit`` is kept from the bots, who share it with kills of these ``costs``.

    Never less than ``share_min`` of it. Never more than ``share_max`` either: a kill that costs more than the whole
    budget is helped by no reserve (it waits for the venue's next minute), and bots that can read nothing cannot even
    find their way out.
    """
    wanted = sum(costs) * settings.margin
    least, most = limit * settings.share_min, limit * settings.share_max
    return int(min(max(wanted, least), max(least, most)).to_integral_value(ROUND_UP))


def exceeds(costs: Iterable[int], limit: int, settings: Reserve) -> bool:
    """Whether the kills would cost more than may be kept: accounts share an address that is too narrow for them."""
    return sum(costs) * settings.margin > limit * settings.share_max


def _slices(leg: Position, instrument: Instrument | None) -> int:
    if instrument is None or instrument.market_quantity_max <= 0:
        return 1
    return int((abs(leg.quantity) / instrument.market_quantity_max).to_integral_value(ROUND_UP))
