"""Whoever changes the archive is found out, and told what was done, and where."""

import re
import shutil
from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from proxy.audit.archive import Archive
from proxy.audit.documents import ArchiveSource
from proxy.audit.engine import connect_writer
from proxy.audit.findings import Wrong
from proxy.audit.place import ArchivePlace, ArchiveTampered
from proxy.audit.query import decision
from proxy.audit.reader import ArchiveReader
from proxy.audit.replay import replay
from proxy.audit.schema import RECORDS
from proxy.audit.verify import verify
from proxy.policy.reading import parse_policy
from proxy.signatures.signing import trusted_key
from proxy.vault.signing_keys import new_signing_key
from rules.engine import decide_batch
from tests.proxy.audit.conftest import KEY, KEYS, SIGNER, TRUSTED
from tests.proxy.audit.forging import add_records, made_up, put_seal, with_a_key_of_their_own
from tests.proxy.audit.tampering import Victim, postgresql_victim, pretend_older, sqlite_victim

RECORDS_IN_ALL = 24
TABLES = ("records", "judgements", "checkpoints")


@pytest.fixture(scope="session")
def original(new_place, desk):
    """A day in two chains, closed twice, so that there are two checkpoints."""
    place = new_place()
    desk.write(place, desk.day()[:10])
    desk.write(place, desk.day())
    assert verify(place, keys=KEYS).records == RECORDS_IN_ALL
    return place


@pytest.fixture(scope="session")
def victim(original, tmp_path_factory):
    if original.url is None:
        return sqlite_victim(original, ArchivePlace(directory=tmp_path_factory.mktemp("tampered") / "audit"))
    return postgresql_victim(original)


@pytest.fixture
def whole(victim):
    """The archive to tamper with, as it was written."""
    victim.restore()
    return victim


def found(victim):
    report = verify(victim.place, keys=KEYS)
    assert not report.ok
    return report


def test_an_untouched_archive_is_whole(whole):
    report = verify(whole.place, keys=KEYS)
    assert (report.ok, report.problem, report.first_bad, report.wrong) == (True, "", None, None)
    assert report.counts == {"decision": 8, "document": 3, "event": 1, "intent": 8, "outcome": 4}
    assert [(each.chain, each.records) for each in report.chains] == [("", 8), ("main", 16)]
    assert report.checkpoints == 2


def test_how_far_it_is_is_told(original):
    told = []
    verify(original, keys=KEYS, told=lambda done, of: told.append((done, of)))
    assert told == [(RECORDS_IN_ALL, RECORDS_IN_ALL)]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seq=st.integers(1, RECORDS_IN_ALL), column=st.sampled_from(["body", "hash"]), data=st.data())
