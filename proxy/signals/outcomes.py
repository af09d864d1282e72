"""Writes every forecast of the hours into the scoreboard, and its outcome once later hours have told it.

What is stated is stated at the close of an hour, so that whole hours decide: reached or not by their lows and highs,
the log return by their closes. The reference beside it is the plain frequency of the last half year.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from proxy.signals.bars import HOUR_S
from proxy.signals.forecast.features import VARIANCE_FLOOR
from proxy.signals.joint import HORIZONS_H, WINDOWS_NEEDED, Extremes, JointHistory, hourly_variances
from proxy.signals.legs import Leg
from proxy.signals.regime import DAY_H, QUANTILE
from proxy.signals.scoreboard.card import Card
from proxy.signals.scoreboard.stated import Stated
from proxy.signals.symbol_forecast import SymbolForecast
from proxy.signals.tails import Array

DISTANCES: Final = (0.01, 0.02, 0.05, 0.1)
TAUS: Final = (0.01, 0.05, 0.5, 0.95, 0.99)
EVERY_H: Final = {1: 1, 8: 2, 24: 6}
"""Outcomes of a day overlap: stated every hour they would say the same again and again."""

SIGNALS: Final = ("liquidation", "barrier", "quantile", "regime")
"""Those whose outcomes hours decide, the most important first."""

_VARIANCE: Final = "variance_above"
_ACCOUNT_MAX: Final = 32
"""Letters of an account's name in a key."""


class Board(Protocol):
    """The part of the scoreboard that is told."""

    def state(self, stated: Iterable[Stated]) -> None:
        """Hear forecasts."""

    def due(self, now: int) -> list[Stated]:
        """Those whose time is up."""

    def resolve(self, stated: Stated, outcome: float) -> None:
        """Hear an outcome."""

    def card(self, signal: str, symbol: str, horizon_h: float) -> Card:
        """How such forecasts have held."""


def has_held(board: Board, symbol: str, horizon_h: int) -> bool:
    """Whether the odds of a symbol may be relied on: enough of them were scored, and they hold."""
    return (
        board.card("barrier", symbol, float(horizon_h)).status == "reliable"
        and board.card("liquidation", symbol, float(horizon_h)).status != "unreliable"
    )


class OwnedLeg(NamedTuple):
    """A leg and the account it is of."""

    account: str
    leg: Leg


def due_horizons(found: SymbolForecast) -> tuple[int, ...]:
    """Those that are stated at the close of the symbol's last hour."""
    if found.last is None:
        return ()
    number = found.last.number
    return tuple(horizon for horizon in HORIZONS_H if number % EVERY_H[horizon] == 0)


def statements(found: SymbolForecast, legs: Sequence[OwnedLeg], past: Mapping[int, Extremes]) -> Iterator[Stated]:
    """What is foreseen of a symbol at the close of its last hour, for ``legs`` in it too. Some tenths of a millisecond.

    ``past`` has the symbol's own windows for each of ``due_horizons``.
    """
    if found.last is None:
        return
    as_of, close = found.last.end, found.last.close
    for horizon, windows in past.items():
        wanted = [*_wanted(DISTANCES), *_of_legs(legs, close)]
        downs = [each for each in wanted if each.is_down]
        ups = [each for each in wanted if not each.is_down]
        answer = found.model.predict([horizon], [each.away for each in downs], [each.away for each in ups], TAUS)
        stated = answer[horizon]
        common = _Common(found.symbol, float(horizon), as_of, as_of + horizon * HOUR_S, found.model.METHOD)
        for each, value in zip([*downs, *ups], [*stated["p_down"], *stated["p_up"]], strict=True):
            yield common.probability(each.signal, each.key, value, _frequency(each, windows))
        for tau, value in zip(TAUS, stated["quantiles"], strict=True):
            yield common.quantile(f"tau:{tau:g}", value, _past_quantile(tau, windows))
        threshold = found.regime.threshold
        if horizon == DAY_H and threshold is not None and found.regime.probability is not None:
            yield common.probability("regime", f"{_VARIANCE}:{threshold:.6f}", found.regime.probability, 1 - QUANTILE)


