"""Forecasts that have held, as rules are told them, and how crowded leverage is. Anomalies come with the desk."""

from __future__ import annotations

from proxy.console.signals_plane import SignalsView
from proxy.metrics.sheet import Sheet


def put_signals(sheet: Sheet, signals: SignalsView) -> None:
    """A forecast that has not held is left out: a number on a dashboard would say more than is known."""
    for told in signals.told:
        if told.reliable:
            sheet.put(
                "forecast_probability",
                told.probability,
                account=told.account,
                forecast=told.name,
                symbol=told.symbol,
                horizon_s=str(told.horizon_s),
            )
    for each in signals.temperatures:
        sheet.put("leverage_temperature", each.value, symbol=each.symbol)
