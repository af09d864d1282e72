"""Publishes what everybody needs of a venue: instruments with their margin tiers, and prices.

The mark price sets the pace. Best bid and ask and the last price are read beside it, more slowly, and join the next
marks while they are fresh; where they fail, marks are published without them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from redis.exceptions import RedisError

from proxy.exchange.market_payloads import Touch
from proxy.exchange.troubles import VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.exchange.venue_account import VenueAccount
from proxy.store.codec import dump, plain
from proxy.store.warden_store import WardenStore
from rules.instrument import Instrument
from rules.snapshot import Market

log = logging.getLogger("perpguard.accounts")

INSTRUMENTS_EVERY_S: Final = 60.0

QUOTES_EVERY_S: Final = 4.0
"""Best bid and ask of all symbols weigh 5, last prices 2: at this pace 105 of the 2,400 weight a minute."""

QUOTES_KEPT_S: Final = 12.0
"""Three readings. An older bid or ask may be far from the market; no bid or ask is known to be unknown."""

Document = Callable[[str, str, Any], Awaitable[None]]
"""Writes a state to the audit: its name, its version, its content."""

T = TypeVar("T")


class _Quotes(Generic[T]):
    """What was read of every symbol at a pace of its own, dated when it was asked for."""

    def __init__(self, name: str, ask: Callable[[], Awaitable[dict[str, T]]]) -> None:
        self.name = name
        self._ask = ask
        self._by_symbol: dict[str, T] = {}
        self._asked_at = float("-inf")

    async def read(self) -> None:
        asked_at = time.monotonic()
        self._by_symbol = await self._ask()
        self._asked_at = asked_at

    def fresh(self) -> dict[str, T]:
        """By symbol; nothing once it is too old to be told beside a fresh mark."""
        return self._by_symbol if time.monotonic() - self._asked_at <= QUOTES_KEPT_S else {}


class MarketKeeper:
    """Keeps one venue's public state in the store. ``answered`` is told how long each reading of the marks took."""

    def __init__(
        self,
        *,
        venue: str,
        hands: VenueAccount,
        store: WardenStore,
        document: Document,
        now: Callable[[], datetime],
        every_s: float,
        answered: Callable[[float], None] = lambda milliseconds: None,
    ) -> None:
        self._venue = venue
        self._hands = hands
        self._store = store
        self._document = document
        self._now = now
        self._every_s = every_s
        self._answered = answered
        self._touches: _Quotes[Touch] = _Quotes("best bid and ask", hands.public.touches)
        self._last_prices: _Quotes[Decimal] = _Quotes("last prices", hands.public.last_prices)
        self._instruments_version = ""
        self.markets: dict[str, Market] = {}
        self.instruments: dict[str, Instrument] = {}

    @property
    def priced_at(self) -> datetime | None:
        """When the newest of the mark prices was asked for; ``None`` before any was read."""
        return max((market.as_of for market in self.markets.values()), default=None)

    async def run(self) -> None:
        """Publish for ever. While the venue or the store is away prices age, and gates refuse entries by their age."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._run_marks())
            loops.create_task(self._run_quotes(self._touches))
            loops.create_task(self._run_quotes(self._last_prices))

    async def _run_marks(self) -> None:
        instruments_due = 0.0
        while True:
            pause = self._every_s
            try:
                if time.monotonic() >= instruments_due:
                    await self.publish_instruments()
                    instruments_due = time.monotonic() + INSTRUMENTS_EVERY_S
                await self.publish_markets()
            except VenueThrottled as trouble:
                log.warning("market data of %s: %s", self._venue, trouble)
                pause = trouble.retry_after
            except (VenueTrouble, RedisError, OSError, TimeoutError) as trouble:
                log.warning("market data of %s failed: %s", self._venue, trouble)
            await asyncio.sleep(pause)

    async def _run_quotes(self, quotes: _Quotes[Any]) -> None:
        while True:
            pause = QUOTES_EVERY_S
            try:
                await quotes.read()
            except VenueThrottled as trouble:
                log.warning("quotes of %s (%s): %s", self._venue, quotes.name, trouble)
                pause = max(pause, trouble.retry_after)
            except VenueTrouble as trouble:
                log.warning("quotes of %s (%s) failed: %s", self._venue, quotes.name, trouble)
            await asyncio.sleep(pause)

    async def publish_instruments(self) -> None:
        """Read and publish the instruments; a version seen for the first time goes to the audit, for replay."""
        self.instruments = await self._hands.instruments()
        await self._tell_instruments()

    async def publish_instruments_again(self) -> None:
        """Publish the instruments as they were read last, for a store that has lost them: gates and audit alike are
        told anew. Nothing while none were read. Raises what the store client raises.
        """
        if self.instruments:
            self._instruments_version = ""
            await self._tell_instruments()

    async def _tell_instruments(self) -> None:
        content = plain(self.instruments)
        version = hashlib.sha256(dump(content)).hexdigest()[:16]
        await self._store.publish_instruments(self._venue, version, self.instruments)
        if version == self._instruments_version:
            return
        await self._document(f"instruments:{self._venue}", version, content)
        self._instruments_version = version

    async def read_quotes(self) -> None:
        """Read best bids and asks and last prices once. Raises ``VenueTrouble``."""
        await self._touches.read()
        await self._last_prices.read()

    async def publish_markets(self) -> None:
        """Read and publish prices, stamped with the moment the marks were asked for: never fresher than true."""
        asked_at = self._now()
        self.markets = self._quoted(await self._marks(asked_at))
        await self._store.publish_markets(self._venue, str(time.time_ns()), self.markets)

    async def _marks(self, asked_at: datetime) -> dict[str, Market]:
        began = time.monotonic()
        try:
            marks = await self._hands.markets(asked_at)
        except VenueUnavailable:
            # It took at least this long. A refusal is quick, and says nothing of the way.
            self._answered((time.monotonic() - began) * 1000)
            raise
        self._answered((time.monotonic() - began) * 1000)
        return marks

    def _quoted(self, marks: dict[str, Market]) -> dict[str, Market]:
        touches, last_prices = self._touches.fresh(), self._last_prices.fresh()
        return {
            symbol: replace(
                market,
                bid_price=touch.bid_price,
                bid_quantity=touch.bid_quantity,
                ask_price=touch.ask_price,
                ask_quantity=touch.ask_quantity,
                last_price=last_prices.get(symbol),
            )
            for symbol, market in marks.items()
            for touch in (touches.get(symbol, _NO_TOUCH),)
        }


_NO_TOUCH: Final = Touch(bid_price=None, bid_quantity=None, ask_price=None, ask_quantity=None)
