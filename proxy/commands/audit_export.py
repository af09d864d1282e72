"""``perpguard audit export``: the record, or some of it, as evidence (JSON lines) or as a table (CSV, Parquet).

JSON lines are the records themselves with their places in the chains: what ``replay --from`` and a verifier read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final, get_args

from proxy.audit.export import write_export
from proxy.audit.place import archive_place
from proxy.audit.reader import ArchiveReader
from proxy.audit.records import StoredRecord
from proxy.audit.selection import Selection
from proxy.audit.since import UsageError, parse_since
from proxy.audit.table import COLUMNS, WHOLE, table_rows
from proxy.clock import utc_now
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK
from proxy.commands.terminal_tables import say
from proxy.exporting.writers import FORMATS, Format, is_stream, whole_file, write_rows

KINDS: Final = tuple(str(each.__struct_config__.tag) for each in get_args(StoredRecord))


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the subcommands of ``audit``."""
    export = actions.add_parser("export", help="the record, or some of it, as JSON lines, CSV or Parquet")
    export.add_argument("--format", choices=FORMATS, default="jsonl", help="default: jsonl, which replays and verifies")
    export.add_argument("--output", type=Path, help="default: standard output; Parquet needs a file")
    # Suppressed, so that they do not undo the same options of ``audit`` itself.
    export.add_argument("--since", default=argparse.SUPPRESS, help="30m, 6h, 2d, or a time such as 2026-11-24 (UTC)")
    export.add_argument("--until", default=argparse.SUPPRESS, help="the same, not included")
    export.add_argument(
        "--account", default=argparse.SUPPRESS, help='only the chain of this account; "" is the desk\'s'
    )
    export.add_argument("--kind", action="append", choices=KINDS, default=[], help="only these; may be repeated")


def run(args: Arguments) -> int:
    """Write the export and give the exit code."""
    if args.format == "parquet" and args.output is not None and is_stream(args.output):
        raise UsageError("Parquet is written to a file: --output FILE")
    if args.output is None and (args.format == "parquet" or sys.stdout.isatty()):
        # The records are written byte for byte, and what bots sent may steer a terminal.
        raise UsageError("an export is for a file or a pipe: give --output FILE")
    now = utc_now()
    selection = Selection(
        since=parse_since(args.since, now) if args.since is not None else None,
        until=parse_since(args.until, now, "--until") if args.until is not None else None,
        account=args.account,
        kinds=tuple(args.kind),
    )
    with ArchiveReader.open(archive_place(args.data_dir)) as archive:
        count = _write(archive, selection, args.format, args.output)
    if args.output is not None:
        say(f"{count} records in {args.output}")
    return OK


def _write(archive: ArchiveReader, selection: Selection, format: Format, output: Path | None) -> int:
    if format != "jsonl":
        with archive.standing_still():
            whole = format == "parquet"
            rows = table_rows(archive, selection, whole=whole)
            return write_rows(rows, WHOLE if whole else COLUMNS, output or sys.stdout.buffer, format)
    if output is None:
        count = write_export(archive, sys.stdout.buffer, selection)
        sys.stdout.buffer.flush()
        return count
    with whole_file(output) as upcoming, upcoming.open("wb") as file:
        return write_export(archive, file, selection)
