"""Where an archive is: SQLite in the data directory, or a PostgreSQL database by URL.

The URL bears a password, so it comes from the environment (``PERPGUARD_AUDIT_URL``) or from a file that the
environment names (``PERPGUARD_AUDIT_URL_FILE``), and is never shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_POSTGRESQL: Final = ("postgresql", "postgresql+psycopg", "postgres")
_URL_BYTES_MAX: Final = 4096


class ArchiveUnavailable(Exception):
    """The archive cannot be read or written now: missing, locked, or the database or disk refuses."""


class ArchiveTampered(Exception):
    """The archive is not the one this guard wrote. Nothing is appended to it: move it aside, or name another schema,
    and keep it as evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlace:
    """Anchor and lock are in ``directory``, and so are the records unless ``url`` names another database."""

    directory: Path
    url: URL | None = field(default=None, repr=False)

    @property
    def database(self) -> Path:
        """The SQLite file, used unless there is a URL."""
        return self.directory / "audit.db"

    @property
    def anchor(self) -> Path:
        """The newest checkpoint, outside the database."""
        return self.directory / "audit.anchor"

    @property
    def lock(self) -> Path:
        """Held by the one who writes."""
        return self.directory / "audit.lock"

    def __str__(self) -> str:
        if self.url is None:
            return str(self.database)
        port = f":{self.url.port}" if self.url.port else ""
        return f"postgresql://{self.url.host or ''}{port}/{self.url.database or ''}"


def archive_place(data_dir: Path, environ: Mapping[str, str] = os.environ) -> ArchivePlace:
    """The archive of a data directory. Raises ``ArchiveUnavailable`` for a URL that names no PostgreSQL database."""
    return ArchivePlace(directory=data_dir / "audit", url=_url(environ))


def _url(environ: Mapping[str, str]) -> URL | None:
    given = environ.get("PERPGUARD_AUDIT_URL")
    named = environ.get("PERPGUARD_AUDIT_URL_FILE")
    if not given and named:
        try:
            with Path(named).open("rb") as file:
                given = file.read(_URL_BYTES_MAX).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ArchiveUnavailable(f"{named} cannot be read: {type(error).__name__}") from None
    if not given:
        return None
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        url = None  # Its message repeats the URL.
    if url is None or url.drivername not in _POSTGRESQL:
        raise ArchiveUnavailable("PERPGUARD_AUDIT_URL is no postgresql:// URL")
    return url.set(drivername="postgresql+psycopg")
