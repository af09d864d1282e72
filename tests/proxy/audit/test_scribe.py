"""Records on their way to the archive are heard some at a time: whoever has to be quick waits for few of them. Whoever
keeps what was not written is told whether it was."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from proxy.alerts.events_table import EVENTS
from proxy.audit import scribe as scribe_module
from proxy.audit.archive import Archive
from proxy.audit.checkpoint import Checkpoint
from proxy.audit.documents import ArchiveSource
from proxy.audit.drain import fully_merged
from proxy.audit.entry import ReadRecord
from proxy.audit.place import ArchivePlace, ArchiveUnavailable, archive_place
from proxy.audit.reader import ArchiveReader
from proxy.audit.replay import replay
from proxy.audit.schema import RECORDS
from proxy.audit.scribe import HEARD_AT_ONCE, Reader, Scribe
from proxy.audit.writing import Writing
from proxy.policy.reading import parse_policy
from proxy.settings import Settings
from proxy.store.codec import dump
from proxy.store.warden_store import WardenStore
from proxy.warden.pieces.ground import lay_ground
from rules.engine import decide_batch
from tests.proxy.audit.conftest import SIGNER, TRUSTED, Desk
from tests.proxy.audit.forging import made_up, with_a_key_of_their_own
from tests.proxy.audit.tampering import Victim, pretend_older
from tests.support.certificates import a_keeper, a_vault
from tests.support.scribes import a_scribe
from tests.support.waiting import until

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AN_EVENT = {"kind": "event", "at": "2026-11-24T09:30:00Z", "desk": "desk", "what": "x", "by": "ann", "detail": {}}
A_CHECKPOINT = Checkpoint(archive="a", seq=0, at="2026-11-24T09:00:00Z", heads={}, kept=0, last="")


class Stream:
    """So many records, and one in their midst that is none."""

    def __init__(self, count: int) -> None:
        self.records = [(f"{n}-0", b'{"n":%d}' % n) for n in range(count)]
        self.records[count // 2] = (f"{count // 2}-0", b"no JSON")

    async def read_audit(self, *, block_ms: int) -> list[tuple[str, bytes]]:
        return self.records


class Store:
    """Takes records, or is away."""

    def __init__(self, *, away: bool) -> None:
        self._away = away

    async def record(self, records: Sequence[Mapping[str, Any]]) -> None:
        if self._away:
            raise ConnectionError("store away")


async def test_it_is_said_whether_an_event_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert await a_scribe(Store(away=False)).write_event("start", "warden", {})
    scribe = a_scribe(Store(away=True))
    assert not await scribe.write_event("start", "warden", {}), "neither is there"
    with Archive.open(archive_place(tmp_path), SIGNER, keys=TRUSTED) as archive:
        scribe._archive = archive
        assert await scribe.write_event("start", "warden", {})

        def refuse(*_: object) -> int:
            raise ArchiveUnavailable("the database does not answer")

        monkeypatch.setattr(archive, "append_from", refuse)
        assert not await scribe.write_event("start", "warden", {})
        await scribe.event("start", "warden", {})
    assert caplog.text.count("the event start is not in the audit") == 3


async def test_what_people_have_heard_is_written_and_not_told_again() -> None:
    scribe = a_scribe(Store(away=False))
    told: list[str] = []
    scribe.told = lambda what, by, detail: told.append(what)
    assert await scribe.write_event("first", "warden", {}) and await scribe.write_event("again", "w", {}, heard=True)
    assert told == ["first"]


async def test_a_full_batch_is_heard_in_order_with_turns_for_others_between() -> None:
    stream: Any = Stream(500)
    scribe = a_scribe(stream)
    heard: list[list[int]] = []
    turns = 0

    async def hear(records: Sequence[Mapping[str, Any]]) -> None:
        heard.append([record["n"] for record in records])

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    batch = await scribe._read(hear)
    other.cancel()
    assert [number for part in heard for number in part] == [n for n in range(500) if n != 250]
    assert max(map(len, heard)) <= HEARD_AT_ONCE
    assert turns >= 500 // HEARD_AT_ONCE
    assert [stream_id for stream_id, _ in batch] == [stream_id for stream_id, _ in stream.records]
    assert [place for place, (_, record) in enumerate(batch) if not isinstance(record, ReadRecord)] == [250]


def a_warden_s(data_dir: Path) -> Scribe:
    """A scribe as the warden puts it together, with the vault as it is now."""
    settings = Settings(data_dir=data_dir, store_url="unix:///nowhere", audit_anchor=data_dir / "elsewhere.anchor")
    return lay_ground(settings, a_vault(data_dir), lambda: NOW).scribe


async def test_an_archive_is_believed_that_any_key_of_the_vault_signed_and_no_other(tmp_path: Path) -> None:
    begun = a_warden_s(tmp_path)
    await begun.open()
    assert await begun._write_directly(AN_EVENT | {"id": "1"})
    begun.close()
    waiting = a_warden_s(tmp_path)
    a_vault(tmp_path).rotate_signing_key(NOW)  # In another process.
    other = a_warden_s(tmp_path)
    await other.open()
    assert await other._write_directly(AN_EVENT | {"id": "2"})
    other.close()
    async with asyncio.timeout(20):
        await waiting.open()
    assert waiting.anchor is not None
    waiting.close()

    place = archive_place(tmp_path)
    place.anchor.write_bytes(with_a_key_of_their_own(waiting.anchor.checkpoint).content + b"\n")
    forged = a_warden_s(tmp_path)
    opening = asyncio.create_task(forged.open())
    async with asyncio.timeout(20):
        while not forged.trouble:
            await asyncio.sleep(0.01)
    opening.cancel()
    assert forged.trouble.startswith("the anchor is signed by the key ")
    assert "which is not among those given: somebody else wrote it, or the vault is another" in forged.trouble


class HeldStream:
    """What gates wrote and nobody has trimmed yet."""

    def __init__(self) -> None:
        self.held: list[tuple[str, str]] = []
        self.last = 0

    def add(self, number: int) -> None:
        self.held.append((f"{number}-0", dump(AN_EVENT | {"id": str(number)}).decode()))

    async def record(self, records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            self.last += 1
            self.held.append((f"{self.last}-0", dump(record).decode()))

    async def read_audit(self, *, block_ms: int) -> list[tuple[str, str]]:
        await asyncio.sleep(0.01)
        return list(self.held)

    async def trim_audit(self, through: str) -> None:
        self.held = [each for each in self.held if int(each[0][:-2]) > int(through[:-2])]


def put(copy: Path, place: ArchivePlace) -> None:
    """Put a copy of the database in place of the one there is."""
    for left in place.directory.glob("audit.db*"):
        left.unlink()
    for each in copy.glob("audit.db*"):
        shutil.copy(each, place.directory)


def fail_over_to(copy: Path, place: ArchivePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next write loses its connection, and an older copy of the database comes back."""
    write = Writing.write

    def fail_over(*_: object) -> None:
        monkeypatch.setattr(Writing, "write", write)
        put(copy, place)
        raise OSError("the server closed the connection")

    monkeypatch.setattr(Writing, "write", fail_over)