def test_any_bit_of_any_record_flipped_is_named(victim, seq, column, data):
    victim.restore()
    with ArchiveReader.open(victim.place) as archive:
        ((value,),) = archive.rows(select(RECORDS.c[column]).where(RECORDS.c.seq == seq))
    flipped = bytearray(value)
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    victim.tamper((f"UPDATE records SET {column} = :value WHERE seq = :seq", {"value": bytes(flipped), "seq": seq}))
    report = found(victim)
    assert (report.first_bad, report.wrong) == (seq, Wrong.CHANGED)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_bit_flipped_anywhere_in_the_file_is_found_or_changes_nothing(day, tmp_path_factory, data):
    if day.url is not None:
        return  # Pages of a server have checksums of their own, where they are wanted.
    copy = sqlite_victim(day, ArchivePlace(directory=tmp_path_factory.getbasetemp() / "flipped"))
    copy.restore()
    raw = bytearray(copy.place.database.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    copy.place.database.write_bytes(bytes(raw))
    if verify(copy.place, keys=KEYS).ok:
        assert everything(copy.place) == everything(day)


def everything(place):
    with ArchiveReader.open(place) as archive, archive.standing_still():
        return list(archive.chained())


@pytest.mark.parametrize("seq", range(1, RECORDS_IN_ALL))
def test_a_deleted_record_is_a_gap(whole, seq):
    whole.tamper(f"DELETE FROM records WHERE seq = {seq}", f"DELETE FROM judgements WHERE seq = {seq}")
    report = found(whole)
    assert (report.first_bad, report.wrong) == (seq, Wrong.GAP)


@pytest.mark.parametrize("seq", [2, 5, 6, 9])
def test_a_gap_that_is_closed_up_is_found_at_its_place(whole, seq):
    whole.tamper(
        f"DELETE FROM records WHERE seq = {seq}",
        f"DELETE FROM judgements WHERE seq = {seq}",
        *(f"UPDATE {table} SET seq = -seq WHERE seq > {seq}" for table in ("records", "judgements")),
        *(f"UPDATE {table} SET seq = -seq - 1 WHERE seq < 0" for table in ("records", "judgements")),
    )
    assert found(whole).first_bad == seq


@pytest.mark.parametrize("seq", range(RECORDS_IN_ALL))
def test_a_tail_cut_off_at_any_record_is_a_truncation_and_not_appended_to(whole, seq):
    whole.tamper(*(f"DELETE FROM {table} WHERE seq > {seq}" for table in ("records", "judgements")))
    report = found(whole)
    assert (report.first_bad, report.wrong) == (seq + 1, Wrong.TRUNCATION)
    with pytest.raises(ArchiveTampered):
        Archive.open(whole.place, SIGNER, keys=TRUSTED)


@pytest.mark.parametrize("seq", [0, 9, 10, 23])
def test_a_tail_cut_off_with_the_checkpoints_that_saw_it_is_found_by_the_anchor(whole, seq):
    whole.tamper(*(f"DELETE FROM {table} WHERE seq > {seq}" for table in TABLES))
    report = found(whole)
    assert (report.first_bad, report.wrong) == (seq + 1, Wrong.ROLLBACK)


@pytest.mark.parametrize("seq", [5, 10, 20])
def test_one_accounts_chain_cut_short_alone_is_found(whole, seq):
    whole.tamper(
        f"DELETE FROM judgements WHERE seq > {seq}", f"DELETE FROM records WHERE seq > {seq} AND chain = 'main'"
    )
    assert found(whole).first_bad > seq


@settings(deadline=None, max_examples=30)
@given(pair=st.sets(st.integers(1, RECORDS_IN_ALL), min_size=2, max_size=2))
def test_two_records_swapped_are_a_reorder_at_the_first(victim, pair):
    victim.restore()
    one, other = sorted(pair)
    moves = ((one, -1), (other, one), (-1, other))
    victim.tamper(
        *(f"UPDATE {t} SET seq = {new} WHERE seq = {old}" for old, new in moves for t in ("records", "judgements"))
    )
    report = found(victim)
    assert (report.first_bad, report.wrong) == (one, Wrong.REORDER)


@pytest.mark.parametrize("seq", [1, 7, RECORDS_IN_ALL])
def test_a_record_doubled_in_place_is_found(whole, seq):
    whole.tamper(
        f"UPDATE records SET seq = -seq - 1 WHERE seq > {seq}",
        "UPDATE records SET seq = -seq WHERE seq < 0",
        f"INSERT INTO records SELECT {seq + 1}, chain, place + 100, kind, identity || 'x', id, at_us, bot, account,"
        f" hash, body FROM records WHERE seq = {seq}",
    )
    assert found(whole).first_bad == seq + 1


def test_a_record_moved_to_another_chain_is_found(whole):
    whole.tamper("UPDATE records SET chain = 'other', place = 1 WHERE seq = 4")
    report = found(whole)
    assert (report.first_bad, report.wrong) == (4, Wrong.CHANGED)
    whole.restore()
    whole.tamper("UPDATE records SET chain = 'main', place = 99 WHERE seq = 24")
    report = found(whole)
    assert (report.first_bad, report.wrong, report.chain) == (24, Wrong.GAP, "main")


def test_an_older_copy_of_the_database_is_a_rollback(sqlite_place, desk, tmp_path):
    older = tmp_path / "older.db"
    desk.write(sqlite_place, desk.day()[:10])
    shutil.copy(sqlite_place.database, older)
    desk.write(sqlite_place, desk.day())
    assert verify(sqlite_place, keys=KEYS).ok
    shutil.copy(older, sqlite_place.database)
    report = verify(sqlite_place, keys=KEYS)
    assert (report.ok, report.first_bad, report.wrong) == (False, 11, Wrong.ROLLBACK)
    with pytest.raises(ArchiveTampered, match="older copy"):
        Archive.open(sqlite_place, SIGNER, keys=TRUSTED)


def test_an_older_copy_with_its_older_anchor_is_found_by_an_anchor_elsewhere(sqlite_place, desk, tmp_path):
    older, elsewhere = tmp_path / "older", tmp_path / "elsewhere.anchor"
    desk.write(sqlite_place, desk.day()[:10])
    shutil.copytree(sqlite_place.directory, older)
    desk.write(sqlite_place, desk.day())
    shutil.copy(sqlite_place.anchor, elsewhere)
    old = ArchivePlace(directory=older)
    assert verify(old, keys=KEYS).ok
    report = verify(old, anchors=[elsewhere], keys=KEYS)
    assert (report.ok, report.first_bad, report.wrong) == (False, 11, Wrong.ROLLBACK)


def test_a_history_that_went_another_way_is_a_fork(sqlite_place, desk, tmp_path):
    """Two writers went on from one copy: each is whole in itself, and signed."""
    desk.write(sqlite_place, desk.day()[:10])
    shutil.copytree(sqlite_place.directory, tmp_path / "other")
    other = ArchivePlace(directory=tmp_path / "other")
    desk.write(sqlite_place, desk.day())
    desk.write(other, [*desk.day()[:-1], desk.event("another")])
    assert verify(sqlite_place, keys=KEYS).ok
    assert verify(other, keys=KEYS).ok
    report = verify(other, anchors=[sqlite_place.anchor], keys=KEYS)
    assert (report.ok, report.first_bad, report.wrong, report.chain) == (False, 24, Wrong.FORK, "")


def test_another_archives_database_is_a_fork(new_place, desk):
    one, other = new_place(), new_place()
    desk.write(one, desk.day())
    desk.write(other, desk.day())
    mixed = replace(one, url=other.url)
    if one.url is None:
        shutil.copy(other.database, one.database)
    report = verify(mixed, keys=KEYS)
    assert (report.ok, report.wrong) == (False, Wrong.FORK)
    assert "another archive" in report.problem


def test_a_rewritten_archive_with_its_own_anchor_is_found_by_a_copy_of_the_anchor(sqlite_place, desk, tmp_path):
    kept = tmp_path / "elsewhere.anchor"
    desk.write(sqlite_place, desk.day())
    shutil.copy(sqlite_place.anchor, kept)
    sqlite_place.database.unlink()
    sqlite_place.anchor.unlink()
    desk.write(sqlite_place, desk.day()[:-1])
    assert verify(sqlite_place, keys=KEYS).ok
    assert not verify(sqlite_place, anchors=[kept], keys=KEYS).ok


def test_an_archive_rewritten_without_the_guards_key_is_found_by_the_public_key_alone(sqlite_place, desk):
    forger = new_signing_key(desk.start)
    with Archive.open(sqlite_place, lambda: forger, now=lambda: desk.start, keys=TRUSTED) as archive:
        archive.append([(f"1-{number}", record) for number, record in enumerate(desk.day())])
    assert verify(sqlite_place).ok
    report = verify(sqlite_place, keys=KEYS)
    assert (report.ok, report.wrong) == (False, Wrong.UNKNOWN_KEY)
    assert report.problem.endswith(f"signed by the key {forger.key_id}, which is not among those given")


@pytest.mark.parametrize("count", [1, 3])
def test_records_that_somebody_added_are_covered_by_no_signature(whole, desk, count):
    added = [desk.event(f"forged-{number}", "override.approved") for number in range(count)]
    elsewhere = whole.place.anchor.with_name("elsewhere.anchor")
    shutil.copy(whole.place.anchor, elsewhere)
    whole.tamper_by(lambda connection: add_records(connection, *added))
    for anchors in ([], [elsewhere]):
        report = verify(whole.place, anchors=anchors, keys=KEYS)
        assert (report.ok, report.wrong, report.first_bad) == (False, Wrong.UNSIGNED, RECORDS_IN_ALL + 1)
        assert report.unsigned == count
    elsewhere.unlink()


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("DELETE FROM seal", Wrong.GAP),
        ("UPDATE seal SET content = (SELECT content FROM checkpoints WHERE number = 1)", Wrong.CHANGED),
        ("UPDATE seal SET content = (SELECT content FROM checkpoints WHERE number = 2)", Wrong.CHANGED),
    ],
    ids=["gone", "of before", "of before the last checkpoint"],
)
def test_the_seal_cannot_go_or_be_an_older_one(whole, statement, wrong):
    whole.tamper(statement)
    assert found(whole).wrong == wrong


