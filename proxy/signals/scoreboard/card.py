"""One card: how the forecasts of one signal, symbol and horizon have held. Pure functions of the log's rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.signals import scores
from proxy.signals.scoreboard.chance import apart
from proxy.signals.scoreboard.stated import Kind, Subject, tau_of

Status = Literal["cold", "reliable", "unreliable"]

DAY_S: Final = 86_400


class Row(NamedTuple):
    """A forecast whose outcome is known."""

    key: str
    kind: Kind
    as_of: int
    until: int
    value: float
    reference: float | None
    outcome: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probabilities:
    """The scores of ``n`` stated probabilities.

    ``stated`` and ``observed`` are their mean and the share that came. Skills are against the stored reference, of the
    forecasts that have one; ``None`` where none has. ``skill_interval`` are the 90 % of the Brier skill over resampled
    days. ``ece_spread`` is the standard deviation of the calibration error that an honest forecaster would show if all
    classes erred together. ``rare_occasions`` counts the events among the rare forecasts whose outcomes do not overlap.
    """

    n: int
    stated: float
    observed: float
    brier: float
    brier_skill: float | None
    skill_interval: scores.Interval | None
    log_loss: float
    log_loss_skill: float | None
    ece: float
    ece_spread: float
    bins: tuple[scores.Bin, ...]
    rare: scores.Rare
    rare_occasions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """The scores of ``n`` statements of one quantile, by its ``key``.

    ``outside`` is the share of outcomes beyond it, on the side of its tail; ``nominal`` what that should be. Of
    outcomes that are the stated value itself, as in minutes in which nothing moved, as many count as outside as there
    should be. ``pinball_skill`` is against the stored reference, ``None`` without one. ``apart`` counts outcomes that
    do not overlap.
    """

    key: str
    tau: float
    n: int
    apart: int
    pinball: float
    pinball_skill: float | None
    exceedance: float
    outside: float
    nominal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The band between two quantiles: the share of outcomes in it, and what that should be."""

    nominal: float
    coverage: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The track record of one subject over the window, and what became of it.

    ``n`` counts the forecasts with a known outcome, ``apart`` those of them that do not overlap, ``unknown`` those
    whose outcome nobody ever learnt. ``status`` is ``cold`` (too few to tell), ``reliable`` or ``unreliable``, ``why``
    says it in words, ``since`` (unix seconds) when the mark was set; ``None`` while there is none. ``method`` is that
    of the newest forecast.
    """

    signal: str
    symbol: str
    horizon_h: float
    n: int = 0
    apart: int = 0
    unknown: int = 0
    method: str = ""
    probabilities: Probabilities | None = None
    quantiles: tuple[Quantile, ...] = ()
    bands: tuple[Band, ...] = ()
    status: Status = "cold"
    why: str = "no forecast has been scored yet"
    since: int | None = None

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.signal, self.symbol, self.horizon_h)


def card_of(subject: Subject, rows: Sequence[Row], *, unknown: int = 0, method: str = "") -> Card:
    """The scores of these forecasts. Its status is not judged yet: ``verdict.judged`` does that."""
    if not rows:
        return Card(**subject._asdict(), unknown=unknown, method=method)
    stated = [row for row in rows if row.kind == "probability"]
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == "quantile":
            by_key.setdefault(row.key, []).append(row)
    return Card(
        **subject._asdict(),
        n=len(rows),
        apart=_apart(rows),
        unknown=unknown,
        method=method,
        probabilities=_probabilities(stated) if stated else None,
        quantiles=tuple(_quantile(key, by_key[key]) for key in sorted(by_key, key=_in_order)),
        bands=tuple(_bands(by_key)),
    )


def _probabilities(rows: Sequence[Row]) -> Probabilities:
    stated, outcomes = _column(rows, "value"), _column(rows, "outcome")
    referred = [row for row in rows if row.reference is not None]
    rare = scores.rare_ratio(stated, outcomes)
    came = [row for row in rows if row.value < scores.RARE and row.outcome == 1]
    return Probabilities(
        n=len(rows),
        stated=float(stated.mean()),
        observed=float(outcomes.mean()),
        brier=scores.brier(stated, outcomes),
        log_loss=scores.log_loss(stated, outcomes),
        ece=scores.ece(stated, outcomes),
        ece_spread=_ece_spread(rows, stated),
        bins=tuple(scores.reliability(stated, outcomes)),
        rare=rare,
        rare_occasions=_apart(came),
        **_skills(referred),
    )


def _skills(rows: Sequence[Row]) -> dict[str, Any]:
    if not rows:
        return {"brier_skill": None, "log_loss_skill": None, "skill_interval": None}
    stated, reference, outcomes = (_column(rows, name) for name in ("value", "reference", "outcome"))
    days = _times(rows, "until") // DAY_S
    losses = [scores.squared_errors(each, outcomes) for each in (stated, reference)]
    return {
        "brier_skill": scores.brier_skill(stated, reference, outcomes),
        "log_loss_skill": scores.log_loss_skill(stated, reference, outcomes),
        "skill_interval": scores.skill_interval(days, *losses),
    }


def _ece_spread(rows: Sequence[Row], stated: scores.Floats) -> float:
    """Each class has the binomial deviation of as many outcomes as do not overlap in it."""
    as_of, until = _times(rows, "as_of"), _times(rows, "until")
    classes = np.minimum((stated * 10).astype(np.intp), 9)
    spread = 0.0
    for each in np.unique(classes):
        inside = classes == each
        mean = float(stated[inside].mean())
        spread += float(inside.mean()) * math.sqrt(mean * (1 - mean) / apart(as_of[inside], until[inside]))
    return spread


def _quantile(key: str, rows: Sequence[Row]) -> Quantile:
    tau, stated, outcomes = tau_of(key), _column(rows, "value"), _column(rows, "outcome")
    referred = [row for row in rows if row.reference is not None]
    skill = None
    if referred:
        value, reference, outcome = (_column(referred, name) for name in ("value", "reference", "outcome"))
        skill = scores.skill(scores.pinball(value, outcome, tau), scores.pinball(reference, outcome, tau))
    above = scores.exceedance(stated, outcomes)
    below = scores.exceedance(-stated, -outcomes)
    beyond, nominal = above if tau >= 0.5 else below, min(tau, 1 - tau)
    return Quantile(
        key=key,
        tau=tau,
        n=len(rows),
        apart=_apart(rows),
        pinball=scores.pinball(stated, outcomes, tau),
        pinball_skill=skill,
        exceedance=above,
        outside=min(max(nominal, beyond), beyond + float((outcomes == stated).mean())),
        nominal=nominal,
    )


def _bands(by_key: dict[str, list[Row]]) -> list[Band]:
    """The bands of a tau and its mirror image, of the forecasts that stated both at the same moment."""
    found = []
    for key, rows in sorted(by_key.items()):
        tau, prefix = tau_of(key), key.rpartition("tau:")[0]
        mirrors = [
            other
            for other in by_key
            if other.rpartition("tau:")[0] == prefix and math.isclose(tau_of(other), 1 - tau, abs_tol=1e-9)
        ]
        if tau >= 0.5 or not mirrors:
            continue
        highs = {row.as_of: row for row in by_key[mirrors[0]]}
        pairs = [(row, highs[row.as_of]) for row in rows if row.as_of in highs]
        if pairs:
            low, high = (_column([pair[side] for pair in pairs], "value") for side in (0, 1))
            covered = scores.coverage(low, high, _column([low_row for low_row, _ in pairs], "outcome"))
            found.append(Band(nominal=1 - 2 * tau, coverage=covered, n=len(pairs)))
    return found


def _in_order(key: str) -> tuple[str, float]:
    return key.rpartition("tau:")[0], tau_of(key)


def _apart(rows: Sequence[Row]) -> int:
    return apart(_times(rows, "as_of"), _times(rows, "until"))


def _column(rows: Sequence[Row], name: str) -> scores.Floats:
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)


def _times(rows: Sequence[Row], name: str) -> NDArray[np.int64]:
    return np.array([getattr(row, name) for row in rows], dtype=np.int64)
