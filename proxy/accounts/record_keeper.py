"""Keeps the warden's memory of one account: told of documents, events and audit records, it publishes the record.

What it works the record out from is saved (``record_store``). After a gap, its own or the stream's, and while the
venue's list of transfers has not been read for long, nothing is taken into the memory before that list has been read: a
withdrawal nobody told of would look like a loss. Until then the record ages, and rules that need it refuse.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.accounts import memory as memories
from proxy.accounts.book import QUOTE_ASSETS
from proxy.accounts.lineage import Lineage
from proxy.accounts.memory import Memory
from proxy.accounts.record_store import RecordStore
from proxy.accounts.recount import jumped
from proxy.accounts.retold import Retold
from proxy.accounts.transfer_reader import TransferReader, Venue
from proxy.accounts.transfers import Listing
from proxy.audit.place import ArchiveUnavailable, archive_place
from proxy.audit.query import decisions_since
from proxy.audit.reader import ArchiveReader
from proxy.exchange.events import AccountEvent, AlgoEvent, Event, OrderEvent
from proxy.exchange.troubles import VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.recent import Recent
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import dump, plain
from proxy.store.warden_store import WardenStore
from rules.account import Account
from rules.facts import AccountRecord, Forecast, Unprotected
from rules.instrument import MARGIN_ASSET
from rules.snapshot import Market

log = logging.getLogger("perpguard.accounts")

PUBLISH_EVERY_S: Final = 5.0
PUBLISH_PAUSE_S: Final = 0.5
"""At least so often without any news, and at most so often with them."""

SAVE_EVERY_S: Final = 5.0
"""How often what the record is worked out from is saved: tens of kilobytes, and an fsync."""

TRANSFERS_EVERY_S: Final = 600.0
TRANSFERS_AWAY_S: Final = 10.0
"""Without any gap, and while the venue gives no usable answer."""

TRANSFERS_AGE_MAX_S: Final = 900.0
"""A list that was last read this long ago is a gap: what is listed later could not be put in its place any more."""

CLOCK_EVERY_S: Final = 0.5
"""How soon it is looked again whether the venue's clock is known; rows are of its time."""

DECISIONS_OVERLAP: Final = timedelta(seconds=10)
"""Records reach the archive at most this much out of order."""

TOLD_MAX: Final = 10_000
"""Decisions that wait for the memory, and trades that are recognised when they are told again."""


