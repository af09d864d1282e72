"""What the console and the control API may ask about the signals, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.signals.scoreboard.card import Card
from proxy.signals.signals_state import SignalsState


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpView:
    """A move of the price within the hour, as a signed fraction, and whether it reaches what the forecast is about."""

    move: float
    reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastView:
    """A forecast as it stands, its track record beside it.

    ``kind`` is ``probability`` or ``quantile``, ``key`` says of what; ``reference`` is what the plain frequency of the
    past would say. ``n``, ``skill`` (Brier or pinball), ``status`` and ``why`` are those of its card. ``stress`` has
    what fixed jumps would do, whatever the odds; empty where a jump is not the matter. Times are RFC 3339.
    """

    signal: str
    symbol: str
    horizon_h: float
    key: str
    kind: str
    value: float
    reference: float | None
    as_of: str
    age_s: float
    until: str
    method: str
    n: int
    skill: float | None
    status: str
    why: str
    stress: Sequence[JumpView] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldView:
    """A forecast as rules are told it. ``reliable``: such forecasts have held; else rules count on it for nothing.

    Of ``slippage`` it is the chance that an order of ``side`` and ``quantity`` (base units) costs more than
    ``threshold``, a fraction of the mark.
    """

    account: str
    name: str
    symbol: str
    horizon_s: int
    probability: float
    age_s: float
    reliable: bool
    side: str | None = None
    quantity: str | None = None
    threshold: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyView:
    """The anomaly score of a bot, an account or the desk (``level``), and what drove it, in words."""

    level: str
    name: str
    value: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryView:
    """What an account's position receives in a day at the present funding rate, in quote currency; below 0: pays."""

    account: str
    position_side: str
    notional: float
    a_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureView:
    """How crowded the leverage of a symbol is, 0 to 100, ``None`` when not known. It describes and predicts nothing.

    ``funding_a_day`` is the fraction of notional that longs pay in a day now; ``carry`` what that is for the positions
    held.
    """

    symbol: str
    value: float | None
    age_s: float
    funding_a_day: float | None = None
    carry: tuple[CarryView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsView:
    """Everything the signals publish, at one moment. ``venues`` has symbols and accounts as they are worked out now."""

    at: str
    forecasts: Sequence[ForecastView] = ()
    told: Sequence[ToldView] = ()
    cards: Sequence[Card] = ()
    anomalies: Sequence[AnomalyView] = ()
    temperatures: Sequence[TemperatureView] = ()
    venues: Sequence[SignalsState] = ()


class SignalsPlane(Protocol):
    """The signals, as the control door sees them."""

    async def signals(self) -> SignalsView:
        """Everything they publish. Looks at memory alone."""
        ...
