"""The tables of the ledger, one SQLite file in the data directory, and how it is opened.

Every row has the venue's own ids, so reading the same statement again adds nothing. Losing the last second in a power
cut is no loss: rows and the spans that were read are written together, so what is gone is read again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from proxy.tables import BUSY_TIMEOUT_S, make_ready, open_private

# Where two orders of one account meet, both executions bear the one trade id.
_FILLS: Final = (
    "CREATE TABLE IF NOT EXISTS fills (account TEXT NOT NULL, symbol TEXT NOT NULL, trade_id INTEGER NOT NULL,"
    " order_id TEXT NOT NULL, at_ms INTEGER NOT NULL, side TEXT NOT NULL, position_side TEXT NOT NULL,"
    " price TEXT NOT NULL, quantity TEXT NOT NULL, realised_pnl TEXT NOT NULL, margin_asset TEXT NOT NULL,"
    " commission TEXT NOT NULL, commission_asset TEXT NOT NULL, maker INTEGER NOT NULL,"
    " PRIMARY KEY (account, symbol, trade_id, order_id)) STRICT, WITHOUT ROWID"
)

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS accounts (account TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS symbols (account TEXT NOT NULL, symbol TEXT NOT NULL, PRIMARY KEY (account, symbol))"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS spans (account TEXT NOT NULL, source TEXT NOT NULL, begin_ms INTEGER NOT NULL,"
    " end_ms INTEGER NOT NULL, PRIMARY KEY (account, source, begin_ms)) STRICT, WITHOUT ROWID",
    _FILLS,
    "CREATE INDEX IF NOT EXISTS fills_by_time ON fills (account, at_ms)",
    "CREATE TABLE IF NOT EXISTS orders (account TEXT NOT NULL, symbol TEXT NOT NULL, order_id TEXT NOT NULL,"
    " client_order_id TEXT NOT NULL, bot TEXT NOT NULL, origin TEXT NOT NULL,"
    " PRIMARY KEY (account, symbol, order_id)) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS orders_unknown ON orders (account) WHERE origin = 'unknown'",
    # Orders that have fills and no name yet: a full scan to find them would take seconds on a busy account.
    "CREATE TABLE IF NOT EXISTS nameless (account TEXT NOT NULL, symbol TEXT NOT NULL, order_id TEXT NOT NULL,"
    " PRIMARY KEY (account, symbol, order_id)) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS incomes (account TEXT NOT NULL, row_id TEXT NOT NULL, kind TEXT NOT NULL,"
    " symbol TEXT NOT NULL, asset TEXT NOT NULL, amount TEXT NOT NULL, at_ms INTEGER NOT NULL, trade_id INTEGER,"
    " info TEXT NOT NULL, PRIMARY KEY (account, row_id)) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS incomes_by_time ON incomes (account, at_ms)",
    "CREATE INDEX IF NOT EXISTS incomes_by_trade ON incomes (account, symbol, trade_id)",
    # How a funding row was shared out among the bots that held the position.
    "CREATE TABLE IF NOT EXISTS parts (account TEXT NOT NULL, row_id TEXT NOT NULL, bot TEXT NOT NULL,"
    " amount TEXT NOT NULL, PRIMARY KEY (account, row_id, bot)) STRICT, WITHOUT ROWID",
    # One row for each order a bot asked for: what the gate judged it on, and what became of it. Times in microseconds.
    "CREATE TABLE IF NOT EXISTS judged (account TEXT NOT NULL, request TEXT NOT NULL, item INTEGER NOT NULL,"
    " bot TEXT NOT NULL, symbol TEXT NOT NULL, at_us INTEGER NOT NULL, client_order_id TEXT NOT NULL,"
    " refused INTEGER NOT NULL, bid TEXT, ask TEXT, mark TEXT, result TEXT, answered_us INTEGER,"
    " PRIMARY KEY (account, request, item)) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS judged_by_time ON judged (account, at_us)",
    "CREATE INDEX IF NOT EXISTS judged_by_client ON judged (account, client_order_id)",
)


class BooksUnavailable(Exception):
    """The ledger cannot be opened, read or written."""


def books_path(data_dir: Path) -> Path:
    """Where the ledger is, in a guard's data directory."""
    return data_dir / "ledger" / "books.db"


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the ledger for its one writer, or begin it. Raises ``BooksUnavailable``."""
    try:
        connection = open_private(path)
    except (sqlite3.Error, OSError) as error:
        raise BooksUnavailable(f"{path}: {error}") from error
    try:
        make_ready(connection)
        _copy_fills_of_before(connection)
        for statement in TABLES:
            connection.execute(statement)
    except sqlite3.Error as error:
        connection.close()
        raise BooksUnavailable(f"{path}: {error}") from error
    return connection


def _copy_fills_of_before(connection: sqlite3.Connection) -> None:
    """An older ledger has its fills by trade alone. All of them are copied, or it stays as it was."""
    key = {name for _, name, _, _, _, place in connection.execute("PRAGMA table_info(fills)") if place}
    if not key or "order_id" in key:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("ALTER TABLE fills RENAME TO fills_of_before")
        connection.execute(_FILLS)
        connection.execute("INSERT INTO fills SELECT * FROM fills_of_before")
        connection.execute("DROP TABLE fills_of_before")
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A view of one moment that cannot write, while the writer is at work. Raises ``BooksUnavailable``."""
    if not path.is_file():
        raise BooksUnavailable(f"there is no ledger at {path}")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        opened = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        with closing(opened) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        raise BooksUnavailable(f"{path}: {error}") from error
