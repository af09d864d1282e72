"""Forecasts that have held, as rules are told them, and how crowded leverage is. Anomalies come with the desk."""

from __future__ import annotations

from typing import Final

from proxy.metrics.sheet import Sheet
from proxy.signals.account_odds import LIQUIDATION
from proxy.signals.joint import HORIZONS_H
from proxy.signals.plane import SignalsView, ToldView

_FUNDING: Final = "funding"
"""Until funding is due: as a number of seconds it would be another series at every reading."""

_HORIZONS_S: Final = frozenset(hours * 3_600 for hours in HORIZONS_H)


def put_signals(sheet: Sheet, signals: SignalsView) -> None:
    """A forecast that has not held is left out: a number on a dashboard would say more than is known. Of several that
    differ in what the labels do not name, as the legs of a hedge or the sizes of an order do, the highest counts."""
    highest: dict[tuple[str, str, str, str], float] = {}
    for told in signals.told:
        if told.reliable:
            place = (told.account, told.name, told.symbol, _horizon(told))
            highest[place] = max(told.probability, highest.get(place, 0.0))
    for (account, forecast, symbol, horizon), probability in highest.items():
        sheet.put(
            "forecast_probability",
            probability,
            account=account,
            forecast=forecast,
            symbol=symbol,
            horizon_s=horizon,
        )
    for each in signals.temperatures:
        sheet.put("leverage_temperature", each.value, symbol=each.symbol)


def _horizon(told: ToldView) -> str:
    until_funding = told.name == LIQUIDATION and told.horizon_s not in _HORIZONS_S
    return _FUNDING if until_funding else str(told.horizon_s)
