"""What is known of one symbol's market, part by part, each with the moment it was asked for. No I/O.

Parts are read one by one, each at its own pace. A part that could not be read again in time is not known any more: it
must neither be believed nor make the others look old.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from proxy.exchange.market_payloads import Depth
from proxy.exchange.market_reads import DEPTH_WEIGHT, SINGLE_WEIGHT, candles_weight
from proxy.signals.book_history import BookHistory
from proxy.signals.book_walk import TAUS, Slippage, forecasts, stated
from proxy.signals.closes import Closes
from proxy.signals.minute_moves import MINUTE_MS, MinuteMoves
from proxy.signals.ranges import PriceWatch
from proxy.signals.slippage import BPS
from proxy.signals.temperature import leverage_temperature
from proxy.signals.volatility import Volatility
from rules.facts import Condition, Forecast
from rules.model import Side
from rules.snapshot import Market

DEPTH_BAND: Final = Decimal("0.001")
"""Ten basis points from the touch: what a careful order may walk."""

PART_KEPT: Final = timedelta(minutes=10)

MOVES_KEPT: Final = timedelta(minutes=3)
"""What the next minute may do is not told from minutes older than this."""

HISTORY_KEPT: Final = timedelta(days=1)
"""Funding rates and open interest of the past: a day without the newest does not change what is extreme."""

HISTORY_CANDLES: Final = 1_000
"""Twice, for a week of five-minute candles."""

NEWS_CANDLES: Final = 99
"""Eight hours, for the price of one candle."""

HISTORY_MINUTES: Final = 1_499
"""A day of one-minute candles and a little more, so that a restart makes no forecast cold."""


class Part(StrEnum):
    """What is read of a symbol, in the order in which a new one is read."""

    DEPTH = "depth"
    INTEREST = "open interest"
    VOLUME = "volume"
    MINUTES = "mark candles"
    CANDLES = "candles"
    TRADES = "minute candles"
    FUNDINGS = "funding rates"
    INTERESTS = "open interest history"


EVERY_S: Final = {
    Part.DEPTH: 30.0,
    Part.INTEREST: 30.0,
    Part.VOLUME: 30.0,
    Part.MINUTES: 30.0,  # While the past hour is not known whole.
    Part.CANDLES: 30.0,
    Part.TRADES: 30.0,
    Part.FUNDINGS: 14_400.0,
    Part.INTERESTS: 3_600.0,
}


@dataclass(frozen=True, slots=True)
class Due:
    """A part that should be read: how overdue it is (1: just due) and what it weighs."""

    part: Part
    overdue: float
    weight: int


class SymbolFacts:
    """One symbol. The keeper reads, puts what it read here, and asks what is due."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.prices = PriceWatch()
        self.closes = Closes()
        self.volatility = Volatility()
        self.moves = MinuteMoves()
        self.books = BookHistory()
        self.stamps_a_day: float | None = None
        self.daily_volume: Decimal | None = None
        self.open_interest: Decimal | None = None
        self.depth: Depth | None = None
        self._fundings: list[float] = []
        self._interests: list[float] = []
        self._received: dict[Part, datetime] = {}
        self._not_before: dict[Part, float] = {}
        self._read: dict[Part, float] = {}

    def due(self, at_s: float, now: datetime) -> Iterator[Due]:
        """The parts to be read at ``at_s``, seconds of a steady clock; one never read is infinitely overdue."""
        for part, every_s in EVERY_S.items():
            if at_s < self._not_before.get(part, at_s) or (part is Part.MINUTES and self.prices.whole(now)):
                continue
            overdue = (at_s - self._read[part]) / every_s if part in self._read else float("inf")
            if overdue >= 1:
                yield Due(part, overdue, self._weight(part))

    def received(self, part: Part, asked_at: datetime, at_s: float) -> None:
        """What was asked for at ``asked_at``, ``at_s`` of the steady clock, is here."""
        self._received[part] = asked_at
        self._read[part] = at_s

    def postpone(self, part: Part, until_s: float) -> None:
        """A part could not be read; it is not asked for again before ``until_s``."""
        self._not_before[part] = until_s

    def fundings(self, rates: Iterable[Decimal]) -> None:
        """The history of funding rates, in any order."""
        self._fundings = sorted(map(float, rates))

    def interests(self, values: Iterable[Decimal]) -> None:
        """The history of open interest, in any order."""
        self._interests = sorted(map(float, values))

    def candles_at(self, now: datetime) -> datetime | None:
        """When the candles were last asked for, ``None`` when they are too old."""
        return self._fresh(Part.CANDLES, now)

    def slippage(self, side: Side, quantity: Decimal, now: datetime) -> Slippage | None:
        """What an order of ``quantity`` base units would cost now; ``None`` while the last minutes are not known.

        Where the book is not known it is the adverse move alone, and says so.
        """
        found = self._cost_parts(now)
        if found is None:
            return None
        depth, as_of = found
        return stated(self.symbol, side, quantity, self.moves.forecaster, depth, as_of)

    def slippage_forecasts(self, now: datetime) -> tuple[Forecast, ...]:
        """What rules are told of the cost of orders; nothing while the last minutes are not known."""
        found = self._cost_parts(now)
        if found is None:
            return ()
        depth, as_of = found
        return forecasts(self.symbol, self.moves.forecaster, depth, as_of)

    def _cost_parts(self, now: datetime) -> tuple[Depth | None, datetime] | None:
        """The book, where it is known, and the age of the older part."""
        moves_at, depth_at = self._moves_at(now), self._fresh(Part.DEPTH, now, MOVES_KEPT)
        if moves_at is None:
            return None
        return (None, moves_at) if depth_at is None else (self.depth, min(moves_at, depth_at))

    def _moves_at(self, now: datetime) -> datetime | None:
        """When the minutes were asked for, or, where the venue answers with old ones, when the next one was due."""
        asked_at = self._fresh(Part.TRADES, now, MOVES_KEPT)
        if asked_at is None or not self.moves.recent:
            return asked_at
        next_due = datetime.fromtimestamp((self.moves.recent[-1].open_ms + 2 * MINUTE_MS) / 1_000, UTC)
        at = min(asked_at, next_due)
        return at if _near(at, now, MOVES_KEPT) else None

    def condition(self, now: datetime, market: Market | None) -> Condition | None:
        """What is known at ``now``; ``None`` when nothing is."""
        ranges = self.prices.ranges(now)
        depth_at, interest_at, volume_at, candles_at = (
            self._fresh(part, now) for part in (Part.DEPTH, Part.INTEREST, Part.VOLUME, Part.CANDLES)
        )
        temperature = self._temperature(now, market)
        # The funding rate of the market is a part of the temperature.
        market_at = market.as_of if market is not None and temperature is not None else None
        moments = [depth_at, interest_at, volume_at, candles_at, market_at, self.prices.as_of if ranges else None]
        known = [moment for moment in moments if moment is not None]
        if not known:
            return None
        moves_at = self._moves_at(now)
        move_q90, move_q99 = self.moves.forecaster.predict(TAUS) if moves_at else (None, None)
        quality = self.books.quality(self.depth, DEPTH_BAND) if self.depth and depth_at else None
        bids, asks = self.depth.within(DEPTH_BAND) if self.depth and depth_at else (None, None)
        return Condition(
            symbol=self.symbol,
            as_of=min(known),
            daily_volume=self.daily_volume if volume_at else None,
            open_interest=self.open_interest if interest_at else None,
            volatility=_exact(self.volatility.now) if candles_at else None,
            volatility_usual=_exact(self.volatility.usual) if candles_at else None,
            ranges=ranges,
            bid_depth=bids,
            ask_depth=asks,
            depth_band=DEPTH_BAND if bids is not None else None,
            temperature=temperature,
            funding_a_day=self._funding_a_day(market) if temperature is not None else None,
            adverse_move_q90=_fraction(move_q90),
            adverse_move_q99=_fraction(move_q99),
            adverse_move_as_of=moves_at,
            spread_rank=_rank(quality.spread_rank) if quality else None,
            depth_rank=_rank(quality.depth_rank) if quality else None,
        )

    def _temperature(self, now: datetime, market: Market | None) -> Decimal | None:
        if market is None or market.funding_rate is None or self.open_interest is None:
            return None
        if not _near(market.as_of, now, PART_KEPT) or self._fresh(Part.INTEREST, now) is None:
            return None
        if any(self._fresh(part, now, HISTORY_KEPT) is None for part in (Part.FUNDINGS, Part.INTERESTS)):
            return None
        found = leverage_temperature(
            float(market.funding_rate), self._fundings, float(self.open_interest), self._interests
        )
        return None if found is None else Decimal(f"{found:.4f}")

    def _funding_a_day(self, market: Market | None) -> Decimal | None:
        if market is None or market.funding_rate is None or self.stamps_a_day is None:
            return None
        return Decimal(f"{float(market.funding_rate) * self.stamps_a_day:.8f}")

    def _fresh(self, part: Part, now: datetime, kept: timedelta = PART_KEPT) -> datetime | None:
        at = self._received.get(part)
        return at if at is not None and _near(at, now, kept) else None

    def _weight(self, part: Part) -> int:
        match part:
            case Part.DEPTH:
                return DEPTH_WEIGHT
            case Part.TRADES:
                return candles_weight(HISTORY_MINUTES if self.moves.is_new else NEWS_CANDLES)
            case Part.CANDLES:
                return candles_weight(NEWS_CANDLES) if self.closes.first_ms else 2 * candles_weight(HISTORY_CANDLES)
            case _:
                return SINGLE_WEIGHT


def _near(at: datetime, now: datetime, kept: timedelta) -> bool:
    # A part of the future was read before the host's clock was set back: nobody knows how old it is.
    return abs(now - at) <= kept


def _fraction(bps: float | None) -> Decimal | None:
    return None if bps is None else Decimal(f"{bps / BPS:.8f}")


def _rank(share: float) -> Decimal:
    return Decimal(f"{share:.4f}")


def _exact(volatility: float | None) -> Decimal | None:
    return None if volatility is None else Decimal(f"{volatility:.8f}")
