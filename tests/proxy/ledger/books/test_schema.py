"""A ledger of an older form is opened as it was kept, to the last row; one whose copying was interrupted likewise."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.ledger.books import rows
from proxy.ledger.books.book import LedgerBook
from proxy.ledger.books.rows import FillRow, Wanted
from proxy.ledger.books.schema import BooksUnavailable, reading
from proxy.ledger.books.spans import Span
from tests.proxy.ledger.books.builders import ACCOUNT, DAY_MS, NOW_MS, a_fill, keep

OLD_FILLS = (
    "CREATE TABLE fills (account TEXT NOT NULL, symbol TEXT NOT NULL, trade_id INTEGER NOT NULL,"
    " order_id TEXT NOT NULL, at_ms INTEGER NOT NULL, side TEXT NOT NULL, position_side TEXT NOT NULL,"
    " price TEXT NOT NULL, quantity TEXT NOT NULL, realised_pnl TEXT NOT NULL, margin_asset TEXT NOT NULL,"
    " commission TEXT NOT NULL, commission_asset TEXT NOT NULL, maker INTEGER NOT NULL,"
    " PRIMARY KEY (account, symbol, trade_id)) STRICT, WITHOUT ROWID"
)
FILLS = [a_fill(number, NOW_MS - number * 1000) for number in range(1, 50)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the old form: a trade has one execution."""
    path = tmp_path / "books.db"
    book = LedgerBook.open(path)
    keep(book, FILLS)
    book.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"ALTER TABLE fills RENAME TO new; {OLD_FILLS}; INSERT INTO fills SELECT * FROM new; DROP TABLE new;"
            "CREATE INDEX fills_by_time ON fills (account, at_ms)"
        )
    return path


def fills(path: Path) -> list[FillRow]:
    with reading(path) as connection:
        return list(rows.fills(connection, Wanted()))


def objects(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE tbl_name LIKE 'fills%'")}


def test_an_older_ledger_is_copied_and_then_holds_both_sides_of_a_trade(path: Path) -> None:
    before = fills(path)
    book = LedgerBook.open(path)
    assert fills(path) == before
    book.add_fills(ACCOUNT, "BTCUSDT", [a_fill(1, FILLS[0].at_ms, order_id="other")], Span(NOW_MS - DAY_MS, NOW_MS))
    book.close()
    assert [each.order_id for each in fills(path) if each.trade_id == 1] == ["1", "other"]
    assert objects(path) == {"fills", "fills_by_time"}
    LedgerBook.open(path).close()
    assert len(fills(path)) == len(FILLS) + 1


@pytest.mark.parametrize("interrupted_at", ["CREATE TABLE", "INSERT", "DROP", "COMMIT"])
def test_a_copying_that_is_interrupted_leaves_the_ledger_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, interrupted_at: str
) -> None:
    before = fills(path)

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:  # type: ignore[override]
            if sql.startswith(interrupted_at):
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *values)

    def failing(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=Failing)

    with monkeypatch.context() as patched, pytest.raises(BooksUnavailable, match="full"):
        patched.setattr("proxy.ledger.books.schema.open_private", failing)
        LedgerBook.open(path)
    assert fills(path) == before
    assert objects(path) == {"fills", "fills_by_time"}
    LedgerBook.open(path).close()
    assert fills(path) == before


def test_a_process_that_dies_while_it_copies_leaves_the_ledger_as_it_was(path: Path) -> None:
    before = fills(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as dying:
        dying.execute("BEGIN IMMEDIATE")
        dying.execute("ALTER TABLE fills RENAME TO fills_of_before")
        dying.execute("CREATE TABLE fills (account TEXT)")
    LedgerBook.open(path).close()
    assert fills(path) == before
