"""How unlike its own history a bot behaves: one score from 0 (as usual) to 1, per bot, decaying by itself.

First version of the method, behind the seam ``observe(baseline, observation) -> baseline``: four plain comparisons with
the bot's own past. It is a speed bump (it tightens the message rate), not a forecast, and claims no probability.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

HALF_LIFE_S: Final = 120.0
"""A score halves in two quiet minutes."""

RATE_WINDOW_S: Final = 60.0
HISTORY_WINDOW_S: Final = 86_400.0
MEMORY: Final = 0.02
"""Weight of one order in the running mean and variance of size and distance: about the last fifty orders count."""

ORDERS_NEEDED: Final = 20
"""Before this many orders a bot has no history of its own, and size and distance say nothing."""

RATE_EXCESS_FULL: Final = 10.0
DEVIATION_FULL: Final = 6.0
DEVIATION_FREE: Final = 3.0
REFUSALS_FULL: Final = 0.8
REFUSALS_FREE: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One judged order. ``size`` is its notional, ``distance`` its price's distance from mark as a fraction."""

    at: float
    refused: bool
    size: float | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What is remembered of a bot. Times are seconds since 1970; counts and scores decay with time."""

    at: float = 0.0
    orders: int = 0
    learned: int = 0
    recent: float = 0.0
    recent_refused: float = 0.0
    history: float = 0.0
    watched_s: float = 0.0
    size_mean: float = 0.0
    size_variance: float = 0.0
    distance_mean: float = 0.0
    distance_variance: float = 0.0
    score: float = 0.0
    why: str = "no history yet"


def observe(baseline: Baseline, observation: Observation) -> Baseline:
    """The baseline after one more order, with its new score and the part that drove it."""
    before = aged(baseline, observation.at)
    counted = replace(
        before,
        orders=before.orders + 1,
        recent=before.recent + 1,
        recent_refused=before.recent_refused + (1 if observation.refused else 0),
        history=before.history + 1,
    )
    parts = {
        "order rate": _rate_part(counted),
        "refusals": _refusal_part(counted),
        "order size": _deviation_part(counted, observation.size, counted.size_mean, counted.size_variance, log=True),
        "distance from mark": _deviation_part(
            counted, observation.distance, counted.distance_mean, counted.distance_variance, log=False
        ),
    }
    fresh = 1.0 - math.prod(1.0 - part for part in parts.values())
    why = max(parts, key=lambda name: parts[name]) if fresh > 0.05 else "as usual"
    learned = _learn(counted, observation)
    if fresh >= before.score:
        return replace(learned, score=fresh, why=why)
    return replace(learned, score=before.score)


def to_plain(baseline: Baseline) -> dict[str, Any]:
    """For the store, so that a warden that takes over keeps the history."""
    return asdict(baseline)


def from_plain(fields: dict[str, Any]) -> Baseline:
    """The baseline ``to_plain`` wrote. Raises ``TypeError`` for other fields."""
    return Baseline(**fields)


def aged(baseline: Baseline, at: float) -> Baseline:
    """The baseline some time later: counts and score decayed. A clock that steps back lets no time pass."""
    if baseline.orders == 0:
        return replace(baseline, at=at)
    elapsed = max(0.0, at - baseline.at)
    return replace(
        baseline,
        at=max(at, baseline.at),
        recent=baseline.recent * math.exp(-elapsed / RATE_WINDOW_S),
        recent_refused=baseline.recent_refused * math.exp(-elapsed / RATE_WINDOW_S),
        history=baseline.history * math.exp(-elapsed / HISTORY_WINDOW_S),
        watched_s=min(HISTORY_WINDOW_S, baseline.watched_s + elapsed),
        score=baseline.score * 0.5 ** (elapsed / HALF_LIFE_S),
    )


def _rate_part(baseline: Baseline) -> float:
    """Orders in the last minute against the rate of the last day; at least one a second is always usual."""
    if baseline.orders < ORDERS_NEEDED:
        return 0.0
    usual = max(1.0, baseline.history / max(baseline.watched_s, RATE_WINDOW_S))
    excess = (baseline.recent / RATE_WINDOW_S) / usual
    return _squash((excess - 2.0) / (RATE_EXCESS_FULL - 2.0))


def _refusal_part(baseline: Baseline) -> float:
    """Share of refused orders in the last minute, once there are enough to speak of a share."""
    if baseline.recent < 5:
        return 0.0
    share = baseline.recent_refused / baseline.recent
    return _squash((share - REFUSALS_FREE) / (REFUSALS_FULL - REFUSALS_FREE))


def _deviation_part(baseline: Baseline, value: float | None, mean: float, variance: float, *, log: bool) -> float:
    """Standard deviations above the bot's own mean; sizes are compared on a log scale."""
    if value is None or baseline.learned < ORDERS_NEEDED:
        return 0.0
    observed = math.log(value) if log and value > 0 else value
    # A bot that always sends one size has no variance of its own; a tenth of e-fold, or 0.1 %, is no anomaly.
    spread = math.sqrt(max(variance, 0.01 if log else 1e-6))
    return _squash(((observed - mean) / spread - DEVIATION_FREE) / (DEVIATION_FULL - DEVIATION_FREE))


def _learn(baseline: Baseline, observation: Observation) -> Baseline:
    """Refused orders teach nothing: a fat finger must not become the new usual."""
    if observation.refused:
        return baseline
    learned = replace(baseline, learned=baseline.learned + 1)
    if observation.size is not None and observation.size > 0:
        mean, variance = _moved(learned.size_mean, learned.size_variance, math.log(observation.size), learned.learned)
        learned = replace(learned, size_mean=mean, size_variance=variance)
    if observation.distance is not None:
        mean, variance = _moved(learned.distance_mean, learned.distance_variance, observation.distance, learned.learned)
        learned = replace(learned, distance_mean=mean, distance_variance=variance)
    return learned


def _moved(mean: float, variance: float, value: float, orders: int) -> tuple[float, float]:
    """Exponentially weighted mean and variance (Finch 2009), faster while the history is short."""
    weight = max(MEMORY, 1.0 / max(1, orders))
    delta = value - mean
    return mean + weight * delta, (1.0 - weight) * (variance + weight * delta * delta)


def _squash(part: float) -> float:
    return min(1.0, max(0.0, part))
