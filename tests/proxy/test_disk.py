"""What is written is on the disk, the names of new folders and of what is taken away too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.disk import give_to_owner_of, identity_of, make_directory, remove_file, replace_file


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every path that the disk was waited for, in order."""
    paths: list[Path] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_every_new_folder_is_known_to_the_one_it_is_in(tmp_path: Path, synced: list[Path]) -> None:
    make_directory(tmp_path / "policy" / "pending")
    assert synced == [tmp_path, tmp_path / "policy"]
    assert (tmp_path / "policy" / "pending").stat().st_mode & 0o777 == 0o700
    make_directory(tmp_path / "policy" / "pending")
    assert len(synced) == 2


def test_a_file_is_replaced_whole_and_waited_for_and_so_is_its_removal(tmp_path: Path, synced: list[Path]) -> None:
    path = tmp_path / "one"
    replace_file(path, b"before")
    replace_file(path, b"after")
    assert path.read_bytes() == b"after" and path.stat().st_mode & 0o777 == 0o600
    assert synced == [tmp_path / "one.next", tmp_path] * 2
    remove_file(path)
    assert not path.exists() and synced[4:] == [tmp_path]
    remove_file(path)
    remove_file(tmp_path / "no folder" / "one")
    assert len(synced) == 5


def test_another_content_is_another_file(tmp_path: Path) -> None:
    path = tmp_path / "one"
    assert identity_of(path) is None
    replace_file(path, b"same length")
    first = identity_of(path)
    assert first is not None and identity_of(path) == first
    replace_file(path, b"SAME LENGTH")
    assert identity_of(path) not in (first, None)


def test_what_root_writes_in_another_s_folder_is_that_other_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel is asked; the next test has it done, where there is a root to do it."""
    given: list[tuple[Path, int, int]] = []

    def fchown(descriptor: int, owner: int, group: int) -> None:
        given.append((Path(f"/proc/self/fd/{descriptor}").readlink(), owner, group))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", fchown)
    us = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    make_directory(tmp_path / "people")
    replace_file(tmp_path / "people" / "one", b"text")
    assert given == [(tmp_path / "people", *us), (tmp_path / "people" / "one.next", *us)]
    given.clear()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    replace_file(tmp_path / "people" / "one", b"text")
    assert given == [], "nobody else may, and need not"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
def test_root_gives_away_nothing_that_is_also_elsewhere(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    ours.write_text("root's")
    os.link(ours, theirs / "one.lock")
    (theirs / "one.next").symlink_to(ours)
    descriptor = os.open(theirs / "one.lock", os.O_RDWR)
    give_to_owner_of(theirs, descriptor)
    os.close(descriptor)
    replace_file(theirs / "one", b"text")
    assert (theirs / "one").stat().st_uid == 12345
    assert (ours.stat().st_uid, ours.read_text()) == (0, "root's")
