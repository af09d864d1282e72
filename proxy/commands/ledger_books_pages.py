"""How the books look on the command line: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from proxy.commands.terminal_tables import print_table, say
from proxy.ledger.books.coverage import Coverage
from proxy.ledger.books.execution import Quality
from proxy.ledger.books.reconciling import Reconciliation
from proxy.ledger.books.sums import Amounts, Books, Subject
from proxy.ledger.books.words import DIFFERENCES_SHOWN, coverage_lines, in_words, minute, plain_amounts, verdict

_EXECUTION: Final = (
    "day",
    "account",
    "bot",
    "symbol",
    "orders",
    "refused",
    "rejected",
    "p50 ms",
    "p99 ms",
    "spread bps",
    "slippage bps",
    "usual",
    "fills",
    "by mark",
    "not measured",
)


def print_books(
    books: Mapping[Subject, Books], others: Mapping[tuple[str, str], Amounts], coverages: Iterable[Coverage]
) -> None:
    """Three ledgers side by side, and how far they are complete."""
    rows = [
        (
            each.account,
            each.bot or "-",
            each.symbol,
            str(found.fills),
            in_words(found.trading),
            in_words(found.fees),
            in_words(found.carry),
        )
        for each, found in sorted(books.items())
    ]
    print_table(("account", "bot", "symbol", "fills", "trading PnL", "fees", "funding"), rows)
    print_table(
        ("account", "also booked", "amount"),
        [(account, kind, in_words(amounts)) for (account, kind), amounts in sorted(others.items())],
    )
    for coverage in coverages:
        for line in coverage_lines(coverage):
            say(line)


def print_reconciliation(found: Reconciliation) -> None:
    """Day by day, then what differs, then the verdict."""
    print_table(
        ("day", "ledger of", "asset", "executions and parts", "statement"),
        [
            (each.day.isoformat(), each.what.value, each.asset, format(each.ledger, "f"), format(each.statement, "f"))
            for each in found.days
        ],
    )
    print_table(
        ("differs at", "ledger of", "symbol", "id", "asset", "ledger", "statement"),
        [
            (
                minute(each.at),
                each.what.value,
                each.symbol,
                each.row,
                each.asset,
                format(each.ledger, "f"),
                format(each.statement, "f"),
            )
            for each in found.differences[:DIFFERENCES_SHOWN]
        ],
    )
    for line in (*coverage_lines(found.coverage), verdict(found)):
        say(line)


def print_execution(days: Sequence[Quality]) -> None:
    """Execution quality, newest day first."""
    print_table(
        _EXECUTION,
        [
            (
                each.day.isoformat(),
                each.account,
                each.bot,
                each.symbol,
                str(each.orders),
                str(each.refused),
                str(each.rejected),
                *map(_number, (each.latency_ms_p50, each.latency_ms_p99)),
                *map(_number, (each.spread_bps, each.slippage_bps, each.slippage_usual_bps)),
                str(each.measured_fills),
                str(each.measured_by_mark),
                str(each.unmeasured_fills),
            )
            for each in days
        ],
    )
    if not days:
        say("no order was judged or filled")


def books_json(books: Mapping[Subject, Books]) -> list[dict[str, Any]]:
    """One object a subject; amounts are strings by asset."""
    return [
        {
            "account": each.account,
            "bot": each.bot,
            "symbol": each.symbol,
            "fills": found.fills,
            "trading": plain_amounts(found.trading),
            "fees": plain_amounts(found.fees),
            "funding": plain_amounts(found.carry),
        }
        for each, found in sorted(books.items())
    ]


def _number(value: Decimal | None) -> str:
    return "-" if value is None else format(value, "f")
