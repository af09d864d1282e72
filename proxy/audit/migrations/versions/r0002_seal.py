"""The seal: the signed statement that covers the last record, replaced in the transaction of every append.

It is laid out empty. Only whoever has the key can fill it: the guard, at its next start.
"""

from __future__ import annotations

from typing import Final

from alembic import op

from proxy.audit.migrations.versions import r0001_archive

revision: Final = "0002"
down_revision: Final = "0001"


def postgresql_layout() -> dict[str, tuple[object, ...]]:
    """What PostgreSQL's catalogue says of this layout."""
    return r0001_archive.postgresql_layout() | {"seal_pkey": ("seal", True, True, False)}


def upgrade() -> None:
    """A place for the seal."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    integer, content, strict = ("INTEGER", "BLOB", " STRICT") if sqlite else ("BIGINT", "BYTEA", "")
    op.get_bind().exec_driver_sql(
        f"CREATE TABLE seal (only_row {integer} PRIMARY KEY CHECK (only_row = 1), content {content} NOT NULL){strict}"
    )
