"""Whoever changes the file is found out."""

import shutil
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audit.anchor import anchor_path
from proxy.audit.archive import Archive, ArchiveTampered
from proxy.audit.reader import ArchiveReader
from proxy.audit.verify import verify

RECORDS = 24


@pytest.fixture(scope="module")
def original(tmp_path_factory, desk):
    path = tmp_path_factory.mktemp("original") / "audit.db"
    desk.write(path, desk.day())
    assert verify(path).records == RECORDS
    return path


@pytest.fixture(scope="module")
def copy_of(original, tmp_path_factory):
    """Gives a fresh copy of the archive to tamper with."""
    target = tmp_path_factory.mktemp("tampered") / "audit.db"

    def make():
        for left in target.parent.iterdir():
            left.unlink()  # A write-ahead log of the one before must not meet this copy.
        shutil.copy(original, target)
        shutil.copy(anchor_path(original), anchor_path(target))
        return target

    return make


def tamper(path, *statements):
    """What someone with the file and sqlite3 at hand would do: the triggers go, then come back."""
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


def test_an_untouched_archive_is_whole(original):
    report = verify(original)
    assert (report.ok, report.problem, report.first_bad) == (True, "", None)
    assert report.counts == {"decision": 8, "document": 3, "event": 1, "intent": 8, "outcome": 4}


@settings(deadline=None, max_examples=60)
@given(seq=st.integers(1, RECORDS), column=st.sampled_from(["body", "hash"]), data=st.data())
def test_any_bit_of_any_record_flipped_is_named(copy_of, seq, column, data):
    path = copy_of()
    connection = sqlite3.connect(path)
    (value,) = connection.execute(f"SELECT {column} FROM records WHERE seq = ?", (seq,)).fetchone()
    connection.close()
    flipped = bytearray(value)
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    tamper(path, (f"UPDATE records SET {column} = ? WHERE seq = ?", (bytes(flipped), seq)))
    report = verify(path)
    assert (report.ok, report.first_bad) == (False, seq)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_bit_flipped_anywhere_in_the_file_is_found_or_changes_nothing(original, copy_of, data):
    path = copy_of()
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(raw))
    if verify(path).ok:
        with ArchiveReader.open(path) as found, ArchiveReader.open(original) as wanted:
            assert list(found.chained()) == list(wanted.chained())


@pytest.mark.parametrize("seq", range(1, RECORDS + 1))
def test_a_deleted_record_is_named(copy_of, seq):
    path = copy_of()
    tamper(path, f"DELETE FROM records WHERE seq = {seq}", f"DELETE FROM judgements WHERE seq = {seq}")
    report = verify(path)
    assert (report.ok, report.first_bad) == (False, seq)


@pytest.mark.parametrize("seq", range(RECORDS))
def test_a_tail_cut_off_at_any_record_is_found_and_not_appended_to(copy_of, seq):
    path = copy_of()
    tamper(path, *(f"DELETE FROM {table} WHERE seq > {seq}" for table in ("records", "judgements", "checkpoints")))
    report = verify(path)
    assert (report.ok, report.first_bad) == (False, seq + 1)
    with pytest.raises(ArchiveTampered):
        Archive.open(path)


@settings(deadline=None, max_examples=30)
@given(pair=st.sets(st.integers(1, RECORDS), min_size=2, max_size=2))
def test_two_records_swapped_are_found_at_the_first(copy_of, pair):
    path = copy_of()
    one, other = sorted(pair)
    moves = ((one, -1), (other, one), (-1, other))
    tamper(
        path,
        *(f"UPDATE {t} SET seq = {new} WHERE seq = {old}" for t in ("records", "judgements") for old, new in moves),
    )
    report = verify(path)
    assert (report.ok, report.first_bad) == (False, one)


@pytest.mark.parametrize("seq", [1, 7, RECORDS])
def test_a_record_duplicated_in_place_is_found(copy_of, seq):
    path = copy_of()
    tamper(
        path,
        f"UPDATE records SET seq = -seq - 1 WHERE seq > {seq}",
        "UPDATE records SET seq = -seq WHERE seq < 0",
        f"INSERT INTO records SELECT {seq + 1}, kind, identity || 'x', id, at_us, bot, account, body, hash"
        f" FROM records WHERE seq = {seq}",
    )
    report = verify(path)
    assert (report.ok, report.first_bad) == (False, seq + 1)


def test_an_older_copy_of_the_file_is_found(tmp_path, desk):
    path, older = tmp_path / "audit.db", tmp_path / "older.db"
    desk.write(path, desk.day()[:10])
    shutil.copy(path, older)
    desk.write(path, desk.day())
    assert verify(path).ok
    shutil.copy(older, path)
    report = verify(path)
    assert (report.ok, report.first_bad) == (False, 11)
    with pytest.raises(ArchiveTampered, match="older copy"):
        Archive.open(path)


def test_a_fork_and_another_archives_file_are_found(tmp_path, desk):
    one, other = tmp_path / "one" / "audit.db", tmp_path / "other" / "audit.db"
    desk.write(one, desk.day())
    desk.write(other, desk.day())
    shutil.copy(other, one)
    assert "another archive" in verify(one).problem


def test_a_rewritten_archive_with_its_own_anchor_is_found_by_a_copy_of_the_anchor(tmp_path, desk):
    path, kept = tmp_path / "audit.db", tmp_path / "elsewhere.anchor"
    desk.write(path, desk.day())
    shutil.copy(anchor_path(path), kept)
    path.unlink()
    anchor_path(path).unlink()
    desk.write(path, desk.day()[:-1])
    assert verify(path).ok
    assert not verify(path, kept).ok


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE judgements SET verdict = 'ALLOW' WHERE verdict = 'DENY'",
        "UPDATE judgements SET bot = 'alpha' WHERE bot = 'beta'",
        "DELETE FROM judgements WHERE seq = (SELECT max(seq) FROM judgements)",
        "INSERT INTO judgements SELECT 99, item, place, at_us, bot, account, symbol, verdict, rule, code, headroom"
        " FROM judgements LIMIT 1",
        "UPDATE records SET at_us = at_us + 1 WHERE seq = 5",
        "UPDATE records SET id = 'x' WHERE seq = 5",
        "UPDATE records SET kind = 'event' WHERE seq = 5",
        "UPDATE archive SET id = 'x'",
        "UPDATE checkpoints SET at = '2020-01-01T00:00:00Z'",
        "DROP INDEX judgements_by_rule",
        "CREATE VIEW harmless AS SELECT 1",
    ],
)
def test_what_questions_are_answered_from_is_checked_too(copy_of, statement):
    path = copy_of()
    tamper(path, statement)
    assert not verify(path).ok


def test_a_trigger_taken_away_is_found(copy_of):
    path = copy_of()
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER records_no_update")
    connection.close()
    assert "records_no_update" in verify(path).problem


def test_a_missing_or_damaged_anchor_is_found(copy_of):
    path = copy_of()
    raw = anchor_path(path).read_bytes()
    anchor_path(path).write_bytes(raw.replace(b'"seq":24', b'"seq":23'))
    assert "damaged" in verify(path).problem
    anchor_path(path).unlink()
    assert "missing" in verify(path).problem
