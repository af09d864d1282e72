"""The positions that the venue shows, beside what the events so far add up to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from rules.account import Position
from rules.model import LegKey, PositionSide


class Counted(Protocol):
    """The positions as the events so far add up to them."""

    def leg(self, symbol: str, position_side: PositionSide) -> Decimal:
        """The signed position of a leg."""
        ...

    def legs(self) -> Iterable[LegKey]:
        """Every leg that ever moved."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLeg:
    """One leg: the signed position that the venue shows, and what the events add up to."""

    symbol: str
    position_side: PositionSide
    shown: Decimal
    counted: Decimal


class ComparedLegs:
    """Those of one account, and what those that differed came to when they were read."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._differing: dict[LegKey, Decimal] = {}

    def compare(self, positions: Iterable[Position]) -> Iterator[ComparedLeg]:
        """Each leg that the venue shows, that ever moved, or that differed before."""
        found = {(each.symbol, each.position_side): each.quantity for each in positions}
        for key in sorted({*found, *self._differing, *self._counted.legs()}):
            symbol, position_side = key
            shown, counted = found.get(key, Decimal(0)), self._counted.leg(symbol, position_side)
            if shown == counted:
                self._differing.pop(key, None)
            else:
                self._differing[key] = counted
            yield ComparedLeg(symbol=symbol, position_side=position_side, shown=shown, counted=counted)

    def moved(self, symbol: str, position_side: PositionSide) -> bool:
        """Whether events have moved a leg since it was read as differing, which is forgotten: the next survey compares
        again."""
        counted = self._differing.pop((symbol, position_side), None)
        return counted is not None and counted != self._counted.leg(symbol, position_side)
