"""The legs of all accounts as a risk desk reads them: how far the end is, how likely, and what keeps it off. Pure.

Distances are as the venue states the liquidation price. A *daily move* is one forecast standard deviation of a day's
log return; the odds are the guard's own forecasts, marked by how such forecasts have held. Nothing here is certain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from proxy.console.desk_views import AccountView, DeskView, PositionView, StopView
from proxy.console.words import decimal_of, leg_side, to_liquidation
from proxy.signals.liquidation import LegForecast
from proxy.signals.plane import SignalsView

HORIZONS_H: Final = (1, 8, 24)
_DAY: Final = "24"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One leg. ``distance`` is a fraction of the mark, 0 for a leg past its liquidation price, ``daily_moves`` the same
    in daily moves; ``odds`` are for 1, 8 and 24 hours, each with ``reliable``, ``unreliable`` or ``cold``.
    ``carry_a_day`` is in quote currency, below 0: pays. ``None`` throughout: not known."""

    account: str
    view: PositionView
    side: str
    distance: float | None
    daily_moves: float | None
    odds: tuple[tuple[int, float, str], ...]
    carry_a_day: float | None

    @property
    def stops(self) -> Sequence[StopView]:
        """What protects it."""
        return self.view.stops

    @property
    def odds_of_day(self) -> float | None:
        """The probability that it is liquidated within a day."""
        return next((probability for hours, probability, _ in self.odds if hours == HORIZONS_H[-1]), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """One symbol across accounts, in quote currency; ``net`` is long less short."""

    symbol: str
    legs: int
    long: Decimal
    short: Decimal
    unrealised_pnl: Decimal

    @property
    def gross(self) -> Decimal:
        """Both sides together."""
        return self.long + self.short

    @property
    def net(self) -> Decimal:
        """What is left of one side."""
        return self.long - self.short


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asked to see: an account, a piece of a symbol's name, a side, and the order. Empty: everything."""

    account: str = ""
    symbol: str = ""
    side: str = ""
    sort: str = "distance"
    order: str = "asc"


SORTS: Final[dict[str, Callable[[Leg], float | str | None]]] = {
    "symbol": lambda leg: leg.view.symbol,
    "account": lambda leg: leg.account,
    "notional": lambda leg: _float(leg.view.notional, absolute=True),
    "pnl": lambda leg: _float(leg.view.unrealised_pnl),
    "distance": lambda leg: leg.distance,
    "moves": lambda leg: leg.daily_moves,
    "odds": lambda leg: leg.odds_of_day,
    "carry": lambda leg: leg.carry_a_day,
}


def legs_of(desk: DeskView, signals: SignalsView, wanted: Wanted) -> list[Leg]:
    """The legs that were asked for; what has no value in the column sorted by comes last either way."""
    legs = [_leg(account, view, signals) for account in desk.accounts for view in account.positions]
    mine = [leg for leg in legs if _is_wanted(leg, wanted)]
    key = SORTS[wanted.sort]
    known = [leg for leg in mine if key(leg) is not None]
    known.sort(key=lambda leg: (key(leg), leg.view.symbol, leg.account), reverse=wanted.order == "desc")
    return [*known, *(leg for leg in mine if key(leg) is None)]


def totals_of(legs: Iterable[Leg]) -> list[Total]:
    """Those legs by symbol, the largest gross first."""
    by_symbol: dict[str, list[Leg]] = {}
    for leg in legs:
        by_symbol.setdefault(leg.view.symbol, []).append(leg)
    totals = [_total(symbol, mine) for symbol, mine in by_symbol.items()]
    return sorted(totals, key=lambda each: (-each.gross, each.symbol))


def _leg(account: AccountView, view: PositionView, signals: SignalsView) -> Leg:
    liquidation, mark = _float(view.liquidation_price), _float(view.mark_price)
    distance, moves = to_liquidation(view, account.positions), None
    scale = _daily_move(view.symbol, signals)
    if distance is not None and scale and liquidation and mark:
        moves = abs(math.log(liquidation / mark)) / scale if distance else 0.0
    return Leg(
        account=account.name,
        view=view,
        side=leg_side(view.position_side, view.quantity),
        distance=None if distance is None else float(distance),
        daily_moves=moves,
        odds=tuple(_odds(account.name, view, signals)),
        carry_a_day=_carry(account.name, view, signals),
    )


def _daily_move(symbol: str, signals: SignalsView) -> float | None:
    scales = (each.volatility.get(_DAY) for venue in signals.venues for each in venue.symbols if each.symbol == symbol)
    return next((scale for scale in scales if scale is not None and scale > 0), None)


def _odds(account: str, view: PositionView, signals: SignalsView) -> Iterator[tuple[int, float, str]]:
    forecast = _forecast(account, view, signals)
    if forecast is None:
        return
    for hours in HORIZONS_H:
        for each in forecast.odds:
            if each.horizon_h == hours and not each.until_funding:
                standing = "cold" if forecast.cold else _standing(view.symbol, hours, signals)
                yield hours, each.probability, standing
                break


def _forecast(account: str, view: PositionView, signals: SignalsView) -> LegForecast | None:
    legs = (
        leg
        for venue in signals.venues
        for each in venue.accounts
        if each.forecast.account == account
        for leg in each.forecast.legs
    )
    wanted = view.symbol, view.position_side
    return next((leg for leg in legs if (leg.symbol, leg.position_side) == wanted), None)


def _standing(symbol: str, hours: int, signals: SignalsView) -> str:
    """As rules count on it: the odds of the barrier have held, and those of liquidation have not failed."""
    cards = {
        card.signal: card.status for card in signals.cards if card.symbol == symbol and card.horizon_h == float(hours)
    }
    if "unreliable" in (cards.get("barrier"), cards.get("liquidation")):
        return "unreliable"
    return "reliable" if cards.get("barrier") == "reliable" else "cold"


def _carry(account: str, view: PositionView, signals: SignalsView) -> float | None:
    wanted = account, view.position_side
    carries = (each for found in signals.temperatures if found.symbol == view.symbol for each in found.carry)
    return next((each.a_day for each in carries if (each.account, each.position_side) == wanted), None)


def _is_wanted(leg: Leg, wanted: Wanted) -> bool:
    return (
        wanted.account in ("", leg.account)
        and wanted.symbol.upper() in leg.view.symbol.upper()
        and wanted.side in ("", leg.side)
    )


def _total(symbol: str, legs: Sequence[Leg]) -> Total:
    long = sum((_notional(leg) for leg in legs if leg.side == "LONG"), Decimal(0))
    short = sum((_notional(leg) for leg in legs if leg.side == "SHORT"), Decimal(0))
    pnl = sum((decimal_of(leg.view.unrealised_pnl) or Decimal(0) for leg in legs), Decimal(0))
    return Total(symbol=symbol, legs=len(legs), long=long, short=short, unrealised_pnl=pnl)


def _notional(leg: Leg) -> Decimal:
    return abs(decimal_of(leg.view.notional) or Decimal(0))


def _float(text: str | None, *, absolute: bool = False) -> float | None:
    value = decimal_of(text)
    return None if value is None else float(abs(value) if absolute else value)
