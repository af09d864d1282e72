"""Starts what the guard is made of and keeps it running: the store, one warden, the gates.

Each is a process of its own, so a flood of bot traffic cannot starve the kill switch, and the death of one is mended
without the others noticing. What keeps dying, or cannot be started, is tried again ever more slowly. ``SIGHUP``
relieves the gates by new ones, one after another (``proxy.supervision.rolling``).
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Final

from proxy.addresses import asked_at, in_brackets
from proxy.clock import utc_now
from proxy.guard_id import guard_id
from proxy.kill.sentinels import obey_kill_signal
from proxy.people.file import PeopleBusy, PeopleUnreadable
from proxy.people.links import first_admin_token, link_of
from proxy.settings import Settings
from proxy.store.embedded import EmbeddedStore, EmbeddedStoreFailed
from proxy.supervision.children import RESTART_PAUSE_MAX_S, RESTART_PAUSE_S, Child, end
from proxy.supervision.restarts import Restarts, lock_path, write_pid
from proxy.supervision.rolling import Rolled, RollingRestart
from proxy.terminal import say
from proxy.venues.binance.venue import VENUE
from proxy.watchdog.stopping import stopping_path

log = logging.getLogger("perpguard.supervisor")

STOP_TIMEOUT_S: Final = 20.0
WATCHDOG_STOP_TIMEOUT_S: Final = 90.0
"""A flattening under way is brought to its end: a kill's deadline, and what it then writes down."""
TEND_EVERY_S: Final = 0.05
_BACKLOG: Final = 1024


class GuardRunning(Exception):
    """Another guard has this data directory."""


