"""How far several legs may move together until what backs them is no more than what they require, tier by tier."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from rules.instrument import MarginTier
from rules.margin.maintenance import tier_place
from rules.model import ONE, ZERO

ANY: Final = Decimal("Infinity")
"""As far as there is: a leg that leaves its tier nowhere."""

_NO_FLOOR: Final = -ANY

_SURELY: Final = Decimal("0.999999")
"""A move is a quotient, which may be rounded up: what comes this near to a bound is not taken to be within it."""


class Moving(NamedTuple):
    """One symbol of a market that moves against the account. Notionals in quote currency at the mark, none negative.

    ``losing`` is what loses by the move, ``carried`` the legs whose maintenance margin must be kept all the while.
    ``growing``: the move makes their notional larger (a rising mark), else smaller.
    """

    losing: Decimal
    carried: tuple[Decimal, ...]
    growing: bool
    tiers: tuple[MarginTier, ...]


class Carried(NamedTuple):
    """A leg whose maintenance margin is kept, in the tier that holds while its notional is within these bounds."""

    notional: Decimal
    growing: bool
    tiers: tuple[MarginTier, ...]
    floor: Decimal
    ceiling: Decimal
    required: Decimal
    slope: Decimal
    reach: Decimal

    @staticmethod
    def at(notional: Decimal, growing: bool, tiers: tuple[MarginTier, ...], moved_to: Decimal) -> Carried:
        """The leg in the tier of the notional that it has ``moved_to``, its own one as things stand."""
        place = tier_place(moved_to, tiers)
        tier = tiers[place]
        kept = notional * tier.maintenance_rate
        floor = tier.notional_floor if place else _NO_FLOOR
        ceiling = tiers[place + 1].notional_floor if place + 1 < len(tiers) else ANY
        # Only of the tier of now is it asked how far the leg stays in it.
        reach = reach_of(notional, growing, tiers, place) if notional and moved_to is notional else ANY
        required, slope = kept - tier.maintenance_amount, kept if growing else -kept
        # Past the constructor of named tuples, which is Python code.
        return tuple.__new__(Carried, (notional, growing, tiers, floor, ceiling, required, slope, reach))


def distance_to_liquidation(backing: Decimal, symbols: Sequence[Moving]) -> Decimal:
    """The fraction by which all ``symbols`` must move together until ``backing`` is no more than what is required.

    ``backing`` is the balance before the move. Something must be losing. Raises ``MarginUnknown`` without tiers.
    """
    legs = [leg for each in symbols for leg in carried_legs(each)]
    return distance_of(backing, sum((each.losing for each in symbols), ZERO), legs)


def distance_of_all(
    backing: Decimal, losing: Decimal, carried: Sequence[tuple[Decimal, tuple[MarginTier, ...]]], *, growing: bool
) -> Decimal:
    """The same where what is ``losing`` may be less than what is carried, or negative, as of a hedge whose one leg
    gains what the other loses. ``carried`` are all legs, each a notional with its tiers, moving up (``growing``) or
    down.

    Zero where it is reached as things stand, infinite where nothing reaches it. Raises ``MarginUnknown`` without tiers.
    """
    if backing <= sum((Carried.at(notional, growing, tiers, notional).required for notional, tiers in carried), ZERO):
        return ZERO
    # What is left may grow at first, so that the tiers of now lead nowhere: those of the far end never lead too near.
    # No reach: every leg is looked up where they lead to.
    far = ANY if growing else ZERO
    legs = [Carried.at(notional, growing, tiers, far)._replace(reach=ZERO) for notional, tiers in carried]
    if losing + sum((leg.slope for leg in legs), ZERO) <= ZERO:
        return ANY
    answer = distance_of(backing, losing, legs)
    return answer if growing or answer < ONE else ANY  # A price cannot fall by more than all.


def distance_of(backing: Decimal, losing: Decimal, legs: list[Carried]) -> Decimal:
    """The fraction for what is ``losing`` and for ``legs`` in the tiers of now, or of a place beyond, without reach."""
    moved = ZERO
    # Balance less requirement falls ever more steeply. So the tiers of a nearer place lead too far, those of a place
    # too far never too near: every step comes back by a tier at least, until the tiers are those of the answer.
    for _ in range(1 + sum(len(leg.tiers) for leg in legs)):
        free, slope, risen, fallen = backing, losing, ONE + moved, ONE - moved
        for place, leg in enumerate(legs):
            if moved:
                moved_to = leg.notional * (risen if leg.growing else fallen)
                if not leg.floor <= moved_to < leg.ceiling:
                    leg = legs[place] = Carried.at(leg.notional, leg.growing, leg.tiers, moved_to)
            free -= leg.required
            slope += leg.slope
        answer = free / slope
        if answer <= ZERO or answer == moved:
            return answer
        if not moved and all(answer < leg.reach for leg in legs):
            return answer  # The next step would find every leg in its tier, and the same answer.
        moved = answer
    return moved


def carried_legs(each: Moving) -> tuple[Carried, ...]:
    """The legs of a symbol whose margin is kept, in the tiers of now. Raises ``MarginUnknown`` without tiers."""
    return tuple(Carried.at(notional, each.growing, each.tiers, notional) for notional in each.carried)


def reach_of(notional: Decimal, growing: bool, tiers: Sequence[MarginTier], place: int) -> Decimal:
    """A fraction by which a leg that is in the tier at ``place`` may move and surely stays in it."""
    if growing:
        return (tiers[place + 1].notional_floor / notional - ONE) * _SURELY if place + 1 < len(tiers) else ANY
    floor = tiers[place].notional_floor
    return (ONE - floor / notional) * _SURELY if floor else ANY
