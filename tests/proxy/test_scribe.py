"""Records on their way to the archive are heard some at a time: whoever has to be quick waits for few of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.audit.entry import ReadRecord
from proxy.scribe import HEARD_AT_ONCE, Scribe


class Stream:
    """So many records, and one in their midst that is none."""

    def __init__(self, count: int) -> None:
        self.records = [(f"{n}-0", b'{"n":%d}' % n) for n in range(count)]
        self.records[count // 2] = (f"{count // 2}-0", b"no JSON")

    async def read_audit(self, *, block_ms: int) -> list[tuple[str, bytes]]:
        return self.records


async def test_a_full_batch_is_heard_in_order_with_turns_for_others_between() -> None:
    stream: Any = Stream(500)
    nobody: Any = None
    scribe = Scribe(
        data_dir=nobody,
        place=nobody,
        desk="desk",
        store=stream,
        signer=nobody,
        anchors=nobody,
        verification=nobody,
        now=nobody,
    )
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
