import json
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from proxy.audit import archive as module
from proxy.audit.anchor import read_anchor
from proxy.audit.archive import Archive
from proxy.audit.checkpoint import unseal
from proxy.audit.engine import connect_writer
from proxy.audit.entry import ReadRecord, admit
from proxy.audit.layout import revision
from proxy.audit.locking import ArchiveBusy
from proxy.audit.place import ArchiveTampered, ArchiveUnavailable
from proxy.audit.query import counts, decision, events
from proxy.audit.reader import ArchiveReader
from proxy.audit.schema import ARCHIVE, CHECKPOINTS, JUDGEMENTS, PROGRESS, RECORDS, SEAL
from proxy.audit.upgrading import upgrade_archive
from proxy.audit.verify import verify
from proxy.audit.writing import CHECKPOINT_RECORDS_MAX
from proxy.signatures.signing import trusted_key
from proxy.vault.errors import SigningKeyRetired
from proxy.vault.signing_keys import new_signing_key
from tests.proxy.audit.conftest import KEY, KEYS, SIGNER, TRUSTED
from tests.proxy.audit.forging import add_records, made_up, put_seal, rewrite, statement_of, with_a_key_of_their_own
from tests.proxy.audit.tampering import Victim, pretend_older


def kinds(archive):
    with ArchiveReader.open(archive.place) as reader:
        return counts(reader)


def test_a_second_arrival_is_dropped(archive, desk):
    batch = [("1-1", desk.intent(1)), ("1-2", desk.decision(1)), ("1-3", desk.outcome(1))]
    assert archive.append(batch) == 3
    assert archive.append([*batch, ("1-4", desk.outcome(1))]) == 3
    assert archive.last_stream_id() == "1-4"


def test_a_second_arrival_as_text_is_the_same_record(archive, desk):
    archive.append([("1-1", desk.decision(1))])
    assert archive.append_from("journal:x", "9", [json.dumps(desk.decision(1), indent=1).encode()]) == 1


def test_what_came_by_the_stream_is_not_looked_at_again_in_a_journal(archive, desk, monkeypatch):
    told, other = (json.dumps(desk.outcome(1, **changes)) for changes in ({}, {"result": "REJECTED"}))
    archive.append([("1-1", ReadRecord(told, json.loads(told)))])
    admitted = []
    monkeypatch.setattr(module, "admit", lambda raw, now: admitted.append(raw) or admit(raw, now))
    archive.append_from("journal:x", "9", [told.encode(), other.encode()])
    assert admitted == [other.encode()]
    assert (archive.position("journal:x"), kinds(archive)) == ("9", {"outcome": 1, "conflict": 1})
    archive.append_from("journal:x", "18", [other.encode()])
    assert (archive.position("journal:x"), kinds(archive)) == ("18", {"outcome": 1, "conflict": 1})


