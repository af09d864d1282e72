"""Numbers, ages and states as a person reads them. Venue digits are grouped, never rounded."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from proxy.clock import utc_now
from proxy.console.desk_views import LimitView, PositionView
from proxy.store.codec import plain
from rules.model import MarginMode
from rules.rule import show, show_exact

_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,40})((?:\.[0-9]{1,40})?)")
_STALE_SECONDS: Final = 30
_LINES_MAX: Final = 300
_DEPTH_MAX: Final = 8
_LINE_LENGTH_MAX: Final = 2000


def number(text: str | None) -> str:
    """``-64210.50`` as ``−64,210.50``; what is not a plain decimal stays as it is."""
    match = _DECIMAL.fullmatch(text or "")
    if match is None:
        return text or "–"
    sign, whole, fraction = match.groups()
    return f"{'−' if sign else ''}{int(whole):,}{fraction}"


def digits(value: Decimal) -> str:
    """A size or a price as the venue would write it, and as a form takes it back."""
    return show_exact(value)


def exact(value: Decimal) -> str:
    """The same for reading, its digits grouped."""
    return number(show_exact(value))


def cents(value: Decimal) -> str:
    """An amount of money, to the cent."""
    return number(show(value))


def signed(text: str | None) -> str:
    """A profit or loss with its sign always said."""
    told = number(text)
    return told if told.startswith("−") or _DECIMAL.fullmatch(text or "") is None else f"+{told}"


def gain(text: str | None) -> str:
    """The class of a profit or loss."""
    return "loss" if (text or "").startswith("-") else "gain"


def leg_side(position_side: str, quantity: str) -> str:
    """LONG or SHORT, also of a one-way position."""
    if position_side in ("LONG", "SHORT"):
        return position_side
    return "SHORT" if quantity.startswith("-") else "LONG"


def age(seconds: float | None) -> str:
    """``3 s``, ``2 min``, or that it was never seen. Below zero it is a time ahead."""
    if seconds is None or not math.isfinite(seconds):
        return "never"
    if seconds < 0:
        return f"−{age(-seconds)}"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def horizon(seconds: float) -> str:
    """How far a forecast reaches: ``1 min``, ``8 h``."""
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{round(seconds / 3600, 1):g} h"


def basis_points(fraction: str | None) -> str:
    """A fraction of a price: ``12.5 bp``."""
    value = decimal_of(fraction)
    return "–" if value is None else f"{value * 10_000:.1f} bp"


def heard(seconds: float | None) -> str:
    """``heard 64 s ago``, or that it never was."""
    return "never heard" if seconds is None or not math.isfinite(seconds) else f"heard {age(seconds)} ago"


def stale(seconds: float | None) -> bool:
    """Whether an age is one to worry about. So is one far ahead of the clock: nobody knows how old that is."""
    return seconds is None or not abs(seconds) < _STALE_SECONDS


def seconds_of(milliseconds: float | None) -> str:
    """``2.4 s``, or milliseconds when it was quick."""
    if not isinstance(milliseconds, int | float) or not math.isfinite(milliseconds):
        return "–"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def clock(text: str, today: date | None = None) -> str:
    """The time of day, UTC, of an RFC 3339 time, after its day unless that is today; anything else as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    there = moment if moment.tzinfo is None else moment.astimezone(UTC)
    return there.strftime("%H:%M:%S" if there.date() == (today or utc_now().date()) else "%Y-%m-%d %H:%M:%S")


def share(probability: float) -> float:
    """A score inside 0 to 1; what is not a number counts as the worst."""
    return min(max(probability, 0.0), 1.0) if math.isfinite(probability) else 1.0


def mood(probability: float) -> str:
    """An anomaly score in a word."""
    score = share(probability)
    return "calm" if score < 0.5 else "watch" if score < 0.8 else "odd"


