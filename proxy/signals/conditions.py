"""Publishes what is measured of a venue for the rules of the chapter ``market``, every few seconds.

What it measures by is told to it: decisions and outcomes by the audit's reader, events by the private streams, prices
by the market keeper. What is not known is published as not known, and everything with the moment it was asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from proxy.exchange.market_reads import MarketReads
from proxy.exchange.troubles import VenueThrottled, VenueTrouble
from proxy.signals.attention import Attention
from proxy.signals.book_walk import Slippage
from proxy.signals.closes import HOUR_MS
from proxy.signals.correlating import Correlations, correlations_of
from proxy.signals.correlation import METHOD
from proxy.signals.latency import LatencyWatch
from proxy.signals.measuring import Measuring, Prices
from proxy.store.client import STORE_TROUBLE
from rules.facts import Condition, Conditions, Forecast
from rules.model import Side

log = logging.getLogger("perpguard.signals")

PUBLISH_EVERY_S: Final = 3.0
MARKS_EVERY_S: Final = 1.0
CORRELATE_EVERY_S: Final = 15.0
IDLE_S: Final = 0.25
TROUBLE_PAUSE_S: Final = 5.0
INHERITED_MAX: Final = timedelta(days=1)
OUTCOME_AGE_MAX: Final = timedelta(seconds=60)
"""An outcome that was answered longer ago comes from a backlog: it says nothing of now."""


class Publisher(Protocol):
    """The part of the store that the conditions need."""

    async def publish_conditions(self, venue: str, conditions: Conditions) -> None:
        """Make these what gates judge by."""

    async def conditions(self, venue: str) -> Conditions | None:
        """What was published last."""


class ConditionsKeeper:
    """Keeps one venue's conditions. ``held`` names the symbols with a position or an open order."""

    def __init__(
        self,
        *,
        venue: str,
        reads: MarketReads,
        prices: Prices,
        store: Publisher,
        held: Callable[[], Iterable[str]],
        clock_offset_ms: Callable[[], int | None],
        now: Callable[[], datetime],
    ) -> None:
        self._venue = venue
        self._store = store
        self._held = held
        self._clock_offset_ms = clock_offset_ms
        self._now = now
        self.attention = Attention(lambda: prices.instruments)
        self.latency = LatencyWatch()
        self.measuring = Measuring(reads=reads, prices=prices, now=now)
        self._prices = prices
        self._correlated: tuple[int, frozenset[str]] | None = None
        self.correlations = Correlations()
        self.correlations_as_of: datetime | None = None
        self._version = 0
        self.published: Conditions | None = None
        """What rules were told last."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that matter now, most important first."""
        return self.attention.symbols(self._now().timestamp(), self._held())

    def condition(self, symbol: str) -> Condition | None:
        """What is known of one symbol now, ``None`` for one that is not measured."""
        facts = self.measuring.facts.get(symbol)
        return None if facts is None else facts.condition(self._now(), self._prices.markets.get(symbol))

    def slippage(self, symbol: str, side: Side, quantity: Decimal) -> Slippage | None:
        """What an order would cost now, ``None`` where that is not measured."""
        facts = self.measuring.facts.get(symbol)
        return None if facts is None else facts.slippage(side, quantity, self._now())

    def slippage_forecasts(self) -> tuple[Forecast, ...]:
        """What rules are told of the cost of orders, of every symbol that is measured."""
        now = self._now()
        return tuple(each for facts in self.measuring.facts.values() for each in facts.slippage_forecasts(now))

    async def run(self) -> None:
        """Measure and publish for ever. While the venue or the store is away facts age, and rules judge their age."""
        await self._inherit()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._run_reads())
            loops.create_task(self._run_marks())
            loops.create_task(self._run_correlations())
            loops.create_task(self._run_publishing())

    def hear_outcome(self, record: Mapping[str, Any]) -> None:
        """An outcome record: how long the venue took to answer. One never answered, or long ago, says nothing here."""
        if record.get("http_status") is None:
            return
        try:
            sent_at, answered_at = (datetime.fromisoformat(record[name]) for name in ("sent_at", "answered_at"))
        except (KeyError, TypeError, ValueError):
            return  # The archive keeps unreadable records; there is nothing to learn from them.
        age = self._now() - answered_at
        if abs(age) <= OUTCOME_AGE_MAX:
            answered_s = time.monotonic() - age.total_seconds()
            self.latency.order(answered_s, (answered_at - sent_at) / timedelta(milliseconds=1))

    def hear_frame(self, frame: object) -> None:
        """A frame of a private stream has just come in; its own time says how long it was on its way."""
        sent_ms = frame.get("E") if isinstance(frame, dict) else None
        offset_ms = self._clock_offset_ms()
        if isinstance(sent_ms, int) and offset_ms is not None:
            self.latency.stream(time.monotonic(), self._now().timestamp() * 1000 + offset_ms - sent_ms)

    async def correlate(self) -> None:
        """Work out the correlations anew if an hour has passed or the symbols have changed, else confirm them.

        An hour has passed when the last of the symbols that are kept up has it: they are read one after the other, and
        until then what has it already is measured without it. One that is further behind is not kept up.
        """
        now = self._now()
        measured = {
            symbol: (hour_ms, at)
            for symbol, facts in self.measuring.facts.items()
            if (at := facts.candles_at(now)) is not None and (hour_ms := facts.closes.hour_ms) is not None
        }
        if not measured:
            return
        latest_ms = max(hour_ms for hour_ms, _ in measured.values())
        kept_up = {symbol: hour_ms for symbol, (hour_ms, _) in measured.items() if hour_ms >= latest_ms - HOUR_MS}
        until_ms = min(kept_up.values())
        state = (until_ms, frozenset(kept_up))
        if state != self._correlated:
            # Some hundredths of a second for forty symbols.
            self.correlations = await asyncio.to_thread(
                correlations_of, {symbol: self.measuring.facts[symbol].closes for symbol in kept_up}, until_ms
            )
            self._correlated = state
        known = self.correlations.rho
        self.correlations_as_of = min(measured[symbol][1] for symbol in kept_up) if known else None

    async def publish(self) -> None:
        """Publish what is known. Raises what the store client raises."""
        now, at_s = self._now(), time.monotonic()
        offset_ms = self._clock_offset_ms()
        if offset_ms is not None:
            self.latency.skew(at_s, offset_ms)
        self._version = max(self._version + 1, round(now.timestamp() * 1000))
        told = Conditions(
            version=self._version,
            as_of=now,
            symbols=self._conditions(now),
            correlations=self.correlations.rho,
            correlation_bands=self.correlations.bands,
            correlations_as_of=self.correlations_as_of,
            correlations_method=METHOD if self.correlations.rho else "",
            latency=self.latency.latency(at_s, now),
        )
        await self._store.publish_conditions(self._venue, told)
        self.published = told

    def _conditions(self, now: datetime) -> dict[str, Condition]:
        markets = self._prices.markets
        found = {symbol: facts.condition(now, markets.get(symbol)) for symbol, facts in self.measuring.facts.items()}
        return {symbol: condition for symbol, condition in found.items() if condition is not None}

    async def _inherit(self) -> None:
        """What was usual before this process began."""
        try:
            earlier = await self._store.conditions(self._venue)
        except STORE_TROUBLE as trouble:
            log.warning("earlier conditions of %s cannot be read: %s", self._venue, type(trouble).__name__)
            return
        except msgspec.MsgspecError:
            return  # Another version of the guard wrote it; a history of our own begins.
        if earlier is not None and earlier.latency is not None and self._now() - earlier.as_of <= INHERITED_MAX:
            self.latency.inherit(earlier.latency)

    async def _run_reads(self) -> None:
        while True:
            pause = 0.0
            try:
                self.measuring.follow(self.symbols)
                if not await self.measuring.read_next():
                    pause = IDLE_S
            except VenueThrottled as trouble:
                log.warning("conditions of %s: %s", self._venue, trouble)
                pause = trouble.retry_after
            except VenueTrouble as trouble:
                log.warning("conditions of %s cannot be measured: %s", self._venue, trouble)
                pause = TROUBLE_PAUSE_S
            await asyncio.sleep(pause)

    async def _run_marks(self) -> None:
        while True:
            self.measuring.note_marks()
            await asyncio.sleep(MARKS_EVERY_S)

    async def _run_correlations(self) -> None:
        while True:
            await self.correlate()
            await asyncio.sleep(CORRELATE_EVERY_S)

    async def _run_publishing(self) -> None:
        while True:
            try:
                await self.publish()
            except STORE_TROUBLE as trouble:
                log.warning("conditions of %s cannot be published: %s", self._venue, type(trouble).__name__)
            await asyncio.sleep(PUBLISH_EVERY_S)
