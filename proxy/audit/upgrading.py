"""Brings an archive's tables up to date while no guard writes it. Every start of the guard does the same."""

from __future__ import annotations

from proxy.audit.engine import connect_writer, named_trouble, transaction
from proxy.audit.layout import REVISION, revision, upgrade
from proxy.audit.locking import lock_database, locked
from proxy.audit.place import ArchivePlace, ArchiveUnavailable


def upgrade_archive(place: ArchivePlace) -> str:
    """The revision it has now. Raises ``ArchiveUnavailable``, also when there is none or a guard is at work."""
    if place.url is None and not place.database.is_file():
        raise ArchiveUnavailable(f"there is no archive at {place}")
    with named_trouble(place), locked(place), connect_writer(place) as connection:
        lock_database(connection, place)
        with transaction(connection):
            if revision(connection) is None:
                raise ArchiveUnavailable(f"there is no archive at {place}")
            upgrade(connection)
    return REVISION
