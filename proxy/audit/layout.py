"""The layout of the archive's database: brought up to date by Alembic, and checked to be as it was laid out."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from proxy.audit.place import ArchiveUnavailable

REVISION: Final = "0002"
"""The newest layout, and the only one this version writes."""

BEFORE_SEALS: Final = "0001"
"""The layout without a seal. It is read as it is, and brought up to date before anything is written."""

_READ: Final = (BEFORE_SEALS, REVISION)

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """The layout's revision; ``None`` for an empty database, "" for tables that Alembic did not make."""
    names = _names(connection)
    if "alembic_version" not in names:
        return "" if names else None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").fetchall()
    return str(found[0][0]) if len(found) == 1 else ""


def check_revision(connection: Connection) -> None:
    """Raises ``ArchiveUnavailable`` for a layout of another version."""
    found = revision(connection)
    if found is None:
        raise ArchiveUnavailable("the database is empty: there is no archive in it")
    if found not in _READ:
        shown = f"revision {found[:32]}" if found else "no revision that is known"
        raise ArchiveUnavailable(
            f"the archive is laid out as {shown}, this perpguard reads {REVISION}: use the version that wrote it, or"
            " move it aside and keep it"
        )


def upgrade(connection: Connection) -> None:
    """Bring the layout up to date, in the caller's transaction. Raises ``ArchiveUnavailable`` for an unknown one."""
    found = revision(connection)
    if found == REVISION:
        return
    if found is not None:
        check_revision(connection)
    _migrate(connection, REVISION)


def _migrate(connection: Connection, to: str) -> None:
    from alembic import command  # Takes a quarter of a second to import, and is needed once in an archive's life.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def layout_differences(connection: Connection) -> list[str]:
    """Names of tables, indexes, triggers and views that are missing, changed or added, of the revision it says."""
    said = revision(connection) or ""
    if connection.dialect.name == "sqlite":
        wanted, found = _fresh(said), _sqlite_layout(connection)
    else:
        wanted, found = _postgresql_wanted(said), _postgresql_layout(connection)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def _names(connection: Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        rows = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        )
    return {str(name) for (name,) in rows}


@lru_cache(maxsize=len(_READ))
def _fresh(said: str) -> dict[str, Any]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        _migrate(connection, said)
        layout = _sqlite_layout(connection)
    engine.dispose()
    return layout


def _sqlite_layout(connection: Connection) -> dict[str, Any]:
    rows = connection.exec_driver_sql(
        "SELECT name, type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return {str(name): (kind, sql) for name, kind, sql in rows}


# PostgreSQL prints definitions differently from version to version, so what its catalogue says in columns is compared.
# tgtype: 1 for each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
_TRIGGERS: Final = """
    SELECT t.tgname, c.relname, t.tgtype, p.proname, t.tgenabled::text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s)"""
_INDEXES: Final = """
    SELECT i.relname, c.relname, x.indisunique, x.indisvalid, x.indpred IS NOT NULL
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s)"""
_FUNCTIONS: Final = """
    SELECT proname, prosrc FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'perpguard%%' AND %s::text[] IS NOT NULL"""
_RULES: Final = """
    SELECT r.rulename, c.relname FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s)"""
_TABLES: Final = ["archive", "records", "judgements", "checkpoints", "progress", "seal"]


def _postgresql_layout(connection: Connection) -> dict[str, Any]:
    layout: dict[str, Any] = {}
    for question in (_TRIGGERS, _INDEXES, _FUNCTIONS, _RULES):
        for name, *said in connection.exec_driver_sql(question, (_TABLES,)):
            layout[str(name)] = tuple(said)
    return layout


@lru_cache(maxsize=len(_READ))
def _postgresql_wanted(said: str) -> dict[str, Any]:
    from proxy.audit.migrations.versions import r0001_archive, r0002_seal

    if said == BEFORE_SEALS:
        return dict(r0001_archive.postgresql_layout())
    return dict(r0002_seal.postgresql_layout())