class _Wanted(NamedTuple):
    """One barrier that is stated: of the symbol for itself, or of somebody's leg."""

    signal: str
    owner: str
    is_down: bool
    away: float

    @property
    def key(self) -> str:
        side = "down" if self.is_down else "up"
        return f"{self.owner}{side}:{self.away:.6g}"


def _wanted(distances: Iterable[float]) -> Iterator[_Wanted]:
    for away in distances:
        yield _Wanted("barrier", "", True, away)
        yield _Wanted("barrier", "", False, away)


def _of_legs(legs: Iterable[OwnedLeg], close: float) -> Iterator[_Wanted]:
    """Each leg's liquidation price as seen from the close: that is where the hours that decide begin."""
    for account, leg in legs:
        if leg.distance is None:
            continue
        price = leg.mark * (1 - leg.distance if leg.is_long else 1 + leg.distance)
        away = 1 - price / close if leg.is_long else price / close - 1
        if (0 < away < 1) if leg.is_long else away > 0:
            owner = f"{account[:_ACCOUNT_MAX]}:{leg.position_side}:"
            yield _Wanted("liquidation", owner, leg.is_long, float(f"{away:.6g}"))


class _Common(NamedTuple):
    """What the forecasts of one symbol, horizon and moment share."""

    symbol: str
    horizon_h: float
    as_of: int
    until: int
    method: str

    def probability(self, signal: str, key: str, value: float, reference: float | None) -> Stated:
        """That something happens."""
        return Stated(signal=signal, key=key, kind="probability", value=value, reference=reference, **self._asdict())

    def quantile(self, key: str, value: float, reference: float | None) -> Stated:
        """Of the log return."""
        return Stated(signal="quantile", key=key, kind="quantile", value=value, reference=reference, **self._asdict())


def _frequency(wanted: _Wanted, windows: Extremes) -> float | None:
    """How often a barrier so far away was reached in the past, ``None`` when there is too little of it."""
    if len(windows.low) < WINDOWS_NEEDED:
        return None
    if wanted.is_down:
        return float((windows.low <= math.log1p(-wanted.away)).mean())
    return float((windows.high >= math.log1p(wanted.away)).mean())


def _past_quantile(tau: float, windows: Extremes) -> float | None:
    """That of the past's log returns, ``None`` when there is too little of it; a young contract has none at all."""
    return float(np.quantile(windows.close, tau)) if len(windows.close) >= WINDOWS_NEEDED else None


def resolve(board: Board, history: JointHistory, now: int) -> None:
    """Tell the board every outcome that the hours decide. What lies in a gap stays open, and is lost in time."""
    for stated in board.due(now):
        if stated.signal not in SIGNALS:
            continue
        rows = history.between(stated.symbol, stated.as_of // HOUR_S + 1, stated.until // HOUR_S)
        if rows is not None:
            board.resolve(stated, _outcome(stated, rows.astype(np.float64)))


def _outcome(stated: Stated, rows: Array) -> float:
    closes = np.cumsum(rows[:, 2])
    if stated.kind == "quantile":
        return float(closes[-1])
    what, _, number = stated.key.rpartition(":")
    if what == _VARIANCE:
        # With the floor that the threshold's own hours have: without it a market that hardly moves is never wild.
        return float(math.log(hourly_variances(rows).sum() + len(rows) * VARIANCE_FLOOR) > float(number))
    before = np.concatenate(([0.0], closes[:-1]))
    if what.endswith("down"):
        return float((before + rows[:, 0]).min() <= math.log1p(-float(number)))
    return float((before + rows[:, 1]).max() >= math.log1p(float(number)))