def test_a_seal_of_before_is_found_though_the_anchor_covers_what_came_since(archive, desk):
    archive.append([("1-1", desk.event("e-1"))])
    with ArchiveReader.open(archive.place) as reader:
        before = reader.seal()
    archive.append([("1-2", desk.event("e-2"))])
    with connect_writer(archive.place) as connection:
        put_seal(connection, before)
    report = verify(archive.place, keys=KEYS)
    assert (report.ok, report.wrong) == (False, Wrong.CHANGED)
    assert "an older one: it covers the archive to 1" in report.problem


@pytest.mark.parametrize(("sign", "wrong"), [(made_up, Wrong.CHANGED), (with_a_key_of_their_own, Wrong.UNKNOWN_KEY)])
def test_a_seal_that_somebody_else_made_is_found(whole, desk, sign, wrong):
    def forge(connection):
        add_records(connection, desk.event("forged"))
        with ArchiveReader.open(whole.place) as before:
            sealed = before.seal()
        changed = msgspec.structs.replace(sealed.checkpoint, seq=sealed.checkpoint.seq + 1)
        put_seal(connection, sign(changed))

    whole.tamper_by(forge)
    assert found(whole).wrong == wrong


def test_an_archive_made_to_look_older_is_found_by_what_was_signed(place, desk):
    desk.write(place, desk.day())
    victim = Victim(place, lambda: None)
    victim.tamper_by(lambda connection: add_records(connection, desk.event("forged")))
    victim.tamper_by(pretend_older)
    assert found(victim).wrong == Wrong.GAP


