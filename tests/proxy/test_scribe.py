"""Records on their way to the archive are heard some at a time: whoever has to be quick waits for few of them. Whoever
keeps what was not written is told whether it was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.archive import Archive
from proxy.audit.entry import ReadRecord
from proxy.audit.place import ArchiveUnavailable, archive_place
from proxy.scribe import HEARD_AT_ONCE, Scribe
from tests.proxy.audit.conftest import SIGNER

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


class Stream:
    """So many records, and one in their midst that is none."""

    def __init__(self, count: int) -> None:
        self.records = [(f"{n}-0", b'{"n":%d}' % n) for n in range(count)]
        self.records[count // 2] = (f"{count // 2}-0", b"no JSON")

    async def read_audit(self, *, block_ms: int) -> list[tuple[str, bytes]]:
        return self.records


def a_scribe(store: Any) -> Scribe:
    """A scribe whose archive is not open."""
    nobody: Any = None
    return Scribe(
        data_dir=nobody,
        place=nobody,
        desk="desk",
        store=store,
        signer=nobody,
        anchors=nobody,
        verification=nobody,
        now=lambda: NOW,
    )


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
    with Archive.open(archive_place(tmp_path), SIGNER) as archive:
        scribe._archive = archive
        assert await scribe.write_event("start", "warden", {})

        def refuse(*_: object) -> int:
            raise ArchiveUnavailable("the database does not answer")

        monkeypatch.setattr(archive, "append_from", refuse)
        assert not await scribe.write_event("start", "warden", {})
        await scribe.event("start", "warden", {})
    assert caplog.text.count("the event start is not in the audit") == 3


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