async def hear(records: Sequence[Mapping[str, Any]]) -> None:
    """Nobody listens."""


def archived(data_dir: Path) -> set[str]:
    with ArchiveReader.open(archive_place(data_dir)) as reader:
        return {identity for (identity,) in reader.rows(select(RECORDS.c.id))}


@pytest.mark.parametrize("mend", ["the right copy", "a new archive"])
async def test_an_archive_that_became_another_is_opened_anew_once_a_person_has_mended_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mend: str
) -> None:
    monkeypatch.setattr(scribe_module, "OPEN_EVERY_S", 0.05)
    scribe, stream = a_warden_s(tmp_path), HeldStream()
    scribe._store = cast(WardenStore, stream)
    place = archive_place(tmp_path)
    await scribe.open()
    asked: list[int] = []

    async def begun_anew() -> None:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionError("store away")

    scribe.begun_anew = begun_anew
    draining = asyncio.create_task(scribe.drain(hear))
    for number in (1, 2):
        stream.add(number)
        await until(lambda: not stream.held)
        shutil.copytree(place.directory, tmp_path / f"as-of-{number}")

    fail_over_to(tmp_path / "as-of-1", place, monkeypatch)
    stream.add(3)
    said = "the archive is not the one it was, so nothing is appended: the anchor saw record 2, the archive ends at 1"
    await until(lambda: caplog.text.count(said) > 1)
    assert scribe.trouble.startswith("the anchor saw record 2") and scribe.opened
    assert [number for number, _ in stream.held] == ["3-0"], "nothing is trimmed before it is archived"
    assert not await scribe._write_directly(AN_EVENT | {"id": "4"})
    if mend == "a new archive":
        place.directory.rename(tmp_path / "evidence")
    else:
        put(tmp_path / "as-of-2", place)
    await until(lambda: not stream.held)
    await until(lambda: not scribe.trouble)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    scribe.close()
    assert archived(tmp_path) == ({"3"} if mend == "a new archive" else {"1", "2", "3"})
    assert len(asked) == (2 if mend == "a new archive" else 0), "once, and again after the store's trouble"


