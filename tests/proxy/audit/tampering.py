"""What someone with the database's own tools at hand would do to an archive, and how an archive is given back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, text

from proxy.audit.engine import connect_writer
from proxy.audit.place import ArchivePlace

Statement = str | tuple[str, dict[str, Any]]

TABLES = ("archive", "records", "judgements", "checkpoints")
REPLACED = ("progress", "seal")
"""Tables that every append changes."""


class Victim:
    """An archive that is tampered with again and again, whole again before each time."""

    def __init__(self, place: ArchivePlace, restore: Callable[[], None]) -> None:
        self.place = place
        self.restore = restore

    def tamper(self, *statements: Statement) -> None:
        """Run statements that the triggers would refuse."""

        def run_all(connection: Connection) -> None:
            for statement in statements:
                run(connection, statement)

        self.tamper_by(run_all)

    def tamper_by(self, change: Callable[[Connection], None]) -> None:
        """The triggers go, the change is made, the triggers come back as they were."""
        with connect_writer(self.place) as connection:
            if self.place.url is None:
                connection.exec_driver_sql("PRAGMA synchronous = OFF")
            connection.exec_driver_sql("BEGIN")
            triggers = _take_triggers(connection)
            change(connection)
            for sql in triggers:
                connection.exec_driver_sql(sql)
            connection.exec_driver_sql("COMMIT")


def run(connection: Connection, statement: Statement) -> Any:
    """One statement; values are written ``:name`` in either database."""
    if isinstance(statement, str):
        return connection.execute(text(statement))
    return connection.execute(text(statement[0]), statement[1])


def sqlite_victim(original: ArchivePlace, copy: ArchivePlace) -> Victim:
    """A copy of the files, made anew each time."""
    copy.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def restore() -> None:
        for left in copy.directory.iterdir():
            left.unlink()  # A write-ahead log of the one before must not meet this copy.
        shutil.copy(original.database, copy.database)
        shutil.copy(original.anchor, copy.anchor)

    return Victim(copy, restore)


def postgresql_victim(original: ArchivePlace) -> Victim:
    """The tables' rows are kept beside them, and put back each time."""
    anchor = original.anchor.read_bytes()
    with connect_writer(original) as connection:
        for table in (*TABLES, *REPLACED):
            connection.exec_driver_sql(f"CREATE TABLE kept_{table} AS TABLE {table}")
    victim = Victim(original, lambda: None)

    def restore() -> None:
        for left in original.directory.glob("audit.anchor*"):
            left.unlink()
        original.anchor.write_bytes(anchor)
        victim.tamper(
            *(f"DELETE FROM {table}" for table in (*TABLES, *REPLACED)),
            *(f"INSERT INTO {table} SELECT * FROM kept_{table}" for table in (*TABLES, *REPLACED)),
        )

    victim.restore = restore
    return victim


def pretend_older(connection: Connection) -> None:
    """Lay the archive out as versions did that kept no seal. Of one of theirs nothing else is different."""
    connection.execute(text("DROP TABLE seal"))
    connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))


def _take_triggers(connection: Connection) -> Sequence[str]:
    """Take the triggers away; what brings them back."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in found:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        return [sql for _, sql in found]
    for table in TABLES:
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    back = [(table, f"no_{change}") for table in TABLES for change in ("update", "delete", "truncate")]
    back += [(table, "in_sequence") for table in ("records", "checkpoints")]
    return [f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}" for table, name in back]
