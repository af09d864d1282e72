"""How likely a leg reaches its liquidation price, and an account its end, within each horizon. Pure.

A leg: the odds of first passage of its mark, by its symbol's own forecaster. An account: by joint history
(``proxy.signals.joint``), never by multiplying, for forty coins behave as two independent ones. *Any leg* joins the
legs' odds by how their extremes went together in the same hours. *The cross balance* falls below what its legs require
in a share of scenarios, continued beyond them by the tail of how near each came. In each of these an hour that jumps,
down or up, has the small weight of ``JUMPS_A_YEAR``: history is short, and jumps have come.

Where history is short or a part is not known, the result is marked ``cold``, and errs towards the worse. Of a leg
whose distance, or whose symbol's hours, are not known no odds are stated, neither the best nor the worst: the account's
are then those of its other legs, which it cannot be below, and cold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from proxy.signals.joint import HORIZONS_H, WINDOWS_NEEDED, CommonHours, Scenarios
from proxy.signals.legs import Book, Leg
from proxy.signals.marginals import Law, Predicts, fitted
from proxy.signals.stress import JUMPS, Stress, stress_of_account, stress_of_leg
from proxy.signals.tails import LEAST, Array, exceedance, union

METHOD: Final = "joint-windows 1"

JUMPS_A_YEAR: Final = 0.2
"""Once in five years, of each of the two directions: one third each by 20, 40 and 66 %."""

_HOURS_A_YEAR: Final = 8_766.0
_DISTANCE_LEAST: Final = 1e-6


class Forecaster(Predicts, Protocol):
    """The part of a symbol's ``BarrierForecaster`` that is needed here."""

    @property
    def is_warm(self) -> bool:
        """Whether it has seen 25 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """The probability that it happens within ``horizon_h``; ``until_funding``: that is when funding is due next."""

    horizon_h: float
    probability: float
    until_funding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegForecast:
    """One leg. ``distance`` as in ``Leg``; ``cold``: pooled parameters, not this symbol's own history, or not known.

    ``odds`` and ``stress`` are empty when it is not known how far the leg is from its liquidation, ``odds`` alone when
    nothing is known of its symbol's hours, ``stress`` alone when nothing is known of the wallet behind it.

    ``together`` are, for ``HORIZONS_H``, the odds of the account's end if every cross leg went against it by the same
    fraction as this one; empty for an isolated leg, and where the arithmetic lacks something.
    """

    symbol: str
    position_side: str
    distance: float | None
    odds: tuple[Odds, ...]
    together: tuple[float, ...]
    stress: tuple[Stress, ...]
    cold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountForecast:
    """An account's legs, the odds that any of them ends, and those of the cross balance.

    ``any_leg`` is empty when of no leg odds are stated, ``cross`` where no leg is cross, or the venue's margin tiers
    are not known.
    """

    account: str
    legs: tuple[LegForecast, ...]
    any_leg: tuple[Odds, ...]
    cross: tuple[Odds, ...]
    stress: tuple[Stress, ...]
    cold: bool


def leg_forecast(leg: Leg, book: Book, forecasters: Sequence[Forecaster], funding_h: float | None) -> LegForecast:
    """The odds of one leg; of several forecasters of its symbol the one that sees most danger counts. Without any,
    because nothing is known of the symbol's hours, no odds are stated.

    ``funding_h``: hours until funding is due, ``None`` when that is not known. Some microseconds for each probability.
    """
    is_told = leg.is_known and bool(forecasters)
    stress = stress_of_leg(leg, book) if leg.is_known and (leg.isolated or leg.is_crossed) else ()
    worst = _first_passage(leg.distance, leg.is_long, forecasters)
    hits = [each.hit for each in stress] or [leg.distance is not None and jump >= leg.distance for jump in JUMPS]
    jumped = sum(hits) / len(JUMPS)
    odds = [_with_jumps(p, hours, jumped) for p, hours in zip(worst, HORIZONS_H, strict=True)]
    known = bool(forecasters) and leg.is_crossed and leg.together is not None
    return LegForecast(
        symbol=leg.symbol,
        position_side=leg.position_side,
        distance=leg.distance,
        odds=_all_odds(odds, funding_h) if is_told else (),
        together=tuple(_first_passage(leg.together, leg.is_long, forecasters)) if known else (),
        stress=stress,
        cold=not is_told or not all(each.is_warm for each in forecasters),
    )


def account_forecast(
    book: Book,
    legs: Sequence[LegForecast],
    common: CommonHours,
    scales: Mapping[str, Sequence[float]],
    laws: Mapping[str, Law],
    funding_h: float | None,
) -> AccountForecast:
    """The account's odds from its legs' and the joint hours of their symbols. Some tens of milliseconds: in a thread.

    ``book`` has at least one leg, ``common`` every symbol of it of which hours are known, ``scales`` each one's
    volatility forecasts for ``HORIZONS_H``, ``laws`` what its forecasters say.
    """
    any_leg, cross, cold = list[float](), list[float](), any(leg.cold for leg in legs)
    crossed = [forecast for leg, forecast in zip(book.legs, legs, strict=True) if leg.is_crossed]
    known = bool(crossed) and all(leg.together for leg in crossed)
    stated = [(leg, forecast) for leg, forecast in zip(book.legs, legs, strict=True) if forecast.odds]
    for place, hours in enumerate(HORIZONS_H):
        found = common.scenarios(hours, [scales[symbol][place] for symbol in common.symbols])
        windows = found if len(found) >= WINDOWS_NEEDED else None
        if windows is not None:
            windows = fitted(windows, [laws[symbol] for symbol in common.symbols], place)
        cold = cold or windows is None
        if stated:
            odds = np.array([forecast.odds[place].probability for _, forecast in stated])
            any_leg.append(_any_leg([leg for leg, _ in stated], odds, windows, common.symbols))
        if known:
            cross.append(_cross(book, windows, common.symbols, hours, [leg.together[place] for leg in crossed]))
    return AccountForecast(
        account=book.account,
        legs=tuple(legs),
        any_leg=_all_odds(any_leg, funding_h) if any_leg else (),
        cross=_all_odds(cross, funding_h) if cross else (),
        stress=stress_of_account(book),
        cold=cold or (bool(crossed) and not known),
    )


def _first_passage(distance: float | None, is_long: bool, forecasters: Sequence[Forecaster]) -> list[float]:
    """For each horizon. A long cannot fall by more than all; what is reached already is as good as certain."""
    if distance is None or distance == math.inf or (is_long and distance >= 1):
        return [LEAST] * len(HORIZONS_H)
    if distance <= _DISTANCE_LEAST:
        return [1 - LEAST] * len(HORIZONS_H)
    down, up = ([distance], []) if is_long else ([], [distance])
    stated = [each.predict(HORIZONS_H, down, up, ()) for each in forecasters]
    side = "p_down" if is_long else "p_up"
    return [max((each[hours][side][0] for each in stated), default=LEAST) for hours in HORIZONS_H]


def _any_leg(legs: Sequence[Leg], odds: Array, windows: Scenarios | None, symbols: Sequence[str]) -> float:
    """Between the largest of ``odds`` and their sum; without windows, that sum."""
    if windows is None:
        return union(np.empty((0, len(odds))), odds)
    return union(_severities(legs, windows, symbols), odds)


def _severities(legs: Sequence[Leg], windows: Scenarios, symbols: Sequence[str]) -> Array:
    """How far each leg's mark went against it in each window, in units of its volatility: their order is all that
    counts, and the volatility of now is the same for all."""
    lows, highs = windows.low.min(axis=1), windows.high.max(axis=1)
    places = [symbols.index(leg.symbol) for leg in legs]
    return np.stack(
        [-lows[:, at] if leg.is_long else highs[:, at] for leg, at in zip(legs, places, strict=True)], axis=1
    )


def _cross(
    book: Book, windows: Scenarios | None, symbols: Sequence[str], hours: int, together: Sequence[float]
) -> float:
    """Without windows ``together`` serves: for each cross leg, the odds if all went against the account with it."""
    if windows is None:
        return max(together)
    cushion = book.balance - book.required
    if cushion <= 0:
        return 1 - LEAST
    nearness = _losses(book, windows, symbols) / cushion
    hits = sum(each.hit for each in stress_of_account(book)) / len(JUMPS)
    return _with_jumps(exceedance(nearness, 1.0), hours, hits, directions=2)


def _losses(book: Book, windows: Scenarios, symbols: Sequence[str]) -> Array:
    """The most that each window takes from what is free behind the cross legs: losses and the margin required more.

    Within an hour all are looked at together at their lows, at their highs and at the close: a market that falls takes
    all with it, and nobody knows in which minute each was lowest.
    """
    worst: Array = np.full(len(windows), -np.inf)
    for look in (windows.low, windows.high, windows.close):
        taken = np.zeros(look.shape[:2])
        for leg in book.crossed:
            assert leg.tiers is not None  # noqa: S101 - asked before
            price = leg.mark * np.exp(look[:, :, symbols.index(leg.symbol)])
            taken -= leg.quantity * (price - leg.mark)
            taken += leg.tiers.maintenance(abs(leg.quantity) * price) - leg.after(0)[1]
        worst = np.maximum(worst, taken.max(axis=1))
    return worst


def _jump_weight(hours: float) -> float:
    return JUMPS_A_YEAR / _HOURS_A_YEAR * hours


def _with_jumps(probability: float, hours: float, hit: float, directions: int = 1) -> float:
    """Mixed with jumps, of which the share ``hit`` is the end; never less than without."""
    weight = _jump_weight(hours)
    return min(1 - LEAST, max(LEAST, probability, (1 - directions * weight) * probability + weight * hit))


def _all_odds(measured: Sequence[float], funding_h: float | None) -> tuple[Odds, ...]:
    """For each of ``HORIZONS_H``, none smaller than that of a shorter one, and until funding."""
    rising = np.maximum.accumulate(measured).tolist()
    odds = tuple(Odds(horizon_h=h, probability=p) for h, p in zip(HORIZONS_H, rising, strict=True))
    if funding_h is None or not 0 < funding_h <= HORIZONS_H[-1]:
        return odds
    # Between horizons along the logarithm of time; within the first hour as of the whole of it.
    found = float(np.interp(math.log(funding_h), [math.log(h) for h in HORIZONS_H], rising))
    return (*odds, Odds(horizon_h=funding_h, probability=found, until_funding=True))
