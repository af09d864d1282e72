"""When a watchdog acts: pure, by seconds that somebody else's monotonic clock counts.

Silence is only what was seen: the time between two looks in vain, and of a look that came late (the process stood
still, the machine slept) no more than ``CREDIT_MAX_S``. A watchdog that has never heard the guard, or was told that it
stops on purpose, is not on watch: else starting it before the guard would close the book.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from proxy.watchdog.beat import Beat, Duty, Terms
from rules.kill.settings import OnGoodbye

CREDIT_MAX_S: Final = 2.5
"""Of the time between two looks; a round of looks takes a second, two where an address swallows what is sent to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """A watchdog's state. ``terms`` are those it was told last; ``silence_s`` grows while nothing proves life."""

    duty: Duty = Duty.WAITING
    terms: Terms | None = None
    silence_s: float = 0.0
    looked_at: float = 0.0
    why: str = ""

    @property
    def due(self) -> bool:
        """Whether it is time to flatten."""
        return self.duty is Duty.FLATTENING


def taken_up(terms: Terms, at: float, grace_s: float) -> Vigil:
    """The watch of an earlier process goes on: the guard may have died while nobody looked, or be just starting."""
    return Vigil(duty=Duty.WATCHING, terms=terms, silence_s=-grace_s, looked_at=at)


def looked(vigil: Vigil, beat: Beat | None, at: float) -> Vigil:
    """What a look every way brought: the newest sign of life, or ``None``."""
    if beat is None or (beat.still and not beat.leaving):
        return _in_vain(vigil, beat, at)
    if beat.leaving:
        return _told_goodbye(vigil, beat, at)
    return Vigil(duty=Duty.WATCHING, terms=beat.terms, looked_at=at)


def done(vigil: Vigil, at: float) -> Vigil:
    """It has flattened. What the guard left is gone; the next watch begins when it is heard again."""
    return replace(vigil, duty=Duty.STANDING_DOWN, silence_s=0.0, looked_at=at)


def _in_vain(vigil: Vigil, beat: Beat | None, at: float) -> Vigil:
    if vigil.duty is not Duty.WATCHING or vigil.terms is None:
        return replace(vigil, looked_at=at)
    silence_s = vigil.silence_s + min(at - vigil.looked_at, CREDIT_MAX_S)
    due = silence_s >= vigil.terms.silent_s
    vigil = replace(vigil, silence_s=silence_s, looked_at=at)
    if not due:
        return vigil
    stands = f", and {', '.join(beat.still)} stand still" if beat is not None else ""
    return replace(
        vigil, duty=Duty.FLATTENING, why=f"nothing proved for {silence_s:.0f} s that the guard lives{stands}"
    )


def _told_goodbye(vigil: Vigil, beat: Beat, at: float) -> Vigil:
    if beat.terms.on_goodbye is OnGoodbye.FLATTEN and vigil.duty in (Duty.WATCHING, Duty.FLATTENING):
        return replace(
            vigil, duty=Duty.FLATTENING, terms=beat.terms, looked_at=at, why="the guard is stopped on purpose"
        )
    return Vigil(duty=Duty.STANDING_DOWN, terms=beat.terms, looked_at=at)
