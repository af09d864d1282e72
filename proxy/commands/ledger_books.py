"""``perpguard ledger show | reconcile | execution``: the books on the command line, also while the guard is down."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from proxy.audit.since import UsageError
from proxy.clock import utc_now
from proxy.commands import ledger_books_pages
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK
from proxy.commands.export import add_window, complain_of_gaps, coverages, wanted
from proxy.commands.terminal_tables import complain
from proxy.ledger.books import rows
from proxy.ledger.books.execution import execution
from proxy.ledger.books.reconciling import Standing, reconcile
from proxy.ledger.books.schema import BooksUnavailable, books_path, reading
from proxy.ledger.books.sums import by_kind, summed
from proxy.ledger.books.words import plain_amounts
from proxy.store.codec import plain
from proxy.terminal import show_json

EXECUTION_DAYS: Final = 7


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these to the sub-commands of ``ledger``."""
    for name, text in (
        ("show", "trading profit, fees and funding by account, bot and symbol, and how far they are complete"),
        ("execution", "what spread and slippage cost, what was refused, how long it took, by day"),
    ):
        parser = actions.add_parser(name, help=text)
        add_window(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser = actions.add_parser("reconcile", help="hold the ledger against the venue's income statement")
    parser.add_argument("--account", help="only this account")
    parser.add_argument("--since", help="30m, 6h, 2d, or a time such as 2026-11-24T09:00 (UTC); default: everything")
    parser.add_argument("--until", help="the same, not included")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(bot=None, symbol=None)


def _show(args: Arguments, connection: sqlite3.Connection) -> int:
    window = wanted(args)
    books = summed(rows.fills(connection, window), rows.fundings(connection, window))
    others = by_kind(rows.others(connection, window))
    covered = coverages(connection, window)
    if args.json:
        show_json(
            {
                "books": ledger_books_pages.books_json(books),
                "also_booked": [
                    {"account": account, "kind": kind, "amounts": plain_amounts(amounts)}
                    for (account, kind), amounts in sorted(others.items())
                ],
                "coverage": plain(covered),
            }
        )
    else:
        ledger_books_pages.print_books(books, others, covered)
    return OK


def _reconcile(args: Arguments, connection: sqlite3.Connection) -> int:
    window = wanted(args)
    found = [
        each
        for covered in coverages(connection, window)
        if (each := reconcile(connection, covered.account, window.since, window.until)) is not None
    ]
    if args.json:
        show_json([{"standing": each.standing.value, **plain(each)} for each in found])
    else:
        for each in found:
            ledger_books_pages.print_reconciliation(each)
    if not found:
        # Nobody has been compared: "all of them are the same" would be true, and prove nothing.
        complain("nothing has been read yet: the ledger holds no account", "ledger")
        return NOT_OK
    return OK if all(each.standing is Standing.RECONCILED for each in found) else NOT_OK


def _execution(args: Arguments, connection: sqlite3.Connection) -> int:
    if args.since is None:
        args.since = (utc_now() - timedelta(days=EXECUTION_DAYS)).isoformat()
    window = wanted(args)
    complain_of_gaps(coverages(connection, window), window, "ledger execution")
    days = execution(connection, window)
    if args.json:
        show_json(plain(days))
    else:
        ledger_books_pages.print_execution(days)
    return OK


def _on_the_books(command: Callable[[Arguments, sqlite3.Connection], int]) -> Callable[[Arguments], int]:
    def run(args: Arguments) -> int:
        try:
            with reading(books_path(args.data_dir)) as connection:
                return command(args, connection)
        except BooksUnavailable as trouble:
            raise UsageError(str(trouble)) from trouble

    return run


COMMANDS: Final[dict[str, Callable[[Arguments], int]]] = {
    "show": _on_the_books(_show),
    "reconcile": _on_the_books(_reconcile),
    "execution": _on_the_books(_execution),
}
