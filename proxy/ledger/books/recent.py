"""What the last minutes, hours and days came to, by account, bot and symbol: read once, for several periods."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any, Final

from proxy.ledger.books.rows import Wanted, each_account, milliseconds, where
from proxy.ledger.books.sums import Books, Subject, add, together

_EXACT: Final = Context(prec=60)


def recent(
    connection: sqlite3.Connection, wanted: Wanted, now: datetime, periods: Sequence[timedelta]
) -> dict[Subject, list[Books]]:
    """The books of each period that ends at ``now``; ``periods`` are ascending. Rows stamped later count as of now."""
    begins = [milliseconds(now - period) for period in periods]
    rings: dict[Subject, list[Books]] = {}

    def ring(account: str, bot: str, symbol: str, at_ms: int) -> Books:
        """The books of the shortest period that has this moment, less those of shorter ones."""
        each = rings.setdefault(Subject(account, bot, symbol), [Books() for _ in periods])
        return each[next(place for place, begin in enumerate(begins) if at_ms >= begin)]

    window = replace(wanted, since=now - periods[-1], until=None)
    with localcontext(_EXACT):
        mine = each_account(connection, window)
        for account, bot, symbol, at_ms, pnl, pnl_asset, fee, fee_asset in _rows(connection, mine, _fills):
            books = ring(account, bot, symbol, at_ms)
            books.fills += 1
            add(books.trading, pnl_asset, Decimal(pnl))
            add(books.fees, fee_asset, -Decimal(fee))
        for account, bot, symbol, at_ms, amount, asset in _rows(connection, mine, _fundings):
            add(ring(account, bot, symbol, at_ms).carry, asset, Decimal(amount))
    return {subject: [together(each[: place + 1]) for place in range(len(periods))] for subject, each in rings.items()}


def _rows(
    connection: sqlite3.Connection, wanted: Sequence[Wanted], query: Callable[[Wanted], tuple[str, list[object]]]
) -> Iterator[tuple[Any, ...]]:
    for each in wanted:
        yield from connection.execute(*query(each))


def _fills(wanted: Wanted) -> tuple[str, list[object]]:
    conditions, values = where(wanted, "f", bot="coalesce(o.bot, '')")
    query = f"""
        SELECT f.account, coalesce(o.bot, ''), f.symbol, f.at_ms, f.realised_pnl, f.margin_asset, f.commission,
            f.commission_asset
        FROM fills f LEFT JOIN orders o ON o.account = f.account AND o.symbol = f.symbol AND o.order_id = f.order_id
        WHERE {conditions}"""  # noqa: S608 - no value in the text
    return query, values


def _fundings(wanted: Wanted) -> tuple[str, list[object]]:
    conditions, values = where(wanted, "i", bot="coalesce(p.bot, '')")
    query = f"""
        SELECT i.account, coalesce(p.bot, ''), i.symbol, i.at_ms, coalesce(p.amount, i.amount), i.asset
        FROM incomes i LEFT JOIN parts p ON p.account = i.account AND p.row_id = i.row_id
        WHERE i.kind = 'FUNDING_FEE' AND {conditions}"""  # noqa: S608 - no value in the text
    return query, values
