"""How crowded the leverage in a symbol is, from its funding rate and open interest against their own history. Pure.

A description by ranks, of crowding and of what holding costs, and no forecast: measured on three years of funding and
open interest it had no skill in forecasting large moves beyond volatility. No measured predictive value; policy input.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import Final

FUNDINGS_NEEDED: Final = 21
"""A week of eight-hourly stamps."""

INTERESTS_NEEDED: Final = 24
"""A day of hourly values."""

_DAY_MS: Final = 86_400_000
_STAMPS_LOOKED_AT: Final = 10
"""An interval that the venue changes (8, 4 or 1 h) is known after half as many."""


def leverage_temperature(
    funding_rate: float, fundings: Sequence[float], open_interest: float, interests: Sequence[float]
) -> float | None:
    """From 0 (as usual) to 1 (both as extreme as anything in their histories); ``None`` while a history is too short.

    The mean of two parts. Funding: how far its rank among past rates is from the middle, to either side, for shorts
    crowd as well as longs. Open interest: how far its rank is above the middle; less leverage than usual is not hot.
    """
    if len(fundings) < FUNDINGS_NEEDED or len(interests) < INTERESTS_NEEDED:
        return None
    funding = abs(2 * rank(funding_rate, fundings) - 1)
    interest = max(0.0, 2 * rank(open_interest, interests) - 1)
    return (funding + interest) / 2


def rank(value: float, history: Sequence[float]) -> float:
    """The share of ``history`` below ``value``, from 0 to 1; what equals it counts half.

    A rate that never changes is in the middle of its history, however often it is repeated.
    """
    ordered = sorted(history)
    return (bisect_left(ordered, value) + bisect_right(ordered, value)) / (2 * len(ordered))


def stamps_a_day(times_ms: Sequence[int]) -> float | None:
    """How often in a day funding is charged, from the times of the last charges; ``None`` for fewer than two."""
    last = sorted(set(times_ms))[-_STAMPS_LOOKED_AT:]
    if len(last) < 2:
        return None
    # To the nearest hour: stamps come some milliseconds late.
    hours = max(1, round(median(later - earlier for earlier, later in pairwise(last)) / (_DAY_MS / 24)))
    return 24 / hours


def carry_a_day(notional: Decimal, funding_a_day: Decimal) -> Decimal:
    """What a position receives in a day at the present funding rate; negative when it pays.

    ``notional`` is signed, positive for a long, in quote currency; ``funding_a_day`` the fraction of it that longs pay.
    """
    return -notional * funding_a_day