def test_what_could_not_be_written_is_looked_at_again(archive, desk, monkeypatch):
    told = json.dumps(desk.outcome(1))
    with monkeypatch.context() as patch:
        patch.setattr("proxy.audit.writing.link", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            archive.append([("1-1", told)])
    archive.append([("1-1", told)])
    assert kinds(archive) == {"outcome": 1}


def test_a_record_read_already_is_archived_as_its_text_is(archive, desk):
    for number, told in enumerate((json.dumps(desk.outcome(1)), '{"no": "record" }')):
        archive.append([(f"1-{number}", ReadRecord(told, json.loads(told)))])
        archive.append([(f"2-{number}", f" {told}")])
    assert kinds(archive) == {"outcome": 1, "unreadable": 2}  # What cannot be read is told by its text alone.
    with ArchiveReader.open(archive.place) as reader:
        bodies = [row[0] for row in reader.rows(select(RECORDS.c.body).where(RECORDS.c.kind == "unreadable"))]
    assert sorted(json.loads(body)["raw"] for body in bodies) == [' {"no": "record" }', '{"no": "record" }']


@pytest.mark.parametrize(
    "snapshot", [5, "none", [], {"account": "\ud800"}], ids=["number", "text", "list", "no text in it"]
)
def test_a_decision_on_what_is_no_snapshot_is_kept_as_unreadable(archive, desk, snapshot):
    archive.append([("1-1", desk.decision(1) | {"snapshot": snapshot})])
    assert kinds(archive) == {"unreadable": 1}


def test_a_different_second_arrival_is_kept_as_a_conflict_once(archive, desk):
    archive.append([("1-1", desk.outcome(1))])
    other = desk.outcome(1, result="REJECTED", venue_code=-2019)
    archive.append([("1-2", other), ("1-3", other), ("1-4", desk.outcome(1))])
    assert kinds(archive) == {"conflict": 1, "outcome": 1}
    with ArchiveReader.open(archive.place) as reader:
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
    assert verify(archive.place, keys=KEYS).ok


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
        "UPDATE records SET body = hash WHERE seq = 1",
        "DELETE FROM records WHERE seq = 1",
        "UPDATE judgements SET verdict = 'ALLOW'",
        "DELETE FROM judgements",
        "DELETE FROM checkpoints",
        "UPDATE archive SET id = 'x'",
        "INSERT INTO records SELECT seq + 7, chain, place + 99, kind, identity || 'x', id, at_us, bot, account, hash,"
        " body FROM records WHERE seq = 24",
        "INSERT INTO checkpoints SELECT number + 7, seq, content FROM checkpoints",
    ],
)
def test_the_tables_refuse_change(day, statement):
    with connect_writer(day) as connection, pytest.raises(IntegrityError, match="append-only"):
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("table", ["records", "judgements", "checkpoints"])
def test_sqlite_replaces_no_row(database, table):
    connection = sqlite3.connect(database)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE seq >= 1 LIMIT 1")
    connection.close()


@pytest.mark.full
@pytest.mark.parametrize("table", ["archive", "records", "judgements", "checkpoints"])
def test_postgresql_empties_no_table(postgresql_place, desk, table):
    desk.write(postgresql_place, desk.day())
    with connect_writer(postgresql_place) as connection, pytest.raises(IntegrityError, match="append-only"):
        connection.exec_driver_sql(f"TRUNCATE {table}")


def test_one_writer_at_a_time(archive):
    with pytest.raises(ArchiveBusy):
        Archive.open(archive.place, SIGNER, keys=TRUSTED)


@pytest.mark.full
def test_one_writer_of_a_database_whatever_the_machine(postgresql_place, tmp_path):
    with Archive.open(postgresql_place, SIGNER, keys=TRUSTED), pytest.raises(ArchiveBusy):
        Archive.open(replace(postgresql_place, directory=tmp_path), SIGNER, keys=TRUSTED)


def test_a_reader_cannot_write_and_sees_what_the_writer_commits(archive, desk):
    with ArchiveReader.open(archive.place) as reader:
        archive.append([("1-1", desk.event("e-1"))])
        assert reader.has("event", "e-1")
        with pytest.raises(DBAPIError, match=r"read-?only"):
            reader.connection.execute(insert(PROGRESS), {"source": "a", "position": "b"})


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
        assert all(verify(archive.place, keys=KEYS).ok for _ in range(30))
    finally:
        stop.set()
        writer.join()
    assert appended > 0


def test_the_anchor_stands_at_the_head_after_every_append(archive, desk):
    for number in range(1, 4):
        archive.append([(f"1-{number}", desk.event(f"e-{number}"))])
        assert read_anchor(archive.place.anchor).checkpoint.seq == number


def kept(place):
    with ArchiveReader.open(place) as reader:
        return [unseal(row.content) for row in reader.rows(select(CHECKPOINTS).order_by(CHECKPOINTS.c.number))]


def test_checkpoints_are_kept_as_due_and_on_close(place, desk):
    events = [desk.event(f"e-{number}") for number in range(CHECKPOINT_RECORDS_MAX + 5)]
    desk.write(place, events, batch_size=400)
    assert [each.checkpoint.seq for each in kept(place)] == [CHECKPOINT_RECORDS_MAX + 5]
    desk.write(place, [*events, *(desk.event(f"f-{number}") for number in range(1_400))], batch_size=400)
    assert [each.checkpoint.seq for each in kept(place)] == [1_005, 2_400, 2_405]
    assert verify(place, keys=KEYS).checkpoints == 3


