"""Lines over time as an SVG, drawn by hand: one panel below the other, one colour for each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Line = Sequence[tuple[float, float]]
"""Points of a line: seconds, and a value in the panel's unit."""

_COLOURS: Final = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#444444")
_WIDTH, _PANEL, _LEFT, _TOP, _GAP = 900, 180, 70, 40, 50


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: what is shown, in which unit, and its lines by name."""

    title: str
    unit: str
    lines: Mapping[str, Line]


def drawn(title: str, panels: Sequence[Panel]) -> str:
    """The whole picture. Time is the same in all panels and begins at 0."""
    end_s = max((at for panel in panels for line in panel.lines.values() for at, _ in line), default=1.0) or 1.0
    height = _TOP + len(panels) * (_PANEL + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, _TOP + number * (_PANEL + _GAP), end_s)
    return "\n".join((*parts, "</svg>", ""))


def _panel(panel: Panel, top: int, end_s: float) -> list[str]:
    highest = max((value for line in panel.lines.values() for _, value in line), default=0.0) * 1.1 or 1.0
    bottom, width = top + _PANEL, _WIDTH - _LEFT - 20
    parts = [
        f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_PANEL}" fill="none" stroke="#cccccc"/>',
        f'<text x="{_LEFT}" y="{top - 6}">{escape(panel.title)}, {escape(panel.unit)}</text>',
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{highest:.4g}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_LEFT + width}" y="{bottom + 16}" text-anchor="end">{end_s:.0f} s</text>',
    ]
    for number, (name, line) in enumerate(panel.lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(
            f"{_LEFT + width * at / end_s:.1f},{bottom - _PANEL * min(value, highest) / highest:.1f}"
            for at, value in line
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{_LEFT + 8 + 130 * number}" y="{bottom + 16}" fill="{colour}">{escape(name)}</text>')
    return parts
