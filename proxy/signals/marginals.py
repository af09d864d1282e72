"""Gives the scenarios of joint history the odds that each symbol's own forecaster states. Pure.

History says which windows went together and in what order they were bad; the forecaster, which has seen more than one
symbol's half year, says how bad the worst of them are. So every path of a scenario is stretched until its extreme is
the one that the forecaster gives that window's rank: falls by the law of falls, rises by that of rises. What one leg
alone would be told is then what its forecaster says, and the rest is how symbols have gone together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from proxy.signals.joint import HORIZONS_H, Scenarios
from proxy.signals.tails import Array, ranks_from_the_top

_GRID: Final = np.geomspace(5e-4, 3.0, 32)
"""Log distances at which a law is asked for; between them logarithms are interpolated."""

_DOWN: Final = tuple((1 - np.exp(-_GRID)).tolist())
_UP: Final = tuple((np.exp(_GRID) - 1).tolist())

STRETCH_MIN: Final = 0.2
STRETCH_MAX: Final = 5.0
"""A path is stretched by no more: one that hardly moved has no shape to stretch."""


class Predicts(Protocol):
    """The part of a forecaster that is asked here."""

    def predict(
        self, horizons_h: Sequence[float], dist_down: Sequence[float], dist_up: Sequence[float], taus: Sequence[float]
    ) -> Mapping[float, Mapping[str, Sequence[float]]]:
        """By horizon, the probabilities of reaching each distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What a symbol's forecaster says now: the odds of falling, and of rising, to each grid distance, by horizon."""

    down: Array
    up: Array


def law_of(forecasters: Sequence[Predicts]) -> Law:
    """Of several forecasters of a symbol the one that sees most danger counts. Less than a millisecond for each."""
    answers = [each.predict(HORIZONS_H, _DOWN, _UP, ()) for each in forecasters]
    down, up = (
        np.max([[answer[hours][side] for hours in HORIZONS_H] for answer in answers], axis=0)
        for side in ("p_down", "p_up")
    )
    return Law(down, up)


def fitted(windows: Scenarios, laws: Sequence[Law], place: int) -> Scenarios:
    """The scenarios of one horizon (its place in ``HORIZONS_H``), stretched. ``laws`` are in the symbols' order."""
    falls, rises = -windows.low.min(axis=1), windows.high.max(axis=1)
    down = np.stack([_distances(fall, law.down[place]) for fall, law in zip(falls.T, laws, strict=True)], axis=1)
    up = np.stack([_distances(rise, law.up[place]) for rise, law in zip(rises.T, laws, strict=True)], axis=1)
    by_fall, by_rise = _stretch(falls, down), _stretch(rises, up)
    return Scenarios(*(_stretched(each, by_fall, by_rise) for each in (windows.low, windows.high, windows.close)))


def _distances(extremes: Array, odds: Array) -> Array:
    """The log distance that is reached as often as a window is as bad as each of these."""
    ranks = ranks_from_the_top(extremes[:, None])[:, 0]
    # Probabilities fall along the grid; ``interp`` wants them to rise.
    found = np.interp(np.log(ranks), np.log(np.minimum.accumulate(odds))[::-1], np.log(_GRID)[::-1])
    return np.asarray(np.exp(found))


def _stretch(extremes: Array, wanted: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.where(extremes > 0, wanted / extremes, 1.0)
    return np.clip(factors, STRETCH_MIN, STRETCH_MAX)[:, None, :]


def _stretched(path: Array, by_fall: Array, by_rise: Array) -> Array:
    return np.asarray(path * np.where(path < 0, by_fall, by_rise))