def test_a_checkpoint_is_kept_once_a_minute_where_there_is_news(place, desk):
    clock = [desk.start]
    with Archive.open(place, SIGNER, now=lambda: clock[0], keys=TRUSTED) as archive:
        for number in range(6):
            archive.append([(f"1-{number}", desk.event(f"e-{number}"))])
            clock[0] += timedelta(seconds=25)
        assert [each.checkpoint.seq for each in kept(place)] == [4]


def test_every_account_has_a_chain_and_the_desk_has_one(place, desk):
    other = desk.intent(2) | {"account": "other"}
    desk.write(place, [desk.intent(1), other, desk.event("e-1"), desk.decision(1), desk.event("e-2")])
    report = verify(place, keys=KEYS)
    assert [(each.chain, each.records) for each in report.chains] == [("", 2), ("main", 2), ("other", 1)]
    assert (report.ok, report.signed_by, report.signatures) == (True, KEYS[0].key_id, True)


def test_names_that_a_database_could_stumble_over_are_names(place, desk):
    names = ["", "\0", "a\0b", "\u2400", "x" * 5_000, "x" * 5_001, "ä" * 513, "' OR 1=1 --", "DESK", "%", "🦊"]
    records = [
        desk.intent(number) | {"account": name, "bot": name, "id": f"i-{number}"} for number, name in enumerate(names)
    ]
    records += [desk.document(name, "1", {"n": name}) for name in names if 0 < len(name) <= 512]
    desk.write(place, records)
    report = verify(place, keys=KEYS)
    assert (report.ok, report.problem) == (True, "")
    assert report.counts == {"document": 7, "intent": len(names)}
    assert len(report.chains) == len(names)
    with ArchiveReader.open(place) as reader:
        assert reader.has("document", "a\0b@1")


def test_a_disk_that_refuses_is_named_and_the_batch_may_be_given_again(archive, desk, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("proxy.audit.archive.write_anchor", refuse)
        with pytest.raises(ArchiveUnavailable, match="No space left"):
            archive.append([("1-1", desk.event("e-1"))])
    assert archive.append([("1-1", desk.event("e-1"))]) == 1
    assert verify(archive.place, keys=KEYS).ok


def test_a_crash_between_commit_and_anchor_is_healed_on_open(place, desk):
    desk.write(place, [desk.event("e-1")])
    behind = place.anchor.read_bytes()
    desk.write(place, [desk.event("e-1"), desk.event("e-2")])
    place.anchor.write_bytes(behind)
    assert verify(place, keys=KEYS).ok
    Archive.open(place, SIGNER, keys=TRUSTED).close()
    assert read_anchor(place.anchor).checkpoint.seq == 2


@pytest.mark.parametrize("lost", ["audit.db", "audit.anchor"])
def test_nothing_is_appended_when_half_of_the_archive_is_gone(database, sqlite_place, lost):
    (database.parent / lost).unlink()
    with pytest.raises(ArchiveTampered):
        Archive.open(sqlite_place, SIGNER, keys=TRUSTED)


@pytest.mark.full
def test_nothing_is_appended_to_an_empty_database_beside_an_anchor(postgresql_place, postgresql, desk):
    desk.write(postgresql_place, desk.day())
    with pytest.raises(ArchiveTampered, match="gone"):
        Archive.open(replace(postgresql_place, url=postgresql.new_schema()), SIGNER, keys=TRUSTED)


def test_nothing_is_appended_to_a_damaged_anchor(place, desk):
    desk.write(place, [desk.event("e-1")])
    place.anchor.write_text("{}")
    with pytest.raises(ArchiveTampered):
        Archive.open(place, SIGNER, keys=TRUSTED)


@pytest.mark.full
def test_a_lost_connection_is_made_anew(postgresql_place, desk):
    with Archive.open(postgresql_place, SIGNER, keys=TRUSTED) as archive:
        archive.append([("1-1", desk.event("e-1"))])
        with connect_writer(postgresql_place) as other:
            other.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'perpguard audit writer' AND pid <> pg_backend_pid()"
            )
        with pytest.raises(ArchiveUnavailable):
            archive.append([("1-2", desk.event("e-2"))])
        assert archive.append([("1-2", desk.event("e-2"))]) == 2


