import json
from dataclasses import replace

import pytest

from proxy.audit import drain as module
from proxy.audit.drain import StreamSource, drain, merge_spool
from proxy.audit.query import counts
from proxy.audit.reader import ArchiveReader
from proxy.audit.verify import verify


class Stream:
    """The store's stream as the warden sees it: three records a read, ids that sort by their number."""

    def __init__(self, records):
        self.kept = [(f"{number}-0", record) for number, record in enumerate(records, start=1)]
        self.source = StreamSource(read=self.read, trim=self.trim)
        self.breaks_at_trim = False

    async def read(self, after):
        return [(stream_id, record) for stream_id, record in self.kept if number(stream_id) > number(after)][:3]

    async def trim(self, through):
        if self.breaks_at_trim:
            raise ConnectionError
        self.kept = [each for each in self.kept if number(each[0]) > number(through)]


def number(stream_id):
    return int(stream_id.split("-")[0])


def kinds(archive):
    with ArchiveReader.open(archive.place) as reader:
        return counts(reader)


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


async def test_the_stream_ends_up_in_the_archive_and_is_trimmed(archive, desk):
    stream = Stream([desk.event(f"e-{n}") for n in range(10)])
    assert await drain(stream.source, archive) == 10
    assert (stream.kept, archive.last_stream_id()) == ([], "10-0")


async def test_a_round_is_bounded(archive, desk):
    stream = Stream([desk.event(f"e-{n}") for n in range(10)])
    assert await drain(stream.source, archive, rounds_max=2) == 6


async def test_what_comes_while_it_gathers_is_archived_together(archive, desk, monkeypatch):
    stream, batches, waits = Stream([desk.event("e-1")]), [], []

    async def more_comes(seconds):
        waits.append(seconds)
        if len(waits) == 1:
            stream.kept += [("2-0", desk.event("e-2")), ("3-0", desk.event("e-3"))]

    append = archive.append
    monkeypatch.setattr(archive, "append", lambda batch: batches.append(len(batch)) or append(batch))
    monkeypatch.setattr(module.asyncio, "sleep", more_comes)
    assert await drain(replace(stream.source, batch_max=3, gather_s=0.1), archive) == 3
    assert (batches, waits) == ([1, 2], [0.1, 0.1])


async def test_a_full_batch_does_not_wait_for_the_next(archive, desk, monkeypatch):
    stream, waits = Stream([desk.event(f"e-{n}") for n in range(7)]), []

    async def wait(seconds):
        waits.append(len(stream.kept))

    monkeypatch.setattr(module.asyncio, "sleep", wait)
    await drain(replace(stream.source, batch_max=3, gather_s=0.1), archive)
    assert waits == [0]  # Once, after the last record: two batches were full.


async def test_trouble_between_archiving_and_trimming_loses_and_doubles_nothing(archive, desk):
    stream = Stream([desk.event(f"e-{n}") for n in range(5)])
    stream.breaks_at_trim = True
    with pytest.raises(ConnectionError):
        await drain(stream.source, archive)
    stream.breaks_at_trim = False
    await drain(stream.source, archive)
    assert (stream.kept, kinds(archive)) == ([], {"event": 5})


def test_a_journal_adds_only_what_the_archive_has_not(archive, desk, tmp_path):
    journal = tmp_path / "gate.jsonl"
    archive.append([("1-1", desk.decision(1))])
    journal.write_bytes(lines(desk.decision(1), desk.outcome(1)))
    assert merge_spool(archive, [journal]) == 2
    assert kinds(archive) == {"decision": 1, "outcome": 1}


def test_a_torn_last_line_waits_for_its_end(archive, desk, tmp_path):
    journal = tmp_path / "gate.jsonl"
    whole = lines(desk.event("e-1"), desk.event("e-2"))
    for cut in range(len(whole) + 1):
        journal.write_bytes(whole[:cut])
        merge_spool(archive, [journal])
    assert kinds(archive) == {"event": 2}
    assert merge_spool(archive, [journal]) == 0


def test_a_damaged_line_in_the_middle_is_kept_and_passed(archive, desk, tmp_path):
    journal = tmp_path / "gate.jsonl"
    journal.write_bytes(lines(desk.event("e-1")) + b'{"torn\xff\n\n' + lines(desk.event("e-2")))
    merge_spool(archive, [journal])
    assert kinds(archive) == {"event": 2, "unreadable": 1}


def test_a_new_journal_under_an_old_name_is_read_from_its_start(archive, desk, tmp_path):
    journal = tmp_path / "gate.jsonl"
    for first in (0, 100):
        journal.write_bytes(lines(*(desk.event(f"e-{first + n}") for n in range(3))))
        merge_spool(archive, [journal])
    assert kinds(archive) == {"event": 6}


def test_a_journal_that_went_away_is_passed_over(archive, tmp_path):
    assert merge_spool(archive, [tmp_path / "gone.jsonl"]) == 0


def test_a_long_journal_is_read_in_bounded_batches(archive, desk, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LINES_PER_APPEND", 10)
    monkeypatch.setattr(module, "LINE_BYTES_MAX", 400)
    journal = tmp_path / "gate.jsonl"
    journal.write_bytes(lines(*(desk.event(f"e-{n}") for n in range(25))) + b"x" * 900 + b"\n" + lines(desk.event("f")))
    merge_spool(archive, [journal])
    assert kinds(archive) == {"event": 26, "unreadable": 2}  # Two equal pieces are one, the third is shorter.
    assert merge_spool(archive, [journal]) == 0
    assert verify(archive.place).ok


def test_a_journal_waits_with_all_but_its_next_lines_while_the_stream_is_in_a_hurry(
    archive, desk, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_LINES_PER_APPEND", 2)
    journal = tmp_path / "gate.jsonl"
    journal.write_bytes(lines(*(desk.event(f"e-{n}") for n in range(5))))
    assert merge_spool(archive, [journal], lambda: True) == 2
    assert merge_spool(archive, [journal], lambda: True) == 2
    assert merge_spool(archive, [journal]) == 1
    assert kinds(archive) == {"event": 5}


def test_what_came_by_the_stream_is_passed_over_in_a_hurry_too_and_in_one_go(archive, desk, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LINES_PER_APPEND", 2)
    texts = [json.dumps(desk.event(f"e-{n}")) for n in range(9)]
    archive.append([(f"{n + 1}-0", text) for n, text in enumerate(texts[:6])])
    journal = tmp_path / "gate.jsonl"
    journal.write_text("".join(text + "\n" for text in texts[:6]))
    appended = []
    append_from = archive.append_from
    monkeypatch.setattr(archive, "append_from", lambda *told: appended.append(len(told[2])) or append_from(*told))
    assert merge_spool(archive, [journal], lambda: True) == 6
    assert appended == [0], "one transaction, for how far it was read"
    journal.write_text("".join(text + "\n" for text in texts))
    assert merge_spool(archive, [journal], lambda: True) == 2, "and waits with all but the next that are new"
    assert merge_spool(archive, [journal]) == 1
    assert kinds(archive) == {"event": 9}
