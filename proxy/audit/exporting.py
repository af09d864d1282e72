"""``perpguard audit export``: the record, or some of it, as evidence (JSON lines) or as a table (CSV, Parquet).

JSON lines are the records themselves with their places in the chains: what ``replay --from`` and a verifier read. A
table has one row a record, for a spreadsheet or a notebook; text in CSV cannot become a formula.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from proxy.audit import pages
from proxy.audit.asking import OK, UsageError, parse_since
from proxy.audit.export import write_export
from proxy.audit.place import archive_place
from proxy.audit.reader import ArchiveReader
from proxy.audit.records import StoredRecord
from proxy.audit.selection import Selection
from proxy.audit.words import in_words
from proxy.clock import utc_now
from proxy.decoding import decoder
from proxy.exporting.columns import Column, Kind
from proxy.exporting.writers import FORMATS, is_stream, whole_file, write_rows

COLUMNS: Final = (
    Column("seq", Kind.INTEGER),
    Column("chain"),
    Column("place", Kind.INTEGER),
    Column("at", Kind.TIME),
    Column("kind"),
    Column("id"),
    Column("bot"),
    Column("account"),
    Column("what"),
    Column("verdict"),
    Column("rule"),
    Column("code"),
    Column("message"),
    Column("observed"),
    Column("limit"),
    Column("headroom"),
    Column("hash"),
)
WHOLE: Final = (*COLUMNS, Column("record"))
"""With the record itself: in Parquet. In CSV it would be most of the file, and more than a spreadsheet's cell holds."""

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


def run(args: argparse.Namespace) -> int:
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
        pages.say(f"{count} records in {args.output}")
    return OK


def _write(archive: ArchiveReader, selection: Selection, format: Any, output: Path | None) -> int:
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


class _Breach(msgspec.Struct, frozen=True):
    rule_id: str
    code: str
    message: str | None = None
    observed: str | None = None
    limit: str | None = None
    headroom: str | None = None


class _Decided(msgspec.Struct, frozen=True):
    verdict: str
    breaches: tuple[_Breach, ...] = ()
    headroom: str | None = None


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a row shows of a record; decoding no more than that makes a month a matter of seconds."""

    kind: str
    id: str
    at: datetime
    bot: str | None = None
    account: str | None = None
    commands: tuple[dict[str, Any], ...] = ()
    decisions: tuple[_Decided, ...] = ()
    what: Any = None
    result: Any = None
    name: Any = None
    reason: Any = None


_TOLD: Final = decoder(_Told)
_NOTHING: Final = _Breach("", "")


def table_rows(archive: ArchiveReader, selection: Selection, *, whole: bool) -> Iterator[dict[str, Any]]:
    """One row a record, as they are read, for ``WHOLE`` or ``COLUMNS``; ``standing_still`` is needed.

    Of a request the first refusal is told.
    """
    for seq, chain, place, digest, body in archive.stream(selection.records(archive)):
        told = _TOLD.decode(body)
        refusal = next((each for each in told.decisions if each.verdict == "DENY"), None)
        decided = refusal or next(iter(told.decisions), None)
        breach = next(iter(decided.breaches), _NOTHING) if decided is not None else _NOTHING
        headroom = decided.headroom if decided is not None and breach.headroom is None else breach.headroom
        row = {
            "seq": seq,
            "chain": chain,
            "place": place,
            "at": told.at,
            "kind": told.kind,
            "id": told.id,
            "bot": told.bot,
            "account": told.account,
            "what": _what(told),
            "verdict": decided.verdict if decided is not None else None,
            "rule": breach.rule_id or None,
            "code": breach.code or None,
            "message": breach.message,
            "observed": breach.observed,
            "limit": breach.limit,
            "headroom": headroom,
            "hash": digest.hex(),
        }
        yield row | {"record": body.decode()} if whole else row


def _what(told: _Told) -> str | None:
    """A record in a few words."""
    if told.commands:
        return "; ".join(in_words(command) for command in told.commands)
    words = told.what or told.result or told.name or told.reason
    return words if isinstance(words, str) else None
