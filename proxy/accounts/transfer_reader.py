"""Reads the venue's list of what came into an account and left it, at a pace that leaves others their budget."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from proxy.accounts.transfers import KINDS, Listing
from proxy.exchange.payloads import TransferRow
from proxy.exchange.venue_account import FUNDINGS_MAX

PACE_S: Final = 5.0
"""What every question costs of the time until the next reading: at weight 30, never more than 360 of 2,400 a minute."""

LISTED_MS: Final = 80 * 24 * 3600 * 1000
"""Rows further back are not asked for: the venue keeps three months (Binance, "Get Income History", seen 2026-11), and
may refuse a question that begins before. A guard that was away for longer counts what moved before as a result."""


class Venue(Protocol):
    """Where the list is."""

    async def incomes(self, since_ms: int, kind: str = "") -> tuple[TransferRow, ...]:
        """Rows from the venue's time ``since_ms`` on, oldest first, of every type or one. Raises ``VenueTrouble``."""
        ...


class TransferReader:
    """The list of one account."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._due = float("-inf")

    async def read(self, since_ms: int, now_ms: int) -> Listing:
        """Everything since ``since_ms``, as of ``now_ms``, both the venue's time. Raises ``VenueTrouble``.

        One answer usually has it all. Where many trades fill it, each type that matters is asked for by itself.
        """
        since_ms = max(since_ms, now_ms - LISTED_MS)
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        rows = await self._ask(since_ms)
        if len(rows) < FUNDINGS_MAX:
            return Listing(rows=rows, until_ms=now_ms)
        pages = [await self._ask(since_ms, kind) for kind in sorted(KINDS)]
        # What a full answer does not have is later than its last row.
        ends = [page[-1].at_ms for page in pages if len(page) >= FUNDINGS_MAX]
        return Listing(
            rows=tuple(row for page in pages for row in page), until_ms=min([now_ms, *ends]), complete=not ends
        )

    async def _ask(self, since_ms: int, kind: str = "") -> tuple[TransferRow, ...]:
        self._due = max(self._due, time.monotonic()) + PACE_S
        return await self._venue.incomes(since_ms, kind)
