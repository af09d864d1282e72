"""A PostgreSQL server of Debian's package for the tests that need one: in a temporary directory, on a unix socket."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy import URL

_DATABASE: Final = "perpguard"
_START_S: Final = 60
# The tests kill writers, never the server or the machine, so the server need not wait for the disk.
_SETTINGS: Final = {
    "listen_addresses": "''",
    "fsync": "off",
    "max_connections": "50",
    "synchronous_commit": "off",
}


class Cluster:
    """A running server. Archives get a schema each, all in one database."""

    def __init__(self, directory: Path, user: str) -> None:
        self.directory = directory
        self.user = user
        self._numbers = itertools.count(1)

    def url(self, schema: str = "public") -> URL:
        """The URL of the database, with ``schema`` as the place of its tables."""
        query = {"host": str(self.directory), "options": f"-csearch_path={schema}"}
        return URL.create("postgresql+psycopg", username=self.user, database=_DATABASE, query=query)

    def new_schema(self) -> URL:
        """The URL of an empty schema."""
        schema = f"archive_{next(self._numbers)}"
        with psycopg.connect(self._dsn(_DATABASE), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return self.url(schema)

    def begin(self) -> None:
        """Make the database."""
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_DATABASE}".encode())

    def _dsn(self, database: str) -> str:
        return f"host={self.directory} user={self.user} dbname={database}"


def postgresql_programs() -> Path | None:
    """The newest version's programs, where Debian puts them; ``None`` without any."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def running_cluster(programs: Path, directory: Path) -> Iterator[Cluster]:
    """A server in ``directory``, which has to be short: a socket's path has a hundred characters at most."""
    # The server refuses to run as root, and so do its programs.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(directory, user)
    data = directory / "data"
    _run(programs, user, ["initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "-U", user, "-D", str(data)])
    settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    options = f"{settings} -c unix_socket_directories={directory}"
    start = ["pg_ctl", "-D", str(data), "-w", "-t", str(_START_S), "-o", options, "-l", str(directory / "log"), "start"]
    _run(programs, user, start)
    try:
        cluster = Cluster(directory, user)
        cluster.begin()
        yield cluster
    finally:
        _run(programs, user, ["pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop"])


def _run(programs: Path, user: str, command: Sequence[str]) -> None:
    words = [str(programs / command[0]), *command[1:]]
    other = user if os.geteuid() == 0 else None
    subprocess.run(
        words,
        check=True,
        capture_output=True,
        timeout=2 * _START_S,
        user=other,
        group=other,
        cwd="/",
        extra_groups=[] if other else None,
    )
