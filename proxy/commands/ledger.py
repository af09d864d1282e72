"""``perpguard ledger ...``: what things came to. Reads archive and kept marks, so it works while everything is down."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from proxy.audit.documents import ArchiveSource, Window
from proxy.audit.place import archive_place
from proxy.audit.reader import ArchiveReader
from proxy.audit.since import UsageError, parse_since
from proxy.clock import utc_now
from proxy.commands import ledger_books, ledger_pages
from proxy.commands.answering import answered_by_the_record
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK
from proxy.ledger.counterfactual import Fees
from proxy.ledger.history import MarkHistory
from proxy.ledger.marks import MarkReader, MarksUnavailable, marks_path
from proxy.ledger.valuing import counterfactual

_FEE_MAX: Final = Decimal("0.1")
_FEES: Final = Fees()


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``ledger`` and its subcommands to the global command line, which provides ``data_dir``."""
    ledger = subparsers.add_parser("ledger", help="what trading made and cost, and what rules saved or cost")
    actions = ledger.add_subparsers(dest="ledger_command", required=True, metavar="ACTION")
    saved = actions.add_parser("counterfactual", help="what refused orders would have made or lost, by rule")
    saved.add_argument("--since", help="30m, 6h, 2d, or a time such as 2026-11-24T09:00 (UTC); default: everything")
    saved.add_argument("--until", help="the same, not included")
    saved.add_argument("--bot", help="only this bot")
    saved.add_argument("--rule", help="only what this rule refused")
    saved.add_argument("--taker-fee", help=f"assumed fee, a fraction (default {_FEES.taker})")
    saved.add_argument("--maker-fee", help=f"the same of orders that rested (default {_FEES.maker})")
    saved.add_argument("--json", action="store_true", help="print JSON")
    ledger_books.add_arguments(actions)


def run(args: Arguments) -> int:
    """Run one ``ledger`` command and give its exit code: 0 answered, 1 the archive is damaged, 2 it cannot be asked."""
    return answered_by_the_record(f"ledger {args.ledger_command}", lambda: _COMMANDS[args.ledger_command](args))


def _counterfactual(args: Arguments) -> int:
    now = utc_now()
    window = Window(
        since=parse_since(args.since, now) if args.since is not None else None,
        until=parse_since(args.until, now, "--until") if args.until is not None else None,
        bot=args.bot,
    )
    fees = Fees(
        taker=_fee("--taker-fee", args.taker_fee, _FEES.taker), maker=_fee("--maker-fee", args.maker_fee, _FEES.maker)
    )
    path = marks_path(args.data_dir)
    if not path.is_file():
        raise UsageError(f"there are no mark prices at {path}")
    with ArchiveReader.open(archive_place(args.data_dir)) as archive, archive.standing_still():
        decisions = ArchiveSource(archive, window).decisions()
        try:
            report = counterfactual(decisions, MarkHistory(MarkReader(path)), fees, now, rule=args.rule)
        except MarksUnavailable as trouble:
            raise UsageError(str(trouble)) from trouble
    ledger_pages.print_counterfactual(report, fees, as_json=args.json)
    return OK


def _fee(option: str, text: str | None, default: Decimal) -> Decimal:
    if text is None:
        return default
    try:
        fee = Decimal(text)
    except InvalidOperation:
        fee = Decimal("nan")
    # A maker's fee may be negative: a rebate. A quiet NaN compares as not between.
    if fee.is_nan() or not -_FEE_MAX <= fee <= _FEE_MAX:
        raise UsageError(f"{option} is a fraction of what is traded, such as {default}")
    return fee


_COMMANDS: Final[dict[str, Callable[[Arguments], int]]] = {"counterfactual": _counterfactual, **ledger_books.COMMANDS}
