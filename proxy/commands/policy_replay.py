"""``perpguard policy replay NEW``: what recorded orders would come to under another policy. Reads the archive alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from proxy.audit.documents import ArchiveSource, Window
from proxy.audit.place import archive_place
from proxy.audit.reader import ArchiveReader
from proxy.audit.since import UsageError, parse_since
from proxy.clock import utc_now
from proxy.commands.answering import answered_by_the_record
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK
from proxy.commands.terminal_tables import print_table, say
from proxy.policy.reading import load_policy, parse_policy
from proxy.reasons.flips import Change, Flip
from proxy.reasons.replaying import FLIPS_SHOWN, PolicyReplay, replay_policy
from proxy.reasons.tally import Sum, Tally
from proxy.store.codec import plain
from proxy.terminal import show_json
from rules.engine import decide_batch
from rules.rule import show

_SHOWN_MAX: Final = 100_000

NOT_KNOWN: Final = (
    "each order is judged on the state that really was: had one been refused, or let pass, later positions would differ"
)


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``replay`` to the subcommands of ``policy``."""
    again = actions.add_parser("replay", help="which recorded orders would flip under NEW; 1 when any does")
    again.add_argument("new", type=Path, metavar="NEW")
    again.add_argument("--since", help="30m, 6h, 2d, or a time such as 2026-11-24T09:00 (UTC); default: everything")
    again.add_argument("--until", help="the same, not included")
    again.add_argument("--bot", help="only this bot")
    again.add_argument("--limit", type=int, default=FLIPS_SHOWN, help=f"flips listed (default {FLIPS_SHOWN})")
    again.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Run it and give the exit code: 0 nothing flips, 1 something does or may, 2 it cannot be asked."""
    return answered_by_the_record("policy replay", lambda: _replay(args))


def _replay(args: Arguments) -> int:
    if not 0 <= args.limit <= _SHOWN_MAX:
        raise UsageError(f"--limit is between 0 and {_SHOWN_MAX}")
    now = utc_now()
    window = Window(
        since=parse_since(args.since, now) if args.since is not None else None,
        until=parse_since(args.until, now, "--until") if args.until is not None else None,
        bot=args.bot,
    )
    new = load_policy(args.new)
    with ArchiveReader.open(archive_place(args.data_dir)) as archive, archive.standing_still():
        report = replay_policy(ArchiveSource(archive, window), decide_batch, parse_policy, new, flips_shown=args.limit)
    if args.json:
        show_json(_as_json(report))
    else:
        _print(report)
    return OK if report.same else NOT_OK


def _print(report: PolicyReplay) -> None:
    for change in (Change.REFUSED, Change.ALLOWED, Change.RESIZED):
        say(f"{_HEADINGS[change]}: {_in_words(report.by_change[change.value,])}")
    for heading, tally in (("rule", report.by_rule), ("bot", report.by_bot), ("symbol", report.by_symbol)):
        rows = [(name[0], " ".join(name[1:]).strip() or "-", *_cells(each)) for name, each in tally]
        print_table(("", f"by {heading}", "orders", "notional"), rows)
    print_table(("time (UTC)", "bot", "command", "", "notional", "why", "id"), map(_row, report.flips))
    reported = [(" ".join(name), *_cells(each)) for name, each in report.reported]
    print_table(("passes, and would be reported by", "orders", "notional"), reported)
    say(
        f"{report.decisions} decisions: {report.replayed} replayed, {report.in_part} without a rule that might refuse"
        f" them, {sum(report.not_replayed.values())} not replayed"
    )
    for (rule, reason), count in report.left_out.most_common():
        say(f"  {count} pass without {rule}: {reason}")
    for reason, count in report.not_replayed.most_common():
        say(f"  {count} not replayed: {reason}")
    say(f"not known: {NOT_KNOWN}")


_HEADINGS: Final = {
    Change.REFUSED: "allowed then, refused now",
    Change.ALLOWED: "refused then, allowed now",
    Change.RESIZED: "sent at another size",
}


def _in_words(found: Sum) -> str:
    orders, notional = _cells(found)
    return f"{orders} orders, notional {notional}" if found.orders else "none"


def _cells(found: Sum) -> tuple[str, str]:
    unvalued = f" (+ {found.unvalued} of unknown value)" if found.unvalued else ""
    return str(found.orders), f"{show(found.notional)}{unvalued}"


def _row(flip: Flip) -> tuple[str, ...]:
    notional = "unknown" if flip.notional is None else show(flip.notional)
    doubt = ", as far as is known" if flip.in_part else ""
    why = " ".join(filter(None, (flip.rule, flip.code))) + (f": {flip.message}" if flip.message else "")
    when = flip.at[:19].replace("T", " ")
    return when, flip.bot, flip.command, f"{flip.change.value}{doubt}", notional, why, flip.id


def _as_json(report: PolicyReplay) -> dict[str, Any]:
    return {
        "policy_version": report.policy_version,
        "same": report.same,
        "decisions": report.decisions,
        "replayed": report.replayed,
        "in_part": report.in_part,
        "not_replayed": dict(report.not_replayed),
        "left_out": [
            {"rule": rule, "reason": reason, "passes": count} for (rule, reason), count in report.left_out.most_common()
        ],
        "changes": _sums(report.by_change, "change"),
        "by_rule": _sums(report.by_rule, "change", "rule", "code"),
        "by_bot": _sums(report.by_bot, "change", "bot"),
        "by_symbol": _sums(report.by_symbol, "change", "symbol"),
        "reported": _sums(report.reported, "rule", "code"),
        "flips": plain(report.flips),
        "not_known": NOT_KNOWN,
    }


def _sums(tally: Tally, *columns: str) -> list[dict[str, Any]]:
    return [{**dict(zip(columns, name, strict=True)), **plain(found)} for name, found in tally]
