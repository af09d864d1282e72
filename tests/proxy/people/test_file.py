"""The file of people: private, whole or not there, and never believed when it is damaged."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from proxy.people.file import PeopleFile, PeopleUnreadable
from proxy.people.roles import Role
from proxy.people.users import People
from tests.support.people import a_user, write_people

PROOF = int(os.environ.get("PERPGUARD_PROOF", "0"))

WRITER = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from proxy.people.file import PeopleFile
from proxy.people.roles import Role
from proxy.people.users import People, User
file, count = PeopleFile(Path(sys.argv[1])), 0
while True:
    count += 1
    user = User(name="Ada", role=Role.ADMIN, since=datetime.now(timezone.utc), code_secret="A" * count)
    file.change(lambda people: People(users=(user,)))
    print(count, flush=True)
"""


def test_what_is_written_is_read_and_its_owners_alone(tmp_path: Path) -> None:
    file = PeopleFile(tmp_path)
    assert file.read() == People() and file.identity() is None
    write_people(tmp_path)
    assert [user.name for user in file.read().users][:2] == ["Ada Lovelace", "Ada"]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: b"", id="empty"),
        pytest.param(lambda raw: raw[: len(raw) // 2], id="half"),
        pytest.param(lambda raw: raw.replace(b'"version": 1', b'"version": 2'), id="another version"),
        pytest.param(lambda raw: raw.replace(b'"version": 1,', b""), id="no version"),
        pytest.param(lambda raw: raw.replace(b'"admin"', b'"king"'), id="an unknown role"),
        pytest.param(lambda raw: raw.replace(b'"disabled"', b'"disablet"'), id="an unknown field"),
        pytest.param(lambda raw: raw.replace(b'"Ben"', b'"ada"'), id="two of one name"),
        pytest.param(lambda raw: b"[" * 100_000, id="deep"),
        pytest.param(lambda raw: raw + b" " * 1024 * 1024, id="huge"),
        pytest.param(lambda raw: raw.replace(b"Ada", b"\xff\xfe"), id="no text"),
    ],
)
def test_a_damaged_file_is_not_believed_and_none_of_it_is_told(tmp_path: Path, damage: object) -> None:
    write_people(tmp_path)
    file = PeopleFile(tmp_path)
    damaged = damage(file.path.read_bytes())  # type: ignore[operator]
    file.path.write_bytes(damaged)
    with pytest.raises(PeopleUnreadable) as refused:
        file.read()
    assert "argon2" not in str(refused.value) and "cannot be read" in str(refused.value)
    with pytest.raises(PeopleUnreadable):
        file.change(lambda people: People())
    assert file.path.read_bytes() == damaged, "nothing is written over what nobody could read"


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_people(tmp_path)
    PeopleFile(tmp_path).path.chmod(0o644)
    with pytest.raises(PeopleUnreadable, match="chmod 600"):
        PeopleFile(tmp_path).read()


def test_two_who_change_at_once_lose_nothing(tmp_path: Path) -> None:
    def add(first: int) -> None:
        for number in range(first, first + 10):
            user = a_user(f"Person {number}", Role.VIEWER)
            PeopleFile(tmp_path).change(lambda people, user=user: People(users=(*people.users, user)))  # type: ignore[misc]

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(PeopleFile(tmp_path).read().users) == 30


def test_a_writer_killed_at_any_moment_leaves_one_whole_file(tmp_path: Path) -> None:
    for round_ in range(max(3, PROOF)):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        assert writer.stdout is not None
        said = [writer.stdout.readline()]
        time.sleep(0.01 + 0.003 * (round_ % 10))
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
        writer.wait()
        kept = PeopleFile(tmp_path).read().users[0].code_secret
        last = int(next(line for line in reversed(said) if line.endswith("\n")))
        assert len(kept) >= last, "what was acknowledged is there"
