"""The scores of a walk-forward: for each horizon over all symbols, with intervals over whole days, and for each symbol.

The numbers are those of ``proxy.signals.scores``; the climatology is the plain frequency of the trailing history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.signals import scores
from proxy.signals.backtest.walk import REGIME_CLIMATOLOGY, Judged, JudgedRegime, Plan, Walked
from proxy.signals.barrier import BarrierForecaster

Floats = NDArray[np.float64]

BANDS = ((0.9, 0.05, 0.95), (0.98, 0.01, 0.99))
"""Nominal coverage, and the quantiles that bound it."""


def report(walked: Sequence[Walked], plan: Plan) -> dict[str, Any]:
    """Everything that was measured, ready for JSON. A score that had nothing to be measured on is ``None``."""
    return {
        "method": BarrierForecaster.METHOD,
        "distances": list(plan.distances),
        "origins": {"every_h": plan.every_h, "offset_h": plan.offset_h},
        "symbols": {
            each.symbol: {
                "bars": each.bars, "first": each.first, "last": each.last, "history_days": each.history_days,
                "horizons": {str(hours): _summary(judged) for hours, judged in each.horizons.items()},
            }
            for each in walked
        },
        "horizons": {
            str(hours): _horizon({each.symbol: each.horizons[hours] for each in walked}, plan)
            for hours in plan.horizons_h
        },
        "regime": _regime([each.regime for each in walked]),
    }  # fmt: skip


def lines(told: dict[str, Any]) -> Iterator[str]:
    """The report in a few lines, for reading."""
    yield f"{told['method']}: {len(told['symbols'])} symbols; skill against the trailing climatology, 90 % intervals"
    for hours, each in told["horizons"].items():
        if not each["n"]:
            yield f"{hours:>3} h  no outcomes: too little history before, or too few bars after"
            continue
        rare = each["rare"]
        yield (
            f"{hours:>3} h  n {each['n']}  Brier skill {_number(each['brier_skill'])} {_span(each['brier_skill_90'])}"
            f"  log loss skill {_number(each['log_loss_skill'])}  calibration error {_number(each['ece'])}"
            f" (worst {each['worst_symbol']} {_number(each['worst_symbol_ece'])})"
            f"  rare observed/stated {_number(rare['ratio'])} {_span(rare['ratio_90'])} of {rare['count']}"
            f"  covered 90 % {_number(each['coverage_90'])}, 98 % {_number(each['coverage_98'])}"
        )
    regime = told["regime"]
    if regime["n"]:
        yield (
            f"wild day  n {regime['n']}  Brier skill {_number(regime['brier_skill'])} {_span(regime['brier_skill_90'])}"
            f"  calibration error {_number(regime['ece'])}  changes a day {_number(regime['flips_per_day'])}"
        )


def _horizon(judged: dict[str, Judged], plan: Plan) -> dict[str, Any]:
    known = {symbol: each for symbol, each in judged.items() if len(each.days)}
    if not known:
        return {"n": 0}
    stated, usual, hits, days = (
        np.concatenate([each for found in known.values() for each in (_flat(found, name),)])
        for name in ("stated", "climatology", "hits", "days")
    )
    errors, usual_errors = scores.squared_errors(stated, hits), scores.squared_errors(usual, hits)
    losses, usual_losses = scores.log_losses(stated, hits), scores.log_losses(usual, hits)
    rare = scores.rare_ratio(stated, hits)
    errors_by_symbol = {symbol: _calibration_error(each) for symbol, each in known.items()}
    worst = max(errors_by_symbol, key=errors_by_symbol.__getitem__)
    return {
        "n": len(stated),
        "days": len(np.unique(days)),
        "brier": float(errors.mean()),
        "climatology_brier": float(usual_errors.mean()),
        "brier_skill": scores.skill(float(errors.mean()), float(usual_errors.mean())),
        "brier_skill_90": _ends(scores.skill_interval(days, errors, usual_errors)),
        "log_loss_skill": scores.skill(float(losses.mean()), float(usual_losses.mean())),
        "log_loss_skill_90": _ends(scores.skill_interval(days, losses, usual_losses)),
        "ece": scores.ece(stated, hits),
        "worst_symbol": worst,
        "worst_symbol_ece": errors_by_symbol[worst],
        "rare": {**asdict(rare), "ratio_90": _ends(scores.rare_interval(days, stated, hits))},
        "reliability": [asdict(each) for each in scores.reliability(stated, hits)],
        **_quantiles(list(known.values()), plan),
    }


def _quantiles(judged: Sequence[Judged], plan: Plan) -> dict[str, Any]:
    told = np.concatenate([each.quantiles for each in judged])
    usual = np.concatenate([each.climatology_quantiles for each in judged])
    ends = np.concatenate([each.ends for each in judged])
    losses = [scores.pinball(told[:, n], ends, tau) for n, tau in enumerate(plan.taus)]
    usual_losses = [scores.pinball(usual[:, n], ends, tau) for n, tau in enumerate(plan.taus)]
    covered = {
        f"coverage_{nominal:.0%}".rstrip("%"): scores.coverage(
            told[:, plan.taus.index(low)], told[:, plan.taus.index(high)], ends
        )
        for nominal, low, high in BANDS
    }
    return {
        **covered,
        "pinball": dict(zip(map(str, plan.taus), losses, strict=True)),
        "pinball_skill": scores.skill(sum(losses), sum(usual_losses)),
    }


def _summary(judged: Judged) -> dict[str, Any]:
    if not len(judged.days):
        return {"n": 0}
    stated, usual, hits = (_flat(judged, name) for name in ("stated", "climatology", "hits"))
    return {
        "n": len(stated),
        "brier_skill": scores.brier_skill(stated, usual, hits),
        "ece": scores.ece(stated, hits),
        "rare_ratio": scores.rare_ratio(stated, hits).ratio,
    }


def _regime(judged: Sequence[JudgedRegime]) -> dict[str, Any]:
    stated, wild, days = (
        np.concatenate([getattr(each, name) for each in judged] or [np.zeros(0)]) for name in ("stated", "wild", "days")
    )
    if not len(stated):
        return {"n": 0}
    usual = np.full(len(stated), REGIME_CLIMATOLOGY)
    errors, usual_errors = scores.squared_errors(stated, wild), scores.squared_errors(usual, wild)
    called = sum(each.days_called for each in judged)
    return {
        "n": len(stated),
        "wild": float(wild.mean()),
        "brier": float(errors.mean()),
        "brier_skill": scores.skill(float(errors.mean()), float(usual_errors.mean())),
        "brier_skill_90": _ends(scores.skill_interval(days, errors, usual_errors)),
        "ece": scores.ece(stated, wild),
        "flips_per_day": sum(each.flips for each in judged) / called if called else None,
    }


def _flat(judged: Judged, name: str) -> Floats:
    """One entry a level and origin; a day counts for every level of its origins."""
    values: Floats = getattr(judged, name)
    return np.repeat(values, judged.stated.shape[1]) if values.ndim == 1 else values.ravel()


def _calibration_error(judged: Judged) -> float:
    return scores.ece(_flat(judged, "stated"), _flat(judged, "hits"))


def _ends(interval: scores.Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _span(ends: list[float] | None) -> str:
    return "" if ends is None else f"[{ends[0]:.4f}, {ends[1]:.4f}]"
