"""``perpguard export``: the ledger as CSV, Parquet or JSON lines. Reads the kept ledger, so the guard may be down."""

from __future__ import annotations

import argparse
import io
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from proxy.audit.since import UsageError, parse_since
from proxy.clock import utc_now
from proxy.commands.answering import answered_by_the_record
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK
from proxy.commands.terminal_tables import complain
from proxy.exporting.columns import UnwritableValue
from proxy.exporting.writers import FORMATS, Format, is_stream, write_rows
from proxy.ledger.books import rows
from proxy.ledger.books.coverage import Coverage, coverage
from proxy.ledger.books.rows import Wanted
from proxy.ledger.books.schema import BooksUnavailable, books_path, reading
from proxy.ledger.books.words import coverage_lines
from proxy.ledger.exports import EXPORTS, Export
from proxy.terminal import say

_SUFFIXES: Final[dict[str, Format]] = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the global command line, which provides ``data_dir``."""
    export = subparsers.add_parser("export", help="the ledger as CSV, Parquet or JSON lines")
    tables = export.add_subparsers(dest="table", required=True, metavar="TABLE")
    for name, table in EXPORTS.items():
        parser = tables.add_parser(name, help=table.about)
        add_window(parser)
        parser.add_argument("--format", choices=FORMATS, help="default: by the name of FILE, else csv")
        parser.add_argument("--output", type=Path, metavar="FILE", help="instead of standard output; Parquet needs one")


def add_window(parser: argparse.ArgumentParser) -> None:
    """The options that say which rows."""
    parser.add_argument("--account", help="only this account")
    parser.add_argument("--bot", help="only this bot; '' is what no bot did")
    parser.add_argument("--symbol", help="only this symbol")
    parser.add_argument("--since", help="30m, 6h, 2d, or a time such as 2026-11-24T09:00 (UTC); default: everything")
    parser.add_argument("--until", help="the same, not included")


def wanted(args: Arguments) -> Wanted:
    """What the options of ``add_window`` say. Raises ``UsageError``."""
    now = utc_now()
    return Wanted(
        account=args.account,
        bot=args.bot,
        symbol=args.symbol,
        since=parse_since(args.since, now) if args.since is not None else None,
        until=parse_since(args.until, now, "--until") if args.until is not None else None,
    )


def coverages(connection: sqlite3.Connection, window: Wanted) -> list[Coverage]:
    """How far the accounts asked for are complete by now. Raises ``UsageError`` for one that has no ledger."""
    now_ms = rows.milliseconds(utc_now())
    known = rows.accounts(connection)
    if window.account is not None and window.account not in known:
        raise UsageError(f"there is no ledger of account {window.account}; known: {', '.join(known) or 'none'}")
    names = known if window.account is None else [window.account]
    return [found.as_of(now_ms) for name in names if (found := coverage(connection, name)) is not None]


def complain_of_gaps(found: list[Coverage], window: Wanted, command: str) -> None:
    """Say what of the time asked for has not been read: whoever adds the rows up would not see it in them."""
    begin = rows.milliseconds(window.since) if window.since is not None else None
    end = rows.milliseconds(window.until) if window.until is not None else None
    for each in found:
        if each.missing_between(begin, end):
            for line in coverage_lines(each):
                complain(line, command)


def run(args: Arguments) -> int:
    """Write one table and give the exit code: 0 written, 2 it cannot be."""
    return answered_by_the_record(f"export {args.table}", lambda: _export(args))


def _export(args: Arguments) -> int:
    output: Path | None = args.output
    format = args.format or (_SUFFIXES.get(output.suffix.lower(), "csv") if output is not None else "csv")
    if format == "parquet" and (output is None or is_stream(output)):
        raise UsageError("Parquet is written to a file: --output FILE")
    table, window = EXPORTS[args.table], wanted(args)
    try:
        with reading(books_path(args.data_dir)) as connection:
            complain_of_gaps(coverages(connection, window), window, f"export {args.table}")
            found = table.rows(connection, window)
            if output is None and sys.stdout.isatty():
                return _show(table, found, cast(Format, format))
            count = write_rows(found, table.columns, output or sys.stdout.buffer, cast(Format, format))
    except (BooksUnavailable, UnwritableValue) as trouble:
        raise UsageError(str(trouble)) from trouble
    if output is not None:
        complain(f"{count} rows in {output}", f"export {args.table}")
    return OK


def _show(table: Export, found: Iterable[Mapping[str, Any]], format: Format) -> int:
    """To a person's terminal, which venues' and bots' names may not steer; pipes and files have them byte for byte."""
    written = io.BytesIO()
    write_rows(found, table.columns, written, format)
    for line in written.getvalue().decode().split("\n")[:-1]:
        say(line.removesuffix("\r"))
    return OK
