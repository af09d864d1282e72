"""What an account's events do to its holds, as the store's scripts are told: plain nouns, no I/O.

A hold stands for an order until the venue has told of it. From then on the account's document counts the order, and
the hold must go in the very step that brings the document, else exposure is counted twice or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rules.model import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The venue took an order: what is held under its name is now counted as an order."""

    symbol: str
    side: Side
    conditional: bool
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """An order was changed to this total quantity and price: the amend that is held for it has come true."""

    symbol: str
    order_id: str
    client_order_id: str
    quantity: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An order is over: an amend of it can change nothing any more."""

    symbol: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Everything that some events did, in their order."""

    taken: tuple[Taken, ...] = ()
    amended: tuple[Amended, ...] = ()
    ended: tuple[Ended, ...] = ()

    @property
    def size(self) -> int:
        """How much that is."""
        return len(self.taken) + len(self.amended) + len(self.ended)

    def then(self, later: Conversion) -> Conversion:
        """Both, this one first."""
        return Conversion(
            taken=(*self.taken, *later.taken),
            amended=(*self.amended, *later.amended),
            ended=(*self.ended, *later.ended),
        )

    def without(self, done: Conversion) -> Conversion:
        """What remains of this one, which began with ``done``."""
        return Conversion(
            taken=self.taken[len(done.taken) :],
            amended=self.amended[len(done.amended) :],
            ended=self.ended[len(done.ended) :],
        )


NOTHING: Final = Conversion()
"""Nothing happened to any hold."""
