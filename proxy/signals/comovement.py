"""Exponential averages of correlations, day by day back from now, and correlations as they were realised. Pure; numpy.

The days end in the hour in which the table ends. Missing hours take part in nothing. So does an hour in which a price
did not move at all: a symbol that is halted is not one that moves against the market.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

DAY_H: Final = 24
WEEK_D: Final = 7
HALF_LIVES_H: Final = (24.0, 72.0, 168.0, 720.0)

SCALE_HALF_LIFE_H: Final = 24.0
"""Half-life of the volatility that a return is divided by. Its own square counts in it, which bounds the quotient."""

HOURS_NEEDED: Final = 20
"""A pair with fewer common hours in the last week is not known."""

RETURN_MAX: Final = 5.0
"""A log return beyond this is no return of a price (150-fold within the hour)."""

_ABSENT: Final = 1e-300
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Comovement:
    """As of the end of one day: an average for each of ``HALF_LIVES_H``, and the pairs of which there is one.

    ``move`` is what the market did in that day, in standard deviations of one.
    """

    averages: Matrix
    known: NDArray[np.bool_]
    move: float


def comovements(returns: Matrix) -> list[Comovement]:
    """One for each day of the table, oldest first; a first day that is not whole counts as one. At least one."""
    width = returns.shape[1]
    days = max(1, -(-returns.shape[0] // DAY_H))
    padded = np.full((days * DAY_H, width), np.nan)
    if returns.size:
        padded[days * DAY_H - returns.shape[0] :] = returns
    present = _present(padded)
    padded = np.where(present, padded, 0.0)
    scaled = _scaled(padded, present)
    moves = _moves(padded, present)
    keeps = 0.5 ** (1 / np.array(HALF_LIVES_H))
    weights = (keeps[:, None] ** np.arange(DAY_H - 1, -1, -1))[:, :, None]
    day_keeps = (keeps**DAY_H)[:, None, None]
    together = np.zeros((len(keeps), width, width))
    squares = np.zeros((len(keeps), width, width))
    found = []
    for day in range(days):
        hours = slice(day * DAY_H, (day + 1) * DAY_H)
        part, there = scaled[hours], present[hours].astype(np.float64)
        together = day_keeps * together + (part * weights).transpose(0, 2, 1) @ part
        # The squares of one symbol over the hours that the other has too.
        squares = day_keeps * squares + (part * part * weights).transpose(0, 2, 1) @ there
        sizes = np.sqrt(squares * squares.transpose(0, 2, 1))
        averages = np.clip(together / np.maximum(sizes, _ABSENT), -1.0, 1.0)
        week = present[max(0, (day + 1 - WEEK_D) * DAY_H) : (day + 1) * DAY_H].astype(np.float64)
        known = (week.T @ week >= HOURS_NEEDED) & (sizes > _ABSENT).all(axis=0)
        np.fill_diagonal(known, False)
        found.append(Comovement(averages, known, float(moves[day])))
    return found


def realised(returns: Matrix) -> Matrix:
    """The correlations within the table; NaN for a symbol of which half the hours or more are missing or did not move.

    Pearson's, over the hours that a symbol has; a missing hour counts as its mean. Of many tables at once, one behind
    the other in the first axis, it gives as many matrices.
    """
    present = _present(returns)
    hours = present.sum(axis=-2, keepdims=True)
    values = np.where(present, returns, 0.0)
    centred = np.where(present, values - values.sum(axis=-2, keepdims=True) / np.maximum(hours, 1), 0.0)
    sizes = np.sqrt((centred * centred).sum(axis=-2, keepdims=True))
    # Of prices that went up by the same in every hour only rounding is left.
    enough = (hours * 2 > returns.shape[-2]) & (
        sizes > _ROUNDING * np.abs(values).max(axis=-2, keepdims=True, initial=0)
    )
    products = centred.swapaxes(-1, -2) @ centred
    rho = products / np.maximum(sizes * sizes.swapaxes(-1, -2), _ABSENT)
    return np.where(enough & enough.swapaxes(-1, -2), rho, np.nan)


def _present(returns: Matrix) -> NDArray[np.bool_]:
    return np.asarray((np.abs(returns) <= RETURN_MAX) & (returns != 0))


def _scaled(returns: Matrix, present: NDArray[np.bool_]) -> Matrix:
    """Returns over the exponential average of their squares, the present one included, day by day."""
    keep = 0.5 ** (1 / SCALE_HALF_LIFE_H)
    ages = np.arange(DAY_H)[:, None] - np.arange(DAY_H)[None, :]
    filters = np.where(ages >= 0, keep ** np.maximum(ages, 0), 0.0)
    fading = keep ** np.arange(1, DAY_H + 1)[:, None]
    squares, there = returns * returns, present.astype(np.float64)
    # It begins with as much weight as it will ever have, at the mean of the first hours there are.
    weight = np.full(returns.shape[1], 1 / (1 - keep))
    total = weight * _first_mean(squares, present)
    scaled = np.zeros_like(returns)
    for begin in range(0, len(returns), DAY_H):
        hours = slice(begin, begin + DAY_H)
        totals = fading * total + filters @ squares[hours]
        weights = fading * weight + filters @ there[hours]
        variance = totals / np.maximum(weights, _ABSENT)
        np.divide(returns[hours], np.sqrt(variance), out=scaled[hours], where=variance > 0)
        total, weight = totals[-1], weights[-1]
    return scaled


def _first_mean(squares: Matrix, present: NDArray[np.bool_]) -> Matrix:
    first = present & (np.cumsum(present, axis=0) <= DAY_H)
    return np.asarray((squares * first).sum(axis=0) / np.maximum(first.sum(axis=0), 1))


def _moves(returns: Matrix, present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Day by day, the mean return of all symbols over the root of a month's mean square day."""
    counts = np.maximum(present.sum(axis=1), 1)
    daily = (returns.sum(axis=1) / counts).reshape(-1, DAY_H).sum(axis=1)
    squares = ((returns * returns).sum(axis=1) / counts).reshape(-1, DAY_H).sum(axis=1)
    found = np.zeros(len(daily))
    for day in range(len(daily)):
        month = squares[max(0, day - 29) : day + 1].mean()
        found[day] = daily[day] / np.sqrt(month) if month > 0 else 0.0
    return found