def test_no_key_to_sign_with_is_named_and_the_batch_may_be_given_again(place, desk):
    keys = [KEY]

    def signer():
        if not keys:
            raise SigningKeyRetired("k")
        return keys[0]

    with Archive.open(place, signer, keys=TRUSTED) as archive:
        keys.clear()
        with pytest.raises(ArchiveUnavailable, match="no key to sign"):
            archive.append([("1-1", desk.event("e-1"))])
        keys.append(KEY)
        assert archive.append([("1-1", desk.event("e-1"))]) == 1


def test_files_are_private(database):
    assert {path.stat().st_mode & 0o077 for path in database.parent.iterdir()} == {0}


def test_a_file_that_is_no_archive_is_named(sqlite_place):
    sqlite_place.directory.mkdir()
    sqlite_place.database.write_text("this is not a database, whatever it is called " * 50)
    with pytest.raises(ArchiveUnavailable):
        Archive.open(sqlite_place, SIGNER, keys=TRUSTED)
    with pytest.raises(ArchiveUnavailable):
        ArchiveReader.open(sqlite_place)
    assert not verify(sqlite_place).ok


@pytest.mark.parametrize("version", ["", "0000", "9999"])
def test_an_archive_of_another_version_is_named_and_left_alone(database, sqlite_place, version):
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("DELETE FROM alembic_version")
    if version:
        connection.execute("INSERT INTO alembic_version VALUES (?)", (version,))
    connection.close()
    before = database.read_bytes()
    with pytest.raises(ArchiveUnavailable, match="laid out as"):
        Archive.open(sqlite_place, SIGNER, keys=TRUSTED)
    with pytest.raises(ArchiveUnavailable, match="laid out as"):
        ArchiveReader.open(sqlite_place)
    assert database.read_bytes() == before


def test_an_archive_from_before_revisions_is_named(sqlite_place):
    sqlite_place.directory.mkdir()
    connection = sqlite3.connect(sqlite_place.database)
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY)")
    connection.close()
    with pytest.raises(ArchiveUnavailable, match="no revision that is known"):
        Archive.open(sqlite_place, SIGNER, keys=TRUSTED)


def test_the_tables_have_the_columns_that_questions_name(day):
    with connect_writer(day) as connection:
        for table in (ARCHIVE, RECORDS, JUDGEMENTS, CHECKPOINTS, PROGRESS, SEAL):
            found = inspect(connection).get_columns(table.name)
            assert [each["name"] for each in found] == [each.name for each in table.c]


def test_closing_twice_is_harmless(place):
    archive = Archive.open(place, SIGNER, keys=TRUSTED)
    archive.close()
    archive.close()
    with pytest.raises(ArchiveUnavailable, match="closed"):
        archive.append([])


def forged(place, change, sign):
    """The history as ``change`` makes it, without a checkpoint, its seal and its anchor as ``sign`` signs."""

    def forge(connection):
        heads = rewrite(connection, change)
        sealed = sign(statement_of(connection, heads))
        put_seal(connection, sealed)
        place.anchor.write_bytes(sealed.content + b"\n")

    Victim(place, lambda: None).tamper_by(forge)


def another_presser(record):
    return record | {"by": "nobody-you-know"} if record["kind"] == "event" else record


def no_third_order(record):
    return None if record["id"] == "d-3" else record


@pytest.mark.parametrize("change", [another_presser, no_third_order, lambda record: record])
@pytest.mark.parametrize(
    ("sign", "why"), [(made_up, "signature does not fit"), (with_a_key_of_their_own, "not among those given")]
)
def test_a_history_that_the_guard_did_not_sign_is_not_gone_on_with(place, desk, change, sign, why):
    desk.write(place, desk.day())
    forged(place, change, sign)
    before = kept_and_anchored(place)
    with pytest.raises(ArchiveTampered, match=why):
        Archive.open(place, SIGNER, keys=TRUSTED)
    assert kept_and_anchored(place) == before
    assert not verify(place, keys=KEYS).ok


