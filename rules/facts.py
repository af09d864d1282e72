"""Facts of a slower kind: what the warden has measured of a market, of an account's past and of its bots' conduct.

The gate cannot work these out between an order and its answer, so the warden does and publishes them. They are part
of the picture like everything else: a rule that needs one judges by its age and never fetches it. ``None`` says that
the guard does not know; a rule then refuses or stands aside, as its page says, and never guesses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from rules.derived import Derived
from rules.model import PositionSide, Side

PRICE_WINDOWS_S: Final = (60, 300, 3600)
"""The windows over which the warden publishes how far the mark price has moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRange:
    """Lowest and highest mark price of the ``window_s`` seconds (one of ``PRICE_WINDOWS_S``) before ``as_of``."""

    window_s: int
    as_of: datetime
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Derived):
    """What is known of one symbol's market beside its prices. ``as_of`` is when the oldest part of it was received.

    ``daily_volume`` (last 24 h) and ``open_interest`` are in base units. ``volatility`` is the standard deviation of
    one hour's log return as estimated now, ``volatility_usual`` its median over the last days. ``bid_depth`` and
    ``ask_depth`` are the quote value resting within ``depth_band`` (a fraction) of the touch. ``temperature`` says how
    crowded the leverage is, from 0 (usual) to 1 (as extreme as anything in its history); ``funding_a_day`` is what a
    long pays in a day at the present funding rate, a fraction of its notional.

    ``adverse_move_q90`` and ``adverse_move_q99`` are the fractions of the price by which it will run against an order
    within the next minute with a probability of 10 % and of 1 %, as of ``adverse_move_as_of``. ``spread_rank`` is the
    share of the last week in which the spread was tighter, ``depth_rank`` that in which the book was thinner.
    """

    symbol: str
    as_of: datetime
    daily_volume: Decimal | None = None
    open_interest: Decimal | None = None
    volatility: Decimal | None = None
    volatility_usual: Decimal | None = None
    ranges: tuple[PriceRange, ...] = ()
    bid_depth: Decimal | None = None
    ask_depth: Decimal | None = None
    depth_band: Decimal | None = None
    temperature: Decimal | None = None
    funding_a_day: Decimal | None = None
    adverse_move_q90: Decimal | None = None
    adverse_move_q99: Decimal | None = None
    adverse_move_as_of: datetime | None = None
    spread_rank: Decimal | None = None
    depth_rank: Decimal | None = None

    def range_of(self, window_s: int) -> PriceRange | None:
        """The range of one window, ``None`` while the guard has not watched that long."""
        for each in self.ranges:
            if each.window_s == window_s:
                return each
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Derived):
    """How the way to the venue is, against its own history. Milliseconds; ``*_usual`` are medians of the last hours.

    ``round_trip`` is from sending a request to its answer, ``stream_lag`` from the venue's event time to its arrival,
    ``clock_skew`` the distance between the venue's clock and the guard's. ``round_trip_usual_ms`` is the usual of what
    ``round_trip_ms`` was measured by, orders or the guard's own reads; ``order_usual_ms`` and ``read_usual_ms`` are
    both, for the process that measures next.
    """

    as_of: datetime
    round_trip_ms: Decimal | None = None
    round_trip_usual_ms: Decimal | None = None
    stream_lag_ms: Decimal | None = None
    stream_lag_usual_ms: Decimal | None = None
    clock_skew_ms: Decimal | None = None
    clock_skew_usual_ms: Decimal | None = None
    order_usual_ms: Decimal | None = None
    read_usual_ms: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions(Derived):
    """The slower facts of one venue. ``correlations`` maps ``"AAA:BBB"``, names in order, to rho between -1 and 1.

    They are forecasts for the hourly log returns of the next day, by ``correlations_method``. ``correlation_bands``
    has, for the same pairs, what one day in twenty is below and one in twenty above. Pairs left out are not known.
    """

    version: int
    as_of: datetime
    symbols: Mapping[str, Condition] = field(default_factory=dict)
    correlations: Mapping[str, Decimal] = field(default_factory=dict)
    correlation_bands: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    correlations_as_of: datetime | None = None
    correlations_method: str = ""
    latency: Latency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A stated probability. ``name`` is ``liquidation`` or ``slippage``; an empty ``symbol`` means the account.

    For ``slippage`` the statement is that an order of ``quantity`` base units costs more than ``threshold`` (a
    fraction of the mark); for ``liquidation`` that the position is liquidated within ``horizon_s``. ``reliable`` says
    that such statements have held so far; one that is not can refuse, and is no sign that all is well.
    """

    name: str
    as_of: datetime
    probability: float
    horizon_s: int
    symbol: str = ""
    side: Side | None = None
    quantity: Decimal | None = None
    threshold: Decimal | None = None
    reliable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance(Derived):
    """What an account, or one bot on it, has made or lost. Quote currency; transfers in and out do not count.

    ``day_pnl`` (since 00:00 UTC) and ``rolling_pnl`` (last 24 h) are realised and unrealised, after fees, without
    funding, which stands apart. ``day_peak`` is the highest ``day_pnl`` plus ``day_funding`` of the day. ``equity``
    and ``equity_peak`` are what drawdown is measured on: the margin balance and its highest value, both of which a
    transfer changes in the same proportion. A bot's are those of the account's capital had the bot alone traded it.
    ``losses`` are the moments at which a position was reduced at a loss, newest last; ``loss_streak`` counts those
    since the last gain.
    """

    day_pnl: Decimal
    day_funding: Decimal
    rolling_pnl: Decimal
    rolling_funding: Decimal
    day_peak: Decimal
    equity: Decimal
    equity_peak: Decimal
    losses: tuple[datetime, ...] = ()
    loss_streak: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding(Derived):
    """One bot's experience with one symbol.

    ``held_since`` is when its present position was opened, ``None`` while flat. ``funding_stamps`` counts the funding
    times through which it has held a position, ``carry`` what funding it received then (negative: paid).
    ``conditional_proven`` says that a conditional order of the bot has triggered, or was cancelled, as expected.
    """

    symbol: str
    held_since: datetime | None = None
    funding_stamps: int = 0
    carry: Decimal = Decimal(0)
    conditional_proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRecord(Derived):
    """What is remembered of one bot on one account. Counts are of the last 24 hours.

    ``clean_since`` is the last moment it was refused for a breach of a limit, or when it was first seen.
    """

    bot: str
    first_seen: datetime
    clean_since: datetime
    orders: int = 0
    fills: int = 0
    refusals: int = 0
    performance: Performance | None = None
    holdings: tuple[Holding, ...] = ()

    def holding(self, symbol: str) -> Holding | None:
        """Its experience with ``symbol``, ``None`` when it has none."""
        return self.found(_holdings).get(symbol)


def _holdings(bot: BotRecord) -> dict[str, Holding]:
    return {each.symbol: each for each in reversed(bot.holdings)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unprotected:
    """A leg without a protective stop, and since when.

    ``lost_at`` is when its last stop went, for as long as a new one is waited for.
    """

    symbol: str
    position_side: PositionSide
    since: datetime
    lost_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord(Derived):
    """What the warden remembers of an account. In a snapshot ``bots`` holds the asking bot alone."""

    account: str
    version: int
    as_of: datetime
    performance: Performance | None = None
    bots: tuple[BotRecord, ...] = ()
    unprotected: tuple[Unprotected, ...] = ()
    forecasts: tuple[Forecast, ...] = ()

    def bot(self, name: str) -> BotRecord | None:
        """One bot's record, ``None`` for a bot never seen."""
        for each in self.bots:
            if each.bot == name:
                return each
        return None

    def concerning(self, bot: str, symbols: Collection[str]) -> AccountRecord:
        """What of it concerns an order: this bot alone, its experience with ``symbols`` and the forecasts for them."""
        own = self.bot(bot)
        return replace(
            self,
            bots=() if own is None else (replace(own, holdings=tuple(h for h in own.holdings if h.symbol in symbols)),),
            forecasts=tuple(each for each in self.forecasts if each.symbol == "" or each.symbol in symbols),
        )

    def symbols(self) -> tuple[str, ...]:
        """Those it says something of, by name: cut to these, a part of a record is cut as it was."""
        held = (holding.symbol for bot in self.bots for holding in bot.holdings)
        return tuple(sorted({*held, *(each.symbol for each in self.forecasts)} - {""}))

    def forecasts_of(self, name: str, symbol: str) -> Sequence[Forecast]:
        """The forecasts of one kind for a symbol, and for the account as a whole."""
        known = self.found(_forecasts)
        return known.get((name, symbol), known.get((name, ""), ()))


def _forecasts(record: AccountRecord) -> dict[tuple[str, str], list[Forecast]]:
    """By name and symbol, in their order; those for the account as a whole stand with every symbol."""
    found: dict[tuple[str, str], list[Forecast]] = {}
    for each in record.forecasts:
        whole = found.setdefault((each.name, ""), [])
        if each.symbol:
            found.setdefault((each.name, each.symbol), [*whole]).append(each)
            continue
        for (name, _), known in found.items():
            if name == each.name:
                known.append(each)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """An anomaly score, 0 (as usual) to 1, and what drove it, in words."""

    value: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Leave for one order to pass one rule once: RTS 6 art. 15(6). Only an unsettled limit can be overridden, no gate.

    It serves the first matching order before ``expires_at``: same bot, symbol and side, at most ``quantity_max`` base
    units. ``ticket`` is the desk's own number; ``requested_by`` and ``approved_by`` are two people.
    """

    override_id: str
    rule_id: str
    bot: str
    symbol: str
    side: Side
    quantity_max: Decimal
    expires_at: datetime
    ticket: str
    requested_by: str
    approved_by: str