@pytest.mark.parametrize("anchored", [20, 24])
def test_an_archive_of_before_is_read_as_it_is_and_says_what_no_signature_covers(place, desk, anchored):
    desk.write_as_of_before(place, desk.day(), anchored)
    report = verify(place, keys=KEYS)
    assert (report.ok, report.problem, report.records) == (True, "", RECORDS_IN_ALL)
    assert (report.sealed, report.unsigned) == (False, RECORDS_IN_ALL - anchored)
    with ArchiveReader.open(place) as archive, archive.standing_still():
        assert replay(ArchiveSource(archive), decide_batch, parse_policy).agree
        assert decision(archive, "d-2") is not None


def test_a_key_that_is_not_known_has_a_word_of_its_own(place, desk):
    """After ``certificate rotate-key`` the new public key alone does not check what was signed before."""
    new = new_signing_key(desk.start)
    theirs = trusted_key(new.public_key.encode())
    desk.write(place, desk.day()[:10])
    with Archive.open(place, lambda: new, keys=lambda: [*KEYS, theirs]) as archive:
        archive.append([(f"1-{number}", record) for number, record in enumerate(desk.day())])
    report = verify(place, keys=[theirs])
    assert (report.ok, report.wrong, report.first_bad) == (False, Wrong.UNKNOWN_KEY, 10)
    assert report.problem == f"checkpoint 1 is signed by the key {KEY.key_id}, which is not among those given"
    assert verify(place, keys=[theirs, *KEYS]).ok


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("DELETE FROM checkpoints WHERE number = 1", Wrong.GAP),
        ("DELETE FROM checkpoints WHERE number = 2", Wrong.ROLLBACK),
        ("DELETE FROM checkpoints", Wrong.ROLLBACK),
        ("UPDATE checkpoints SET seq = seq + 1 WHERE number = 1", Wrong.CHANGED),
        ("INSERT INTO checkpoints SELECT 3, seq, content FROM checkpoints WHERE number = 2", Wrong.CHANGED),
        ("UPDATE checkpoints SET content = (SELECT content FROM checkpoints WHERE number = 2)", Wrong.CHANGED),
    ],
    ids=["first gone", "last gone", "all gone", "another record's", "one added", "one twice"],
)
def test_checkpoints_cannot_go_or_change(whole, statement, wrong):
    whole.tamper(statement)
    assert found(whole).wrong == wrong


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE judgements SET verdict = 'ALLOW' WHERE verdict = 'DENY'",
        "UPDATE judgements SET bot = 'alpha' WHERE bot = 'beta'",
        "UPDATE judgements SET words = 'x' WHERE words <> 'x'",
        "DELETE FROM judgements WHERE seq = (SELECT max(seq) FROM judgements)",
        "INSERT INTO judgements SELECT 99, item, place, at_us, bot, account, symbol, verdict, rule, code, headroom,"
        " words FROM judgements LIMIT 1",
        "UPDATE records SET at_us = at_us + 1 WHERE seq = 5",
        "UPDATE records SET id = 'x' WHERE seq = 5",
        "UPDATE records SET kind = 'event' WHERE seq = 5",
        "UPDATE records SET account = NULL WHERE seq = 5",
        "UPDATE archive SET id = 'x'",
    ],
    ids=lambda statement: " ".join(statement.split()[:6]),
)
def test_what_questions_are_answered_from_is_checked_too(whole, statement):
    whole.tamper(statement)
    found(whole)


