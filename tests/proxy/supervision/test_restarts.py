"""Asking a guard for new gates, and reading how it went."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from proxy.supervision.restarts import (
    NONE_YET,
    NoGuard,
    Restart,
    Restarts,
    ask_to_restart,
    last_restart,
    lock_path,
    write_pid,
)
from proxy.supervision.rolling import Rolled


def test_where_no_guard_runs_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(NoGuard):
        ask_to_restart(tmp_path)
    lock_path(tmp_path).write_text(str(os.getpid()))  # Of a guard that was killed: a number that somebody has.
    with pytest.raises(NoGuard):
        ask_to_restart(tmp_path)


def test_the_holder_of_the_lock_is_asked(tmp_path: Path) -> None:
    asked: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: asked.append(number))
    descriptor = os.open(lock_path(tmp_path), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(NoGuard):  # It holds the lock, and has not said who it is.
            ask_to_restart(tmp_path)
        write_pid(descriptor)
        ask_to_restart(tmp_path)
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGHUP, before)
    assert asked == [signal.SIGHUP]


def test_restarts_are_numbered_and_end(tmp_path: Path) -> None:
    restarts = Restarts(tmp_path)
    assert last_restart(tmp_path) == NONE_YET
    restarts.begin()
    assert last_restart(tmp_path) == Restart(1, Rolled.RUNNING)
    restarts.end(Rolled.FAILED)
    restarts.begin()
    restarts.end(Rolled.DONE)
    assert last_restart(tmp_path) == Restart(2, Rolled.DONE)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"number": 1, "state": "odd"}'], ids=["empty", "torn", "list", "odd"]
)
def test_a_damaged_state_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gates.restart").write_bytes(content)
    assert last_restart(tmp_path) == NONE_YET
