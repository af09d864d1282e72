"""Room in a value for what is worked out from it: found once, then shared by all who ask. Pure all the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")
MISSING: Final = object()
"""Stands for what was not worked out yet: ``None`` is an answer too."""


class Derived:
    """What is worked out from a value once and asked for by many rules; no part of the value."""

    __slots__ = ("derived",)

    derived: dict[Any, Any]

    def once(self, name: Hashable, work: Callable[[Self], T]) -> T:
        """What ``work`` finds in this value, worked out the first time ``name`` is asked for."""
        try:
            derived = self.derived
        except AttributeError:
            derived = _furnished(self)
        found: T = derived.get(name, MISSING)
        if found is MISSING:
            found = derived[name] = work(self)
        return found

    def found(self, work: Callable[[Self], T]) -> T:
        """What ``work`` finds in this value, worked out the first time that very function is asked for.

        A rule asks with a method of its own that looks at this value and the rule's settings alone: then many orders
        that meet the same fact share the answer, and no two rules share theirs.
        """
        try:
            derived = self.derived
        except AttributeError:
            derived = _furnished(self)
        found: T = derived.get(work, MISSING)
        if found is MISSING:
            found = derived[work] = work(self)
        return found


def room(of: Derived) -> dict[Any, Any]:
    """The room itself, made when it is first needed."""
    try:
        return of.derived
    except AttributeError:
        return _furnished(of)


def _furnished(of: Derived) -> dict[Any, Any]:
    derived: dict[Any, Any] = {}
    object.__setattr__(of, "derived", derived)
    return derived
