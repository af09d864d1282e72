"""Forecasts, outcomes and cards as the scoreboard and the console have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from proxy.signals.plane import (
    AnomalyView,
    CarryView,
    ForecastView,
    JumpView,
    SignalsView,
    TemperatureView,
    ToldView,
)
from proxy.signals.scoreboard.card import Card, Row, card_of
from proxy.signals.scoreboard.stated import Stated, Subject
from proxy.signals.scoreboard.verdict import judged

HOUR = 3_600
BEGIN = 1_795_510_800
"""A full hour of November 2026."""


def a_statement(**changes: Any) -> Stated:
    """Within a day bitcoin falls by five percent: probably not."""
    stated = Stated(
        signal="barrier",
        symbol="BTCUSDT",
        horizon_h=24,
        as_of=BEGIN,
        until=BEGIN + 24 * HOUR,
        key="down:0.05",
        kind="probability",
        value=0.02,
        reference=0.03,
        method="har-fhs 1",
    )
    return replace(stated, **changes)


def a_quantile(**changes: Any) -> Stated:
    """The 99 % quantile of the hour's return."""
    quantile = {"kind": "quantile", "key": "tau:0.99", "horizon_h": 1, "until": BEGIN + HOUR, "signal": "quantile"}
    return a_statement(**(quantile | changes))


def some_rows(n: int, value: float, hits: int, **changes: Any) -> list[Row]:
    """Hourly forecasts of one hour each, the last ``hits`` of which came true."""
    row = Row("down:0.05", "probability", BEGIN, BEGIN + HOUR, value, 0.5, 0.0)._replace(**changes)
    return [
        row._replace(as_of=BEGIN + at * HOUR, until=BEGIN + (at + 1) * HOUR, outcome=float(at >= n - hits))
        for at in range(n)
    ]


def a_card(rows: Sequence[Row] | None = None, symbol: str = "BTCUSDT", *, at: int = BEGIN) -> Card:
    """A judged card; without rows an honest one."""
    subject = Subject("barrier", symbol, 1.0)
    return judged(card_of(subject, some_rows(400, 0.1, 40) if rows is None else rows, method="har-fhs 1"), None, at)


def a_forecast_view(**changes: Any) -> ForecastView:
    """One line of the page."""
    view = ForecastView(
        signal="barrier",
        symbol="BTCUSDT",
        horizon_h=1.0,
        key="down:0.05",
        kind="probability",
        value=0.0213,
        reference=0.03,
        as_of="2026-11-24T09:00:00Z",
        age_s=1800.0,
        until="2026-11-24T10:00:00Z",
        method="har-fhs 1",
        n=400,
        skill=0.64,
        status="reliable",
        why="",
        stress=tuple(JumpView(move=-jump, reached=True) for jump in (0.2, 0.4, 0.66)),
    )
    return replace(view, **changes)


def a_signals_view(**changes: Any) -> SignalsView:
    """Two symbols, one of which has not held."""
    broken = a_card(some_rows(400, 0.1, 300), "ETHUSDT")
    quantiles = [
        Row(f"tau:{tau}", "quantile", BEGIN + at * HOUR, BEGIN + (at + 1) * HOUR, level, level, float(at % 20))
        for at in range(400)
        for tau, level in ((0.05, 0.5), (0.95, 18.5))
    ]
    view = SignalsView(
        at="2026-11-24T09:30:00Z",
        forecasts=(
            a_forecast_view(),
            a_forecast_view(symbol="ETHUSDT", status="unreliable", why=broken.why),
            a_forecast_view(signal="quantile", key="tau:0.95", kind="quantile", value=0.012, stress=()),
        ),
        told=(
            ToldView(
                account="main",
                name="liquidation",
                symbol="ETHUSDT",
                horizon_s=3600,
                probability=0.004,
                age_s=4.0,
                reliable=False,
            ),
        ),
        cards=(
            a_card(),
            broken,
            replace(a_card(quantiles), signal="quantile"),
            Card(signal="regime", symbol="XRPUSDT", horizon_h=24.0),
        ),
        anomalies=(AnomalyView(level="bot", name="momentum", value=0.86, why="order size far above its habit"),),
        temperatures=(
            TemperatureView(
                symbol="BTCUSDT",
                value=71.0,
                age_s=12.0,
                funding_a_day=0.0003,
                carry=(CarryView(account="main", position_side="BOTH", notional=10_000.0, a_day=-3.0),),
            ),
        ),
    )
    return replace(view, **changes)
