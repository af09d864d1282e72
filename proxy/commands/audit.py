"""``perpguard audit ...``: what was refused and why, one request's whole story, and proof that the record is whole.

Reads the archive's file and nothing else, so it works while everything is down. Exit codes: 0 as it should be, 1 not,
2 the question could not be asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from proxy.audit.documents import ArchiveSource, ExportSource
from proxy.audit.export import read_export, read_header, signer_of, why_unproven
from proxy.audit.place import archive_place
from proxy.audit.query import LIMIT_MAX, decision, judged
from proxy.audit.reader import ArchiveReader
from proxy.audit.replay import replay
from proxy.audit.since import UsageError, parse_since
from proxy.audit.upgrading import upgrade_archive
from proxy.audit.verify import verify
from proxy.certificate.shelf import CertificateShelf
from proxy.clock import utc_now
from proxy.commands import audit_export, audit_pages, audit_why, ledger_pages
from proxy.commands.answering import answered_by_the_record
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK, USAGE_ERROR
from proxy.commands.terminal_tables import complain, say
from proxy.ledger.marks import marks_path
from proxy.ledger.supposing import NothingKnown, supposed
from proxy.policy.reading import load_policy, parse_policy
from proxy.signatures.signing import TrustedKey, trusted_key
from rules.engine import decide_batch


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``audit`` and its subcommands to the global command line, which provides ``data_dir``."""
    audit = subparsers.add_parser("audit", help="what was decided and why; verify, export and replay the record")
    audit.add_argument("--blocked", action="store_true", help="refused commands only")
    audit.add_argument("--bot", help="only this bot")
    audit.add_argument("--rule", help="only breaches of this rule")
    audit.add_argument("--account", help="only this account")
    audit.add_argument("--code", help="only breaches with this code")
    audit.add_argument("--symbol", help="only this symbol")
    audit.add_argument("--text", help="only where a client id or a message has this in it")
    audit.add_argument("--since", help="30m, 6h, 2d, or a time such as 2026-11-24T09:00 (UTC)")
    audit.add_argument("--until", help="the same, not included")
    audit.add_argument("--limit", type=int, default=50, help=f"rows shown, at most {LIMIT_MAX} (default 50)")
    audit.add_argument("--json", action="store_true", help="print JSON")
    actions = audit.add_subparsers(dest="audit_command")

    show = actions.add_parser("show", help="intent, decision and outcome of one request")
    show.add_argument("id")
    audit_why.add_arguments(actions)
    check = actions.add_parser("verify", help="hash every record again; 1 when anything was changed")
    check.add_argument(
        "--anchor", type=Path, action="append", default=[], help="compare with this copy of audit.anchor too"
    )
    check.add_argument(
        "--key", type=Path, action="append", default=[], help="a public key to trust; default: those beside the archive"
    )
    check.add_argument("--from", dest="export_file", type=Path, metavar="EXPORT", help="an export instead")
    check.add_argument("--progress", action="store_true", help="say on standard error how far it is")
    audit_export.add_arguments(actions)
    actions.add_parser("upgrade", help="bring the archive's tables up to date, as every start of the guard does")
    again = actions.add_parser("replay", help="decide everything again; 1 when anything comes out differently")
    again.add_argument("--from", dest="export_file", type=Path, metavar="EXPORT", help="an export instead")
    again.add_argument(
        "--key", type=Path, action="append", default=[], help="with --from: a public key that must have signed it"
    )
    again.add_argument("--policy", type=Path, help="under this policy: what would have been different?")
    for action in (show, check, again):
        # Suppressed, so that the subcommand's default does not undo the same option given before it.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(args: Arguments) -> int:
    """Run one ``audit`` command and give its exit code; trouble goes to standard error."""
    return answered_by_the_record("audit", lambda: _COMMANDS[args.audit_command](args))


def _list(args: Arguments) -> int:
    if not 0 < args.limit <= LIMIT_MAX:
        raise UsageError(f"--limit is between 1 and {LIMIT_MAX}")
    now = utc_now()
    asked = partial(
        judged,
        verdict="DENY" if args.blocked else None,
        bot=args.bot,
        account=args.account,
        rule=args.rule,
        code=args.code,
        symbol=args.symbol,
        since=parse_since(args.since, now) if args.since is not None else None,
        until=parse_since(args.until, now, "--until") if args.until is not None else None,
        text=args.text,
    )
    with _open(args) as archive:
        # A page may end early, even without a row, and not be the last; "nothing matches" is true at the end alone.
        page = asked(archive, limit=args.limit)
        rows = list(page.rows)
        while page.next is not None and len(rows) < args.limit:
            page = asked(archive, before=page.next, limit=args.limit - len(rows))
            rows += page.rows
    audit_pages.print_rows(rows, as_json=args.json)
    return OK


