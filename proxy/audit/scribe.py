"""Keeps the archive: drains the store's stream, merges the gates' journals, writes the guard's own events.

What the archive learns, others may want to know at once: they are told of every batch before it is archived.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.audit.archive import Archive
from proxy.audit.checkpoint import Sealed, Signer, TrustedKeys
from proxy.audit.drain import StreamSource, drain, fully_merged, merge_spool
from proxy.audit.entry import RawRecord, ReadRecord
from proxy.audit.journal import is_sought, is_written, journal_bytes, journal_files
from proxy.audit.outside import OutsideAnchors
from proxy.audit.place import ArchivePlace, ArchiveTampered, ArchiveUnavailable
from proxy.audit.recording import new_decision_id
from proxy.audit.told import load_told
from proxy.audit.verification import Verification
from proxy.store.audit_stream import DRAIN_BATCH_MAX, AuditStream
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import load, plain
from proxy.store.hold_script import AUDIT_LENGTH_MAX

log = logging.getLogger("perpguard.audit")

BEGIN: Final = "0-0"
"""Before the first record of the store's stream."""

BLOCK_MS: Final = 1_000
GATHER_S: Final = 0.1
HEARD_AT_ONCE: Final = 32
"""Records heard in one turn of the loop, some ten milliseconds: a kill does not wait until five hundred are heard."""

TOLD_MAX: Final = AUDIT_LENGTH_MAX
"""Records remembered as heard, which are not archived yet: as many as gates may write before they refuse entries."""

HEAR_ON_EVERY_S: Final = 0.25
"""How long an append may take before what comes meanwhile is heard without it."""

HEAR_AHEAD_AFTER_S: Final = 1.0
"""How long one full batch may follow another before what comes behind them is heard without them: what is heard so is
decoded once more when it is archived (``load_told`` leaves the most of it out)."""