async def test_a_new_archive_can_be_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scribe_module, "OPEN_EVERY_S", 0.05)
    scribe, stream, desk = a_warden_s(tmp_path), HeldStream(), Desk()
    scribe._store = cast(WardenStore, stream)
    place = archive_place(tmp_path)
    await scribe.open()

    async def tell() -> None:
        """What a warden and its store tell once: policy, instruments and the account."""
        for document in desk.documents():
            await scribe.document(document["name"], document["version"], document["content"])

    scribe.begun_anew = tell
    draining = asyncio.create_task(scribe.drain(hear))
    await stream.record([desk.event("e-0")])
    await until(lambda: not stream.held)
    shutil.copytree(place.directory, tmp_path / "early")
    await tell()
    await stream.record([desk.decision(1)])
    await until(lambda: not stream.held)
    fail_over_to(tmp_path / "early", place, monkeypatch)
    await stream.record([desk.decision(2)])
    await until(lambda: "the anchor saw" in scribe.trouble)
    place.directory.rename(tmp_path / "evidence")
    await until(lambda: not stream.held and not scribe.trouble)
    await stream.record([desk.decision(number) for number in range(3, 9)])
    await until(lambda: not stream.held)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    scribe.close()
    with ArchiveReader.open(place) as archive, archive.standing_still():
        report = replay(ArchiveSource(archive), decide_batch, parse_policy)
    assert (report.agreed, report.decisions, report.missing) == (7, 7, 0)


async def test_that_an_archive_had_no_seal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr("proxy.audit.writing.SEALED_LAYOUT", 1)
        older = a_warden_s(tmp_path)
        await older.open()
        assert await older._write_directly(AN_EVENT | {"id": "1"})
        older.close()
    Victim(archive_place(tmp_path), lambda: None).tamper_by(pretend_older)
    told: list[tuple[str, Mapping[str, Any]]] = []
    for _ in range(2):
        scribe = a_warden_s(tmp_path)
        scribe.told = lambda what, by, detail: told.append((what, detail))
        await scribe.open()
        await asyncio.sleep(0)
        scribe.close()
    assert told == [("audit.sealed", {"records": 1, "signed": 1, "unsigned": 0})]
    assert "audit.sealed" in EVENTS