@pytest.mark.parametrize(
    "statement",
    ["DROP INDEX refusals_by_rule", "DROP TRIGGER records_no_update", "CREATE TRIGGER", "CREATE INDEX harmless"],
)
def test_a_layout_that_is_not_as_it_was_is_found(place, desk, statement):
    desk.write(place, desk.day())
    if statement == "CREATE TRIGGER":
        statement = "CREATE TRIGGER harmless BEFORE INSERT ON judgements "
        statement += "BEGIN SELECT 1; END" if place.url is None else "EXECUTE FUNCTION perpguard_append_only()"
    elif statement == "CREATE INDEX harmless":
        statement += " ON records (bot)"
    elif statement.startswith("DROP TRIGGER") and place.url is not None:
        statement += " ON records"
    with connect_writer(place) as connection:
        connection.exec_driver_sql(statement)
    report = verify(place, keys=KEYS)
    assert not report.ok
    assert any(name in report.problem for name in ("refusals_by_rule", "records_no_update", "harmless"))


@pytest.mark.full
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE records DISABLE TRIGGER records_no_update",
        "ALTER TABLE records ENABLE TRIGGER records_no_update",
        "CREATE OR REPLACE FUNCTION perpguard_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$",
        "CREATE RULE nothing AS ON INSERT TO records DO INSTEAD NOTHING",
    ],
    ids=["disabled", "not always", "another function", "a rule"],
)
def test_postgresql_tells_what_was_done_to_its_triggers(postgresql_place, desk, statement):
    desk.write(postgresql_place, desk.day())
    with connect_writer(postgresql_place) as connection:
        connection.exec_driver_sql(statement)
    assert "not as they were laid out" in verify(postgresql_place, keys=KEYS).problem


@pytest.mark.parametrize("keys", [(), KEYS], ids=["without keys", "with keys"])
def test_an_anchor_that_counts_below_nothing_is_a_finding(whole, keys):
    raw = whole.place.anchor.read_bytes()
    changed = re.sub(rb'"kept":[0-9]+', b'"kept":-1', raw)
    assert changed != raw
    whole.place.anchor.write_bytes(changed)
    report = verify(whole.place, keys=keys)
    assert (report.ok, report.wrong) == (False, Wrong.CHANGED)
    assert "damaged" in report.problem


def test_a_missing_or_damaged_anchor_is_found(whole):
    raw = whole.place.anchor.read_bytes()
    whole.place.anchor.write_bytes(raw.replace(b'"seq":24', b'"seq":23'))
    assert found(whole).wrong == Wrong.CHANGED
    whole.place.anchor.write_bytes(raw[:-2])
    assert "damaged" in found(whole).problem
    whole.place.anchor.unlink()
    assert "missing" in found(whole).problem