SPARED_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Up to so much of journals, those stay that are looked into still: a disk must not fill for it."""

MERGE_EVERY_S: Final = 2.0
OPEN_EVERY_S: Final = 1.0

Reader = Callable[[Sequence[Mapping[str, Any]]], Awaitable[None]]
"""Hears the records on their way to the archive, some at a time, in their order, each once."""


class Scribe:
    """One desk's archive and everything that flows into it."""

    def __init__(
        self,
        *,
        data_dir: Path,
        place: ArchivePlace,
        desk: str,
        store: AuditStream,
        signer: Signer,
        keys: TrustedKeys,
        anchors: OutsideAnchors,
        verification: Verification,
        now: Callable[[], datetime],
    ) -> None:
        self._data_dir = data_dir
        self._place = place
        self._desk = desk
        self._store = store
        self._signer = signer
        self._keys = keys
        self._now = now
        self._archive: Archive | None = None
        self._telling = asyncio.Lock()
        self._told: dict[str, None] = {}
        self.anchors = anchors
        self.verification = verification
        self.trouble = ""
        """Why records do not reach the archive, empty while they do."""
        self.told: Callable[[str, str, Mapping[str, Any]], None] = lambda what, by, detail: None
        """Hears every event of the guard's own before it is written, wherever the store is. Must neither raise nor
        wait."""
        self.searched_from: Callable[[], datetime] = lambda: datetime.max.replace(tzinfo=UTC)
        """From when on journals are looked into for what the store may have lost: none goes that was written since."""
        self.begun_anew: Callable[[], Awaitable[None]] = _nobody
        """Asked to tell again what decisions name by version, where another archive was opened in place of the one
        there was. May raise what the store client raises; then it is asked again."""
        self._tells_again = False
        self._appending_since: float | None = None
        self._behind_since: float | None = None
        self.heard = float("-inf")
        """The moment, of the steady clock, up to which everything that was in the store's stream has been told."""

    @property
    def place(self) -> ArchivePlace:
        """Where the archive is."""
        return self._place

    @property
    def anchor(self) -> Sealed | None:
        """The newest signed checkpoint, ``None`` before the archive is open."""
        return None if self._archive is None else self._archive.anchor

    @property
    def opened(self) -> bool:
        """Whether the archive has opened since the start. Before that nothing is published, so entries are refused."""
        return self._archive is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever drained: the first start of a data directory."""
        return self._archive is None or self._archive.last_stream_id() == BEGIN

    async def open(self) -> None:
        """Wait until the archive opens: another warden may hold it, or it needs a person."""
        loop = asyncio.get_running_loop()

        def first_sealed(detail: Mapping[str, Any]) -> None:
            # It is in the archive already, and did not come by the stream: nobody else would hear of it.
            loop.call_soon_threadsafe(self.told, "audit.sealed", "warden", detail)

        opening = partial(Archive.open, self._place, self._signer, keys=self._keys, first_sealed=first_sealed)
        while True:
            try:
                self._archive = await asyncio.to_thread(opening)
                self.trouble = ""
                return
            except (ArchiveUnavailable, ArchiveTampered) as trouble:
                self._say(trouble)
                await asyncio.sleep(OPEN_EVERY_S)

    def close(self) -> None:
        """Give the archive back."""
        if self._archive is not None:
            self._archive.close()

    async def drain(self, reader: Reader) -> None:
        """For ever: from the stream to the archive, past ``reader``."""
        source = StreamSource(
            read=lambda _: self._read(reader),
            trim=self._trim,
            batch_max=DRAIN_BATCH_MAX,
            gather_s=GATHER_S,
        )
        while True:
            try:
                if self._tells_again:
                    await self.begun_anew()
                    self._tells_again = False
                await drain(source, self._opened)
                self.trouble = ""
            except STORE_TROUBLE as trouble:
                log.warning("the audit stream cannot be read: %s", type(trouble).__name__)
                await asyncio.sleep(0.5)
            except ArchiveUnavailable as trouble:
                self._say(trouble)
                await asyncio.sleep(1.0)
            except ArchiveTampered as trouble:
                # What a person does about it (another copy, a new archive) is seen by whoever opens it, lock and all.
                self._say(trouble)
                before = self._archive_id
                await self._give_back()
                await asyncio.sleep(OPEN_EVERY_S)
                await self.open()
                self._tells_again = self._tells_again or self._archive_id != before

    async def hear_on(self, reader: Reader) -> None:
        """For ever: what comes while records do not reach the archive, or not soon, is heard all the same: also while
        it works off what has gathered, which may take longer than whoever hears can wait.

        It goes on behind what it heard last only while that one stands in the stream: another server may have lost it,
        and number lower what gates tell it since.
        """
        after = BEGIN
        while True:
            if not (self.trouble or self._is_long_behind() or self._appends_slowly()):
                after = BEGIN
            elif len(self._told) < TOLD_MAX:
                try:
                    async with self._telling:
                        began = time.monotonic()
                        came = await self._store.read_audit(block_ms=1, after=after)
                        await self._tell(came, reader, load_told)
                        if goes_on := after == BEGIN or await self._store.stands(after):
                            self._heard_all(came, began)
                    after = (came[-1][0] if came else after) if goes_on else BEGIN
                    if goes_on and len(came) == DRAIN_BATCH_MAX:
                        continue  # Else that was all: what comes next is heard together, a little later.
                except STORE_TROUBLE as trouble:
                    log.warning("the audit stream cannot be read: %s", type(trouble).__name__)
            await asyncio.sleep(HEAR_ON_EVERY_S)

    async def merge_journals(self) -> None:
        """For ever: what gates could not tell the store is in their journals; files that are merged whole go. Little
        by little while there is more in the stream than one batch: that fills up, a disk does not so soon."""
        while True:
            files = journal_files(self._data_dir)
            spares = journal_bytes(files) <= SPARED_BYTES_MAX
            try:
                for path in files:
                    await self._merge(path, files, spares=spares)
            except (ArchiveUnavailable, ArchiveTampered) as trouble:
                log.error("the gates' journals cannot be merged: %s", trouble)
            await asyncio.sleep(MERGE_EVERY_S)

    async def _merge(self, path: Path, files: Sequence[Path], *, spares: bool) -> None:
        """One journal, whose trouble is its own. Raises ``ArchiveUnavailable`` and ``ArchiveTampered``."""
        try:
            await asyncio.to_thread(merge_spool, self._opened, [path], self._is_behind)
            keep = is_written(path, files) or (spares and is_sought(path, self.searched_from()))
            if not keep and await asyncio.to_thread(fully_merged, self._opened, path):
                await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as trouble:
            log.error("the journal %s cannot be merged: %s", path.name, trouble)

    async def keep_anchors(self) -> None:
        """For ever: the newest checkpoint is kept outside too, where the settings say so."""
        await self.anchors.run(lambda: self.anchor, self.event)

    async def event(self, what: str, by: str, detail: dict[str, Any]) -> None:
        """Write down something a person or the guard did. A kill calls this: it never raises for trouble outside."""
        await self.write_event(what, by, detail)

    async def write_event(self, what: str, by: str, detail: dict[str, Any], *, heard: bool = False) -> bool:
        """The same, for whoever keeps what was not written: whether the store or the archive has it now. ``heard``: it
        was told before and not written, so it is written alone."""
        if not heard:
            self.told(what, by, detail)
        record = {
            "kind": "event",
            "id": new_decision_id(),
            "at": plain(self._now()),
            "desk": self._desk,
            "what": what,
            "by": by,
            "detail": detail,
        }
        try:
            async with asyncio.timeout(1.0):
                await self._store.record([record])
        except STORE_TROUBLE:
            return await self._write_directly(record)
        return True

    async def document(self, name: str, version: str, content: Any) -> None:
        """Write down a state that decisions name by version. Raises what the store client raises."""
        await self._store.record(
            [
                {
                    "kind": "document",
                    "id": f"{name}@{version}",
                    "at": plain(self._now()),
                    "desk": self._desk,
                    "name": name,
                    "version": version,
                    "content": content,
                }
            ]
        )

    async def _read(self, reader: Reader) -> list[tuple[str, RawRecord]]:
        """The next batch, decoded once for everybody."""
        began = time.monotonic()
        came = await self._store.read_audit(block_ms=BLOCK_MS)
        async with self._telling:
            batch = await self._tell(came, reader, load)
        self._heard_all(came, began)
        if len(came) < DRAIN_BATCH_MAX:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = time.monotonic()
        self._appending_since = time.monotonic() if came else None
        return batch

    def _heard_all(self, came: Sequence[tuple[str, str]], began: float) -> None:
        """A batch was told that was asked for when it ``began``: one that is not full was all there was."""
        if len(came) < DRAIN_BATCH_MAX:
            self.heard = max(self.heard, began)

    def _is_behind(self) -> bool:
        """Whether more waits in the stream than one batch."""
        return self._behind_since is not None

    def _is_long_behind(self) -> bool:
        """Whether it has been so for so long that others cannot wait for what comes behind it."""
        since = self._behind_since
        return since is not None and time.monotonic() - since > HEAR_AHEAD_AFTER_S

    def _appends_slowly(self) -> bool:
        """Whether the archive has had a batch for so long that others cannot wait for the next."""
        since = self._appending_since
        return since is not None and time.monotonic() - since > HEAR_ON_EVERY_S

    async def _tell(
        self, came: Sequence[tuple[str, str]], reader: Reader, read: Callable[[str], Any]
    ) -> list[tuple[str, RawRecord]]:
        """Tell what was not told yet, and ``read`` all. A record that is no JSON object goes to the archive all the
        same; nobody learns from it."""
        batch: list[tuple[str, RawRecord]] = []
        for begin in range(0, len(came), HEARD_AT_ONCE):
            part, records = came[begin : begin + HEARD_AT_ONCE], []
            for stream_id, text in part:
                try:
                    content = read(text)
                except msgspec.DecodeError:
                    batch.append((stream_id, text))
                    continue
                batch.append((stream_id, ReadRecord(text, content)))
                if isinstance(content, dict) and stream_id not in self._told:
                    records.append(content)
            await reader(records)
            self._told |= dict.fromkeys(stream_id for stream_id, _ in part)
            await asyncio.sleep(0)
        return batch

    async def _trim(self, through: str) -> None:
        """The archive has it: nobody tells again what is in the stream no more."""
        self.trouble = ""
        self._appending_since = None
        async with self._telling:
            await self._store.trim_audit(through)
            end = _order(through)
            # Found in one pass: a dict looks for its first key past all that were deleted before it.
            for stream_id in list(takewhile(lambda each: _order(each) <= end, self._told)):
                del self._told[stream_id]

    def _say(self, trouble: ArchiveUnavailable | ArchiveTampered) -> None:
        self.trouble = str(trouble)
        if not self.opened:
            log.error("the archive does not open, so entries are refused: %s", trouble)
        # The stream keeps the records; when it is full, gates refuse entries (law 4).
        elif isinstance(trouble, ArchiveTampered):
            log.error("the archive is not the one it was, so nothing is appended: %s", trouble)
        else:
            log.error("the archive cannot be written: %s", trouble)

    async def _give_back(self) -> None:
        """Close the archive and its lock. Until another is open, what is written to it is refused as to one that is
        closed."""
        with suppress(ArchiveUnavailable):  # Its last checkpoint could not be kept; whoever opens it is told why.
            await asyncio.to_thread(self._opened.close)

    async def _write_directly(self, record: dict[str, Any]) -> bool:
        if self._archive is None:
            log.error("the event %s is not in the audit: neither store nor archive is there", record["what"])
            return False
        try:
            await asyncio.to_thread(self._archive.append_from, "warden", record["id"], [record])
        except (ArchiveUnavailable, ArchiveTampered) as trouble:
            log.error("the event %s is not in the audit: %s", record["what"], trouble)
            return False
        return True

    @property
    def _archive_id(self) -> str:
        return self.anchor.checkpoint.archive if self.anchor is not None else ""

    @property
    def _opened(self) -> Archive:
        assert self._archive is not None, "open() comes first"  # noqa: S101 - an order of calls, not a check
        return self._archive


async def _nobody() -> None:
    """Until somebody can tell it."""


def _order(stream_id: str) -> tuple[int, int]:
    """Where an id of the store's stream stands among others."""
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence)