def _show(args: Arguments) -> int:
    with _open(args) as archive:
        story = decision(archive, args.id)
    if story is None:
        complain(f"nothing is archived under {args.id}", "audit")
        return NOT_OK
    hindsight = _hindsight(story.decision, args.data_dir)
    if hindsight.unknown:
        # The story is told as it stands in the record, whatever else can be made of it.
        complain(f"what refused orders would have come to is not known: {hindsight.unknown}", "audit")
    audit_pages.print_story(story, hindsight, as_json=args.json)
    return OK


def _hindsight(decision: Mapping[str, Any] | None, data_dir: Path) -> audit_pages.Hindsight:
    """What the orders that a decision record refused would have come to: of prices since the record knows nothing."""
    try:
        return ledger_pages.hindsight(supposed(decision, marks_path(data_dir), utc_now()))
    except NothingKnown as trouble:
        return audit_pages.Hindsight(unknown=str(trouble))


def _why(args: Arguments) -> int:
    return audit_why.run(args, lambda: _open(args))


def _verify(args: Arguments) -> int:
    if args.export_file is not None:
        return _verify_export(args)
    for anchor in args.anchor:
        if not anchor.is_file():
            raise UsageError(f"there is no anchor at {anchor}")
    told = audit_pages.complain_progress if args.progress else _silent
    report = verify(archive_place(args.data_dir), anchors=args.anchor, keys=_keys(args), told=told)
    audit_pages.print_verification(report, as_json=args.json)
    return OK if report.ok else NOT_OK


def _verify_export(args: Arguments) -> int:
    if args.anchor:
        raise UsageError("--anchor is compared with an archive; an export is checked with --key")
    keys = _named_keys(args)
    with args.export_file.open("rb") as file:
        signed_by = _signer(file, keys)
        records = sum(1 for _ in read_export(file, keys))
    audit_pages.print_export(records, signed_by=signed_by, as_json=args.json)
    return OK


def _silent(done: int, of: int) -> None:
    """How far it is, to nobody."""


def _keys(args: Arguments) -> Sequence[TrustedKey]:
    """The keys that are named, or else the guard's own beside the archive, as believable as the directory is."""
    try:
        return _named_keys(args) or CertificateShelf(args.data_dir).trusted_keys()
    except ValueError as error:
        raise UsageError(str(error)) from error


def _named_keys(args: Arguments) -> Sequence[TrustedKey]:
    try:
        return [trusted_key(path.read_bytes()) for path in args.key]
    except ValueError as error:
        raise UsageError(str(error)) from error


def _upgrade(args: Arguments) -> int:
    place = archive_place(args.data_dir)
    say(f"{place} is laid out as revision {upgrade_archive(place)}")
    return OK


def _replay(args: Arguments) -> int:
    policy = load_policy(args.policy) if args.policy is not None else None
    signed_by = ""
    if args.export_file is not None:
        keys = _named_keys(args)
        with args.export_file.open("rb") as file:
            signed_by = _signer(file, keys)
            report = replay(ExportSource(file, keys), decide_batch, parse_policy, policy=policy)
    else:
        if args.key:
            raise UsageError("--key goes with --from; `perpguard audit verify --key` checks the archive")
        with _open(args) as archive, archive.standing_still():
            report = replay(ArchiveSource(archive), decide_batch, parse_policy, policy=policy)
    audit_pages.print_replay(report, signed_by=signed_by, as_json=args.json)
    if not report.decisions:
        return USAGE_ERROR
    return OK if report.agree else NOT_OK


def _signer(file: BinaryIO, keys: Sequence[TrustedKey]) -> str:
    """Which of ``keys`` is to have signed the export in ``file``. Without keys it is said that nothing proves it."""
    header = read_header(file)
    file.seek(0)
    if keys:
        return signer_of(header)
    why = why_unproven(header) or "no public key was given, see --key"
    complain(f"nothing proves who wrote this export, or that it is whole: {why}", "audit")
    return ""


def _open(args: Arguments) -> ArchiveReader:
    return ArchiveReader.open(archive_place(args.data_dir))


_COMMANDS: Final[dict[Any, Callable[[Arguments], int]]] = {
    None: _list,
    "show": _show,
    "why": _why,
    "verify": _verify,
    "export": audit_export.run,
    "replay": _replay,
    "upgrade": _upgrade,
}
