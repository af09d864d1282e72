import json
import sqlite3
import threading

import pytest

from proxy.audit.anchor import anchor_path, read_anchor
from proxy.audit.archive import Archive, ArchiveBusy, ArchiveTampered
from proxy.audit.chain import CHECKPOINT_EVERY
from proxy.audit.query import counts, decision
from proxy.audit.reader import ArchiveReader, ArchiveUnavailable
from proxy.audit.verify import verify


@pytest.fixture
def archive(tmp_path):
    with Archive.open(tmp_path / "audit" / "audit.db") as archive:
        yield archive


def kinds(archive):
    with ArchiveReader.open(archive._reader.path) as reader:
        return counts(reader)


def test_a_second_arrival_is_dropped(archive, desk):
    batch = [("1-1", desk.intent(1)), ("1-2", desk.decision(1)), ("1-3", desk.outcome(1))]
    assert archive.append(batch) == 3
    assert archive.append([*batch, ("1-4", desk.outcome(1))]) == 3
    assert archive.last_stream_id() == "1-4"


def test_a_second_arrival_as_text_is_the_same_record(archive, desk):
    archive.append([("1-1", desk.decision(1))])
    assert archive.append_from("journal:x", "9", [json.dumps(desk.decision(1), indent=1).encode()]) == 1


def test_a_different_second_arrival_is_kept_as_a_conflict_once(archive, desk):
    archive.append([("1-1", desk.outcome(1))])
    other = desk.outcome(1, result="REJECTED", venue_code=-2019)
    archive.append([("1-2", other), ("1-3", other), ("1-4", desk.outcome(1))])
    assert kinds(archive) == {"conflict": 1, "outcome": 1}
    with ArchiveReader.open(archive._reader.path) as reader:
        assert decision(reader, "d-1").outcome["result"] == "ACCEPTED"
        assert [each["record"] for each in decision(reader, "d-1").others] == [other]


def test_a_document_published_again_later_is_the_same_document(archive, desk):
    archive.append([("1-1", desk.document("account:main", "1", {"a": 1}))])
    again = desk.document("account:main", "1", {"a": 1}) | {"at": "2026-11-25T00:00:00Z", "id": "other"}
    assert archive.append([("1-2", again)]) == 1


@pytest.mark.parametrize(
    "raw",
    [
        {"kind": "gossip", "id": "x"},
        {"kind": "outcome", "id": "x", "at": "yesterday", "desk": "d", "result": "ACCEPTED"},
        {"kind": "outcome", "id": "x", "at": "2026-11-24T09:00:00", "desk": "d", "result": "ACCEPTED"},
        {"kind": "conflict", "id": "x", "at": "2026-11-24T09:00:00Z", "desk": "d", "of": "intent", "record": {}},
        {"kind": "event", "id": "x", "what": "\ud800"},
        {"kind": "event", "id": "\ud800", "number": 1 << 80},
        '{"kind":"deci',
        b"\xff\xfe\x00",
        "\ud800",
        "",
        "[" * 5000,
        "17",
    ],
)
def test_what_is_no_record_is_kept_with_its_text_once(archive, raw):
    archive.append([("1-1", raw), ("1-2", raw)])
    assert kinds(archive) == {"unreadable": 1}
    assert verify(archive._reader.path).ok


def test_commands_without_decisions_are_no_record(archive, desk):
    archive.append([("1-1", desk.decision(1) | {"decisions": []})])
    assert kinds(archive) == {"unreadable": 1}


def test_has_knows_kind_and_identity(archive, desk):
    archive.append([("1-1", desk.intent(1)), ("1-2", desk.document("account:main", "1", {}))])
    assert archive.has("intent", "d-1")
    assert archive.has("document", "account:main@1")
    assert not archive.has("decision", "d-1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET body = x'00' WHERE seq = 1",
        "DELETE FROM records WHERE seq = 1",
        "INSERT OR REPLACE INTO records SELECT * FROM records WHERE seq = 1",
        "UPDATE judgements SET verdict = 'ALLOW'",
        "DELETE FROM judgements",
        "DELETE FROM checkpoints",
        "UPDATE archive SET id = 'x'",
    ],
)
def test_the_tables_refuse_change(database, statement):
    connection = sqlite3.connect(database)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_one_writer_at_a_time(archive):
    with pytest.raises(ArchiveBusy):
        Archive.open(archive._reader.path)


