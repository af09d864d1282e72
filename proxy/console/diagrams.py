"""Reliability diagrams as plain geometry: what was stated to the right, what came upwards, the diagonal is honest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.signals.scoreboard.card import Card

SIDE: Final = 100.0
"""The square in which points lie, in the units of the drawing."""

_RADIUS_LEAST, _RADIUS_MOST = 1.6, 6.0


@dataclass(frozen=True, slots=True)
class Point:
    """One class of forecasts, or one quantile. ``label`` says it in words."""

    x: float
    y: float
    radius: float
    label: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """One picture and its text for whoever cannot see it."""

    title: str
    points: Sequence[Point]

    @property
    def line(self) -> str:
        """The points joined, as an SVG polyline has them."""
        return " ".join(f"{each.x:.1f},{each.y:.1f}" for each in self.points)

    @property
    def text(self) -> str:
        """Title and points in words."""
        return f"{self.title}: {'; '.join(each.label for each in self.points)}"


def diagrams_of(card: Card) -> list[Diagram]:
    """A card's probabilities by classes, and its quantiles by the share of outcomes at or below each."""
    found = []
    if card.probabilities is not None:
        most = max(each.count for each in card.probabilities.bins)
        points = [
            _point(each.stated, each.observed, each.count / most, f"{each.count} times")
            for each in card.probabilities.bins
        ]
        found.append(Diagram("stated and observed probability", points))
    if card.quantiles:
        most = max(each.n for each in card.quantiles)
        ordered = sorted(card.quantiles, key=lambda each: each.tau)
        points = [_point(each.tau, 1 - each.exceedance, each.n / most, f"{each.n} times") for each in ordered]
        found.append(Diagram("stated quantile and share of outcomes not above it", points))
    return found


def _point(stated: float, observed: float, weight: float, often: str) -> Point:
    return Point(
        x=stated * SIDE,
        y=(1 - observed) * SIDE,
        radius=_RADIUS_LEAST + (_RADIUS_MOST - _RADIUS_LEAST) * math.sqrt(weight),
        label=f"{stated:.1%} stated, {observed:.1%} came, {often}",
    )
