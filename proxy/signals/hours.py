"""Feeds every symbol that matters with its closed hours: from its state, else a file, then on from the venue.

One question serves history, gaps, restarts and the running hour alike: the candles that follow the last one known. They
are asked for through the guard's own client within a budget of their own. Feeding takes turns of about a millisecond,
so that the loop, which serves the kill as well, is never held up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from proxy.budget.pace import Pace
from proxy.exchange.market_reads import MarketReads, candles_weight
from proxy.exchange.troubles import VenueRefused
from proxy.signals.barrier import BarrierForecaster
from proxy.signals.bars import HOUR_S, Bar, BarsUnreadable, bars_of, read_bars
from proxy.signals.joint import HOURS_KEPT, JointHistory
from proxy.signals.shelf import Shelf
from proxy.signals.symbol_forecast import SymbolForecast

log = logging.getLogger("perpguard.signals")

WEIGHT_PER_MINUTE: Final = 60
"""Of the 2,400 an address has. A followed symbol weighs 1 a minute, the half year of a new one 30 once."""

ASK_EVERY_S: Final = 60.0
RETRY_S: Final = 30.0
REFUSED_PAUSE_S: Final = 600.0
BATCH_MAX: Final = 1_500
"""Candles the venue gives in one answer."""

BATCH_SMALL: Final = 99
"""As many as weigh the least."""

TURN_BARS: Final = 2
TURN_PAUSE_S: Final = 0.002
"""After so many bars, about a millisecond of work, the loop goes round."""

CLOSED_AFTER_S: Final = 5
"""The newest candle is taken for closed so long after its end, or when a later one is there."""


AHEAD_MAX_S: Final = HOUR_S
"""How far ahead of this clock a candle may open: the clock may not have been compared with the venue's yet. A later
one would make every true hour until then one that is not later than the last."""


class HourFeed:
    """The symbols of one venue, ``known``, and their joint ``history``."""

    def __init__(
        self,
        *,
        reads: MarketReads,
        shelf: Shelf,
        warm: Sequence[Path],
        make: Callable[[], BarrierForecaster],
        remake: Callable[[dict[str, Any]], BarrierForecaster],
        now: Callable[[], datetime],
        clock_offset_ms: Callable[[], int | None],
    ) -> None:
        """``make`` builds a model that knows nothing, ``remake`` one of its state (raises what its parts raise)."""
        self._reads = reads
        self._shelf = shelf
        self._warm = tuple(warm)
        self._make = make
        self._remake = remake
        self._now = now
        self._clock_offset_ms = clock_offset_ms
        self._budget = Pace(WEIGHT_PER_MINUTE)
        self._files: Mapping[str, Sequence[Bar]] | None = None
        self._not_before: dict[str, float] = {}
        self._behind: set[str] = set()
        self._odd: set[str] = set()
        self.history = JointHistory()
        self.known: dict[str, SymbolForecast] = {}

    async def follow(self, symbols: Iterable[str]) -> None:
        """Follow these symbols, most important first, and no others. A new one takes up what is kept of it."""
        wanted = tuple(symbols)
        for symbol in [each for each in self.known if each not in wanted]:
            await self._save(self.known.pop(symbol))
        self.history.keep_only(wanted)
        for symbol in wanted:
            if symbol not in self.known:
                self.known[symbol] = await self._begun(symbol)
                self._behind.add(symbol)
        self._not_before = {symbol: at for symbol, at in self._not_before.items() if symbol in self.known}
        self._behind &= set(self.known)
        self._odd &= set(self.known)

    def is_caught_up(self, symbol: str) -> bool:
        """Whether the venue had nothing newer when it was asked last."""
        return symbol in self.known and symbol not in self._behind

    async def read_next(self) -> SymbolForecast | None:
        """Ask for the candles of one symbol that is behind, or else of one not asked about for a minute; the symbol
        when hours of it have closed. Raises ``VenueTrouble``.
        """
        at_s = time.monotonic()
        due = [each for each in self.known.values() if self._not_before.get(each.symbol, 0.0) <= at_s]
        found = next((each for each in due if each.symbol in self._behind), None) or next(iter(due), None)
        if found is None:
            return None
        since, limit = self._missing(found)
        if not self._budget.take(candles_weight(limit)):
            return None
        self._not_before[found.symbol] = at_s + RETRY_S
        asked_at = self._now()
        try:
            candles = await self._reads.mark_hours(found.symbol, limit, since_ms=since * 1_000)
        except VenueRefused as refusal:
            log.warning("the hours of %s cannot be read: %s", found.symbol, refusal)
            self._not_before[found.symbol] = at_s + REFUSED_PAUSE_S
            return None
        read = bars_of(candles, since=since, until=self._venue_s() + AHEAD_MAX_S)
        self._say_left_out(found.symbol, read.left_out)
        closed, open_ = self._parted(read.bars)
        before = found.last
        await self._feed(found, closed)
        found.asked_at = asked_at
        if len(candles) >= limit:
            if found.last is not before:  # Else the same question has the same answer, and others wait for the budget.
                self._not_before[found.symbol] = at_s
            return None
        self._behind.discard(found.symbol)
        self._not_before[found.symbol] = at_s + ASK_EVERY_S
        if open_ is not None:
            found.look(open_)
        if found.last is before:
            return None
        await self._save(found)
        return found

    async def tidy(self) -> None:
        """Take away what nobody was interested in for a month. Once, at the start."""
        await asyncio.to_thread(self._shelf.tidy)

    async def _begun(self, symbol: str) -> SymbolForecast:
        state = await asyncio.to_thread(self._shelf.read, symbol)
        found = SymbolForecast(symbol, self._make(), self.history)
        if state is not None and state.get("method") == found.model.METHOD:
            try:
                found.restore(state, self._remake(state["model"]), until=self._venue_s() + AHEAD_MAX_S)
            except (KeyError, TypeError, ValueError, AttributeError) as trouble:
                log.warning("the forecasts of %s begin anew: %s", symbol, type(trouble).__name__)
                found = SymbolForecast(symbol, self._make(), self.history)
        if found.last is None:
            if self._files is None:
                self._files = await asyncio.to_thread(_read, self._warm)
            await self._feed(found, self._closed_of(symbol, self._files.get(symbol, ())))
        return found

    def _closed_of(self, symbol: str, bars: Sequence[Bar]) -> Sequence[Bar]:
        """The hours of a file that have closed; none of a file that knows the future, for it is wrong of the past too.

        It may be written in local time, for one.
        """
        now_s = self._venue_s()
        ahead = sum(bar.end - HOUR_S > now_s + AHEAD_MAX_S for bar in bars)
        if ahead:
            log.error("%s is not warmed: %d of its hours in the file lie ahead", symbol, ahead)
            return ()
        return [bar for bar in bars if bar.end <= now_s]

    def _missing(self, found: SymbolForecast) -> tuple[int, int]:
        """From when on candles are missing, and how many to ask for."""
        now_s = int(self._now().timestamp())
        oldest = (now_s // HOUR_S - HOURS_KEPT) * HOUR_S
        since = max(oldest, found.last.end) if found.last is not None else oldest
        hours = (now_s - since) // HOUR_S + 2
        return since, BATCH_SMALL if hours <= BATCH_SMALL else BATCH_MAX

    def _parted(self, bars: Sequence[Bar]) -> tuple[Sequence[Bar], Bar | None]:
        """The closed ones, and the one that is still open."""
        if not bars:
            return (), None
        closed = self._clock_offset_ms() is not None and bars[-1].end + CLOSED_AFTER_S <= self._venue_s()
        return (bars, None) if closed else (bars[:-1], bars[-1])

    def _venue_s(self) -> float:
        """The venue's time, or this clock's while the two have not been compared."""
        return self._now().timestamp() + (self._clock_offset_ms() or 0) / 1_000

    def _say_left_out(self, symbol: str, left_out: int) -> None:
        """Once, until an answer has nothing odd: the same candle comes again every minute."""
        if not left_out:
            self._odd.discard(symbol)
        elif symbol not in self._odd:
            self._odd.add(symbol)
            log.warning("hours of %s are left out, they are none: %d candles", symbol, left_out)

    async def _feed(self, found: SymbolForecast, bars: Sequence[Bar]) -> None:
        for place, bar in enumerate(bars, start=1):
            found.feed(bar)
            if place % TURN_BARS == 0:
                await asyncio.sleep(TURN_PAUSE_S)

    async def _save(self, found: SymbolForecast) -> None:
        if found.last is not None:
            await asyncio.to_thread(self._shelf.write, found.symbol, found.state())


def _read(paths: Sequence[Path]) -> Mapping[str, Sequence[Bar]]:
    """What the files have; without them the venue's own history has to do."""
    try:
        return read_bars(paths)
    except BarsUnreadable as trouble:
        log.error("forecasts are not warmed: %s", trouble)
        return {}
