"""The ledger's rows as they are asked for: executions, fees, funding and profits, each a ledger of its own.

Amounts are exact and in the asset the venue booked them in. Received is positive and paid negative, in all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from proxy.ledger.books.attribution import Origin

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows: those of the venue's time from ``since`` on and before ``until``; ``None`` is no bound."""

    account: str | None = None
    bot: str | None = None
    symbol: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """An execution, and whose it is. ``fee`` is negative when paid; a rebate is positive."""

    at: datetime
    account: str
    bot: str
    origin: Origin
    symbol: str
    side: str
    position_side: str
    quantity: Decimal
    price: Decimal
    realised_pnl: Decimal
    pnl_asset: str
    fee: Decimal
    fee_asset: str
    maker: bool
    trade_id: int
    order_id: str
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPart:
    """A bot's part of a funding row; ``bot`` is empty for what is nobody's, or was not shared out."""

    at: datetime
    account: str
    bot: str
    symbol: str
    amount: Decimal
    asset: str
    row_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRow:
    """A row of the statement that is none of a trade's and no funding: a transfer, a liquidation's clearance."""

    at: datetime
    account: str
    kind: str
    symbol: str
    amount: Decimal
    asset: str
    row_id: str
    info: str


# The first account with judged orders, then the next one: a step in the index for each, however many rows there are.
_JUDGED: Final = """
    WITH RECURSIVE judging (account) AS (
        SELECT min(account) FROM judged
        UNION ALL SELECT (SELECT min(j.account) FROM judged j WHERE j.account > judging.account) FROM judging
        WHERE judging.account IS NOT NULL)
    SELECT account FROM accounts UNION SELECT account FROM judging WHERE account IS NOT NULL ORDER BY account"""


def accounts(connection: sqlite3.Connection) -> list[str]:
    """The accounts that have a ledger."""
    return [name for (name,) in connection.execute("SELECT account FROM accounts ORDER BY account")]


def each_account(connection: sqlite3.Connection, wanted: Wanted) -> list[Wanted]:
    """The same rows, account by account. Without an account a query would read all rows of all times: every index of
    times begins with the account."""
    if wanted.account is not None:
        return [wanted]
    # Orders are judged before an account's ledger begins, which waits for the venue.
    return [replace(wanted, account=name) for (name,) in connection.execute(_JUDGED)]


def fills(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[FillRow]:
    """Executions, oldest first of each account."""
    for each in each_account(connection, wanted):
        yield from _fills(connection, each)


def _fills(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[FillRow]:
    conditions, values = where(wanted, "f", bot="coalesce(o.bot, '')")
    query = f"""
        SELECT f.at_ms, f.account, coalesce(o.bot, ''), coalesce(o.origin, 'unknown'), f.symbol, f.side,
            f.position_side, f.quantity, f.price, f.realised_pnl, f.margin_asset, f.commission, f.commission_asset,
            f.maker, f.trade_id, f.order_id, coalesce(o.client_order_id, '')
        FROM fills f LEFT JOIN orders o
            ON o.account = f.account AND o.symbol = f.symbol AND o.order_id = f.order_id
        WHERE {conditions} ORDER BY f.at_ms, f.trade_id, f.symbol, f.order_id"""  # noqa: S608 - no value in the text
    for row in connection.execute(query, values):
        yield FillRow(
            at=moment(row[0]),
            account=row[1],
            bot=row[2],
            origin=Origin(row[3]),
            symbol=row[4],
            side=row[5],
            position_side=row[6],
            quantity=Decimal(row[7]),
            price=Decimal(row[8]),
            realised_pnl=Decimal(row[9]),
            pnl_asset=row[10],
            fee=-Decimal(row[11]),
            fee_asset=row[12],
            maker=bool(row[13]),
            trade_id=row[14],
            order_id=row[15],
            client_order_id=row[16],
        )


def fundings(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[FundingPart]:
    """Funding by bot, oldest first of each account: the parts of a row add up to it to the last digit."""
    for each in each_account(connection, wanted):
        yield from _fundings(connection, each)


def _fundings(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[FundingPart]:
    conditions, values = where(wanted, "i", bot="coalesce(p.bot, '')")
    query = f"""
        SELECT i.at_ms, i.account, coalesce(p.bot, ''), i.symbol, coalesce(p.amount, i.amount), i.asset, i.row_id
        FROM incomes i LEFT JOIN parts p ON p.account = i.account AND p.row_id = i.row_id
        WHERE i.kind = 'FUNDING_FEE' AND {conditions}
        ORDER BY i.at_ms, i.row_id, p.bot"""  # noqa: S608 - no value in the text
    for at_ms, account, bot, symbol, amount, asset, row_id in connection.execute(query, values):
        yield FundingPart(
            at=moment(at_ms),
            account=account,
            bot=bot,
            symbol=symbol,
            amount=Decimal(amount),
            asset=asset,
            row_id=row_id,
        )


def others(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[OtherRow]:
    """Everything else the venue booked, oldest first of each account. It is no bot's."""
    for each in each_account(connection, wanted):
        yield from _others(connection, each)


def _others(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[OtherRow]:
    conditions, values = where(wanted, "i", bot="''")
    query = f"""
        SELECT at_ms, account, kind, symbol, amount, asset, row_id, info FROM incomes i
        WHERE kind NOT IN ('FUNDING_FEE', 'REALIZED_PNL', 'COMMISSION') AND {conditions}
        ORDER BY at_ms, row_id"""  # noqa: S608 - no value in the text
    for at_ms, account, kind, symbol, amount, asset, row_id, info in connection.execute(query, values):
        yield OtherRow(
            at=moment(at_ms),
            account=account,
            kind=kind,
            symbol=symbol,
            amount=Decimal(amount),
            asset=asset,
            row_id=row_id,
            info=info,
        )


def moment(at_ms: int) -> datetime:
    """A time of the venue."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def milliseconds(at: datetime) -> int:
    """The venue's word for a time."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def where(
    wanted: Wanted, table: str, *, bot: str, at: str = "at_ms", units_per_ms: int = 1
) -> tuple[str, list[object]]:
    """The condition for a query, and its values: ``bot`` is what stands for it, ``at`` the column of the time and its
    unit. An index serves no time that is reckoned with in the query."""
    conditions = {
        f"{table}.account = ?": wanted.account,
        f"{table}.symbol = ?": wanted.symbol,
        f"{bot} = ?": wanted.bot,
        f"{table}.{at} >= ?": milliseconds(wanted.since) * units_per_ms if wanted.since is not None else None,
        f"{table}.{at} < ?": milliseconds(wanted.until) * units_per_ms if wanted.until is not None else None,
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    return " AND ".join([*given, "1 = 1"]), list(given.values())
