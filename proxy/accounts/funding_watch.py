"""Reads the venue's funding rows of one account: soon after the stream told of funding, after a gap, and regularly.

What was read is shared out without an ``await`` between looking and counting, and what is counted is published with
the shares: a warden that dies in between reads the rows again, and its successor shares them out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Protocol

from proxy.accounts.funding import FUNDING, Fundings
from proxy.accounts.shares import Shares
from proxy.exchange.events import AccountEvent
from proxy.exchange.payloads import FundingRow
from proxy.exchange.troubles import VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.exchange.venue_account import FUNDINGS_MAX
from rules.account import Account, FundingMark

log = logging.getLogger("perpguard.accounts")

EVERY_S: Final = 600.0
"""Without any news. At weight 30 a reading, 3 of 2,400 a minute."""

SOON_S: Final = 5.0
"""From news to reading, so that a burst of events costs one: never more than 360 of 2,400 a minute."""

AWAY_S: Final = 30.0
"""Until the next try, while the venue gives no usable answer, or more rows than one reading takes."""

READINGS_MAX: Final = 12
"""Readings in a row for a row that was heard of and does not come; then the regular ones bring it."""

PAGES_MAX: Final = 5
"""Answers of one reading, 150 weight; the next one, ``AWAY_S`` later, goes on where it ended."""


class Venue(Protocol):
    """Where the rows are."""

    async def fundings(self, since_ms: int) -> tuple[FundingRow, ...]:
        """Rows from the venue's time ``since_ms`` on, oldest first. Raises ``VenueTrouble``."""
        ...


class FundingWatch:
    """Keeps the funding of one account's shares equal to the venue's list."""

    def __init__(self, *, account: str, shares: Shares, venue: Venue) -> None:
        self._account = account
        self._fundings = Fundings(shares)
        self._venue = venue
        self._news = asyncio.Event()
        self._in_vain = 0

    @property
    def mark(self) -> FundingMark | None:
        """How far the shares have the funding, to be published with them."""
        return self._fundings.mark

    def tell(self, told: Callable[[FundingRow, Mapping[str, Decimal]], None]) -> None:
        """Call ``told`` with every row that is shared out from now on, and the holdings it is shared out by."""
        self._fundings.told = told

    def restore(self, account: Account) -> None:
        """Take up where the shares an earlier warden published end."""
        self._fundings.restore(account.funding_mark)

    def hear(self, event: AccountEvent) -> None:
        """An event of the stream, after every event before it is in the shares."""
        if event.reason == FUNDING:
            self._fundings.hear(event)
            self.look_soon()

    def look_soon(self) -> None:
        """Funding may have been booked that no event told of."""
        self._in_vain = 0
        self._news.set()

    async def run(self) -> None:
        """Read for ever. Trouble with the venue is waited out; what it booked meanwhile is read afterwards."""
        while True:
            pause = 0.0
            self._news.clear()
            try:
                complete = await self._read()
                if not complete:
                    pause = AWAY_S
            except VenueThrottled as trouble:
                log.warning("funding of %s: %s", self._account, trouble)
                complete, pause = False, trouble.retry_after
            except VenueTrouble as trouble:
                log.warning("funding of %s cannot be read: %s", self._account, trouble)
                complete, pause = False, AWAY_S
            if complete and not self._waits():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await self._news.wait()
            await asyncio.sleep(max(pause, SOON_S))

    async def _read(self) -> bool:
        """Count every row there is; False when there are more than were read."""
        since_ms = self._fundings.since_ms
        rows: dict[str, FundingRow] = {}
        complete = False
        for _ in range(PAGES_MAX):
            page = await self._venue.fundings(since_ms)
            rows |= {row.row_id: row for row in page}
            complete = len(page) < FUNDINGS_MAX
            if complete:
                break
            last_ms = max(row.at_ms for row in page)
            if last_ms <= since_ms:
                raise VenueUnavailable(f"{len(page)} rows of one moment")
            since_ms = last_ms
        self._fundings.take(rows.values())
        return complete

    def _waits(self) -> bool:
        """Whether to read again soon, for a row that was heard of."""
        if not self._fundings.owed:
            return False
        self._in_vain += 1
        if self._in_vain < READINGS_MAX:
            return True
        log.warning("funding of %s was heard of and is not in the venue's list", self._account)
        self._fundings.give_up()
        return False