def kept_and_anchored(place):
    with ArchiveReader.open(place) as reader:
        return reader.head(), reader.last_checkpoint(), reader.seal(), place.anchor.read_bytes()


@pytest.mark.parametrize("sign", [made_up, with_a_key_of_their_own])
def test_nor_is_a_forged_checkpoint_beyond_a_genuine_anchor(place, desk, sign):
    desk.write_as_of_before(place, desk.day(), 20)

    def forge(connection):
        (content,) = connection.execute(text("SELECT content FROM checkpoints")).scalars()
        row = {"content": sign(unseal(bytes(content)).checkpoint).content}
        connection.execute(text("INSERT INTO checkpoints VALUES (2, 20, :content)"), row)

    Victim(place, lambda: None).tamper_by(forge)
    with pytest.raises(ArchiveTampered, match="the newest checkpoint"):
        Archive.open(place, SIGNER, keys=TRUSTED)


def test_a_cut_tail_with_a_made_up_anchor_is_not_gone_on_with(place, desk):
    desk.write(place, desk.day())

    def cut(connection):
        for table in ("records", "judgements", "checkpoints"):
            connection.execute(text(f"DELETE FROM {table} WHERE seq > 15"))

    Victim(place, lambda: None).tamper_by(cut)
    with ArchiveReader.open(place) as reader:
        head = reader.head()
    with connect_writer(place) as connection:
        sealed = made_up(statement_of(connection, head.heads))
    place.anchor.write_bytes(sealed.content + b"\n")
    with pytest.raises(ArchiveTampered):
        Archive.open(place, SIGNER, keys=TRUSTED)
    with connect_writer(place) as connection:
        put_seal(connection, sealed)
    with pytest.raises(ArchiveTampered, match="signature does not fit"):
        Archive.open(place, SIGNER, keys=TRUSTED)


@pytest.mark.parametrize("count", [1, 3])
def test_records_that_somebody_added_are_not_signed(place, desk, count):
    desk.write(place, desk.day())
    added = [desk.event(f"forged-{number}", "override.approved") for number in range(count)]
    Victim(place, lambda: None).tamper_by(lambda connection: add_records(connection, *added))
    with pytest.raises(ArchiveTampered, match=f"no signature covers the records 25 to {24 + count}"):
        Archive.open(place, SIGNER, keys=TRUSTED)


def test_nor_after_the_seal_was_taken_out_or_the_archive_made_to_look_older(place, desk):
    desk.write(place, desk.day())
    victim = Victim(place, lambda: None)
    victim.tamper_by(lambda connection: add_records(connection, desk.event("forged")))
    victim.tamper("DELETE FROM seal")
    with pytest.raises(ArchiveTampered, match="the seal is gone"):
        Archive.open(place, SIGNER, keys=TRUSTED)
    victim.tamper_by(pretend_older)
    with pytest.raises(ArchiveTampered, match="the seal is gone"):
        Archive.open(place, SIGNER, keys=TRUSTED)
    assert verify(place, keys=KEYS).problem.startswith("the seal is missing")


def test_nor_with_seal_and_anchor_of_before(place, desk):
    desk.write(place, desk.day()[:10])
    *_, seal, anchor = kept_and_anchored(place)
    desk.write(place, desk.day())
    with connect_writer(place) as connection:
        put_seal(connection, seal)
    place.anchor.write_bytes(anchor)
    with pytest.raises(ArchiveTampered, match="no signature covers the records 11 to 24"):
        Archive.open(place, SIGNER, keys=TRUSTED)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE seal SET content = (SELECT content FROM checkpoints WHERE number = 2)", "the seal does not know"),
        ("UPDATE checkpoints SET content = (SELECT content FROM checkpoints WHERE number = 1)", "is not the one that"),
        ("DELETE FROM checkpoints WHERE number = 2", "checkpoint 2, which the anchor knows, is gone"),
    ],
    ids=["seal of before the last checkpoint", "checkpoint of before twice", "checkpoint gone"],
)
def test_nor_with_genuine_statements_that_do_not_fit_together(place, desk, statement, why):
    desk.write(place, desk.day()[:10])
    desk.write(place, desk.day())
    Victim(place, lambda: None).tamper(statement)
    with pytest.raises(ArchiveTampered, match=why):
        Archive.open(place, SIGNER, keys=TRUSTED)


