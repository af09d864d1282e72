"""The scores of a walk, as plain data. Every skill stands with the 90 % interval over resampled days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from proxy.signals import scores
from proxy.signals.backtest.hourly import TAUS, Table, Walked
from proxy.signals.backtest.minutely import TAUS as MINUTE_TAUS
from proxy.signals.tails import Array


def report_of(walked: Walked, symbols: Sequence[str]) -> dict[str, Any]:
    """Barriers, quantiles and regime of hourly bars. A part nothing was stated of is ``None``."""
    return {
        "barrier": {f"{hours}h": _probabilities(table, symbols) for hours, table in walked.barriers.items()},
        "quantile": {f"{hours}h": _quantiles(table) for hours, table in walked.quantiles.items()},
        "regime": _regime(walked, symbols),
        "cost": {
            "update_us": _per(walked.feeding_s, walked.bars),
            "probability_us": _per(walked.asking_s, walked.probabilities),
        },
    }


def slippage_report(table: Table) -> dict[str, Any] | None:
    """Quantiles of the adverse move: skill against the past's own quantiles, and the share that exceeded them."""
    if not len(table):
        return None
    days, stated, reference, outcomes, keys = table.columns()
    found = {}
    for tau in MINUTE_TAUS:
        of_it = np.isclose(keys, tau)
        losses, usual = (scores.pinball_losses(each[of_it], outcomes[of_it], tau) for each in (stated, reference))
        found[f"q{100 * tau:g}"] = {
            "n": int(of_it.sum()),
            "skill": scores.skill(float(losses.mean()), float(usual.mean())),
            "skill_interval": _pair(scores.skill_interval(days[of_it], losses, usual)),
            "exceeded": scores.exceedance(stated[of_it], outcomes[of_it]),
            "should": round(1 - tau, 6),
        }
    return found


def _probabilities(table: Table, symbols: Sequence[str]) -> dict[str, Any] | None:
    if not len(table):
        return None
    days, stated, reference, outcomes, places = table.columns()
    squared = [scores.squared_errors(each, outcomes) for each in (stated, reference)]
    logs = [scores.log_losses(each, outcomes) for each in (stated, reference)]
    rare = scores.rare_ratio(stated, outcomes)
    return {
        "n": len(stated),
        "brier_skill": scores.brier_skill(stated, reference, outcomes),
        "brier_skill_interval": _pair(scores.skill_interval(days, *squared)),
        "log_loss_skill": scores.log_loss_skill(stated, reference, outcomes),
        "log_loss_skill_interval": _pair(scores.skill_interval(days, *logs)),
        "ece": scores.ece(stated, outcomes),
        "rare_ratio": rare.ratio,
        "rare_ratio_interval": _pair(scores.rare_interval(days, stated, outcomes)),
        "worst_symbol_ece": max(
            ([scores.ece(stated[of_it], outcomes[of_it]), symbols[int(place)]])
            for place in np.unique(places)
            for of_it in [places == place]
        ),
    }


def _quantiles(table: Table) -> dict[str, Any] | None:
    if not len(table):
        return None
    days, stated, reference, outcomes, keys = table.columns()
    losses, usual = np.zeros(len(keys)), np.zeros(len(keys))
    for tau in TAUS:
        of_it = np.isclose(keys, tau)
        losses[of_it] = scores.pinball_losses(stated[of_it], outcomes[of_it], tau)
        usual[of_it] = scores.pinball_losses(reference[of_it], outcomes[of_it], tau)
    return {
        "n": len(stated) // len(TAUS),
        "pinball_skill": scores.skill(float(losses.mean()), float(usual.mean())),
        "pinball_skill_interval": _pair(scores.skill_interval(days, losses, usual)),
        "coverage_90": _coverage(keys, stated, outcomes, 0.05),
        "coverage_98": _coverage(keys, stated, outcomes, 0.01),
    }


def _coverage(keys: Array, stated: Array, outcomes: Array, tail: float) -> float:
    low, high = np.isclose(keys, tail), np.isclose(keys, 1 - tail)
    return scores.coverage(stated[low], stated[high], outcomes[low])


def _regime(walked: Walked, symbols: Sequence[str]) -> dict[str, Any] | None:
    found = _probabilities(walked.regime, symbols)
    if found is not None:
        found["flips_a_day"] = walked.flips / walked.regime_days
    return found


def _pair(interval: scores.Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _per(seconds: float, count: int) -> float | None:
    return 1e6 * seconds / count if count else None