def test_a_reader_cannot_write_and_sees_what_the_writer_commits(archive, desk):
    with ArchiveReader.open(archive._reader.path) as reader:
        archive.append([("1-1", desk.event("e-1"))])
        assert reader.has("event", "e-1")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.connection.execute("INSERT INTO progress VALUES ('a', 'b')")


def test_verify_agrees_while_the_writer_is_at_work(archive, desk):
    stop = threading.Event()
    appended = 0

    def write():
        nonlocal appended
        while not stop.is_set():
            archive.append([(f"1-{appended}", desk.event(f"e-{appended}"))])
            appended += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(verify(archive._reader.path).ok for _ in range(30))
    finally:
        stop.set()
        writer.join()
    assert appended > 0


def test_the_anchor_stands_at_the_head_after_every_append(archive, desk):
    for number in range(1, 4):
        archive.append([(f"1-{number}", desk.event(f"e-{number}"))])
        assert read_anchor(anchor_path(archive._reader.path)).seq == number


def test_checkpoints_are_written_as_due_and_on_close(tmp_path, desk):
    path = tmp_path / "audit.db"
    desk.write(path, [desk.event(f"e-{number}") for number in range(CHECKPOINT_EVERY + 5)], batch_size=400)
    with ArchiveReader.open(path) as reader:
        rows = reader.connection.execute("SELECT seq FROM checkpoints").fetchall()
    assert rows == [(CHECKPOINT_EVERY,), (CHECKPOINT_EVERY + 5,)]
    assert verify(path).ok


def test_a_disk_that_refuses_is_named_and_the_batch_may_be_given_again(archive, desk, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("proxy.audit.archive.write_anchor", refuse)
        with pytest.raises(ArchiveUnavailable, match="No space left"):
            archive.append([("1-1", desk.event("e-1"))])
    assert archive.append([("1-1", desk.event("e-1"))]) == 1
    assert verify(archive._reader.path).ok


def test_a_crash_between_commit_and_anchor_is_healed_on_open(tmp_path, desk):
    path = tmp_path / "audit.db"
    desk.write(path, [desk.event("e-1")])
    behind = anchor_path(path).read_bytes()
    desk.write(path, [desk.event("e-1"), desk.event("e-2")])
    anchor_path(path).write_bytes(behind)
    assert verify(path).ok
    Archive.open(path).close()
    assert read_anchor(anchor_path(path)).seq == 2


@pytest.mark.parametrize("lost", ["audit.db", "audit.anchor"])
def test_nothing_is_appended_when_half_of_the_archive_is_gone(database, lost):
    (database.parent / lost).unlink()
    with pytest.raises(ArchiveTampered):
        Archive.open(database)


def test_nothing_is_appended_to_a_damaged_anchor(database):
    anchor_path(database).write_text("{}")
    with pytest.raises(ArchiveTampered):
        Archive.open(database)


def test_files_are_private(database):
    assert {path.stat().st_mode & 0o077 for path in database.parent.iterdir()} == {0}


def test_a_file_that_is_no_archive_is_named(tmp_path):
    path = tmp_path / "audit.db"
    path.write_text("this is not a database, whatever it is called " * 50)
    with pytest.raises(ArchiveUnavailable):
        Archive.open(path)
    with pytest.raises(ArchiveUnavailable):
        ArchiveReader.open(path)
    assert not verify(path).ok


def test_closing_twice_is_harmless(tmp_path):
    archive = Archive.open(tmp_path / "audit.db")
    archive.close()
    archive.close()
