"""The control plane: one process that watches the venue, keeps the store true, remembers all and holds the button.

Each loop below has one job and a bound; the loops share nothing but the pieces they are given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from redis.exceptions import RedisError

from proxy.accounts.keeper import REPLY_TIMEOUT_S, AccountKeeper
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.venue_account import VenueAccount
from proxy.audit.archive import Archive, ArchiveTampered
from proxy.audit.commands import archive_path
from proxy.audit.drain import StreamSource, drain, fully_merged, merge_spool
from proxy.audit.reader import ArchiveUnavailable
from proxy.console.app import create_console
from proxy.control import Control
from proxy.control_token import control_token
from proxy.gate.journal import is_written, journal_files
from proxy.gate.recording import new_decision_id
from proxy.kill.desk import KillDesk
from proxy.kill.hands import VenueHands
from proxy.settings import Settings
from proxy.signals.watch import AnomalyWatch
from proxy.store.codec import load, plain
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from proxy.vault.errors import VaultError
from proxy.vault.keys import ExchangeKey, KeyState
from proxy.vault.vault import Vault
from rules.policy import Policy

log = logging.getLogger("perpguard.warden")

AUDIT_BLOCK_MS: Final = 1_000
SPOOL_EVERY_S: Final = 2.0
KEYS_EVERY_S: Final = 0.25
DECAY_EVERY_S: Final = 5.0
ARCHIVE_EVERY_S: Final = 1.0
STORE_EVERY_S: Final = 0.5
_STORE_TROUBLE: Final = (RedisError, OSError, TimeoutError)


class AccountsChanged(Exception):
    """The vault holds other accounts than this process was built for; it ends, and is started anew with them."""


class Warden:
    """Everything the warden process runs. Use as an async context manager, then ``run``."""

    def __init__(self, settings: Settings, policy: Policy, vault: Vault, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._policy = policy
        self._vault = vault
        self._now = now
        self._stack = AsyncExitStack()
        self._store = WardenStore(settings.store, settings.desk)
        self._watch = AnomalyWatch(self._store)
        self._keepers: dict[str, AccountKeeper] = {}
        self._markets: dict[str, MarketKeeper] = {}
        self._archive: Archive | None = None
        self.console: FastAPI

    async def __aenter__(self) -> Warden:
        """Take the hands in hand, and take up any kill a crash left unfinished, before all else."""
        settings = self._settings
        self._stack.push_async_callback(self._store.aclose)
        kill_hands: dict[str, VenueHands] = {}
        for key in self._vault.accounts():
            feed, venue_hands = self._hands(key), self._hands(key)
            self._stack.push_async_callback(feed.aclose)
            self._stack.push_async_callback(venue_hands.aclose)
            kill_hands[key.account] = VenueHands(venue_hands)
            self._keepers[key.account] = self._keeper(feed)
            self._markets.setdefault(key.venue, self._market_keeper(key.venue, feed))
        self._kill = KillDesk(
            data_dir=settings.data_dir,
            hands=kill_hands,
            store=self._store,
            record=self._record,
            changed=self._book_moved,
        )
        await self._kill.resume()
        control = Control(
            settings=settings,
            policy=self._policy,
            vault=self._vault,
            store=self._store,
            keepers=self._keepers,
            markets=self._markets,
            watch=self._watch,
            kill=self._kill,
            now=self._now,
        )
        self.console = create_console(
            control,
            token=control_token(settings),
            people=settings.control_people,
            hosts=settings.console_hosts,
            https=settings.control_https,
            now=self._now,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything, the archive last."""
        await self._stack.aclose()

    async def run(self) -> None:
        """Run every loop until cancelled. A bug in one ends them all, and the supervisor starts the process anew.

        The kill's truths are kept equal from the first moment. Nothing is published before the archive is open, so an
        audit that cannot be written stops entries, by age, and nothing else. A second warden on the same data
        directory waits here until the first is gone.
        """
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._kill.mirror())
            loops.create_task(self._mirror_keys())
            archive = await self._until_archive_opens()
            await self._until_store_answers(archive)
            for keeper in self._keepers.values():
                loops.create_task(keeper.run())
            for market in self._markets.values():
                loops.create_task(market.run())
            loops.create_task(self._drain(archive))
            loops.create_task(self._merge_journals(archive))
            loops.create_task(self._watch_store())
            loops.create_task(self._decay())

    async def _until_archive_opens(self) -> Archive:
        while True:
            try:
                archive = await asyncio.to_thread(Archive.open, archive_path(self._settings.data_dir))
            except (ArchiveUnavailable, ArchiveTampered) as trouble:
                log.error("the archive does not open, so entries are refused: %s", trouble)
                await asyncio.sleep(ARCHIVE_EVERY_S)
                continue
            self._stack.callback(archive.close)
            self._archive = archive
            return archive

    async def _until_store_answers(self, archive: Archive) -> None:
        """The first state: an epoch of ours, the policy in the audit. The console and the kill are up before this.

        A store without an epoch beside an archive with records has lost something: requests of before may still be
        under way, and nothing is published until they must be over.
        """
        while True:
            try:
                if not await self._store.has_epoch() and archive.last_stream_id() != "0-0":
                    log.warning("the store was restarted; entries are refused for another %s s", REPLY_TIMEOUT_S)
                    await asyncio.sleep(REPLY_TIMEOUT_S)
                await self._store.begin_epoch()
                await self._watch.load()
                await self._store.record([self._policy_document()])
                await self._record("start", "warden", {"policy": self._policy.version})
                return
            except _STORE_TROUBLE as trouble:
                log.warning("waiting for the store: %s", type(trouble).__name__)
                await asyncio.sleep(0.5)

    async def _drain(self, archive: Archive) -> None:
        """From the stream to the archive, learning on the way what changed and how bots behave."""
        source = StreamSource(read=self._read_audit, trim=self._store.trim_audit)
        while True:
            try:
                await drain(source, archive)
            except _STORE_TROUBLE as trouble:
                log.warning("the audit stream cannot be read: %s", type(trouble).__name__)
                await asyncio.sleep(0.5)
            except ArchiveUnavailable as trouble:
                # The stream keeps the records; when it is full, gates refuse entries (law 4).
                log.error("the archive cannot be written: %s", trouble)
                await asyncio.sleep(1.0)

    async def _read_audit(self, _: str) -> list[tuple[str, str]]:
        """The next batch for the archive. One that cannot be read goes there all the same; nobody learns from it."""
        batch = await self._store.read_audit(block_ms=AUDIT_BLOCK_MS)
        records = []
        for _, text in batch:
            with contextlib.suppress(msgspec.DecodeError):
                records.append(load(text))
        self._notice(records)
        await self._watch.see(records)
        return batch

    def _notice(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Survey at once the symbols of every request that may have changed the venue."""
        for record in records:
            keeper = self._keepers.get(str(record.get("account")))
            if keeper is None:
                continue
            if record.get("kind") == "decision":
                for command in record["commands"]:
                    if isinstance(symbol := command.get("symbol"), str):
                        keeper.expect(record["id"], symbol)
            elif record.get("kind") == "outcome":
                keeper.happened(record["id"], changed=record["result"] in ("ACCEPTED", "UNKNOWN"))

    async def _merge_journals(self, archive: Archive) -> None:
        """What gates could not tell the store is in their journals; the archive takes what it does not have."""
        while True:
            files = journal_files(self._settings.data_dir)
            try:
                await asyncio.to_thread(merge_spool, archive, files)
                for path in files:
                    if not is_written(path, files) and await asyncio.to_thread(fully_merged, archive, path):
                        path.unlink(missing_ok=True)
            except (ArchiveUnavailable, OSError) as trouble:
                log.error("the gates' journals cannot be merged: %s", trouble)
            await asyncio.sleep(SPOOL_EVERY_S)

    async def _mirror_keys(self) -> None:
        """A key switched off in the vault is off in the store, for gates that do not see this machine's files."""
        known: dict[str, bool] = {}
        while True:
            try:
                self._vault.reload_if_changed()
                if {key.account for key in self._vault.accounts()} != set(self._keepers):
                    raise AccountsChanged
                for key in self._vault.guard_keys():
                    disabled = key.state is not KeyState.ACTIVE
                    if known.get(key.key) != disabled:
                        await self._store.set_key_disabled(key.key, disabled=disabled)
                        known[key.key] = disabled
            except VaultError as trouble:
                log.error("the vault cannot be read again: %s", trouble)
            except _STORE_TROUBLE as trouble:
                log.warning("key states cannot be written to the store: %s", type(trouble).__name__)
                known.clear()
            await asyncio.sleep(KEYS_EVERY_S)

    async def _watch_store(self) -> None:
        """A store that was restarted, or replaced by a failover, may have lost its last second, holds included."""
        known = ""
        while True:
            try:
                run_id = await self._store.run_id()
                if known and run_id != known:
                    log.warning("the store is another process than before; accounts are surveyed anew")
                    await self._store.distrust(list(self._keepers))
                    for keeper in self._keepers.values():
                        keeper.survey_soon()
                known = run_id
            except _STORE_TROUBLE as trouble:
                log.warning("the store does not answer: %s", type(trouble).__name__)
            await asyncio.sleep(STORE_EVERY_S)

    async def _decay(self) -> None:
        """Scores fall with time even when nobody sends anything."""
        while True:
            await asyncio.sleep(DECAY_EVERY_S)
            try:
                await self._watch.decay(time.time())
            except _STORE_TROUBLE as trouble:
                log.warning("scores cannot be written to the store: %s", type(trouble).__name__)

    def _book_moved(self, scope: Scope) -> None:
        for name, keeper in self._keepers.items():
            if scope.covers(name):
                keeper.survey_soon()

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        """An event for the audit. The kill calls this: it must not fail because the store does."""
        record = {
            "kind": "event",
            "id": new_decision_id(),
            "at": plain(self._now()),
            "desk": self._settings.desk,
            "what": what,
            "by": by,
            "detail": detail,
        }
        try:
            await self._store.record([record])
        except _STORE_TROUBLE:
            await self._record_directly(what, record)

    async def _record_directly(self, what: str, record: dict[str, Any]) -> None:
        if self._archive is None:
            log.error("the event %s could not be written to the audit: neither store nor archive is there", what)
            return
        try:
            await asyncio.to_thread(self._archive.append_from, "warden", record["id"], [record])
        except ArchiveUnavailable as trouble:
            log.error("the event %s could not be written to the audit: %s", what, trouble)

    def _policy_document(self) -> dict[str, Any]:
        return {
            "kind": "document",
            "id": f"policy:{self._policy.version}",
            "at": plain(self._now()),
            "desk": self._settings.desk,
            "name": f"policy:{self._policy.version}",
            "version": self._policy.version,
            "content": {"text": self._settings.policy.read_text(encoding="utf-8")},
        }

    def _hands(self, key: ExchangeKey) -> VenueAccount:
        return VenueAccount(
            name=key.account,
            venue=key.venue,
            api_key=key.api_key,
            secret=key.api_secret,
            base_url=self._settings.venue_urls[key.venue],
        )

    def _keeper(self, hands: VenueAccount) -> AccountKeeper:
        return AccountKeeper(
            desk=self._settings.desk,
            hands=hands,
            store=self._store,
            now=self._now,
            survey_every_s=self._settings.survey_every_s,
        )

    def _market_keeper(self, venue: str, hands: VenueAccount) -> MarketKeeper:
        return MarketKeeper(
            desk=self._settings.desk,
            venue=venue,
            hands=hands,
            store=self._store,
            now=self._now,
            every_s=self._settings.markets_every_s,
        )
