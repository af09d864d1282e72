"""Tokens that the guard makes: for its user alone, the same ever after, and no one of them the other."""

from __future__ import annotations

import fcntl
import os
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from proxy.client.token import control_token, known_token, metrics_token, token_path
from proxy.disk import replace_file
from proxy.settings import Settings, load_settings


def test_the_metrics_token_is_made_once_and_for_the_guards_user_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    made = metrics_token(settings)
    assert stat.S_IMODE((tmp_path / "metrics.token").stat().st_mode) == 0o600
    assert len(made.get_secret_value()) >= 32
    assert metrics_token(settings) == made


def test_it_is_not_the_control_token_even_where_that_is_given(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path, control_token=SecretStr("given by the environment"))
    assert metrics_token(given) != control_token(given)
    assert not token_path(given).exists()
    made = Settings(data_dir=tmp_path)
    assert metrics_token(made) != control_token(made)


def test_a_file_of_ones_own_is_read_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "scrape").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "guard.toml").write_text('metrics_token_file = "scrape"\ndata_dir = "data"\n')
    settings = load_settings(tmp_path / "guard.toml", {})
    assert metrics_token(settings).get_secret_value() == "0123456789abcdef0123456789abcdef"
    assert not (tmp_path / "data").exists()


@contextmanager
def a_full_disk() -> Iterator[None]:
    """Files can be made and take no byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_was_full_at_the_first_start_is_forgotten_at_the_next(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(OSError), a_full_disk():
        control_token(settings)
    assert known_token(settings) is None
    made = control_token(settings)
    assert len(made.get_secret_value()) >= 32
    assert known_token(settings) == control_token(settings) == made


def test_an_empty_file_is_as_none_and_becomes_the_guards_users_alone(tmp_path: Path) -> None:
    settings, path = Settings(data_dir=tmp_path), tmp_path / "control.token"
    path.touch(mode=0o644)
    assert known_token(settings) is None
    assert len(control_token(settings).get_secret_value()) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_on_the_disk_before_anybody_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        fsync(descriptor)
        on_disk.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", counted)
    control_token(Settings(data_dir=tmp_path))
    assert on_disk == [(tmp_path / "control.token").stat().st_ino, tmp_path.stat().st_ino]


def test_two_that_start_at_once_have_one_token(tmp_path: Path) -> None:
    settings, path = Settings(data_dir=tmp_path), tmp_path / "control.token"
    found: list[SecretStr] = []
    second = threading.Thread(target=lambda: found.append(control_token(settings)))
    first = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(first, fcntl.LOCK_EX)
        second.start()
        second.join(0.3)
        assert second.is_alive(), "it did not wait for the first"
        replace_file(path, b"the token of the first process\n")
    finally:
        os.close(first)
    second.join()
    assert found == [SecretStr("the token of the first process")]
