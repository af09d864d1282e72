"""Everything the signals say of one venue at one moment, for people: plain values, as they are published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from proxy.signals.liquidation import AccountForecast


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSignals:
    """One symbol. ``as_of`` is when the venue was last asked for its hours, ``hours`` how many the model has seen.

    ``volatility`` is the forecast standard deviation of the log return, by hours ahead. ``wild`` is the probability
    that the next day's variance is above the 80 % quantile of the last half year's (``None``: too short a history),
    ``is_wild`` the same in a word that does not flicker. ``alarmed``: the hour under way has moved so far that it
    counts already.
    ``temperature`` is 0 to 100, crowding and no prediction. ``cold``: less than 25 days seen, pooled parameters.
    """

    symbol: str
    as_of: datetime | None
    method: str
    hours: int
    cold: bool
    alarmed: bool
    volatility: Mapping[str, float]
    wild: float | None
    is_wild: bool
    temperature: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSignals:
    """One account's odds of liquidation, and the moment they hold for."""

    as_of: datetime
    method: str
    forecast: AccountForecast


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsState:
    """All of it. ``correlations`` as in ``Conditions``: ``"AAA:BBB"`` to rho."""

    venue: str
    at: datetime
    symbols: tuple[SymbolSignals, ...] = ()
    accounts: tuple[AccountSignals, ...] = ()
    correlations: Mapping[str, float] = field(default_factory=dict)
    correlations_as_of: datetime | None = None