async def test_the_anchor_outside_is_held_against_the_archive(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.anchor").write_bytes(made_up(A_CHECKPOINT).content + b"\n")
    scribe = a_warden_s(tmp_path)
    await scribe.open()
    told: list[str] = []
    scribe.told = lambda what, by, detail: told.append(what)
    keeping = asyncio.create_task(scribe.keep_anchors())
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    scribe.close()
    assert told == ["audit.anchor_contradicts"]


def test_the_keys_of_before_are_known_while_the_vault_cannot_be_read(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    old = keeper.publish_key()
    a_vault(tmp_path).rotate_signing_key(NOW)
    assert len(keeper.trusted_keys_now()) == 2
    (tmp_path / "vault" / "vault.json").write_bytes(b"no vault")
    assert old.key_id in {key.key_id for key in keeper.trusted_keys_now()}


class FullStream:
    """More records than are read at once, some of which come later."""

    def __init__(self, count: int) -> None:
        self.held = [(f"{n + 1}-0", dump({"n": n}).decode()) for n in range(count)]

    def add(self, count: int) -> None:
        have = int(self.held[-1][0][:-2])
        self.held += [(f"{n + 1}-0", dump({"n": n}).decode()) for n in range(have, have + count)]

    async def read_audit(self, *, block_ms: int, after: str = "0-0") -> list[tuple[str, str]]:
        await asyncio.sleep(0)
        return [each for each in self.held if int(each[0][:-2]) > int(after[:-2])][:10]

    async def stands(self, stream_id: str) -> bool:
        return stream_id in dict(self.held)

    async def trim_audit(self, through: str) -> None:
        self.held = [each for each in self.held if int(each[0][:-2]) > int(through[:-2])]


class FullDisk:
    """An archive that takes nothing until there is room."""

    def __init__(self) -> None:
        self.room = False
        self.kept: list[str] = []

    def last_stream_id(self) -> str:
        return "0-0"

    def append(self, batch: Sequence[tuple[str, Any]]) -> None:
        if not self.room:
            raise ArchiveUnavailable("no space left on device")
        self.kept += [stream_id for stream_id, _ in batch]


async def test_what_comes_while_the_archive_takes_nothing_is_heard_once_and_archived_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scribe_module, "TOLD_MAX", 60)
    monkeypatch.setattr(scribe_module, "HEAR_ON_EVERY_S", 0.01)
    stream, disk = FullStream(35), FullDisk()
    scribe = a_scribe(stream)
    heard: list[int] = []

    async def hear(records: Sequence[Mapping[str, Any]]) -> None:
        await asyncio.sleep(0)
        heard.extend(record["n"] for record in records)

    async with drained(scribe, disk, hear):
        await until(lambda: len(heard) == 35)
        stream.add(15)
        await until(lambda: len(heard) == 50)
        stream.add(30)
        await until(lambda: len(heard) == 60)
        await asyncio.sleep(0.1)
        assert heard == list(range(60)), "as many are remembered, and no more are heard"
        assert disk.kept == []
        disk.room = True
        await until(lambda: not stream.held)
        assert disk.kept == [f"{n + 1}-0" for n in range(80)]
        await until(lambda: len(heard) == 80)
        await asyncio.sleep(0.1)
        assert heard == list(range(80))
        assert not scribe._told


@asynccontextmanager
async def drained(scribe: Scribe, disk: FullDisk, hear: Reader) -> AsyncIterator[None]:
    """The scribe at work on this archive."""
    scribe._archive = cast(Archive, disk)
    loops = [asyncio.create_task(loop) for loop in (scribe.drain(hear), scribe.hear_on(hear))]
    yield
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


class SlowDisk(FullDisk):
    """An archive that takes every batch, the first one only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.room = True
        self.go_on = threading.Event()

    def append(self, batch: Sequence[tuple[str, Any]]) -> None:
        assert self.go_on.wait(20)
        super().append(batch)


async def test_what_comes_while_the_archive_is_slow_is_heard_and_it_is_known_how_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scribe_module, "HEAR_ON_EVERY_S", 0.01)
    monkeypatch.setattr(scribe_module, "DRAIN_BATCH_MAX", 10)
    stream, disk = FullStream(35), SlowDisk()
    scribe = a_scribe(stream)
    heard: list[int] = []

    async def hear(records: Sequence[Mapping[str, Any]]) -> None:
        await asyncio.sleep(0)
        if len(heard) < 30:
            assert scribe.heard == float("-inf"), "a full batch may not be all there was"
        heard.extend(record["n"] for record in records)

    async with drained(scribe, disk, hear):
        await until(lambda: len(heard) == 35)
        added = time.monotonic()
        stream.add(3)
        await until(lambda: scribe.heard > added)
        assert heard == list(range(38))
        assert disk.kept == []
        disk.go_on.set()
        await until(lambda: not stream.held)
        assert disk.kept == [f"{n + 1}-0" for n in range(38)]
        assert heard == list(range(38))


class BusyDisk(FullDisk):
    """An archive that takes every batch, none of them slowly."""

    def append(self, batch: Sequence[tuple[str, Any]]) -> None:
        time.sleep(0.02)
        self.kept += [stream_id for stream_id, _ in batch]


async def test_what_comes_while_the_archive_catches_up_is_heard_long_before_it_is_archived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scribe_module, "DRAIN_BATCH_MAX", 10)
    stream, disk = FullStream(1_000), BusyDisk()
    scribe = a_scribe(stream)
    heard: list[int] = []

    async def hear(records: Sequence[Mapping[str, Any]]) -> None:
        heard.extend(record["n"] for record in records)

    async with drained(scribe, disk, hear):
        await until(lambda: len(heard) == 1_000)
        assert len(disk.kept) < 800
        added = time.monotonic()
        stream.add(1)
        await until(lambda: scribe.heard > added)
        assert len(disk.kept) < 900
        await until(lambda: not stream.held)
        assert heard == list(range(1_001)), "each once, in their order"
        assert disk.kept == [f"{n + 1}-0" for n in range(1_001)]


async def test_the_trouble_is_over_with_the_first_batch_that_is_taken_although_more_always_waits() -> None:
    stream, disk = FullStream(3), FullDisk()
    trim = stream.trim_audit

    async def trim_and_go_on(through: str) -> None:
        stream.add(10)
        await trim(through)

    setattr(stream, "trim_audit", trim_and_go_on)  # noqa: B010 - it takes a method's place
    scribe = a_scribe(stream)
    scribe._archive = cast(Archive, disk)
    draining = asyncio.create_task(scribe.drain(hear))
    await until(lambda: bool(scribe.trouble))
    disk.room = True
    await until(lambda: len(disk.kept) > 3)
    assert scribe.trouble == "" and stream.held, "it has not caught up"
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


async def test_after_a_failover_to_a_store_whose_clock_lags_nothing_passes_for_heard_that_was_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The new one lost what was heard last, and numbers lower what gates write to it."""
    monkeypatch.setattr(scribe_module, "HEAR_ON_EVERY_S", 0.01)
    stream, disk = FullStream(3), FullDisk()
    stream.held = [(f"{n}-0", dump({"n": n}).decode()) for n in (20, 21, 22)]
    scribe = a_scribe(stream)
    heard: list[int] = []

    async def hear(records: Sequence[Mapping[str, Any]]) -> None:
        heard.extend(record["n"] for record in records)

    async with drained(scribe, disk, hear):
        await until(lambda: bool(scribe.trouble) and len(heard) == 3)
        await asyncio.sleep(0.1)
        stream.held = [("10-0", dump({"n": 10}).decode())]
        written = time.monotonic()
        await until(lambda: scribe.heard > written)
        assert heard == [20, 21, 22, 10]


def a_dead_gates(data_dir: Path, name: str, identity: str) -> Path:
    """A journal of this name, with one record. No process has a number above four million."""
    path = data_dir / "journal" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(dump(AN_EVENT | {"id": identity}) + b"\n")
    return path


@asynccontextmanager
async def merging(scribe: Scribe) -> AsyncIterator[None]:
    """The scribe at work on the journals."""
    await scribe.open()
    loop = asyncio.create_task(scribe.merge_journals())
    yield
    assert not loop.done(), loop
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    scribe.close()


async def test_a_journal_that_cannot_be_read_and_a_persons_copy_of_one_keep_no_other_from_being_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scribe_module, "MERGE_EVERY_S", 0.01)
    scribe = a_warden_s(tmp_path)
    merged = a_dead_gates(tmp_path, "gate-4194306-1-a.jsonl", "1")
    copy = a_dead_gates(tmp_path, "gate-old-1-a.jsonl", "2")
    (tmp_path / "journal" / "gate-4194305-1-a.jsonl").mkdir()
    async with merging(scribe):
        await until(lambda: not merged.exists())
        await until(lambda: fully_merged(scribe._opened, copy))
        await asyncio.sleep(0.1)
    assert copy.exists() and archived(tmp_path) == {"1", "2"}
    assert "the journal gate-4194305-1-a.jsonl cannot be merged" in caplog.text


async def test_a_journal_goes_when_it_is_looked_into_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scribe_module, "MERGE_EVERY_S", 0.01)
    scribe, path = a_warden_s(tmp_path), a_dead_gates(tmp_path, "gate-4194305-1-a.jsonl", "1")
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)  # Rounded: up, it would be after the file's own time.
    searched_from = [written - timedelta(seconds=1)]
    scribe.searched_from = lambda: searched_from[0]
    async with merging(scribe):
        await until(lambda: fully_merged(scribe._opened, path))
        await asyncio.sleep(0.1)
        assert path.exists()
        searched_from[0] = written + timedelta(seconds=1)
        await until(lambda: not path.exists())
    assert archived(tmp_path) == {"1"}
