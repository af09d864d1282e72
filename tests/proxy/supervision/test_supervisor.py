"""A guard of stand-ins: real processes that do nothing, under the real supervisor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from proxy.settings import Settings
from proxy.store.embedded import socket_path
from proxy.supervision.children import Child
from proxy.supervision.restarts import Restart, last_restart
from proxy.supervision.rolling import Rolled
from proxy.supervision.supervisor import DoorTaken, Supervisor
from proxy.watchdog.stopping import stopping_path
from tests.support.worlds import children, gone, until

ELSEWHERE = "redis://127.0.0.1:1/0"
"""A store of one's own, which no stand-in asks."""
PYTHON = sys.executable
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Machine:
    """Where the guard runs: an interpreter that can be taken away, and what it was started as."""

    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "data"
        self.data_dir.mkdir()
        self.interpreter = directory / "python"
        self._away = directory / "python.away"
        self._started = directory / "started"
        self._started.touch()
        # Called as: python -m proxy NAME ...
        self.interpreter.write_text(f'#!/bin/sh\necho "$3 $$" >> "{self._started}"\nexec sleep 300\n')
        self.interpreter.chmod(0o700)

    def processes(self, name: str) -> list[int]:
        """Every process that was started as a gate, the warden or the watchdog, the last one last."""
        words = [line.split() for line in self._started.read_text().splitlines()]
        return [int(pid) for started_as, pid in words if started_as == name]

    def take_interpreter_away(self) -> None:
        self.interpreter.rename(self._away)

    def bring_interpreter_back(self) -> None:
        self._away.rename(self.interpreter)

    def run(self, events: Callable[[], None], *, store_url: str | None = ELSEWHERE, **settings: Any) -> int:
        """Run a guard while ``events`` happen, and stop it as a person does. What it does not survive, this raises."""
        quiet = {"gate_port": 0, "control_port": 0, "gate_workers": 1}
        guard = Supervisor(Settings(data_dir=self.data_dir, store_url=store_url, **(quiet | settings)), [], {})
        trouble: list[BaseException] = []

        def happen() -> None:
            try:
                events()
            except BaseException as error:  # Raised below, in the thread that the test is in.
                trouble.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

        happening = threading.Thread(target=happen)
        happening.start()
        try:
            return guard.run()
        finally:
            happening.join()
            if trouble:
                raise trouble[0]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    monkeypatch.setattr(sys, "executable", str(made.interpreter))
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # A guard that ended too soon must not let the stop that was meant for it end the tests.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)
    for name in ("gate", "warden", "watchdog"):
        for pid in set(made.processes(name)) & set(children(os.getpid())):
            os.kill(pid, signal.SIGKILL)