def test_nor_with_a_chain_that_the_seal_does_not_know(place, desk):
    desk.write(place, desk.day())
    Victim(place, lambda: None).tamper(
        "DELETE FROM judgements WHERE seq = 5", "UPDATE records SET chain = 'other', place = 1 WHERE seq = 5"
    )
    with pytest.raises(ArchiveTampered, match="do not end as the seal says"):
        Archive.open(place, SIGNER, keys=TRUSTED)


def test_a_genuine_anchor_of_before_is_replaced_by_the_seal_without_signing_anew(place, desk):
    desk.write(place, [desk.event("e-1")])
    behind = place.anchor.read_bytes()
    desk.write(place, [desk.event("e-1"), desk.event("e-2")])
    *_, seal, newest = kept_and_anchored(place)
    place.anchor.write_bytes(behind)

    def no_key():
        raise SigningKeyRetired("k")

    Archive.open(place, no_key, keys=TRUSTED).close()
    assert place.anchor.read_bytes() == newest == seal.content + b"\n"


def test_a_rotated_key_is_believed_when_the_vault_knows_it_and_named_when_not(place, desk):
    new = new_signing_key(desk.start)
    theirs = trusted_key(new.public_key.encode())
    desk.write(place, [desk.event("e-1")])
    with pytest.raises(ArchiveTampered, match=f"signed by the key {KEY.key_id}, which is not among those given"):
        Archive.open(place, lambda: new, keys=lambda: [theirs])
    with Archive.open(place, lambda: new, keys=lambda: [theirs, *KEYS]) as archive:
        archive.append([("1-1", desk.event("e-2"))])
        assert archive.anchor.key_id == new.key_id
    Archive.open(place, lambda: new, keys=lambda: [theirs, *KEYS]).close()


def test_one_signature_is_made_for_an_append_and_none_where_nothing_is_new(place, desk):
    made = []

    def signer():
        made.append(1)
        return KEY

    with Archive.open(place, signer, keys=TRUSTED) as archive:
        begun = len(made)
        for number in range(3):
            archive.append([(f"1-{number}", desk.event(f"e-{number}")), (f"2-{number}", desk.event(f"f-{number}"))])
        archive.append([("3-1", desk.event("e-1"))])
        assert (begun, len(made) - begun) == (1, 3)
        with ArchiveReader.open(place) as reader:
            assert reader.seal() == archive.anchor == read_anchor(place.anchor)


def test_an_archive_that_cannot_be_signed_is_not_begun(place, desk):
    def no_key():
        raise SigningKeyRetired("k")

    with pytest.raises(ArchiveUnavailable, match="no key to sign"):
        Archive.open(place, no_key, keys=list)
    assert not place.anchor.exists()
    desk.write(place, [desk.event("e-1")])
    assert verify(place, keys=KEYS).ok


def test_an_archive_of_before_is_sealed_and_says_what_no_signature_covered(place, desk, caplog):
    desk.write_as_of_before(place, desk.day(), 20)
    with Archive.open(place, SIGNER, keys=TRUSTED) as archive:
        assert archive.head().seq == 25
    with ArchiveReader.open(place) as reader:
        (told,) = [each for each in events(reader) if each["what"] == "audit.sealed"]
    assert told["detail"] == {"records": 24, "signed": 20, "unsigned": 4}
    assert "no signature covers the records 21 to 24 of the archive" in caplog.text
    report = verify(place, keys=KEYS)
    assert (report.ok, report.unsigned, report.sealed) == (True, 0, True)
    caplog.clear()
    Archive.open(place, SIGNER, keys=TRUSTED).close()
    assert (verify(place, keys=KEYS).records, caplog.text) == (25, "")


def test_an_archive_of_before_without_such_records_says_as_well_that_it_is_sealed(place, desk, caplog):
    desk.write_as_of_before(place, desk.day(), 24)
    told = []
    Archive.open(place, SIGNER, keys=TRUSTED, first_sealed=told.append).close()
    report = verify(place, keys=KEYS)
    assert (report.ok, report.records, report.sealed) == (True, 25, True)
    assert "the archive had no seal and is sealed now: 24 records, all of them signed" in caplog.text
    assert told == [{"records": 24, "signed": 24, "unsigned": 0}]


