"""How the books look on the command line: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from proxy.audit.pages import print_table, say
from proxy.ledger.books.coverage import Coverage, Missing
from proxy.ledger.books.execution import Quality
from proxy.ledger.books.reconciling import Reconciliation, Standing
from proxy.ledger.books.rows import moment
from proxy.ledger.books.sums import Amounts, Books, Subject

GAPS_SHOWN: Final = 10
DIFFERENCES_SHOWN: Final = 50

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


def verdict(found: Reconciliation) -> str:
    """What the comparison came to, in one sentence."""
    span = f"{minute(found.since)} to {minute(found.until)} UTC"
    match found.standing:
        case Standing.RECONCILED:
            return f"{found.account}: reconciled to the last digit for {span}, {found.compared} trades and fundings"
        case Standing.DIFFERS:
            return f"{found.account}: {found.differing} amounts differ from the venue's statement for {span}"
        case Standing.INCOMPLETE:
            pending = f", {found.pending} trades or fundings are not in both yet" if found.pending else ""
            return f"{found.account}: nothing read differs for {span}, and not everything has been read{pending}"


def coverage_lines(coverage: Coverage) -> list[str]:
    """How far the ledger is complete."""
    whole = f"complete from {minute(moment(coverage.since_ms))} to {minute(moment(coverage.until_ms))} UTC"
    lines = [f"{coverage.account}: {whole}{', but for' if coverage.missing else ''}"]
    lines += [f"  {line}" for line in gap_lines(coverage.missing)]
    if coverage.nameless:
        lines.append(f"  {coverage.nameless} orders with fills, and nobody knows yet who sent them")
    return lines


def gap_lines(missing: Sequence[Missing]) -> list[str]:
    """What has not been read."""
    lines = []
    for each in missing[:GAPS_SHOWN]:
        of = f"fills of {each.symbol}" if each.symbol else "the statement"
        lines.append(f"{of} from {minute(moment(each.span.begin))} to {minute(moment(each.span.end))}")
    if len(missing) > GAPS_SHOWN:
        lines.append(f"and {len(missing) - GAPS_SHOWN} more")
    return lines


def in_words(amounts: Amounts) -> str:
    """Each asset's sum by itself."""
    return ", ".join(f"{format(amount, 'f')} {asset}" for asset, amount in sorted(amounts.items())) or "0"


def minute(at: datetime) -> str:
    """A moment to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


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


def plain_amounts(amounts: Amounts) -> dict[str, str]:
    """Sums as strings, without an exponent."""
    return {asset: format(amount, "f") for asset, amount in sorted(amounts.items())}


def _number(value: Decimal | None) -> str:
    return "-" if value is None else format(value, "f")
