"""One leg of an account, as fills count it and as the venue tells it. Pure.

Two stories are told of every leg: the fills of its orders, which say by how much it moved, and the venue's absolute
quantity, which comes just before them. While the two differ, the leg may be either, so both are counted; when they
agree it is known again. If they keep differing, something was not heard, and only a survey can tell what.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from rules.model import MarginMode, PositionSide

FILLS_KEPT: Final = 512
"""Fills of a leg remembered for the next survey, which may or may not have seen them."""

MAYBE_MAX: Final = 16
"""Quantities a leg may be thought to have; with more, only the extremes are kept."""

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Fill:
    at_ms: int
    signed: Decimal
    received: float


@dataclass(slots=True, kw_only=True)
class Leg:
    """``told`` is the venue's own quantity, as of ``told_ms``, ``fresh`` until a fill is heard; ``maybe`` is what the
    fills make of it.

    A fill at or before ``included_ms`` is in the quantity that a survey brought. A survey that found the leg flat does
    not say since when: until the venue tells again it is ``undated``, and any fill heard may be in it or not.
    ``received`` times are the guard's monotonic clock, ``*_ms`` the venue's.
    """

    symbol: str
    position_side: PositionSide
    told: Decimal = _ZERO
    told_ms: int = 0
    fresh: bool = False
    maybe: frozenset[Decimal] = frozenset({_ZERO})
    included_ms: int = 0
    undated: bool = False
    touched: float = float("-inf")
    entry_price: Decimal = _ZERO
    mark_price: Decimal = _ZERO
    liquidation_price: Decimal | None = None
    liquidation_quantity: Decimal = _ZERO
    margin_mode: MarginMode = MarginMode.CROSS
    isolated_margin: Decimal | None = None
    adl_quantile: int | None = None
    _fills: deque[_Fill] = field(default_factory=lambda: deque(maxlen=FILLS_KEPT))

    @property
    def settled(self) -> bool:
        """Whether fills and venue agree."""
        return self.maybe == {self.told}

    @property
    def as_surveyed(self) -> bool:
        """Whether it is what the survey found that brought its liquidation price; a flat one was flat then."""
        return self.quantities == ((self.liquidation_quantity,) if self.liquidation_quantity else ())

    @property
    def quantities(self) -> tuple[Decimal, ...]:
        """What must be counted: the largest long and the largest short the leg may be; nothing when it is flat."""
        known = self.maybe | {self.told}
        high, low = max(known), min(known)
        counted = (high, low) if high > 0 > low else (max(high, low, key=abs),)
        return tuple(each for each in counted if each)

    def fill(self, signed: Decimal, at_ms: int, received: float) -> None:
        """An order of this leg filled ``signed`` more, at the venue's ``at_ms``."""
        self._fills.append(_Fill(at_ms, signed, received))
        self.touched = received
        moved = frozenset(each + signed for each in self.maybe)
        # A fill of the survey's very millisecond, or any where it has no date, it may have seen or not.
        both = at_ms == self.included_ms or (self.undated and at_ms > self.included_ms)
        if both:
            self._set(self.maybe | moved)
        elif at_ms > self.included_ms:
            self._set(moved)
        # The venue tells the quantity just before the fill: one told before an earlier fill has not this one in it.
        has_it = self.told_ms > at_ms or (self.told_ms == at_ms and self.fresh)
        if self.told in self.maybe and (not both or has_it):
            self.maybe = frozenset({self.told})
            self._date(self.told_ms)
        self.fresh = False

    def tell(self, quantity: Decimal, at_ms: int, received: float, *, absolute: bool) -> None:
        """The venue's quantity after something happened; ``absolute`` when that was no order's fill."""
        if at_ms < self.told_ms:
            return
        self.told, self.told_ms, self.touched, self.fresh = quantity, at_ms, received, True
        if absolute:
            self.included_ms = max(self.included_ms, at_ms)
        if absolute or quantity in self.maybe:
            self.maybe = frozenset({quantity})
            self._date(at_ms)

    def survey(self, quantity: Decimal, at_ms: int | None, since: float) -> None:
        """A survey's quantity, last changed at ``at_ms`` (``None`` where the venue lists no such leg).

        What was received from ``since`` on, the survey may not have seen: those fills are added where the venue's own
        times say that they came later, and counted both ways where nothing says.
        """
        recent = [fill for fill in self._fills if fill.received >= since]
        if at_ms is None:
            later, doubtful = _ZERO, recent
        else:
            later = sum((fill.signed for fill in recent if fill.at_ms > at_ms), _ZERO)
            doubtful = [fill for fill in recent if fill.at_ms == at_ms]
            self.included_ms = max(self.included_ms, at_ms)
        found = {quantity + later}
        for fill in reversed(doubtful):
            later += fill.signed
            found.add(quantity + later)
        self.undated = at_ms is None
        known_since = at_ms if at_ms is not None else 0
        heard = self.touched >= since
        if not heard or (self.told_ms <= known_since and len(found) == 1):
            self.told, self.told_ms = next(iter(found)), max(self.told_ms, known_since)
        self._set(frozenset(found))
        if self.told in found and (len(found) == 1 or self._told_after(doubtful, quantity, quantity + later, at_ms)):
            self.maybe = frozenset({self.told})

    def _told_after(self, doubtful: list[_Fill], surveyed: Decimal, whole: Decimal, at_ms: int | None) -> bool:
        """Whether what was told has all the ``doubtful`` fills in it, and so is the latest word.

        It has those of before its own moment. Of one in that very millisecond it comes just before, so it has the fill
        if it is the ``whole``, everything heard, or if the survey of that millisecond says the same again.
        """
        newest_ms = max(fill.at_ms for fill in doubtful)
        if self.told_ms != newest_ms:
            return self.told_ms > newest_ms
        return self.told == whole or (self.told_ms == at_ms and self.told == surveyed and len(doubtful) == 1)

    def _date(self, at_ms: int) -> None:
        """The venue's word and the fills agree as of ``at_ms``: fills of before, heard of only now, are in it."""
        if self.undated:
            self.included_ms = max(self.included_ms, at_ms)
            self.undated = False

    def _set(self, maybe: frozenset[Decimal]) -> None:
        """What the leg may be now. A hedge leg is never on the other side of zero."""
        possible = frozenset(each for each in maybe if self._possible(each)) or frozenset({_ZERO})
        self.maybe = possible if len(possible) <= MAYBE_MAX else frozenset({max(possible), min(possible), _ZERO})

    def _possible(self, quantity: Decimal) -> bool:
        match self.position_side:
            case PositionSide.LONG:
                return quantity >= 0
            case PositionSide.SHORT:
                return quantity <= 0
            case PositionSide.BOTH:
                return True