class DoorTaken(Exception):
    """An address of ours cannot be listened on."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that already accepts connections, for children to share; ``port`` 0 picks a free one. ``OSError``."""
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
        self._make_gate: Callable[[str], Child]
        self._gates: list[Child] = []
        self._others: list[Child] = []
        self._watchdog: Child | None = None
        self._stopping = False
        self._store: EmbeddedStore | None = None
        self._store_pause_s = RESTART_PAUSE_S
        self._store_again_at: float | None = None
        self._restart_asked = False
        self._restarts = Restarts(settings.data_dir)
        self._rolling: RollingRestart | None = None

    def run(self) -> int:
        """Start everything, keep it running, restart the gates on SIGHUP, stop it in order on SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGHUP, self._ask_to_restart)
        obey_kill_signal(self._settings.data_dir)
        with ExitStack() as stack:
            stack.enter_context(_only_guard_of(self._settings.data_dir))
            if self._settings.store_url is None:
                self._store = EmbeddedStore(self._settings.data_dir)
                stack.callback(self._store.stop)
                if not self._await_store(self._store):
                    return 0
            gate = stack.enter_context(self._door("gate", self._settings.gate_port))
            control = stack.enter_context(self._door("control", self._settings.control_port))
            https = None
            if self._settings.gate_https_port is not None:
                https = stack.enter_context(self._door("gate", self._settings.gate_https_port, "gate_https_port"))
            stopping_path(self._settings.data_dir).unlink(missing_ok=True)
            guard_id(self._settings.data_dir)  # Before the gates, which must know whose they are.
            self._plan(gate, https, control)
            say(f"gate    http://{_shown(gate)}/{VENUE}", flush=True)
            say(f"console http://{_shown(control)}/", flush=True)
            say(f"people  {self._way_in(control)}", flush=True)
            if https is not None:
                say(f"gate    https://{_shown(https)}/{VENUE}", flush=True)
            try:
                while not self._stopping:
                    self._tend()
                    time.sleep(TEND_EVERY_S)
            finally:
                self._stop()
        return 0

    def _door(self, whose: str, port: int, setting: str = "") -> socket.socket:
        host = self._settings.gate_host if whose == "gate" else self._settings.control_host
        try:
            return listening_socket(host, port)
        except OSError as trouble:
            names = f"{whose}_host and {setting or f'{whose}_port'}"
            raise DoorTaken(f"cannot listen on {host} port {port} ({names}): {trouble.strerror}") from trouble

    def _await_store(self, store: EmbeddedStore) -> bool:
        """Start the store; false when this process was asked to stop while the store read its file."""
        store.begin()
        while not store.ready and not self._stopping:
            store.tend()
            time.sleep(TEND_EVERY_S)
        return store.ready

    def _plan(self, gate: socket.socket, https: socket.socket | None, control: socket.socket) -> None:
        self._others = [self._child("warden", self._command("warden", control), (control.fileno(),))]
        door, descriptors = self._command("gate", gate), [gate.fileno()]
        if https is not None:
            door += ["--https-fd", str(https.fileno())]
            descriptors.append(https.fileno())
        self._make_gate = lambda name: self._child(name, [*door, "--place", name], descriptors, reports=True)
        self._gates = [self._make_gate(f"gate-{number}") for number in range(self._settings.gate_workers)]
        if self._settings.watchdog == "local":
            self._watchdog = Child("watchdog", self._watchdog_command(control), self._environment)
            self._others.append(self._watchdog)

    def _child(self, name: str, command: list[str], descriptors: Sequence[int], *, reports: bool = False) -> Child:
        """One that ends with its supervisor, as all do but the watchdog, which is of use when that is gone."""
        supervised = self._environment | {"PERPGUARD_SUPERVISED": str(os.getpid())}
        return Child(name, command, supervised, descriptors, reports)

    def _successor(self, gate: Child) -> Child:
        """A gate to relieve ``gate``, in the place that nobody has: two must not tell their counts in one."""
        taken = {each.name for each in self._gates}
        return self._make_gate(next(name for name in map("gate-{}".format, count()) if name not in taken))

    def _command(self, name: str, listener: socket.socket) -> list[str]:
        return [sys.executable, "-m", "proxy", *self._arguments, name, "--fd", str(listener.fileno())]

    def _watchdog_command(self, control: socket.socket) -> list[str]:
        host, port = control.getsockname()[:2]
        own = ["--guard", f"http://{asked_at(host, port)}", "--name", "local", "--supervisor", str(os.getpid())]
        return [sys.executable, "-m", "proxy", *self._arguments, "watchdog", *own]

    def _way_in(self, control: socket.socket) -> str:
        """How people sign in. A file that cannot be read keeps people out, never the guard from starting."""
        try:
            token = first_admin_token(self._settings, utc_now())
        except (PeopleUnreadable, PeopleBusy, OSError) as trouble:
            log.error("nobody can sign in: %s", trouble)
            return "nobody can sign in: the file of people cannot be read"
        if token is None:
            return "sign in on the console; `perpguard people` looks after who may"
        link = link_of(self._settings, token, control.getsockname()[1])
        return f"{link} lets the first admin in, once, within 24 hours"

    def _tend(self) -> None:
        if self._store is not None:
            self._tend_store(self._store)
        busy = self._roll()
        for child in (*self._others, *self._gates):
            if child in busy:
                continue
            if child.ended:
                child.mourn()
            if child.process is None and time.monotonic() >= child.restart_at:
                _start(child)

    def _tend_store(self, store: EmbeddedStore) -> None:
        """Keep the store running. One that does not come back ends nobody: without it exits, cancels and the kill go on
        (docs/architecture.md)."""
        try:
            if self._store_again_at is None:
                if store.tend():
                    log.error("the embedded store had died; started again")
                elif store.ready:
                    self._store_pause_s = RESTART_PAUSE_S
            elif time.monotonic() >= self._store_again_at:
                store.stop()  # Whatever is left of the last attempt: two servers would ruin the file.
                store.begin()
                self._store_again_at = None
        except (EmbeddedStoreFailed, OSError) as trouble:
            self._store_pause_s = min(RESTART_PAUSE_MAX_S, self._store_pause_s * 2)
            self._store_again_at = time.monotonic() + self._store_pause_s
            log.error("the embedded store does not come back, it is tried again: %s", trouble)

    def _roll(self) -> tuple[Child, ...]:
        """Go on with the rolling restart, if there is one; the children that are its business alone."""
        if self._rolling is None and self._restart_asked:
            self._restart_asked = False
            self._restarts.begin()
            self._rolling = RollingRestart(self._gates, self._successor)
        if self._rolling is None:
            return ()
        self._rolling.step(self._gates)
        busy = self._rolling.busy_with
        if self._rolling.state is not Rolled.RUNNING:
            self._restarts.end(self._rolling.state)
            self._rolling = None
        return busy

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _ask_to_restart(self, number: int, frame: FrameType | None) -> None:
        self._restart_asked = True

    def _stop(self) -> None:
        """Gates first, so that no order is left without its warden; then the warden; then the watchdog, which has
        heard by now that this is on purpose; the store last, by the stack.

        Where nobody asked for it, a bug ends the guard: that is no goodbye, and the watchdog is left to act.
        """
        on_purpose = self._stopping
        if on_purpose:
            self._say_goodbye()
        leaving = self._rolling.busy_with if self._rolling is not None else ()
        others = [child for child in self._others if child is not self._watchdog]
        end([*leaving, *self._gates, *others], STOP_TIMEOUT_S)
        if on_purpose and self._watchdog is not None:
            end([self._watchdog], WATCHDOG_STOP_TIMEOUT_S)

    def _say_goodbye(self) -> None:
        """Say that this is on purpose. A disk that does not take it keeps no child alive."""
        try:
            stopping_path(self._settings.data_dir).touch(mode=0o600)
        except OSError as trouble:
            log.error("watchdogs cannot be told that the guard is stopped on purpose: %s", trouble)


def _start(child: Child) -> None:
    """Start it, or say when to try again. It may be the moment: no memory or no process to be had, files replaced."""
    try:
        child.start()
    except OSError as trouble:
        child.pause_s = min(RESTART_PAUSE_MAX_S, child.pause_s * 2)
        child.restart_at = time.monotonic() + child.pause_s
        log.error("%s cannot be started, it is tried again: %s", child.name, trouble)


@contextmanager
def _only_guard_of(data_dir: Path) -> Iterator[None]:
    """Hold the data directory. Raises ``GuardRunning`` when another guard on this machine holds it."""
    descriptor = os.open(lock_path(data_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GuardRunning(f"another guard is running on {data_dir}") from None
        write_pid(descriptor)
        yield
    finally:
        os.close(descriptor)


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"{in_brackets(host)}:{port}"
