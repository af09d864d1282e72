"""Publishes what everybody needs of a venue: instruments with their margin tiers, and mark prices."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from redis.exceptions import RedisError

from proxy.accounts.troubles import VenueThrottled, VenueTrouble
from proxy.accounts.venue_account import VenueAccount
from proxy.store.codec import dump, plain
from proxy.store.warden_store import WardenStore
from rules.instrument import Instrument
from rules.snapshot import Market

log = logging.getLogger("perpguard.accounts")

INSTRUMENTS_EVERY_S: Final = 60.0

Document = Callable[[str, str, Any], Awaitable[None]]
"""Writes a state to the audit: its name, its version, its content."""


class MarketKeeper:
    """Keeps one venue's public state in the store."""

    def __init__(
        self,
        *,
        venue: str,
        hands: VenueAccount,
        store: WardenStore,
        document: Document,
        now: Callable[[], datetime],
        every_s: float,
    ) -> None:
        self._venue = venue
        self._hands = hands
        self._store = store
        self._document = document
        self._now = now
        self._every_s = every_s
        self._instruments_version = ""
        self.markets: dict[str, Market] = {}
        self.instruments: dict[str, Instrument] = {}

    async def run(self) -> None:
        """Publish for ever. While the venue or the store is away prices age, and gates refuse entries by their age."""
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

    async def publish_instruments(self) -> None:
        """Read and publish the instruments; a version seen for the first time goes to the audit, for replay."""
        self.instruments = instruments = await self._hands.instruments()
        content = plain(instruments)
        version = hashlib.sha256(dump(content)).hexdigest()[:16]
        await self._store.publish_instruments(self._venue, version, instruments)
        if version == self._instruments_version:
            return
        await self._document(f"instruments:{self._venue}", version, content)
        self._instruments_version = version

    async def publish_markets(self) -> None:
        """Read and publish mark prices, stamped with the moment the question was asked: never fresher than true."""
        asked_at = self._now()
        self.markets = await self._hands.markets(asked_at)
        await self._store.publish_markets(self._venue, str(time.time_ns()), self.markets)
