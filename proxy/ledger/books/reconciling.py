"""Holds the ledger against the venue's income statement, trade by trade, to the last digit.

Realised profit and commission are known twice: from the executions, and from the statement's rows. For every trade and
asset both must be the same number. Funding is known from the statement alone; there the bots' parts must add up to
each row. A trade of the last minutes whose rows the venue has not listed yet, or of a time that has not
been read on both sides, is pending and no difference.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal, localcontext
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from proxy.ledger.books.coverage import Coverage, coverage
from proxy.ledger.books.rows import milliseconds, moment
from proxy.ledger.books.schedule import OVERLAP_MS
from proxy.ledger.books.sums import Amounts, add

DIFFERENCES_MAX: Final = 1_000
"""Differences that are listed one by one; more are counted."""

_EXACT: Final = Context(prec=60)


class Booked(StrEnum):
    """What is compared."""

    TRADING = "trading"
    FEES = "fees"
    CARRY = "carry"


class Standing(StrEnum):
    """What the comparison came to. INCOMPLETE: nothing differs, and not everything has been read."""

    RECONCILED = "reconciled"
    INCOMPLETE = "incomplete"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One trade, or one funding row, that is not the same in both; ``row`` is the venue's id of it."""

    at: datetime
    what: Booked
    asset: str
    symbol: str
    row: str
    ledger: Decimal
    statement: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySum:
    """A day (UTC) of one asset on both sides."""

    day: date
    what: Booked
    asset: str
    ledger: Decimal
    statement: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """One account's, from ``since`` to ``until``. ``compared`` counts trades and funding rows, ``differing`` those of
    ``differences`` and those beyond their bound."""

    account: str
    since: datetime
    until: datetime
    compared: int
    pending: int
    differing: int
    differences: tuple[Difference, ...]
    days: tuple[DaySum, ...]
    coverage: Coverage

    @property
    def standing(self) -> Standing:
        """What it came to."""
        if self.differing:
            return Standing.DIFFERS
        begin, end = milliseconds(self.since), milliseconds(self.until)
        gap = bool(self.coverage.missing_between(begin, end))
        return Standing.INCOMPLETE if self.pending or gap or begin == end else Standing.RECONCILED


@dataclass(slots=True)
class _Pair:
    """One trade on both sides."""

    at_ms: int
    symbol: str
    row: str
    ledger: dict[Booked, Amounts]
    statement: dict[Booked, Amounts]


def reconcile(
    connection: sqlite3.Connection, account: str, since: datetime | None = None, until: datetime | None = None
) -> Reconciliation | None:
    """Compare what has been read by now, within ``since`` and ``until``; ``None`` for an account without a ledger."""
    covered = coverage(connection, account)
    if covered is None:
        return None
    begin = max(covered.since_ms, milliseconds(since) if since is not None else 0)
    end = max(begin, min(covered.until_ms, milliseconds(until) if until is not None else covered.until_ms))
    days: dict[tuple[date, Booked, str], tuple[Amounts, Amounts]] = {}
    differences: list[Difference] = []
    compared = pending = differing = 0
    with localcontext(_EXACT):
        for pair in _pairs(connection, account, begin, end):
            found = list(_differences(pair))
            if found and (pair.at_ms > covered.until_ms - OVERLAP_MS or covered.misses(pair.symbol, pair.at_ms)):
                pending += 1
                continue
            compared += 1
            differing += len(found)
            differences += found[: DIFFERENCES_MAX - len(differences)]
            _count(days, pair)
    return Reconciliation(
        account=account,
        since=moment(begin),
        until=moment(end),
        compared=compared,
        pending=pending,
        differing=differing,
        differences=tuple(differences),
        days=tuple(
            DaySum(
                day=day,
                what=what,
                asset=asset,
                ledger=ledger.get(asset, Decimal(0)),
                statement=statement.get(asset, Decimal(0)),
            )
            for (day, what, asset), (ledger, statement) in sorted(days.items())
        ),
        coverage=covered,
    )


def _differences(pair: _Pair) -> Iterator[Difference]:
    for what in Booked:
        ledger, statement = pair.ledger.get(what, {}), pair.statement.get(what, {})
        for asset in sorted({*ledger, *statement}):
            here, there = ledger.get(asset, Decimal(0)), statement.get(asset, Decimal(0))
            if here != there:
                yield Difference(
                    at=moment(pair.at_ms),
                    what=what,
                    asset=asset,
                    symbol=pair.symbol,
                    row=pair.row,
                    ledger=here,
                    statement=there,
                )


