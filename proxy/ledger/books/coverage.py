"""How far an account's ledger is complete, and what is missing."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

from proxy.ledger.books.book import INCOME, fills_of
from proxy.ledger.books.schedule import EVERY_MS
from proxy.ledger.books.spans import Span, gaps, joined

BEHIND_MS: Final = EVERY_MS + 300_000
"""A ledger whose end is this long ago is behind: its statement is read every ``EVERY_MS``, however quiet it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A stretch of time of which a source has not been read: ``symbol`` is empty for the statement itself."""

    symbol: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The ledger begins at ``since_ms`` and knows the venue up to ``until_ms``, but for what is ``missing``.

    ``nameless`` counts orders with executions of which it is not known, or not known yet, who sent them.
    """

    account: str
    since_ms: int
    until_ms: int
    missing: tuple[Missing, ...]
    nameless: int

    def as_of(self, now_ms: int) -> Coverage:
        """As whoever asks at this moment has to see it: what it is behind is missing too."""
        if now_ms - self.until_ms <= BEHIND_MS:
            return self
        return replace(self, missing=(*self.missing, Missing(symbol="", span=Span(self.until_ms, now_ms))))

    def missing_between(self, begin_ms: int | None, end_ms: int | None) -> list[Missing]:
        """What of a time has not been read; ``None`` is no bound."""
        return [
            each
            for each in self.missing
            if (begin_ms is None or each.span.end > begin_ms) and (end_ms is None or each.span.begin < end_ms)
        ]

    def misses(self, symbol: str, at_ms: int) -> bool:
        """Whether a moment of a symbol has not been read, in its fills or in the statement."""
        return any(each.symbol in ("", symbol) and each.span.begin <= at_ms < each.span.end for each in self.missing)


def coverage(connection: sqlite3.Connection, account: str) -> Coverage | None:
    """How far it is, ``None`` for an account without a ledger. The end is that of the income statement.

    A symbol of which the statement has no trade since its fills were read last is not behind: nothing was booked of it.
    """
    row = connection.execute("SELECT since_ms FROM accounts WHERE account = ?", (account,)).fetchone()
    if row is None:
        return None
    since_ms = int(row[0])
    read: dict[str, list[Span]] = defaultdict(list)
    for source, begin, end in connection.execute(
        "SELECT source, begin_ms, end_ms FROM spans WHERE account = ?", (account,)
    ):
        read[source].append(Span(begin, end))
    symbols = [symbol for (symbol,) in connection.execute("SELECT symbol FROM symbols WHERE account = ?", (account,))]
    sources = {INCOME: "", **{fills_of(symbol): symbol for symbol in symbols}}
    ends = {source: joined(read[source])[-1].end if read[source] else since_ms for source in sources}
    until_ms = max(since_ms, ends[INCOME])
    missing = [
        Missing(symbol=symbol, span=gap)
        for source, symbol in sources.items()
        for gap in gaps(
            read[source],
            Span(since_ms, until_ms if _traded_since(connection, account, symbol, ends[source]) else ends[source]),
        )
    ]
    (nameless,) = connection.execute(
        "SELECT (SELECT count(*) FROM nameless WHERE account = ?1)"
        " + (SELECT count(*) FROM orders INDEXED BY orders_unknown WHERE account = ?1 AND origin = 'unknown')",
        (account,),
    ).fetchone()
    return Coverage(
        account=account, since_ms=since_ms, until_ms=until_ms, missing=tuple(missing), nameless=int(nameless)
    )


def _traded_since(connection: sqlite3.Connection, account: str, symbol: str, end_ms: int) -> bool:
    query = "SELECT 1 FROM incomes WHERE account = ? AND symbol = ? AND trade_id IS NOT NULL AND at_ms >= ? LIMIT 1"
    return connection.execute(query, (account, symbol, end_ms)).fetchone() is not None
