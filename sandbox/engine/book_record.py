"""The numbered history of one visible book: what a depth stream and a snapshot must agree on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import takewhile
from typing import Protocol

from sandbox.engine.model import ZERO, Side

_FIRST_ID = 1_000_000_000
# Levels remembered a side; a stream asks for the changes of half a second, some dozens.
_TOUCHED_KEPT = 10_000

Book = Mapping[Side, Mapping[Decimal, Decimal]]


class _Level(Protocol):
    @property
    def price(self) -> Decimal: ...

    @property
    def quantity(self) -> Decimal: ...


class BookRecord:
    """The book as last observed, and its update number, which grows by one for every level that changed."""

    def __init__(self) -> None:
        self.update_id = _FIRST_ID
        self.book: Book = {side: {} for side in Side}
        # By price, the number of the last change, latest last.
        self._touched: dict[Side, dict[Decimal, int]] = {side: {} for side in Side}

    def observe(self, levels: Callable[[Side], Iterable[_Level]]) -> Book:
        """Look at the book now (best level first per side) and number what changed since the last look."""
        seen = {side: {level.price: level.quantity for level in levels(side)} for side in Side}
        for side in Side:
            self._number(side, self.book[side], seen[side])
        self.book = seen
        return seen

    def mark(self) -> int:
        """A number for a snapshot: later than every change it contains, earlier than every change it does not."""
        self.update_id += 1
        return self.update_id

    def since(self, update_id: int) -> dict[Side, dict[Decimal, Decimal]]:
        """Every level touched after `update_id` with its present quantity, zero where it is gone.

        A level that changed and changed back is among them: a snapshot may have been taken in between.
        """
        return {
            side: {
                price: self.book[side].get(price, ZERO)
                for price, _ in takewhile(lambda entry: entry[1] > update_id, reversed(touched.items()))
            }
            for side, touched in self._touched.items()
        }

    def _number(self, side: Side, before: Mapping[Decimal, Decimal], after: Mapping[Decimal, Decimal]) -> None:
        touched = self._touched[side]
        moved = [price for price, quantity in after.items() if before.get(price) != quantity]
        for price in (*moved, *(price for price in before if price not in after)):
            self.update_id += 1
            touched.pop(price, None)
            touched[price] = self.update_id
        while len(touched) > _TOUCHED_KEPT:
            del touched[next(iter(touched))]