def days(seconds: float) -> str:
    """How long ago a rehearsal was."""
    whole = int(seconds // 86_400)
    return "today" if whole <= 0 else "yesterday" if whole == 1 else f"{whole} days ago"


def percent(fraction: str) -> str:
    """``0.25`` as ``25 %``; what is not a plain decimal stays as it is."""
    return f"{Decimal(fraction) * 100:.0f} %" if _DECIMAL.fullmatch(fraction) else fraction


def chance(probability: float) -> str:
    """A probability in percent, with as many digits as a small one needs."""
    percents = probability * 100
    return f"{percents:.1f} %" if percents >= 10 else f"{percents:.2g} %"


def score(value: float) -> str:
    """A score to four digits after the point, a small one to three figures; below a millionth it is nothing."""
    return f"{value:.4f}" if abs(value) >= 0.01 or abs(value) < 1e-6 else f"{value:.3g}"


def plus(value: float) -> str:
    """A skill or a move with its sign always said."""
    return f"{value:+.3f}".replace("-", "−")


def amounts(by_asset: Mapping[str, str]) -> str:
    """Sums of several assets side by side, as they are; a dash where there is none."""
    return ", ".join(f"{amount} {asset}" for asset, amount in by_asset.items()) or "–"


_LIMITS: Final = {
    "max_leverage": "Leverage",
    "position_limit": "Position",
    "exposure_limits": "Exposure",
    "correlated_exposure": "Correlated exposure",
    "concentration": "Concentration",
    "margin_budget": "Budget",
}
_UNITS: Final = {"x": "×", "base": " base units"}


def limit_name(limit: LimitView) -> str:
    """Which limit it is: ``Position BTCUSDT, long``, ``Budget, bot grid``."""
    parts = [f"{_LIMITS.get(limit.rule, limit.rule)} {limit.symbol}".strip()]
    if limit.name:
        parts.append(limit.name)
    if limit.level.startswith("bot:"):
        parts.append(limit.level.replace(":", " ", 1))
    return ", ".join(parts)


def limit_use(limit: LimitView) -> str:
    """How much of it: ``1.92 of 3.50×``."""
    return f"{number(limit.observed)} of {number(limit.limit)}{_UNITS.get(limit.unit, '')}"


def nearness(share_in_use: float) -> str:
    """The share of a limit in a word."""
    return "clear" if share_in_use < 0.75 else "near" if share_in_use <= 1 else "over"


def decimal_of(text: str | None) -> Decimal | None:
    """A venue's number; ``None`` for what is no plain decimal."""
    return Decimal(text) if text is not None and _DECIMAL.fullmatch(text) else None


def brief(text: str | None) -> str:
    """A price in as many digits as tell it apart: two after the point from a thousand on, else six figures in all.

    For tables that are looked over; what is exact stands in the cell's title.
    """
    value = decimal_of(text)
    if value is None:
        return number(text)
    places = 2 if abs(value) >= 1000 else max(2, 5 - value.adjusted()) if value else 0
    return number(f"{value:.{min(places, max(-int(value.as_tuple().exponent), 0))}f}")


def part_of(part: str | None, whole: str | None) -> str:
    """``12 %``: a part of a whole, empty where that cannot be said."""
    some, total = decimal_of(part), decimal_of(whole)
    return "" if some is None or not total or total < 0 else f"{some / total * 100:.0f} %"


def to_liquidation(leg: PositionView, legs: Sequence[PositionView]) -> Decimal | None:
    """How far the mark is from a leg's liquidation price, as a part of the mark: 0 when it is there, or past it.

    ``legs`` are the account's. Where it has both sides of a symbol under cross margin, the venue states one price for
    both, and one of them is past it from the beginning: then it is the plain distance. ``None``: nobody can say.
    """
    there, here = decimal_of(leg.liquidation_price), decimal_of(leg.mark_price)
    if there is None or here is None or here <= 0 or there <= 0:
        return None
    side = leg_side(leg.position_side, leg.quantity)
    is_past = there >= here if side == "LONG" else there <= here
    is_hedged = leg.margin_mode != MarginMode.ISOLATED and any(
        other.symbol == leg.symbol and leg_side(other.position_side, other.quantity) != side for other in legs
    )
    return Decimal(0) if is_past and not is_hedged else abs(there - here) / here


def away(leg: PositionView, legs: Sequence[PositionView]) -> str:
    """The same in words: ``36.5 %``."""
    distance = to_liquidation(leg, legs)
    return "–" if distance is None else f"{distance * 100:.1f} %" if distance else "past it"


def quoted(text: str) -> str:
    """Text as a part of an address, whatever it is."""
    return quote(text.encode("utf-8", "replace"), safe="")


def state_class(state: str) -> str:
    """The class of a trading state; an unknown one looks like the worst."""
    return {"ACTIVE": "active", "REDUCING": "reducing"}.get(state, "halted")


def lines_of(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything in a nested record as ``path, text``, bounded."""
    lines: list[tuple[str, str]] = []
    for line in _walk("", record, 0):
        lines.append(line)
        if len(lines) == _LINES_MAX:
            return [*lines, ("…", "more in /api/decisions")]
    return lines


def _walk(path: str, value: object, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value and depth < _DEPTH_MAX:
        for name, each in value.items():
            yield from _walk(f"{path}.{name}" if path else str(name), each, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and value and depth < _DEPTH_MAX:
        for at, each in enumerate(value):
            yield from _walk(f"{path}[{at}]", each, depth + 1)
    else:
        yield path[:200], _said(value)


def _said(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list | tuple) and not value:
        return "none"
    return str(value)[:_LINE_LENGTH_MAX]


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "number": number,
    "digits": digits,
    "exact": exact,
    "cents": cents,
    "signed": signed,
    "gain": gain,
    "leg_side": leg_side,
    "age": age,
    "horizon": horizon,
    "basis_points": basis_points,
    "stale": stale,
    "heard": heard,
    "seconds_of": seconds_of,
    "clock": clock,
    "share": share,
    "mood": mood,
    "state_class": state_class,
    "days": days,
    "percent": percent,
    "chance": chance,
    "score": score,
    "plus": plus,
    "limit_name": limit_name,
    "limit_use": limit_use,
    "nearness": nearness,
    "brief": brief,
    "part_of": part_of,
    "away": away,
    "quoted": quoted,
    "lines": lines_of,
    "plain": plain,
    "amounts": amounts,
}