def _count(days: dict[tuple[date, Booked, str], tuple[Amounts, Amounts]], pair: _Pair) -> None:
    day = moment(pair.at_ms).date()
    for side, booked in enumerate((pair.ledger, pair.statement)):
        for what, amounts in booked.items():
            for asset, amount in amounts.items():
                add(days.setdefault((day, what, asset), ({}, {}))[side], asset, amount)


def _pairs(connection: sqlite3.Connection, account: str, begin: int, end: int) -> Iterator[_Pair]:
    yield from _executed(connection, account, begin, end)
    yield from _only_stated(connection, account, begin, end)
    yield from _fundings(connection, account, begin, end)


_KINDS: Final = {"REALIZED_PNL": Booked.TRADING, "COMMISSION": Booked.FEES}
# Without statistics SQLite would look through all rows of the account for every fill.
_STATED: Final = """
    SELECT f.symbol, f.trade_id, f.order_id, f.at_ms, f.realised_pnl, f.margin_asset, f.commission,
        f.commission_asset, i.row_id, i.kind, i.asset, i.amount
    FROM fills f LEFT JOIN incomes i INDEXED BY incomes_by_trade
        ON i.account = f.account AND i.symbol = f.symbol AND i.trade_id = f.trade_id
        AND i.kind IN ('REALIZED_PNL', 'COMMISSION')
    WHERE f.account = ? AND f.at_ms >= ? AND f.at_ms < ? ORDER BY f.at_ms, f.symbol, f.trade_id, f.order_id"""


def _executed(connection: sqlite3.Connection, account: str, begin: int, end: int) -> Iterator[_Pair]:
    """Every trade: its execution, or both where two orders of the account met, and the statement's rows of it."""
    found = connection.execute(_STATED, (account, begin, end))
    for (symbol, trade_id), joined in groupby(found, key=lambda row: (row[0], row[1])):
        fills: dict[str, tuple[Any, ...]] = {}
        rows: dict[str, tuple[Any, ...]] = {}
        for _, _, order_id, at_ms, pnl, pnl_asset, fee, fee_asset, row_id, *stated in joined:
            fills[order_id] = at_ms, pnl, pnl_asset, fee, fee_asset
            if row_id is not None:
                rows[row_id] = tuple(stated)
        pair = _Pair(min(fill[0] for fill in fills.values()), symbol, str(trade_id), {}, {})
        for _, pnl, pnl_asset, fee, fee_asset in fills.values():
            add(pair.ledger.setdefault(Booked.TRADING, {}), pnl_asset, Decimal(pnl))
            add(pair.ledger.setdefault(Booked.FEES, {}), fee_asset, -Decimal(fee))
        for kind, asset, amount in rows.values():
            add(pair.statement.setdefault(_KINDS[kind], {}), asset, Decimal(amount))
        yield pair


def _only_stated(connection: sqlite3.Connection, account: str, begin: int, end: int) -> Iterator[_Pair]:
    """Rows of the statement for whose trade there is no execution."""
    rows = connection.execute(
        "SELECT symbol, coalesce(trade_id, row_id), at_ms, kind, asset, amount FROM incomes i WHERE account = ?"
        " AND at_ms >= ? AND at_ms < ? AND kind IN ('REALIZED_PNL', 'COMMISSION') AND NOT EXISTS (SELECT 1 FROM fills f"
        " WHERE f.account = i.account AND f.symbol = i.symbol AND f.trade_id = i.trade_id) ORDER BY at_ms, row_id",
        (account, begin, end),
    )
    for symbol, row, at_ms, kind, asset, amount in rows:
        yield _Pair(at_ms, symbol, str(row), {}, {_KINDS[kind]: {asset: Decimal(amount)}})


def _fundings(connection: sqlite3.Connection, account: str, begin: int, end: int) -> Iterator[_Pair]:
    """Every funding row, and what its parts come to."""
    rows = connection.execute(
        "SELECT i.row_id, i.symbol, i.at_ms, i.asset, i.amount, p.amount FROM incomes i LEFT JOIN parts p"
        " ON p.account = i.account AND p.row_id = i.row_id WHERE i.account = ? AND i.kind = 'FUNDING_FEE'"
        " AND i.at_ms >= ? AND i.at_ms < ? ORDER BY i.at_ms, i.row_id",
        (account, begin, end),
    )
    pair: _Pair | None = None
    for row_id, symbol, at_ms, asset, amount, part in rows:
        if pair is None or pair.row != row_id:
            if pair is not None:
                yield pair
            pair = _Pair(at_ms, symbol, row_id, {Booked.CARRY: {}}, {Booked.CARRY: {asset: Decimal(amount)}})
        add(pair.ledger[Booked.CARRY], asset, Decimal(part if part is not None else amount))
    if pair is not None:
        yield pair
