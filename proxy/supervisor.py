"""Starts what the guard is made of and keeps it running: the store, one warden, the gates.

Each is a process of its own, so a flood of bot traffic cannot starve the kill switch, and the death of one is mended
without the others noticing. A child that keeps dying is restarted ever more slowly.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from proxy.kill.sentinels import obey_kill_signal
from proxy.settings import Settings
from proxy.store.embedded import EmbeddedStore
from proxy.watchdog.stopping import stopping_path

log = logging.getLogger("perpguard.supervisor")

RESTART_PAUSE_S: Final = 0.2
RESTART_PAUSE_MAX_S: Final = 10.0
STOP_TIMEOUT_S: Final = 20.0
WATCHDOG_STOP_TIMEOUT_S: Final = 90.0
"""A flattening under way is brought to its end: a kill's deadline, and what it then writes down."""
_BACKLOG: Final = 1024


class GuardRunning(Exception):
    """Another guard has this data directory."""


@dataclass(slots=True)
class _Child:
    """One process: how to start it, and how it has fared."""

    name: str
    command: Sequence[str]
    descriptors: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = RESTART_PAUSE_S
    restart_at: float = field(default=0.0)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that already accepts connections, for children to share; ``port`` 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle on for the connections it accepts: 40 ms an order.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


class Supervisor:
    """The guard on one machine. ``run`` returns when the process is asked to stop."""

    def __init__(self, settings: Settings, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._children: list[_Child] = []
        self._stopping = False
        self._store: EmbeddedStore | None = None
        self._watchdog: _Child | None = None

    def run(self) -> int:
        """Start everything, keep it running, stop it in order on SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        obey_kill_signal(self._settings.data_dir)
        with ExitStack() as stack:
            stack.enter_context(_only_guard_of(self._settings.data_dir))
            if self._settings.store_url is None:
                self._store = stack.enter_context(EmbeddedStore(self._settings.data_dir))
            gate = stack.enter_context(listening_socket(self._settings.gate_host, self._settings.gate_port))
            control = stack.enter_context(listening_socket(self._settings.control_host, self._settings.control_port))
            stopping_path(self._settings.data_dir).unlink(missing_ok=True)
            self._children = self._plan(gate, control)
            print(f"gate    http://{_shown(gate)}/binanceusdm", flush=True)  # noqa: T201 - the command's own output
            print(f"console http://{_shown(control)}/", flush=True)  # noqa: T201
            try:
                while not self._stopping:
                    self._tend()
                    time.sleep(0.05)
            finally:
                self._stop()
        return 0

    def _plan(self, gate: socket.socket, control: socket.socket) -> list[_Child]:
        warden = _Child("warden", self._command("warden", control), (control.fileno(),))
        gates = [
            _Child(f"gate-{number}", self._command("gate", gate), (gate.fileno(),))
            for number in range(self._settings.gate_workers)
        ]
        if self._settings.watchdog == "local":
            self._watchdog = _Child("watchdog", self._watchdog_command(control))
            return [warden, *gates, self._watchdog]
        return [warden, *gates]

    def _command(self, name: str, listener: socket.socket) -> list[str]:
        return [sys.executable, "-m", "proxy", *self._arguments, name, "--fd", str(listener.fileno())]

    def _watchdog_command(self, control: socket.socket) -> list[str]:
        host, port = control.getsockname()[:2]
        asked_at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read here, not bound
        url = f"http://[{asked_at}]:{port}" if ":" in asked_at else f"http://{asked_at}:{port}"
        own = ["--guard", url, "--name", "local", "--supervisor", str(os.getpid())]
        return [sys.executable, "-m", "proxy", *self._arguments, "watchdog", *own]

    def _tend(self) -> None:
        if self._store is not None and self._store.tend():
            log.error("the embedded store had died; started again")
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._mourn(child)
            if child.process is None and time.monotonic() >= child.restart_at:
                self._start(child)

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            child.command,
            pass_fds=tuple(child.descriptors),
            # A watchdog is of use when its supervisor is gone; the others end with it.
            env=self._environment | ({} if child is self._watchdog else {"PERPGUARD_SUPERVISED": str(os.getpid())}),
            start_new_session=True,
        )
        child.started_at = time.monotonic()

    def _mourn(self, child: _Child) -> None:
        assert child.process is not None  # noqa: S101 - only called with a process that ended
        lived_s = time.monotonic() - child.started_at
        child.pause_s = RESTART_PAUSE_S if lived_s > 30 else min(RESTART_PAUSE_MAX_S, child.pause_s * 2)
        child.restart_at = time.monotonic() + child.pause_s
        log.error("%s ended with %s; starting it again", child.name, child.process.returncode)
        child.process = None

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _stop(self) -> None:
        """Gates first, so that no order is left without its warden; then the warden; then the watchdog, which has
        heard by now that this is on purpose; the store last, by the stack."""
        stopping_path(self._settings.data_dir).touch(mode=0o600)
        _end([child for child in reversed(self._children) if child is not self._watchdog], STOP_TIMEOUT_S)
        if self._watchdog is not None:
            _end([self._watchdog], WATCHDOG_STOP_TIMEOUT_S)


def _end(children: Sequence[_Child], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _only_guard_of(data_dir: Path) -> Iterator[None]:
    """Hold the data directory. Raises ``GuardRunning`` when another guard on this machine holds it."""
    descriptor = os.open(data_dir / "guard.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise GuardRunning(f"another guard is running on {data_dir}") from None
    finally:
        os.close(descriptor)


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
