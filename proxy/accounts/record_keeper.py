"""Keeps the warden's memory of one account: told of documents, events and audit records, it publishes the record.

What it works the record out from is saved beside it in the store, and in a file of the data directory in case the
store loses it. After a gap, its own or the stream's, nothing is taken into the memory before the venue's list of
transfers has been read: a withdrawal nobody told of would look like a loss. Until then the record ages, and rules that
need it refuse.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from proxy.accounts import memory as memories
from proxy.accounts.book import QUOTE_ASSETS
from proxy.accounts.events import AccountEvent, AlgoEvent, Event, OrderEvent
from proxy.accounts.lineage import Lineage
from proxy.accounts.memory import Memory
from proxy.accounts.payloads import TransferRow
from proxy.accounts.recent import Recent
from proxy.accounts.troubles import VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.accounts.venue_account import FUNDINGS_MAX
from proxy.disk import replace_file
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import build, dump, load, plain
from proxy.store.warden_store import WardenStore
from rules.facts import AccountRecord, Unprotected
from rules.snapshot import Account, Market

log = logging.getLogger("perpguard.accounts")

PUBLISH_EVERY_S: Final = 5.0
PUBLISH_PAUSE_S: Final = 0.5
"""At least so often without any news, and at most so often with them."""

SAVE_EVERY_S: Final = 5.0
"""How often what the record is worked out from is saved: tens of kilobytes, and an fsync."""

TRANSFERS_EVERY_S: Final = 600.0
TRANSFERS_AWAY_S: Final = 10.0
"""Without any gap, and while the venue gives no usable answer; at weight 30 a reading."""

TOLD_MAX: Final = 10_000
"""Decisions and trades that are recognised when they are told again."""


class Venue(Protocol):
    """Where the transfers are."""

    async def transfers(self, since_ms: int) -> tuple[TransferRow, ...]:
        """Transfers from the venue's time ``since_ms`` on, oldest first. Raises ``VenueTrouble``."""
        ...


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
        unprotected: Callable[[], Iterable[Unprotected]] = tuple,
    ) -> None:
        self._account = account
        self._store = store
        self._venue = venue
        self._path = data_dir / "records" / f"{account}.json"
        self._owner = owner
        self._markets = markets
        self._now = now
        self._unprotected = unprotected
        self._memory: Memory | None = None
        self._lineage = Lineage()
        self._decisions: Recent[str, None] = Recent(TOLD_MAX)
        self._trades: Recent[tuple[str, int], None] = Recent(TOLD_MAX)
        self._early: deque[Mapping[str, Any]] = deque(maxlen=TOLD_MAX)
        self._waiting: Account | None = None
        self._gap = True
        self._gap_ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._saved_at = float("-inf")

    @property
    def record(self) -> AccountRecord | None:
        """The record as it is now, ``None`` before the first document."""
        return None if self._memory is None else memories.record_of(self._memory, self._unprotected())

    def heard(self, event: Event) -> None:
        """The private stream told an event, before the document that it changes is published."""
        if isinstance(event, AlgoEvent):
            self._lineage.learn(event)
        if self._memory is None:
            return
        match event:
            case OrderEvent(execution="TRADE") if (event.symbol, event.trade_id) not in self._trades:
                self._trades.put((event.symbol, event.trade_id), None)
                if bot := self._owner(self._lineage.name(event)):
                    self._keep(memories.with_fill(self._memory, event, bot))
            case AlgoEvent():
                if bot := self._owner(event.client_order_id):
                    self._keep(memories.with_conditional(self._memory, event, bot))
            case AccountEvent():
                self._keep(memories.with_account_event(self._memory, event, self._value))
            case _:
                pass

    def published(self, account: Account) -> None:
        """The account was published: its next document. One that is stale begins a gap."""
        if account.feed_stale:
            self._gap, self._waiting = True, None
        elif self._gap or self._memory is None:
            self._waiting = account
            self._gap_ended.set()
        else:
            self._keep(memories.with_document(self._memory, account, self._markets()))

    def hear(self, record: Mapping[str, Any]) -> None:
        """A record on its way to the archive; the same decision may be told again."""
        if record.get("kind") != "decision" or record.get("account") != self._account:
            return
        if self._memory is None:
            self._early.append(record)
            return
        decision_id = str(record.get("id"))
        if decision_id not in self._decisions:
            self._decisions.put(decision_id, None)
            self._keep(memories.with_decision(self._memory, record))

    async def run(self) -> None:
        """Take up what was remembered, then publish for ever. Trouble with store, disk or venue is waited out."""
        self._memory = await self._restored()
        while self._early:
            self.hear(self._early.popleft())
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._publish())
            loops.create_task(self._follow_transfers())

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
        if self.record is None or self._memory is None:
            return
        self._memory = replace(self._memory, version=self._memory.version + 1)
        record = memories.record_of(self._memory, self._unprotected())
        assert record is not None  # noqa: S101 - there was one a line ago
        saved = None
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._saved_at = time.monotonic()
            saved = dump(plain(self._memory))
            try:
                await asyncio.to_thread(_write, self._path, saved)
            except OSError as trouble:
                log.error("the record of %s cannot be saved: %s", self._account, trouble.strerror)
        await self._store.publish_record(record, saved)

    async def _restored(self) -> Memory:
        """The newer of what the store and the file have; a new memory when neither has any."""
        while True:
            try:
                version, stored = await self._store.record_memory(self._account)
                break
            except STORE_TROUBLE as trouble:
                log.warning("waiting for the store: %s", type(trouble).__name__)
                await asyncio.sleep(PUBLISH_PAUSE_S)
        filed = await asyncio.to_thread(_read, self._path)
        found = [memory for raw in (stored, filed) if raw is not None and (memory := self._built(raw)) is not None]
        newest = max(found, key=lambda memory: memory.version, default=memories.empty(self._account, self._now()))
        # It is saved less often than it is published: no version is ever given to two records.
        return replace(newest, version=max(newest.version, version))

    def _built(self, raw: bytes) -> Memory | None:
        try:
            return build(load(raw), Memory)
        except (msgspec.DecodeError, msgspec.ValidationError) as trouble:
            log.error("what was remembered of %s cannot be read: %s", self._account, type(trouble).__name__)
            return None

    async def _follow_transfers(self) -> None:
        """Read the list after every gap, before the first document behind it counts, and now and then."""
        while True:
            pause = 0.0
            try:
                if self._waiting is not None or not self._gap:
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
                    await self._gap_ended.wait()
            self._gap_ended.clear()

    async def _read_transfers(self) -> None:
        """Count every row there is. Raises ``VenueTrouble``."""
        assert self._memory is not None  # noqa: S101 - run() starts this loop with a memory
        rows = await self._venue.transfers(self._memory.transfers.since_ms)
        self._keep(memories.with_transfers(self._memory, rows, self._value))
        if len(rows) >= FUNDINGS_MAX:
            raise VenueUnavailable("more transfers than one answer has")  # The next reading goes on where it ended.

    def _close_gap(self) -> None:
        """Everything up to the newest document is told."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._gap = False
            self.published(waiting)

    def _keep(self, memory: Memory) -> None:
        if memory is not self._memory:
            self._memory = memory
            self._changed.set()

    def _value(self, asset: str, amount: Decimal) -> Decimal:
        """An amount in quote currency; what nobody can value is said and not counted."""
        if asset in QUOTE_ASSETS:
            return amount
        market = self._markets().get(f"{asset}USDT")
        if market is None:
            log.warning("a transfer of %s %s of %s is not counted: no price", amount, asset, self._account)
            return Decimal(0)
        return amount * market.mark_price


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as trouble:
        log.error("%s cannot be read: %s", path.name, trouble.strerror)
        return None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    replace_file(path, content)
