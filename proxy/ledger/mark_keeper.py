"""Writes down marks and fundings of the symbols that matter, once a minute. A full disk stops nothing but this."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from proxy.exchange.market_reads import MarketReads
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.ledger.marks import KEPT, Funding, MarkBook, MarksUnavailable
from rules.snapshot import Market

log = logging.getLogger("perpguard.ledger")

LOOK_EVERY_S: Final = 5.0
"""One mark a minute is kept; a symbol that has just begun to matter has its first one within seconds."""

TROUBLE_PAUSE_S: Final = 60.0

STALE: Final = timedelta(seconds=60)
"""An older price is no price of this minute."""

FORGET_EVERY: Final = timedelta(hours=1)
FUNDINGS_MAX: Final = 100
FIRST_LOOK: Final = timedelta(days=1)
"""How far back fundings are asked for of a symbol that is new here."""

LISTED_WITHIN: Final = timedelta(minutes=10)
"""A rate that was just charged may be missing from the venue's list; after this long it is asked for no more."""


_NEVER: Final = datetime.fromtimestamp(0, UTC)


class MarkKeeper:
    """Keeps one venue's marks. ``symbols`` are those that matter, ``markets`` the prices as last read."""

    def __init__(
        self,
        *,
        venue: str,
        path: Path,
        reads: MarketReads,
        symbols: Callable[[], Iterable[str]],
        markets: Callable[[], Mapping[str, Market]],
        now: Callable[[], datetime],
    ) -> None:
        self._venue = venue
        self._path = path
        self._reads = reads
        self._symbols = symbols
        self._markets = markets
        self._now = now
        self._book: MarkBook | None = None
        self._minutes: dict[str, int] = {}
        self._asked_at: dict[str, datetime] = {}
        self._next_stamps: dict[str, datetime | None] = {}
        self._forget_due = now()

    async def run(self) -> None:
        """Keep for ever. What cannot be written or read is missing later; nothing else depends on it."""
        while True:
            pause = LOOK_EVERY_S
            try:
                await self.keep()
            except MarksUnavailable as trouble:
                log.error("mark prices are not kept: %s", trouble)
                pause = TROUBLE_PAUSE_S
            except VenueThrottled as trouble:
                log.warning("funding rates of %s: %s", self._venue, trouble)
                pause = max(TROUBLE_PAUSE_S, trouble.retry_after)
            except VenueTrouble as trouble:
                log.warning("funding rates of %s cannot be read: %s", self._venue, trouble)
                pause = TROUBLE_PAUSE_S
            await asyncio.sleep(pause)

    async def keep(self) -> None:
        """Write down the marks of this minute, and what has been charged of one symbol whose stamp has passed.

        One at a time: the venue grants an address 500 of these requests in five minutes, bots' own included.
        Raises ``MarksUnavailable`` or ``VenueTrouble``.
        """
        now, symbols = self._now(), tuple(self._symbols())
        if self._book is None:
            self._book = await asyncio.to_thread(MarkBook.open, self._path)
        markets = [market for symbol in symbols if (market := self._markets().get(symbol)) is not None]
        await self._keep_marks(self._book, [market for market in markets if now - market.as_of <= STALE])
        if now >= self._forget_due:
            await asyncio.to_thread(self._book.forget_before, now - KEPT)
            self._forget_due = now + FORGET_EVERY
        passed = [each for each in markets if self._next_stamps.get(each.symbol, _NEVER) != each.next_funding_at]
        if passed:
            longest = min(passed, key=lambda market: self._asked_at.get(market.symbol, _NEVER))
            self._asked_at[longest.symbol] = now
            await self._keep_fundings(self._book, longest, now)

    async def _keep_marks(self, book: MarkBook, markets: Sequence[Market]) -> None:
        minutes = {market.symbol: int(market.as_of.timestamp() // 60) for market in markets}
        due = [market for market in markets if self._minutes.get(market.symbol) != minutes[market.symbol]]
        if due:
            await asyncio.to_thread(book.keep_marks, self._venue, due)
            self._minutes = minutes

    async def aclose(self) -> None:
        """Give the file back."""
        if self._book is not None:
            await asyncio.to_thread(self._book.close)

    async def _keep_fundings(self, book: MarkBook, market: Market, now: datetime) -> None:
        """The next stamp is another than it was: what has been charged meanwhile, and while nobody looked."""
        symbol = market.symbol
        last = await asyncio.to_thread(book.last_funding, self._venue, symbol)
        since = last + timedelta(milliseconds=1) if last is not None else now - FIRST_LOOK
        try:
            rates = await self._reads.funding_rates(symbol, FUNDINGS_MAX, since_ms=round(since.timestamp() * 1000))
        except VenueRefused as refusal:
            log.warning("funding rates of %s are not kept: %s", symbol, refusal)
            self._next_stamps[symbol] = market.next_funding_at
            return
        found = [Funding(datetime.fromtimestamp(each.at_ms / 1000, UTC), each.rate) for each in rates]
        await asyncio.to_thread(book.keep_fundings, self._venue, symbol, found)
        charged = self._next_stamps.get(symbol)
        newest = max((each.at for each in found), default=last)
        if charged is None or (newest is not None and newest >= charged) or now - charged > LISTED_WITHIN:
            self._next_stamps[symbol] = market.next_funding_at
