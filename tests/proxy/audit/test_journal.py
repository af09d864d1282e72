"""What was decided is on local disk before it is sent, and half a record never spoils the next."""

import os
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from proxy.audit.journal import SEGMENT_BYTES_MAX, Journal, JournalFailed, is_sought, is_written, journal_files
from proxy.store.codec import load


def records(data_dir):
    return [load(line) for path in journal_files(data_dir) for line in path.read_bytes().splitlines()]


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path)
    yield opened
    opened.close()


def full_disk(journal):
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._descriptor)
    os.close(full)


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_appended_is_there_in_order(journal, tmp_path, durable):
    journal.append({"n": 1}, {"n": 2}, durable=durable)
    journal.append({"n": 3}, durable=durable)
    assert records(tmp_path) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_only_the_owner_reads_it(journal, tmp_path):
    assert journal_files(tmp_path)[0].stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700


def test_what_was_written_survives_the_death_of_the_process(tmp_path):
    program = (
        "import os, pathlib, sys\n"
        "from proxy.audit.journal import Journal\n"
        "Journal(pathlib.Path(sys.argv[1])).append({'n': 1}, durable=False)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], env={**os.environ, "PYTHONPATH": "."})
    assert died.returncode == -9
    assert records(tmp_path) == [{"n": 1}]


def test_a_full_disk_is_said_so_and_what_follows_begins_a_new_file(journal, tmp_path):
    journal.append({"n": 1}, durable=False)
    full_disk(journal)
    with pytest.raises(JournalFailed, match="No space left"):
        journal.append({"n": 2}, durable=False)
    journal.append({"n": 3}, durable=False)
    assert records(tmp_path) == [{"n": 1}, {"n": 3}]
    assert len(journal_files(tmp_path)) == 2


def test_a_torn_record_stays_alone_in_its_file(journal, tmp_path):
    """The kernel takes the first bytes and no more: a file size limit, as a quota would."""
    journal.append({"n": 1}, durable=False)
    size = journal_files(tmp_path)[0].stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4, limits[1]))
    try:
        with pytest.raises(JournalFailed, match="only a part"):
            journal.append({"n": 2}, durable=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.append({"n": 3}, durable=False)
    contents = [path.read_bytes() for path in journal_files(tmp_path)]
    assert contents == [b'{"n":1}\n{"n"', b'{"n":3}\n']


def test_a_journal_that_cannot_begin_a_file_fails_and_tries_again(journal, tmp_path):
    full_disk(journal)
    with pytest.raises(JournalFailed):
        journal.append({"n": 1}, durable=False)
    (tmp_path / "journal").rename(tmp_path / "away")
    with pytest.raises(JournalFailed):
        journal.append({"n": 2}, durable=False)
    (tmp_path / "away").rename(tmp_path / "journal")
    journal.append({"n": 3}, durable=True)
    assert records(tmp_path) == [{"n": 3}]


def test_a_disk_that_does_not_sync_is_a_failure(journal, monkeypatch):
    def broken(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(JournalFailed, match="Input/output error"):
        journal.append({"n": 1}, durable=True)


def test_a_full_segment_is_followed_by_another(journal, tmp_path):
    journal._bytes = SEGMENT_BYTES_MAX + 1
    journal.append({"n": 1}, durable=False)
    assert len(journal_files(tmp_path)) == 2


def test_two_journals_of_one_process_never_share_a_file(journal, tmp_path):
    other = Journal(tmp_path)
    other.append({"n": 2}, durable=False)
    journal.append({"n": 1}, durable=False)
    other.close()
    assert sorted(record["n"] for record in records(tmp_path)) == [1, 2]
    assert len(journal_files(tmp_path)) == 2


def test_the_newest_file_of_a_living_gate_may_still_be_written(journal, tmp_path):
    journal._bytes = SEGMENT_BYTES_MAX + 1
    journal.append({"n": 1}, durable=False)
    files = journal_files(tmp_path)
    assert [is_written(path, files) for path in files] == [False, True]


def test_the_files_of_a_dead_gate_are_written_no_more(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    path = tmp_path / f"gate-{gone.stdout.strip()}-1-a.jsonl"
    assert not is_written(path, [path])


@pytest.mark.parametrize("name", ["gate-old-1-a.jsonl", "gate-99999999999999999999-1-a.jsonl", "gate-.jsonl"])
def test_what_no_gate_named_so_is_kept(tmp_path, name):
    path = tmp_path / name
    assert is_written(path, [path])


def test_a_journal_is_sought_that_was_written_since(tmp_path):
    path = tmp_path / "gate-1-1-a.jsonl"
    assert not is_sought(path, datetime.now(UTC))
    path.write_bytes(b"{}\n")
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    assert is_sought(path, written - timedelta(seconds=1))
    assert not is_sought(path, written + timedelta(seconds=1))
