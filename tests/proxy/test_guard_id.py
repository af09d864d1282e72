"""A guard is known by what stands in its data directory, and by nothing that a copy of its settings brings along."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.guard_id import guard_id, known_guard_id


def test_it_is_made_once_and_two_guards_have_two(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for data_dir in (ours, theirs):
        data_dir.mkdir()
        assert known_guard_id(data_dir) == "", "where no guard has run"
    made = guard_id(ours)
    assert guard_id(ours) == known_guard_id(ours) == made != guard_id(theirs)
    assert (ours / "guard.id").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"x|y", b"0" * 31])
def test_one_that_is_damaged_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "guard.id").write_bytes(damage)
    assert known_guard_id(tmp_path) == ""
    assert guard_id(tmp_path) == known_guard_id(tmp_path) != ""


def test_a_disk_that_takes_none_ends_no_guard(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert guard_id(tmp_path / "gone") == ""
    assert "guard.id cannot be written" in caplog.text
