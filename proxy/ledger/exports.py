"""The ledger as tables that leave the guard: which columns each has, and its rows one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, localcontext
from typing import Any, Final

from proxy.exporting.columns import Column, Kind
from proxy.ledger.books import rows
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.sums import Amounts, Books, add

_EXACT: Final = Context(prec=60)

_WHOSE: Final = (Column("at", Kind.TIME), Column("account"), Column("bot"), Column("symbol"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One table. ``rows`` are drawn from one view of the ledger."""

    about: str
    columns: tuple[Column, ...]
    rows: Callable[[sqlite3.Connection, Wanted], Iterator[Mapping[str, Any]]]


def _fills(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    return (_picked(each, _FILLS) | {"origin": each.origin.value} for each in rows.fills(connection, wanted))


def _fees(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    for each in rows.fills(connection, wanted):
        if each.fee:
            yield _picked(each, _FEES) | {"origin": each.origin.value}


def _funding(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    return (_picked(each, _FUNDING) for each in rows.fundings(connection, wanted))


def _other(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    return (_picked(each, _OTHER) for each in rows.others(connection, wanted))


def _pnl(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    """A line for each day (UTC), account, bot, symbol and asset: few, however many fills there are."""
    days: dict[tuple[date, str, str, str], Books] = {}
    with localcontext(_EXACT):
        for fill in rows.fills(connection, wanted):
            books = days.setdefault((fill.at.date(), fill.account, fill.bot, fill.symbol), Books())
            books.fills += 1
            add(books.trading, fill.pnl_asset, fill.realised_pnl)
            add(books.fees, fill.fee_asset, fill.fee)
        for part in rows.fundings(connection, wanted):
            books = days.setdefault((part.at.date(), part.account, part.bot, part.symbol), Books())
            add(books.carry, part.asset, part.amount)
    for (day, account, bot, symbol), books in sorted(days.items()):
        for asset in sorted({*books.trading, *books.fees, *books.carry}):
            yield {
                "day": day.isoformat(),
                "account": account,
                "bot": bot,
                "symbol": symbol,
                "asset": asset,
                "trading_pnl": _of(books.trading, asset),
                "fees": _of(books.fees, asset),
                "funding": _of(books.carry, asset),
            }


def _of(amounts: Amounts, asset: str) -> Decimal:
    return amounts.get(asset, Decimal(0))


def _picked(row: object, columns: tuple[Column, ...]) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in columns}


_FILLS: Final = (
    *_WHOSE,
    Column("origin"),
    Column("side"),
    Column("position_side"),
    Column("quantity", Kind.DECIMAL),
    Column("price", Kind.DECIMAL),
    Column("realised_pnl", Kind.DECIMAL),
    Column("pnl_asset"),
    Column("fee", Kind.DECIMAL),
    Column("fee_asset"),
    Column("maker", Kind.BOOLEAN),
    Column("trade_id", Kind.INTEGER),
    Column("order_id"),
    Column("client_order_id"),
)
_FEES: Final = (
    *_WHOSE,
    Column("origin"),
    Column("fee", Kind.DECIMAL),
    Column("fee_asset"),
    Column("maker", Kind.BOOLEAN),
    Column("trade_id", Kind.INTEGER),
    Column("order_id"),
)
_FUNDING: Final = (*_WHOSE, Column("amount", Kind.DECIMAL), Column("asset"), Column("row_id"))
_OTHER: Final = (
    Column("at", Kind.TIME),
    Column("account"),
    Column("kind"),
    Column("symbol"),
    Column("amount", Kind.DECIMAL),
    Column("asset"),
    Column("row_id"),
    Column("info"),
)
_PNL: Final = (
    Column("day"),
    Column("account"),
    Column("bot"),
    Column("symbol"),
    Column("asset"),
    Column("trading_pnl", Kind.DECIMAL),
    Column("fees", Kind.DECIMAL),
    Column("funding", Kind.DECIMAL),
)

EXPORTS: Final[Mapping[str, Export]] = {
    "fills": Export(about="every execution, and whose it is", columns=_FILLS, rows=_fills),
    "fees": Export(about="every commission and rebate, in its own asset", columns=_FEES, rows=_fees),
    "funding": Export(about="funding paid and received, by bot", columns=_FUNDING, rows=_funding),
    "pnl": Export(about="trading profit, fees and funding by day, side by side", columns=_PNL, rows=_pnl),
    "other": Export(
        about="what else the venue booked: transfers, clearance of liquidations, rebates", columns=_OTHER, rows=_other
    ),
}
