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
    """The views whose soft limit is written, and those whose hard one is. A forecast nobody states is no view.

    Each leg that can be measured is a view of its own, the nearest first: one that is far by the venue's price must not
    stand before another that both sources have near.
    """
    views = []
    if forecast is not None:
        views.append((_of_forecast(forecast, settings), "liquidation_probability"))
    views.extend((view, "liquidation_sigmas") for view in _of_distances(book, settings))
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


def _of_distances(book: AccountSeen | None, settings: Triggers) -> list[View]:
    """An account without legs is far from everything; one none of whose legs can be measured is not known."""
    measured = _measured(book) if book is not None else []
    if not measured:
        met = False if book is not None and not book.legs else None
        return [View("", met, met, "")]
    return [
        View(
            symbol=leg.symbol,
            soft=_at_most(sigmas, settings.liquidation_sigmas_reduce),
            hard=_at_most(sigmas, settings.liquidation_sigmas_kill),
            reason=_how_far(leg.symbol, sigmas),
        )
        for sigmas, leg in measured
    ]


def _how_far(symbol: str, sigmas: Decimal) -> str:
    if not sigmas.is_finite():
        return f"no price ends a position of {symbol}"
    return f"{symbol} is {show(sigmas)} hourly standard deviations from liquidation"


def any_met(seen: Iterable[bool | None]) -> bool | None:
    """Whether any is met; not known when none is and one is not known."""
    known = tuple(seen)
    return True if any(known) else None if None in known else False


def _measured(book: AccountSeen) -> list[tuple[Decimal, LegSeen]]:
    """The legs that can be measured, by the hourly standard deviations that separate them from their end."""
    measured = [
        (max(ZERO, leg.distance) / leg.volatility, leg)
        for leg in book.legs
        if leg.distance is not None and leg.volatility is not None and leg.volatility > ZERO
    ]
    return sorted(measured, key=lambda each: each[0])


def _at_least(value: Decimal, limit: Decimal | None) -> bool | None:
    return None if limit is None else value >= limit


def _at_most(value: Decimal, limit: Decimal | None) -> bool | None:
    return None if limit is None else value <= limit