def test_a_gate_that_cannot_be_started_is_tried_again_and_the_others_live(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    def events() -> None:
        until(lambda: machine.processes("gate") and machine.processes("warden"), "the guard is up")
        machine.take_interpreter_away()
        os.kill(machine.processes("gate")[0], signal.SIGKILL)
        until(lambda: caplog.text.count("gate-0 cannot be started, it is tried again") == 2, "it was tried twice")
        assert not gone(machine.processes("warden")[0])
        machine.bring_interpreter_back()
        until(lambda: len(machine.processes("gate")) == 2, "it is there again")

    assert machine.run(events) == 0


@pytest.mark.parametrize("setting", ["gate_port", "control_port", "gate_https_port"])
def test_a_door_that_another_program_has_is_named(machine: Machine, setting: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(DoorTaken, match=rf"port \d+ .*{setting}.*in use"),
    ):
        machine.run(lambda: None, **{setting: taken.getsockname()[1]})


def test_it_is_tried_ever_more_slowly(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.take_interpreter_away()
    tried: list[float] = []
    start = Child.start

    def counted(child: Child) -> None:
        if child.name == "gate-0":
            tried.append(time.monotonic())
        start(child)

    monkeypatch.setattr(Child, "start", counted)
    assert machine.run(lambda: tried_often(tried, 4)) == 0
    first, second, third = (after - before for before, after in pairwise(tried[:4]))
    assert first >= 0.4
    assert second >= 0.8
    assert third >= 1.6


def tried_often(tried: list[float], times: int) -> None:
    until(lambda: len(tried) >= times, f"it was tried {times} times")


def test_a_relief_without_a_process_for_it_fails_and_the_gates_stay(machine: Machine) -> None:
    def events() -> None:
        (gate,) = until(lambda: machine.processes("gate"), "the guard is up")
        until(lambda: machine.processes("warden"), "all of it")
        machine.take_interpreter_away()
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: last_restart(machine.data_dir) == Restart(1, Rolled.FAILED), "the relief is given up")
        assert not gone(gate)

    assert machine.run(events) == 0


def test_a_store_that_does_not_come_back_is_tried_again_and_the_others_live(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = machine.data_dir / "store" / "appendonlydir" / "appendonly.aof.manifest"

    def events() -> None:
        (warden,) = until(lambda: machine.processes("warden"), "the guard is up")
        whole = manifest.read_bytes()
        manifest.write_text("not a manifest\n")
        with redis.Redis(unix_socket_path=str(socket_path(machine.data_dir))) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        until(lambda: caplog.text.count("the embedded store does not come back") == 2, "it was tried twice")
        assert not gone(warden)
        manifest.write_bytes(whole)
        until(lambda: answers(machine.data_dir), "it is there again")

    assert machine.run(events, store_url=None) == 0


def answers(data_dir: Path) -> bool:
    with redis.Redis(unix_socket_path=str(socket_path(data_dir)), retry=None) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def test_a_stop_on_purpose_is_told_to_the_watchdogs_and_ends_everything(machine: Machine) -> None:
    assert machine.run(lambda: all_up(machine), watchdog="local") == 0
    assert stopping_path(machine.data_dir).exists()
    assert all(gone(pid) for name in ("gate", "warden", "watchdog") for pid in machine.processes(name))


def test_an_end_that_nobody_asked_for_is_no_goodbye_and_leaves_the_watchdog_to_act(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()
    roll = Supervisor._roll

    def with_a_bug(guard: Supervisor) -> tuple[Child, ...]:
        if broken.is_set():
            raise ZeroDivisionError
        return roll(guard)

    def events() -> None:
        all_up(machine)
        broken.set()
        until(lambda: gone(machine.processes("warden")[0]), "the guard has ended")

    monkeypatch.setattr(Supervisor, "_roll", with_a_bug)
    with pytest.raises(ZeroDivisionError):
        machine.run(events, watchdog="local")
    assert not stopping_path(machine.data_dir).exists()
    assert gone(machine.processes("gate")[0])
    assert not gone(machine.processes("watchdog")[0])


def test_a_disk_that_does_not_take_the_goodbye_keeps_no_child_alive(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    def events() -> None:
        all_up(machine)
        stopping_path(machine.data_dir).symlink_to(machine.data_dir / "nowhere" / "file")

    assert machine.run(events, watchdog="local") == 0
    assert all(gone(pid) for name in ("gate", "warden", "watchdog") for pid in machine.processes(name))
    assert "watchdogs cannot be told" in caplog.text


def all_up(machine: Machine) -> None:
    until(lambda: all(machine.processes(name) for name in ("gate", "warden", "watchdog")), "the guard is up")


def test_one_guard_runs_on_a_data_directory(machine: Machine) -> None:
    def events() -> None:
        until(lambda: machine.processes("gate"), "the guard is up")
        second = subprocess.run(
            [PYTHON, "-c", SECOND_GUARD, str(machine.data_dir)], capture_output=True, text=True, check=False
        )
        assert "GuardRunning: another guard is running on" in second.stderr

    assert machine.run(events) == 0


SECOND_GUARD = f"""
import sys
from pathlib import Path
from proxy.settings import Settings
from proxy.supervision.supervisor import DoorTaken, Supervisor
Supervisor(Settings(data_dir=Path(sys.argv[1]), store_url="{ELSEWHERE}", gate_port=0, control_port=0), [], {{}}).run()
"""


def test_a_machine_without_a_process_to_give_is_not_called_another_guard(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(BlockingIOError):
        machine.run(lambda: None, store_url=None)
