"""Who says something, and why: when two names are one person, and what a reason needs. Standard library only."""

from __future__ import annotations

import unicodedata
from typing import Final

REASON_LENGTH_MIN: Final = 8
_UNSEEN_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""The only letters among Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties 16.0): fillers of Hangul blocks,
which no font shows. The rest are marks, controls or unassigned, so no letters or digits."""


def same_person(one: str, other: str) -> bool:
    """Whether two names are spellings of one: case, blanks, punctuation, accents and width do not tell people apart,
    and what nobody sees does not either."""
    return bare(one) == bare(other)


def reason_objections(reason: str) -> tuple[str, ...]:
    """What is missing in a reason, blanks around it aside; empty when nothing is."""
    if len(reason.strip()) < REASON_LENGTH_MIN:
        return (f"the reason is shorter than {REASON_LENGTH_MIN} characters",)
    return ()


def bare(name: str) -> str:
    """What is left of a name when spelling is taken away; empty when there is nothing to it."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(each for each in plain if each.isalnum() and each not in _UNSEEN_LETTERS)
