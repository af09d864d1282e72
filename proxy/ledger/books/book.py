"""The writer's side of the ledger: rows of the venue's statement, each once, and which times of it have been read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from proxy.exchange.statement_payloads import Fill, IncomeRow
from proxy.ledger.books.attribution import NamedBy
from proxy.ledger.books.schema import BooksUnavailable, open_writer
from proxy.ledger.books.spans import Span, joined

INCOME: Final = "income"
"""The source of what is read of an account as a whole; fills are read symbol by symbol."""


def fills_of(symbol: str) -> str:
    """The source of a symbol's fills."""
    return f"fills {symbol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOrder:
    """An order a bot asked for. ``bid`` and ``ask`` are those it was judged on, ``mark`` where there were none."""

    request: str
    item: int
    bot: str
    symbol: str
    at_us: int
    client_order_id: str
    refused: bool
    bid: str | None
    ask: str | None
    mark: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedOutcome:
    """What became of a request's orders: by ``item`` where the venue answered them one by one, else of all."""

    request: str
    item: int | None
    result: str
    answered_us: int | None


class LedgerBook:
    """One process has it. Its methods may be called from any thread, block for the disk, raise ``BooksUnavailable``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._guard = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> LedgerBook:
        """Open the ledger, or begin it."""
        return cls(open_writer(path))

    def close(self) -> None:
        """Give the file back. Closing twice is harmless."""
        with self._guard:
            self._connection.close()

    def begin(self, account: str, since_ms: int) -> int:
        """From when on an account's ledger is kept: what was said first stands."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?)", (account, since_ms))
            (since,) = connection.execute("SELECT since_ms FROM accounts WHERE account = ?", (account,)).fetchone()
        return int(since)

    def symbols(self, account: str) -> frozenset[str]:
        """The symbols whose fills are kept."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT symbol FROM symbols WHERE account = ?", (account,)).fetchall()
        return frozenset(symbol for (symbol,) in rows)

    def follow(self, account: str, symbols: Iterable[str]) -> None:
        """Keep the fills of these symbols too."""
        with self._transaction() as connection:
            _follow(connection, account, symbols)

    def spans(self, account: str, source: str) -> tuple[Span, ...]:
        """What has been read of a source."""
        with self._transaction() as connection:
            return _spans(connection, account, source)

    def add_fills(self, account: str, symbol: str, fills: Iterable[Fill], read: Span) -> None:
        """Fills of one symbol, and the time whose fills all are among these or here already."""
        with self._transaction() as connection:
            fills = list(fills)
            connection.executemany(_INSERT_FILL, [_fill_values(account, each) for each in fills])
            connection.executemany(_INSERT_NAMELESS, {(account, symbol, each.order_id) for each in fills})
            _cover(connection, account, fills_of(symbol), read)

    def add_income(self, account: str, rows: Iterable[IncomeRow], read: Span) -> None:
        """Rows of the statement, likewise. The symbols of trades among them are followed from now on."""
        rows = list(rows)
        with self._transaction() as connection:
            connection.executemany(_INSERT_INCOME, [_income_values(account, each) for each in rows])
            _follow(connection, account, {each.symbol for each in rows if each.symbol and each.trade_id is not None})
            _cover(connection, account, INCOME, read)

    def name_orders(self, account: str, orders: Iterable[NamedBy]) -> None:
        """Whose orders these are. What was known stands, unless it was that nobody knows, or, of a bot's, that nobody
        of the guard sent it: the venue names the order itself that a stop becomes."""
        orders = list(orders)
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM nameless WHERE account = ? AND symbol = ? AND order_id = ?",
                [(account, each.symbol, each.order_id) for each in orders],
            )
            connection.executemany(
                "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " client_order_id = excluded.client_order_id, bot = excluded.bot, origin = excluded.origin"
                " WHERE origin = 'unknown' OR (origin = 'outside' AND excluded.origin = 'bot')",
                [
                    (account, each.symbol, each.order_id, each.client_order_id, each.bot, each.origin.value)
                    for each in orders
                ],
            )

    def nameless(self, account: str, limit: int) -> list[tuple[str, str]]:
        """Symbol and id of orders that have fills here and no name yet, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT symbol, order_id FROM nameless WHERE account = ?"
                " ORDER BY symbol, CAST(order_id AS INTEGER) LIMIT ?",
                (account, limit),
            ).fetchall()
        return [(symbol, order_id) for symbol, order_id in rows]

    def share_funding(self, account: str, row_id: str, parts: Mapping[str, Decimal]) -> None:
        """Whose a funding row is, in its asset. The row itself may come later; what was said first stands."""
        with self._transaction() as connection:
            known = connection.execute("SELECT 1 FROM parts WHERE account = ? AND row_id = ?", (account, row_id))
            if known.fetchone() is None:
                rows = [(account, row_id, bot, format(amount, "f")) for bot, amount in parts.items()]
                connection.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", rows)

    def add_judged(self, account: str, orders: Iterable[JudgedOrder], outcomes: Iterable[JudgedOutcome]) -> None:
        """Orders as they were judged, and what became of them. Told twice, the first stands."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO judged VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                [_judged_values(account, each) for each in orders],
            )
            connection.executemany(
                "UPDATE judged SET result = ?, answered_us = ? WHERE account = ? AND request = ?"
                " AND item = coalesce(?, item) AND refused = 0 AND result IS NULL",
                [(each.result, each.answered_us, account, each.request, each.item) for each in outcomes],
            )

    def forget_judged(self, account: str, before_us: int) -> None:
        """Forget what was judged before: the audit has it for ever."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM judged WHERE account = ? AND at_us < ?", (account, before_us))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise BooksUnavailable(str(error)) from error


