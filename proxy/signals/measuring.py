"""Reads the parts of what is known of each symbol, the most overdue first, within a fixed budget of request weight.

With many symbols everything is read less often, evenly. Nothing here is published; see ``conditions``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Protocol

from proxy.budget.pace import Pace
from proxy.exchange.market_reads import BUSIEST_WEIGHT, MarketReads
from proxy.exchange.troubles import VenueRefused, VenueTrouble
from proxy.signals.closes import Closes
from proxy.signals.ranges import MinuteCandle
from proxy.signals.symbol_facts import (
    DEPTH_BAND,
    HISTORY_CANDLES,
    HISTORY_MINUTES,
    NEWS_CANDLES,
    Due,
    Part,
    SymbolFacts,
)
from proxy.signals.temperature import stamps_a_day
from proxy.signals.volatility import hourly_volatility
from rules.instrument import Instrument
from rules.snapshot import Market

log = logging.getLogger("perpguard.signals")

WEIGHT_PER_MINUTE: Final = 140
"""Of the 2,400 an address has. A new symbol weighs 27. One that is followed weighs 12 a minute, so that up to eleven
are never older than half a minute; forty are read every minute and three quarters.
"""

SYMBOLS_MAX: Final = 40
BUSIEST: Final = 10
"""The busiest symbols are measured before anybody orders them, so that a first order is not refused for ignorance."""

BUSIEST_EVERY_S: Final = 3_600.0
RETRY_S: Final = 30.0
REFUSED_PAUSE_S: Final = 600.0
INTERVAL: Final = "5m"
MINUTE_INTERVAL: Final = "1m"
MINUTES: Final = 62
"""One-minute mark candles: an hour, the open one, and one for the minute that may have just begun."""

FUNDINGS: Final = 540
"""180 days of eight-hourly stamps."""

INTERESTS: Final = 500
"""Three weeks of hours; the venue keeps no more than a month."""


class Prices(Protocol):
    """The venue's prices and contracts, as ``MarketKeeper`` has them."""

    markets: dict[str, Market]
    instruments: dict[str, Instrument]


