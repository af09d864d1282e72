"""What a fixed jump within the hour would do to a leg and to an account: the column beside every probability. Pure.

On 10 October 2025 alternative coins fell by 20 to 66 % and more within an hour; the best forecast made two hours before
had said so with less than 2 %. Nobody forecasts the jump, so its consequences are shown whatever the odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.signals.legs import Book, Leg

JUMPS: Final = (0.2, 0.4, 0.66)
"""Fractions of the mark; shorts get the mirror image, a rise by as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """After a move of the mark by the signed ``move``: whether it is the end, and what would be left.

    ``left`` is in quote currency: what stands behind an isolated leg, the margin balance behind cross ones; 0 once hit.
    """

    move: float
    hit: bool
    left: float


def stress_of_leg(leg: Leg, book: Book) -> tuple[Stress, ...]:
    """The leg's symbol alone moves, against the leg; the other cross leg of a hedge moves with it."""
    behind = leg.backing if leg.isolated else book.balance
    moved = [leg] if leg.isolated else [each for each in book.crossed if each.symbol == leg.symbol]
    others = 0.0 if leg.isolated else book.required - sum(each.after(0)[1] for each in moved)
    found = []
    for jump in JUMPS:
        move = -jump if leg.is_long else jump
        after = [each.after(move) for each in moved]
        gained, required = sum(gain for gain, _ in after), sum(need for _, need in after)
        hit = (leg.distance is not None and jump >= leg.distance) or behind + gained <= required + others
        found.append(Stress(move=move, hit=hit, left=0.0 if hit else behind + gained))
    return tuple(found)


def stress_of_account(book: Book) -> tuple[Stress, ...]:
    """Every symbol falls by as much, or rises by as much; legs of the other direction gain. Cross legs only."""
    found = []
    for move in (*(-jump for jump in JUMPS), *JUMPS):
        after = [leg.after(move) for leg in book.crossed]
        left = book.balance + sum(gained for gained, _ in after)
        hit = bool(after) and left <= sum(required for _, required in after)
        found.append(Stress(move=move, hit=hit, left=0.0 if hit else left))
    return tuple(found)