class RecordKeeper:
    """One account's record. ``owner`` names the bot behind a client order id, "" for none."""

    def __init__(
        self,
        *,
        account: str,
        store: WardenStore,
        venue: Venue,
        data_dir: Path,
        owner: Callable[[str], str],
        markets: Callable[[], Mapping[str, Market]],
        now: Callable[[], datetime],
        ahead_ms: Callable[[], int | None],
        unprotected: Callable[[], Iterable[Unprotected]] = tuple,
        forecasts: Callable[[], Iterable[Forecast]] = tuple,
    ) -> None:
        """``ahead_ms`` is the venue's time less that of ``now``, ``None`` while it is not known."""
        self._account = account
        self._store = store
        self._kept = RecordStore(account=account, store=store, data_dir=data_dir)
        self._transfers = TransferReader(venue)
        self._archive = archive_place(data_dir)
        self._owner = owner
        self._markets = markets
        self._now = now
        self._ahead_ms = ahead_ms
        self._unprotected = unprotected
        self._forecasts = forecasts
        self._memory: Memory | None = None
        self._retold = Retold(memories.empty(account), now)
        self._multi_assets: bool | None = None
        self._lineage = Lineage()
        # By order too: where two orders of one account meet, both executions bear the one trade id.
        self._trades: Recent[tuple[str, int, str], None] = Recent(TOLD_MAX)
        self._early: deque[Mapping[str, Any]] = deque(maxlen=TOLD_MAX)
        self._waiting: tuple[Account, int] | None = None
        self._gap = True
        self._listed_at = float("-inf")
        self._list_wanted = asyncio.Event()
        self._changed = asyncio.Event()
        self._saved_at = float("-inf")

    @property
    def record(self) -> AccountRecord | None:
        """The record as it is now, ``None`` before the first document."""
        return None if self._memory is None else self._record_of(self._memory)

    def heard(self, event: Event) -> None:
        """The private stream told an event, before the document that it changes is published."""
        if isinstance(event, AlgoEvent):
            self._lineage.learn(event)
        if self._memory is None:
            return
        match event:
            case OrderEvent(execution="TRADE") if _execution(event) not in self._trades:
                self._trades.put(_execution(event), None)
                if bot := self._owner(self._lineage.name(event)):
                    self._keep(memories.with_fill(self._memory, event, bot))
            case AlgoEvent():
                if bot := self._owner(event.client_order_id):
                    self._keep(memories.with_conditional(self._memory, event, bot))
            case AccountEvent():
                self._keep(memories.with_account_event(self._memory, event, self._value))
            case _:
                pass

    def published(self, account: Account, reading: int) -> None:
        """The account was published: its next document, resting on the survey named ``reading``. A stale one begins a
        gap, and so does one while the list of transfers is old."""
        self._changed.set()  # What is unprotected may have changed, whether or not the document counts.
        self._multi_assets = account.multi_assets
        if account.feed_stale:
            self._gap, self._waiting = True, None
            return
        if time.monotonic() - self._listed_at > TRANSFERS_AGE_MAX_S:
            self._gap = True
        if self._gap or self._memory is None:
            self._waiting = account, reading
            self._list_wanted.set()
        else:
            self._memory = memories.with_document(self._memory, account, self._markets(), reading)
            if self._memory.past.recount is not None and jumped(self._memory.past.recount):
                self._list_wanted.set()  # Before a second reading confirms what may be a transfer.

    def hear(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Records on their way to the archive, in their order; the same decision may be told again."""
        decided = [each for each in records if each.get("kind") == "decision" and each.get("account") == self._account]
        if self._memory is None:
            self._early.extend(decided)
        elif decided:
            self._keep(memories.with_decisions(self._memory, self._retold.without(decided)))

    async def run(self) -> None:
        """Take up what was remembered, then publish for ever. Trouble with store, disk or venue is waited out."""
        memory = await self._kept.restored()
        self._memory = await asyncio.to_thread(self._caught_up, memory)
        self._retold = Retold(self._memory, self._now)
        self.hear(self._early)
        self._early.clear()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._publish())
            loops.create_task(self._follow_transfers())

    def _caught_up(self, memory: Memory) -> Memory:
        """With the decisions that were archived after it was saved."""
        if memory.decided_at is None:
            return memory
        retold = Retold(memory, self._now)
        try:
            with ArchiveReader.open(self._archive) as archive:
                for record in decisions_since(archive, self._account, memory.decided_at - DECISIONS_OVERLAP):
                    memory = memories.with_decisions(memory, retold.without([record]))
        except (ArchiveUnavailable, msgspec.DecodeError) as trouble:  # What is damaged `audit verify` says.
            log.warning("the last decisions on %s cannot be looked up: %s", self._account, trouble)
        return memory

    async def _publish(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PUBLISH_EVERY_S):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.publish()
            except STORE_TROUBLE as trouble:
                log.warning("the record of %s cannot be published: %s", self._account, type(trouble).__name__)
            await asyncio.sleep(PUBLISH_PAUSE_S)

    async def publish(self) -> None:
        """Publish the record as it is, and save what it came from when that is due. Raises what the client raises."""
        if self._memory is None or self._memory.past.track is None:
            return
        self._memory = replace(self._memory, version=self._memory.version + 1)
        record = self._record_of(self._memory)
        assert record is not None  # noqa: S101 - there is a track
        saved = None
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._saved_at = time.monotonic()
            saved = dump(plain(self._memory))
            await asyncio.to_thread(self._kept.write, saved)
        await self._store.publish_record(record, saved)

    def _record_of(self, memory: Memory) -> AccountRecord | None:
        return memories.record_of(memory, self._unprotected(), self._forecasts())

    async def _follow_transfers(self) -> None:
        """Read the list after every gap, before the first document behind it counts, at a jump, and now and then."""
        while True:
            pause = 0.0
            try:
                if self._ahead_ms() is None:
                    pause = CLOCK_EVERY_S
                elif self._waiting is not None or not self._gap:
                    await self._read_transfers()
                    self._close_gap()
            except VenueThrottled as trouble:
                log.warning("transfers of %s: %s", self._account, trouble)
                pause = trouble.retry_after
            except VenueTrouble as trouble:
                log.warning("transfers of %s cannot be read: %s", self._account, trouble)
                pause = TRANSFERS_AWAY_S
            if pause:
                await asyncio.sleep(pause)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRANSFERS_EVERY_S):
                    await self._list_wanted.wait()
            self._list_wanted.clear()

    async def _read_transfers(self) -> None:
        """Count every row there is. Raises ``VenueTrouble``.

        Before counting begins there is nothing to read: whatever was moved is in the balance it begins with.
        """
        assert self._memory is not None  # noqa: S101 - run() starts this loop with a memory
        ahead_ms = self._ahead_ms() or 0
        now_ms, listed_at = int(self._now().timestamp() * 1000) + ahead_ms, time.monotonic()
        listing = Listing(rows=(), until_ms=now_ms, complete=True)
        if self._memory.past.track is not None:
            listing = await self._transfers.read(self._memory.transfers.since_ms, now_ms)
        ahead = timedelta(milliseconds=ahead_ms)
        self._keep(memories.with_transfers(self._memory, listing, self._value, ahead))
        if not listing.complete:
            raise VenueUnavailable("more transfers than one answer has")  # The next reading goes on where it ended.
        self._listed_at = listed_at

    def _close_gap(self) -> None:
        """Everything up to the newest document is told."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._gap = False
            self.published(*waiting)

    def _keep(self, memory: Memory) -> None:
        if memory is not self._memory:
            self._memory = memory
            self._changed.set()

    def _value(self, asset: str, amount: Decimal) -> Decimal:
        """An amount in quote currency, nothing for an asset that is not in the account's balance: in single-asset mode
        that is of one. What nobody can value is said and not counted."""
        assert self._memory is not None  # noqa: S101 - it is asked for what is to be remembered
        multi_assets = self._multi_assets if self._multi_assets is not None else self._memory.past.multi_assets
        if multi_assets is False and asset != MARGIN_ASSET:
            return Decimal(0)
        if asset in QUOTE_ASSETS:
            return amount
        market = self._markets().get(f"{asset}USDT")
        if market is None:
            log.warning("a transfer of %s %s of %s is not counted: no price", amount, asset, self._account)
            return Decimal(0)
        return amount * market.mark_price


def _execution(event: OrderEvent) -> tuple[str, int, str]:
    return event.symbol, event.trade_id, event.order_id
