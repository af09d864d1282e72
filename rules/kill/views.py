"""How near liquidation is by each of the guard's own sources: its margin arithmetic, and a stated forecast. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from rules.kill.evidence import AccountSeen, ForecastSeen, LegSeen
from rules.kill.settings import Triggers
from rules.rule import show, show_percent

ZERO: Final = Decimal(0)


class View(NamedTuple):
    """How near liquidation is by one of the guard's own sources: of which symbol ("" for the account), whether that
    reaches the soft and the hard limit (``None``: not known), and in words."""

    symbol: str
    soft: bool | None
    hard: bool | None
    reason: str


def watched_views(
    book: AccountSeen | None, forecast: ForecastSeen | None, settings: Triggers
) -> tuple[list[View], list[View]]:
    """The views whose soft limit is written, and those whose hard one is. A forecast nobody states is no view."""
    views = []
    if forecast is not None:
        views.append((_of_forecast(forecast, settings), "liquidation_probability"))
    views.append((_of_distance(book, settings), "liquidation_sigmas"))
    soft = [view for view, name in views if getattr(settings, f"{name}_reduce") is not None]
    hard = [view for view, name in views if getattr(settings, f"{name}_kill") is not None]
    return soft, hard


def _of_forecast(forecast: ForecastSeen, settings: Triggers) -> View:
    return View(
        symbol=forecast.symbol,
        soft=_at_least(forecast.probability, settings.liquidation_probability_reduce),
        hard=_at_least(forecast.probability, settings.liquidation_probability_kill),
        reason=f"liquidation is forecast at {show_percent(forecast.probability)}",
    )


def _of_distance(book: AccountSeen | None, settings: Triggers) -> View:
    """An account without legs is far from everything; one whose legs cannot be measured is not known."""
    if book is None:
        return View("", None, None, "")
    nearest = _nearest(book)
    near = nearest[0] if nearest is not None else None
    symbol = nearest[1].symbol if nearest is not None else ""
    known = near is not None or not book.legs
    return View(
        symbol=symbol,
        soft=_at_most(near, settings.liquidation_sigmas_reduce) if known else None,
        hard=_at_most(near, settings.liquidation_sigmas_kill) if known else None,
        reason=_how_far(symbol, near or ZERO),
    )


def _how_far(symbol: str, sigmas: Decimal) -> str:
    if not sigmas.is_finite():
        return f"no price ends a position of {symbol}"
    return f"{symbol} is {show(sigmas)} hourly standard deviations from liquidation"


def any_met(seen: Iterable[bool | None]) -> bool | None:
    """Whether any is met; not known when none is and one is not known."""
    known = tuple(seen)
    return True if any(known) else None if None in known else False


def _nearest(book: AccountSeen) -> tuple[Decimal, LegSeen] | None:
    """The leg that the fewest hourly standard deviations separate from its end, of those that can be measured."""
    measured = [
        (max(ZERO, leg.distance) / leg.volatility, leg)
        for leg in book.legs
        if leg.distance is not None and leg.volatility is not None and leg.volatility > ZERO
    ]
    return min(measured, default=None, key=lambda each: each[0])


def _at_least(value: Decimal, limit: Decimal | None) -> bool | None:
    return None if limit is None else value >= limit


def _at_most(value: Decimal | None, limit: Decimal | None) -> bool | None:
    return None if limit is None else value is not None and value <= limit
