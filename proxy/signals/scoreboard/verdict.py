"""Whether a card may be relied on. A mark needs two things: a large error, and that chance can hardly have made it.

Without the second an honest forecaster would be marked all the time: ninety days hold ninety outcomes of a day, however
often a forecast was stated. What is marked stays marked until it is clearly inside again, so that a card on the limit
does not flicker.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from proxy.signals.scoreboard.card import Card, Probabilities, Quantile
from proxy.signals.scoreboard.chance import at_least, at_most, poisson_at_least

COLD_BELOW: Final = 200
"""Forecasts with a known outcome. With fewer nothing is said of a signal, and nothing relies on it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a card is unreliable.

    ``chance`` is how probable an honest forecaster must find what happened, ``deviations`` the same of a normal law.
    ``outside`` is how many times as often as it should an outcome may lie outside a quantile, or as rarely.
    """

    ece: float
    rare_ratio: float
    outside: float
    chance: float
    deviations: float


MARKED_FROM: Final = Limits(ece=0.05, rare_ratio=3.0, outside=1.25, chance=0.005, deviations=2.81)
"""Beyond these a card is marked: once in two hundred honest cards, by each test."""

CLEAR_FROM: Final = Limits(ece=0.04, rare_ratio=2.4, outside=1.25, chance=0.02, deviations=2.33)
"""Within these the mark is taken off again."""


def judged(card: Card, marked_since: int | None, now: int) -> Card:
    """The card with its status. ``marked_since`` is when it was marked unreliable, ``None`` when it was not."""
    if card.n < COLD_BELOW:
        why = f"{card.n} of {COLD_BELOW} forecasts scored" if card.n else card.why
        return replace(card, status="cold", why=why, since=marked_since)
    reasons = list(_reasons(card, MARKED_FROM if marked_since is None else CLEAR_FROM))
    if not reasons:
        return replace(card, status="reliable", why="", since=None)
    return replace(card, status="unreliable", why="; ".join(reasons), since=marked_since or now)


def _reasons(card: Card, limits: Limits) -> Iterator[str]:
    if card.probabilities is not None:
        yield from _of_probabilities(card.probabilities, limits)
    for quantile in card.quantiles:
        yield from _of_quantile(quantile, limits)


def _of_probabilities(found: Probabilities, limits: Limits) -> Iterator[str]:
    if found.ece > max(limits.ece, limits.deviations * found.ece_spread):
        yield f"calibration error {found.ece:.3f}, above {limits.ece:g}"
    ratio = found.rare.ratio
    if ratio is not None and ratio > limits.rare_ratio:
        # As many separate events came; that many divided by the ratio were to be expected.
        events = found.rare_occasions
        if poisson_at_least(events, events / ratio) <= limits.chance:
            yield f"rare events came {ratio:.1f} times as often as stated, above {limits.rare_ratio:g}"


def _of_quantile(found: Quantile, limits: Limits) -> Iterator[str]:
    # The benefit of the doubt: a part of an outcome counts for the forecaster.
    many, few = math.floor(found.outside * found.apart + 1e-9), math.ceil(found.outside * found.apart - 1e-9)
    said = f"{found.key}: {found.outside:.2%} of outcomes lie outside, {found.nominal:.2%} should"
    if at_least(many, found.apart, found.nominal * limits.outside) <= limits.chance:
        yield f"{said}; too narrow"
    elif at_most(few, found.apart, found.nominal / limits.outside) <= limits.chance:
        yield f"{said}; too wide"