class Measuring:
    """The facts of one venue's symbols, ``facts``, in the order of their importance."""

    def __init__(self, *, reads: MarketReads, prices: Prices, now: Callable[[], datetime]) -> None:
        self._reads = reads
        self._prices = prices
        self._now = now
        self.facts: dict[str, SymbolFacts] = {}
        self._busiest: tuple[str, ...] = ()
        self._busiest_due = 0.0
        self._budget = Pace(WEIGHT_PER_MINUTE)

    def follow(self, needed: Iterable[str]) -> None:
        """Follow these symbols, most important first, and the busiest while there is room; no others."""
        listed = self._prices.instruments
        wanted = [symbol for symbol in needed if symbol in listed][:SYMBOLS_MAX]
        room = max(0, BUSIEST - len(wanted))
        wanted += [symbol for symbol in self._busiest if symbol not in wanted][:room]
        self.facts = {symbol: self.facts.get(symbol) or SymbolFacts(symbol) for symbol in wanted}

    def note_marks(self) -> None:
        """Take in the mark prices that were read last."""
        for symbol, facts in self.facts.items():
            market = self._prices.markets.get(symbol)
            if market is not None:
                facts.prices.note(market.as_of, market.mark_price)

    async def read_next(self) -> bool:
        """Read what is most overdue, if anything is and the budget has it; whether something was read.

        Raises ``VenueTrouble``.
        """
        at_s = time.monotonic()
        if at_s >= self._busiest_due and self._prices.instruments and self._budget.take(BUSIEST_WEIGHT):
            self._busiest_due = at_s + RETRY_S
            await self._read_busiest()
            self._busiest_due = at_s + BUSIEST_EVERY_S
            return True
        found = self._most_overdue(at_s)
        if found is None or not self._budget.take(found[1].weight):
            return False
        facts, due = found
        asked_at = self._now()
        try:
            await self._read(facts, due.part)
            facts.received(due.part, asked_at, at_s)
        except VenueRefused as refusal:
            log.warning("%s of %s cannot be measured: %s", due.part, facts.symbol, refusal)
            facts.postpone(due.part, at_s + REFUSED_PAUSE_S)
        except VenueTrouble:
            facts.postpone(due.part, at_s + RETRY_S)
            raise
        return True

    def _most_overdue(self, at_s: float) -> tuple[SymbolFacts, Due] | None:
        """Facts are in the order of their rank: of what is equally overdue, the first is taken."""
        now = self._now()
        return max(
            ((facts, due) for facts in self.facts.values() for due in facts.due(at_s, now)),
            key=lambda found: found[1].overdue,
            default=None,
        )

    async def _read_busiest(self) -> None:
        trading = {symbol for symbol, instrument in self._prices.instruments.items() if instrument.trading}
        listed = await self._reads.busiest(10 * BUSIEST)
        self._busiest = tuple(symbol for symbol in listed if symbol in trading)[:BUSIEST]

    async def _read(self, facts: SymbolFacts, part: Part) -> None:
        symbol = facts.symbol
        match part:
            case Part.DEPTH:
                asked_at = self._now()
                facts.depth = await self._reads.depth(symbol)
                facts.books.note(asked_at, facts.depth, DEPTH_BAND)
            case Part.INTEREST:
                facts.open_interest = await self._reads.open_interest(symbol)
            case Part.VOLUME:
                facts.daily_volume = await self._reads.daily_volume(symbol)
            case Part.MINUTES:
                asked_at = self._now()
                candles = await self._reads.mark_minutes(symbol, MINUTES)
                facts.prices.fill(asked_at, [MinuteCandle(each.open_ms, each.low, each.high) for each in candles])
            case Part.CANDLES:
                await self._read_candles(facts)
            case Part.TRADES:
                await self._read_minutes(facts)
            case Part.FUNDINGS:
                charged = await self._reads.funding_rates(symbol, FUNDINGS)
                facts.fundings(each.rate for each in charged)
                facts.stamps_a_day = stamps_a_day([each.at_ms for each in charged])
            case Part.INTERESTS:
                facts.interests(await self._reads.open_interests(symbol, INTERESTS))

    async def _read_minutes(self, facts: SymbolFacts) -> None:
        """A day of minutes at first, then what has been added. The newest candle is still open."""
        if facts.moves.is_new:
            candles = await self._reads.candles(facts.symbol, MINUTE_INTERVAL, HISTORY_MINUTES)
            # A tenth of a second for a day of minutes.
            await facts.moves.warm(candles[:-1])
        else:
            candles = await self._reads.candles(facts.symbol, MINUTE_INTERVAL, NEWS_CANDLES)
            facts.moves.take(candles[:-1])

    async def _read_candles(self, facts: SymbolFacts) -> None:
        """A week of them at first, then what has been added; after a gap of more than eight hours, anew."""
        changed = False
        if facts.closes.first_ms is not None:
            news = await self._reads.candles(facts.symbol, INTERVAL, NEWS_CANDLES)
            if facts.closes.joins(news):
                changed = facts.closes.take(news[:-1])
            else:
                facts.closes = Closes()
        if facts.closes.first_ms is None:
            recent = await self._reads.candles(facts.symbol, INTERVAL, HISTORY_CANDLES)
            changed = facts.closes.take(recent[:-1])
            if len(recent) == HISTORY_CANDLES:
                older = await self._reads.candles(facts.symbol, INTERVAL, HISTORY_CANDLES, before_ms=recent[0].open_ms)
                facts.closes.take(older)
        if changed:
            # Milliseconds for a week of candles.
            facts.volatility = await asyncio.to_thread(hourly_volatility, facts.closes.returns())