def test_a_new_archive_is_not_told_to_be_sealed(place, desk, caplog):
    told = []
    for _ in range(2):
        with Archive.open(place, SIGNER, keys=TRUSTED, first_sealed=told.append) as archive:
            archive.append([("1-1", desk.event("e-1"))])
    assert (verify(place, keys=KEYS).records, told, caplog.text) == (1, [], "")


@pytest.mark.parametrize("forged", [0, 2])
def test_a_sealed_archive_cut_back_to_before_its_seal_is_told_to_be_sealed_again(place, desk, caplog, forged):
    desk.write_as_of_before(place, desk.day(), 20)
    desk.write(place, desk.day())

    def cut(connection):
        (content,) = connection.execute(text("SELECT content FROM checkpoints WHERE number = 1")).scalars()
        for statement in ("checkpoints WHERE number > 1", "judgements WHERE seq > 20", "records WHERE seq > 20"):
            connection.execute(text(f"DELETE FROM {statement}"))
        pretend_older(connection)
        add_records(connection, *(desk.event(f"forged-{number}") for number in range(forged)))
        place.anchor.write_bytes(bytes(content) + b"\n")

    Victim(place, lambda: None).tamper_by(cut)
    assert verify(place, keys=KEYS).ok, "the archive alone is enough to do it unseen by whoever has no anchor outside"
    caplog.clear()
    told = []
    Archive.open(place, SIGNER, keys=TRUSTED, first_sealed=told.append).close()
    assert told == [{"records": 20 + forged, "signed": 20, "unsigned": forged}]
    assert "is sealed now" in caplog.text
    with ArchiveReader.open(place) as reader:
        assert [each["detail"] for each in events(reader) if each["what"] == "audit.sealed"] == told


@pytest.mark.full
def test_postgresql_names_the_schema_that_is_not_gone_on_with_and_no_password(postgresql_place, desk):
    desk.write(postgresql_place, desk.day())
    postgresql_place.anchor.unlink()
    with connect_writer(postgresql_place) as connection:
        schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    with pytest.raises(ArchiveTampered, match=f"the anchor is gone .*in the schema {schema} of postgresql://") as found:
        Archive.open(postgresql_place, SIGNER, keys=TRUSTED)
    assert not postgresql_place.url.password or postgresql_place.url.password not in str(found.value)


def test_an_anchor_that_the_disk_does_not_give_is_no_tampering(place, desk):
    desk.write(place, [desk.event("e-1")])
    kept = place.anchor.rename(place.anchor.with_suffix(".kept"))
    place.anchor.mkdir()
    with pytest.raises(ArchiveUnavailable, match="cannot be read: Is a directory"):
        Archive.open(place, SIGNER, keys=TRUSTED)
    assert verify(place, keys=KEYS).wrong == "unreadable"
    place.anchor.rmdir()
    kept.rename(place.anchor)
    Archive.open(place, SIGNER, keys=TRUSTED).close()


def test_an_archive_of_before_that_is_not_the_one_its_anchor_saw_is_left_as_it_is(place, desk):
    desk.write_as_of_before(place, desk.day(), 24)
    Victim(place, lambda: None).tamper("DELETE FROM records WHERE seq > 20", "DELETE FROM judgements WHERE seq > 20")
    with pytest.raises(ArchiveTampered, match="saw record 24"):
        Archive.open(place, SIGNER, keys=TRUSTED)
    with connect_writer(place) as connection:
        assert revision(connection) == "0001"


def test_tables_brought_up_to_date_by_hand_are_sealed_at_the_next_start(place, desk):
    desk.write_as_of_before(place, desk.day(), 20)
    assert upgrade_archive(place) == "0002"
    report = verify(place, keys=KEYS)
    assert (report.ok, report.unsigned, report.sealed) == (True, 4, False)
    Archive.open(place, SIGNER, keys=TRUSTED).close()
    assert verify(place, keys=KEYS).sealed
