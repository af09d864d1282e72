"""The last day as charts: what the page says beside each picture, so that nobody needs the picture to know.

The numbers go to the browser as JSON; drawing is its matter (``charts.js``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from proxy.console.history_plane import HistoryView

LINES_MAX: Final = 6
"""More lines than that in one picture tell nothing; the largest of now are shown."""
_HOUR_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name in the history, whom it is of, and in words how it is now and when it was highest."""

    key: str
    name: str
    now: str
    highest: str
    highest_at: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture. ``rows`` are hours (UTC) with the highest value of each line in it."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: int

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What the browser draws: each line's name in the history and on the page."""
        return [(line.key, line.name) for line in self.lines]


_KINDS: Final = (
    ("anomaly", "Anomaly", "score"),
    ("liquidation", "Liquidation within 24 h", "share"),
    ("limit", "Nearest limit in use", "share"),
    ("leverage", "Leverage", "x"),
)
_SAID: Final[dict[str, Callable[[float], str]]] = {
    "score": lambda value: f"{value:.2f}",
    "share": lambda value: f"{value * 100:.1f} %" if value >= 0.1 else f"{value * 100:.2g} %",
    "x": lambda value: f"{value:.2f}×",
}


def charts_of(history: HistoryView) -> tuple[Chart, ...]:
    """Every chart that has anything to show."""
    charts = (_chart(history, *kind) for kind in _KINDS)
    return tuple(chart for chart in charts if chart.lines)


def _chart(history: HistoryView, kind: str, title: str, unit: str) -> Chart:
    keys = [key for key in history.series if key.partition(":")[0] == kind and _last(history.series[key]) is not None]
    keys.sort(key=lambda key: -(_last(history.series[key]) or 0.0))
    shown, said = keys[:LINES_MAX], _SAID[unit]
    return Chart(
        key=kind,
        title=title,
        unit=unit,
        lines=tuple(_line(history, key, said) for key in shown),
        rows=tuple(_hours(history, shown, said)),
        left_out=len(keys) - len(shown),
    )


def _line(history: HistoryView, key: str, said: Callable[[float], str]) -> Line:
    values = history.series[key]
    seen = [(value, at) for value, at in zip(values, history.at, strict=True) if value is not None]
    highest, at = max(seen)
    now = values[-1]
    name = key.partition(":")[2] or "desk"
    return Line(key, name, said(now) if now is not None else "not known", said(highest), _clock(at))


def _hours(
    history: HistoryView, keys: Sequence[str], said: Callable[[float], str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The newest first."""
    hours: dict[float, list[int]] = {}
    for place, at in enumerate(history.at):
        hours.setdefault(at // _HOUR_S, []).append(place)
    for hour, places in sorted(hours.items(), reverse=True):
        cells = (max((v for p in places if (v := history.series[key][p]) is not None), default=None) for key in keys)
        yield _clock(hour * _HOUR_S), tuple("–" if cell is None else said(cell) for cell in cells)


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")
