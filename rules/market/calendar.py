"""What is known to come: moments of the venue's calendar, and what a trader can still close before they do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from rules.account import Position
from rules.rule import show_exact

_LISTED_MAX: Final = 10
"""A refusal is read by people and goes into one line of the venue's own error format."""


def with_offset(name: str, at: datetime) -> datetime:
    """``at`` itself. Raises ``ValueError`` for a time that does not say how far it is from UTC."""
    if at.utcoffset() is None:
        raise ValueError(f"{name} must say its offset from UTC, as in 2026-12-01T06:00:00Z")
    return at


def show_time(at: datetime) -> str:
    """A moment for people, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def show_exits(positions: Iterable[Position]) -> str:
    """Which positions can be closed meanwhile, in words and in a fixed order; a long list is cut short and says so."""
    ordered = sorted(positions, key=lambda each: (each.symbol, each.position_side))
    legs = [
        f"{'long' if each.quantity > 0 else 'short'} {show_exact(abs(each.quantity))} {each.symbol}" for each in ordered
    ]
    if not legs:
        return "no position is open; cancels pass"
    more = f" and {len(legs) - _LISTED_MAX} more" if len(legs) > _LISTED_MAX else ""
    return f"reduce-only orders and cancels pass; open: {', '.join(legs[:_LISTED_MAX])}{more}"