_INSERT_FILL: Final = "INSERT OR IGNORE INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_NAMELESS: Final = (
    "INSERT OR IGNORE INTO nameless SELECT ?1, ?2, ?3 WHERE NOT EXISTS"
    " (SELECT 1 FROM orders WHERE account = ?1 AND symbol = ?2 AND order_id = ?3)"
)
_INSERT_INCOME: Final = "INSERT OR IGNORE INTO incomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def _follow(connection: sqlite3.Connection, account: str, symbols: Iterable[str]) -> None:
    connection.executemany("INSERT OR IGNORE INTO symbols VALUES (?, ?)", [(account, each) for each in symbols])


def _spans(connection: sqlite3.Connection, account: str, source: str) -> tuple[Span, ...]:
    rows = connection.execute(
        "SELECT begin_ms, end_ms FROM spans WHERE account = ? AND source = ? ORDER BY begin_ms", (account, source)
    )
    return tuple(Span(*row) for row in rows.fetchall())


def _cover(connection: sqlite3.Connection, account: str, source: str, read: Span) -> None:
    spans = joined((*_spans(connection, account, source), read))
    connection.execute("DELETE FROM spans WHERE account = ? AND source = ?", (account, source))
    connection.executemany("INSERT INTO spans VALUES (?, ?, ?, ?)", [(account, source, *span) for span in spans])


def _fill_values(account: str, fill: Fill) -> tuple[object, ...]:
    return (
        account,
        fill.symbol,
        fill.trade_id,
        fill.order_id,
        fill.at_ms,
        fill.side.value,
        fill.position_side.value,
        format(fill.price, "f"),
        format(fill.quantity, "f"),
        format(fill.realised_pnl, "f"),
        fill.margin_asset,
        format(fill.commission, "f"),
        fill.commission_asset,
        int(fill.maker),
    )


def _income_values(account: str, row: IncomeRow) -> tuple[object, ...]:
    amount = format(row.amount, "f")
    return account, row.row_id, row.kind, row.symbol, row.asset, amount, row.at_ms, row.trade_id, row.info


def _judged_values(account: str, order: JudgedOrder) -> tuple[object, ...]:
    named = (account, order.request, order.item, order.bot, order.symbol, order.at_us, order.client_order_id)
    return *named, int(order.refused), order.bid, order.ask, order.mark
