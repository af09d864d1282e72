"""Two writers lose nothing; a writer that dies or runs out of disk leaves the old file."""

import errno
import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from proxy.vault import files
from proxy.vault.errors import VaultBusy
from proxy.vault.files import VaultFile
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault

ROOT = Path(__file__).parents[3]

ISSUE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
path, bot, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
vault = Vault.open(path, Secret("correct horse battery staple"))
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    vault.issue(bot=bot, account="main", label=str(number), now=datetime.now(UTC))
"""

DIE_BEFORE_THE_RENAME = """
import os
Path.replace = lambda *_: os._exit(9)
"""


def _writer(path: Path, bot: str, count: int, *, script: str = ISSUE) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, str(path), bot, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_issuing_keys_at_the_same_time_lose_none(vault: Vault, path: Path, passphrase: Secret):
    writers = [_writer(path, f"bot{number}", 20) for number in range(4)]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:  # All are told before any is waited for; `communicate` would run them one after another.
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=15)
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    found = {(key.bot, key.label) for key in Vault.open(path, passphrase).guard_keys()}
    assert found == {(f"bot{number}", str(label)) for number in range(4) for label in range(20)}


def test_threads_of_one_process_lose_none(vault: Vault, path: Path, passphrase: Secret, now: datetime):
    def issue(bot: str) -> None:
        for number in range(10):
            vault.issue(bot=bot, account="main", label=str(number), now=now)

    threads = [threading.Thread(target=issue, args=(f"bot{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        vault.reload_if_changed()
    assert len(Vault.open(path, passphrase).guard_keys()) == len(vault.guard_keys()) == 40


def test_a_crash_between_writing_and_renaming_keeps_the_old_vault(
    vault: Vault, path: Path, passphrase: Secret, now: datetime
):
    before = path.read_bytes()
    writer = _writer(path, "doomed", 1, script=ISSUE.replace('print("ready"', DIE_BEFORE_THE_RENAME + 'print("ready"'))
    writer.communicate("go\n", timeout=15)
    assert writer.returncode == 9
    assert path.with_name("vault.json.next").exists()
    assert path.read_bytes() == before
    # The dead writer's lock and leftover stand in nobody's way.
    issued = Vault.open(path, passphrase).issue(bot="grid", account="main", label="x", now=now)
    assert Vault.open(path, passphrase).guard_keys() == (issued,)
    assert not path.with_name("vault.json.next").exists()


def test_a_full_disk_keeps_the_old_vault(vault: Vault, path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch):
    before, known = path.read_bytes(), vault.guard_keys()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            vault.issue(bot="grid", account="main", label="x", now=now)
    assert path.read_bytes() == before and vault.guard_keys() == known
    assert not path.with_name("vault.json.next").exists()
    vault.issue(bot="grid", account="main", label="x", now=now)


def test_waiting_for_a_stuck_writer_has_an_end(
    vault: Vault, path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(files, "_LOCK_WAIT_SECONDS", 0.05)
    with VaultFile(path).locked(), pytest.raises(VaultBusy):
        vault.issue(bot="grid", account="main", label="x", now=now)


def test_a_link_in_place_of_the_vault_is_not_followed(vault: Vault, path: Path, passphrase: Secret):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Vault.open(path, passphrase)


def test_each_state_has_a_later_stamp_however_coarse_or_wrong_the_clock(vault: Vault, path: Path):
    file = VaultFile(path)
    in_an_hour = time.time_ns() + 3600 * 10**9
    os.utime(path, ns=(in_an_hour, in_an_hour))
    stamps = [file.stamp()]
    for _ in range(5):
        stamps.append(file.replace(b"same size", after=stamps[-1]))
        assert stamps[-1] == file.stamp()
    assert [stamp.modified_ns for stamp in stamps] == [in_an_hour + later for later in range(6)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
def test_folders_that_root_makes_for_a_vault_are_theirs_whose_folder_they_are_in(tmp_path: Path):
    os.chown(tmp_path, 4242, 4242)
    path = tmp_path / "data" / "vault" / "vault.bin"
    VaultFile(path).prepare_directory()
    made = [path.parent, path.parent.parent]
    assert [(each.stat().st_uid, each.stat().st_mode & 0o777) for each in made] == [(4242, 0o700)] * 2
