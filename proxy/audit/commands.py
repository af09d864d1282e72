"""``perpguard audit ...``: what was refused and why, one request's whole story, and proof that the record is whole.

Reads the archive's file and nothing else, so it works while everything is down. Exit codes: 0 as it should be, 1 not,
2 the question could not be asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from proxy.audit import pages
from proxy.audit.asking import NOT_OK, OK, UsageError, answered, parse_since
from proxy.audit.documents import ArchiveSource, ExportSource
from proxy.audit.export import write_export
from proxy.audit.query import LIMIT_MAX, decision, judged
from proxy.audit.reader import ArchiveReader
from proxy.audit.replay import replay
from proxy.audit.verify import verify
from proxy.clock import utc_now
from proxy.policy_file import load_policy, parse_policy
from rules.engine import decide_batch

LookBack = Callable[[Mapping[str, Any] | None, Path], pages.Hindsight]
"""What the orders refused by a decision record would have come to, as a data directory knows it."""


def archive_path(data_dir: Path) -> Path:
    """Where the archive of a data directory stands."""
    return data_dir / "audit" / "audit.db"


def add_arguments(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    look_back: LookBack = lambda decision, data_dir: pages.Hindsight(),
) -> None:
    """Add ``audit`` and its subcommands to the global command line, which provides ``data_dir``.

    ``look_back`` is what ``show`` knows of prices since: the record itself knows nothing of them.
    """
    audit = subparsers.add_parser("audit", help="what was decided and why; verify, export and replay the record")
    audit.add_argument("--blocked", action="store_true", help="refused commands only")
    audit.add_argument("--bot", help="only this bot")
    audit.add_argument("--rule", help="only breaches of this rule")
    audit.add_argument("--account", help="only this account")
    audit.add_argument("--since", help="30m, 6h, 2d, or a time such as 2026-11-24T09:00 (UTC)")
    audit.add_argument("--limit", type=int, default=50, help=f"rows shown, at most {LIMIT_MAX} (default 50)")
    audit.add_argument("--json", action="store_true", help="print JSON")
    actions = audit.add_subparsers(dest="audit_command")

    show = actions.add_parser("show", help="intent, decision and outcome of one request")
    show.add_argument("id")
    show.set_defaults(look_back=look_back)
    check = actions.add_parser("verify", help="hash every record again; 1 when anything was changed")
    check.add_argument("--anchor", type=Path, help="compare with a copy of audit.anchor kept elsewhere")
    export = actions.add_parser("export", help="the whole record as JSON lines")
    export.add_argument("--output", type=Path, help="default: standard output")
    again = actions.add_parser("replay", help="decide everything again; 1 when anything comes out differently")
    again.add_argument("--from", dest="export_file", type=Path, metavar="EXPORT", help="an export instead")
    again.add_argument("--policy", type=Path, help="under this policy: what would have been different?")
    for action in (show, check, again):
        # Suppressed, so that the subcommand's default does not undo the same option given before it.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run one ``audit`` command and give its exit code; trouble goes to standard error."""
    return answered("audit", lambda: _COMMANDS[args.audit_command](args))


def _list(args: argparse.Namespace) -> int:
    if not 0 < args.limit <= LIMIT_MAX:
        raise UsageError(f"--limit is between 1 and {LIMIT_MAX}")
    since = parse_since(args.since, utc_now()) if args.since is not None else None
    with _open(args) as archive:
        rows = judged(
            archive,
            verdict="DENY" if args.blocked else None,
            bot=args.bot,
            rule=args.rule,
            account=args.account,
            since=since,
            limit=args.limit,
        )
    pages.print_rows(rows, as_json=args.json)
    return OK


def _show(args: argparse.Namespace) -> int:
    with _open(args) as archive:
        story = decision(archive, args.id)
    if story is None:
        pages.complain(f"nothing is archived under {args.id}")
        return NOT_OK
    hindsight: pages.Hindsight = args.look_back(story.decision, args.data_dir)
    if hindsight.unknown:
        # The story is told as it stands in the record, whatever else can be made of it.
        pages.complain(f"what refused orders would have come to is not known: {hindsight.unknown}")
    pages.print_story(story, hindsight, as_json=args.json)
    return OK


def _verify(args: argparse.Namespace) -> int:
    if args.anchor is not None and not args.anchor.is_file():
        raise UsageError(f"there is no anchor at {args.anchor}")
    report = verify(archive_path(args.data_dir), args.anchor)
    pages.print_verification(report, as_json=args.json)
    return OK if report.ok else NOT_OK


def _export(args: argparse.Namespace) -> int:
    if args.output is None and sys.stdout.isatty():
        # The records are written byte for byte, and what bots sent may steer a terminal.
        raise UsageError("an export is not for a terminal: give --output FILE or a pipe")
    with _open(args) as archive:
        if args.output is None:
            write_export(archive, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            count = _export_to(args.output, archive)
            pages.say(f"{count} records in {args.output}")
    return OK


def _export_to(path: Path, archive: ArchiveReader) -> int:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        return write_export(archive, file)


def _replay(args: argparse.Namespace) -> int:
    policy = load_policy(args.policy) if args.policy is not None else None
    if args.export_file is not None:
        with args.export_file.open("rb") as file:
            report = replay(ExportSource(file), decide_batch, parse_policy, policy=policy)
    else:
        with _open(args) as archive, archive.standing_still():
            report = replay(ArchiveSource(archive), decide_batch, parse_policy, policy=policy)
    pages.print_replay(report, as_json=args.json)
    return OK if report.agree else NOT_OK


def _open(args: argparse.Namespace) -> ArchiveReader:
    return ArchiveReader.open(archive_path(args.data_dir))


_COMMANDS: Final[dict[Any, Callable[[argparse.Namespace], int]]] = {
    None: _list,
    "show": _show,
    "verify": _verify,
    "export": _export,
    "replay": _replay,
}
