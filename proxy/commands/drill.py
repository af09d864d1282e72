"""``perpguard drill``: rehearse the kill, and read the reports."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, NOT_STARTED, OK, USAGE_ERROR
from proxy.terminal import complain, remark, say, show_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import TraceConfig

    from proxy.drill.book import CopiedBook
    from proxy.drill.shelf import DrillReport
    from proxy.vault.keys import ExchangeKey


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``drill`` to the global command line."""
    drill = subparsers.add_parser(
        "drill", help="rehearse the kill on a practice exchange with a copy of the book; list, show"
    )
    drill.add_argument("what", nargs="?", choices=("run", "list", "show"), default="run")
    drill.add_argument("id", nargs="?", help="of the report to show; default: the newest")
    drill.add_argument("--live", action="store_true", help="on the live accounts; only together with --dry")
    drill.add_argument("--dry", action="store_true", help="everything but the sends")
    drill.add_argument("--account", action="append", help="only this account; may be repeated")
    drill.add_argument("--by", help="your name; needed to run one")
    drill.add_argument("--json", action="store_true", help="print the report as JSON")
    drill.add_argument("--passphrase-file", type=Path, help="a file only you can read")


def run(args: Arguments) -> int:
    """0 when it passed, 1 when not, 2 for a command that says too little, 3 when it could not be run."""
    if args.what == "list":
        return _list(args)
    if args.what == "show":
        return _show(args)
    if args.live is not args.dry:
        return _failed("a live drill is dry: --live and --dry belong together", USAGE_ERROR)
    if not args.by:
        return _failed("needs --by: a drill is somebody's", USAGE_ERROR)
    return _run(args)


def _run(args: Arguments) -> int:
    from proxy.clock import utc_now
    from proxy.drill.room import NoRoom
    from proxy.drill.shelf import keep_drill
    from proxy.exchange.troubles import VenueTrouble
    from proxy.practice.world import WorldFailed

    known = _accounts(args)
    keys = tuple(key for key in known if args.account is None or key.account in args.account)
    if not keys:
        return _failed("the vault holds no such account", USAGE_ERROR)
    # Asked to end, it ends what it has started: the practice exchange and the guard before it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(NOT_STARTED))
    try:
        report = _dry(args, keys, known) if args.dry else _practice(args, keys, utc_now())
    except VenueTrouble as trouble:
        return _failed(f"the live book cannot be read: {trouble}", NOT_STARTED)
    except (WorldFailed, NoRoom) as failure:
        return _failed(f"the drill could not be run: {failure}", NOT_STARTED)
    keep_drill(args.settings.data_dir, report)
    _print(report, as_json=args.json)
    return OK if report.passed else NOT_OK


def _accounts(args: Arguments) -> tuple[ExchangeKey, ...]:
    from proxy.vault.opening import open_vault, person_here

    file = args.passphrase_file or args.settings.passphrase_file
    return open_vault(args.settings.data_dir, environment=os.environ, file=file, prompt=person_here()).accounts()


def _practice(args: Arguments, keys: tuple[ExchangeKey, ...], at: datetime) -> DrillReport:
    import asyncio

    from proxy.audit.place import archive_place
    from proxy.drill.practice import rehearse
    from proxy.drill.rate import highest_rate_per_s
    from proxy.policy.reading import read_policy
    from proxy.policy.shelf import policy_path

    _, policy = read_policy(policy_path(args.settings))
    seen = highest_rate_per_s(archive_place(args.settings.data_dir), at)
    remark(f"reading the book of {', '.join(key.account for key in keys)}; highest rate seen: {seen} a second")
    books = asyncio.run(_books(args, keys, at))
    return rehearse(books, policy, by=args.by, seen_per_s=seen, at=at, say=remark)


async def _books(args: Arguments, keys: tuple[ExchangeKey, ...], at: datetime) -> dict[str, CopiedBook]:
    from proxy.drill.book import read_book
    from proxy.drill.dry import never_sends

    found = {}
    for key in keys:
        venue = never_sends(_venue(args, key))
        try:
            found[key.account] = await read_book(venue, at)
        finally:
            await venue.aclose()
    return found


def _dry(args: Arguments, keys: tuple[ExchangeKey, ...], known: tuple[ExchangeKey, ...]) -> DrillReport:
    import asyncio

    from proxy.clock import utc_now
    from proxy.drill.dry import never_sends, rehearse_dry
    from proxy.drill.room import Room
    from proxy.kill.hands import VenueHands
    from proxy.policy.reading import load_policy
    from proxy.policy.shelf import policy_path
    from proxy.store.warden_store import WardenStore

    settings = args.settings
    flatten = load_policy(policy_path(settings)).kill.flatten

    async def rehearsed() -> DrillReport:
        rooms = {venue: Room(venue, keys, known, settings) for venue in {key.venue for key in keys}}
        store = WardenStore(settings.store, settings.desk)
        try:
            for room in rooms.values():
                await room.wait(store, remark)
        finally:
            await store.aclose()
        hands = [VenueHands(never_sends(_venue(args, key, rooms[key.venue].trace(key.account)))) for key in keys]
        try:
            return await rehearse_dry(hands, flatten, by=args.by, at=utc_now(), say=remark)
        finally:
            for each in hands:
                await each.aclose()

    return asyncio.run(rehearsed())


def _venue(args: Arguments, key: ExchangeKey, trace: Callable[[str], TraceConfig] | None = None) -> Any:
    from proxy.exchange.venue_account import VenueAccount

    return VenueAccount.of(key, args.settings, trace=trace)


def _list(args: Arguments) -> int:
    from proxy.drill.shelf import drills

    reports = drills(args.settings.data_dir)
    if not reports:
        say("there was no drill yet: perpguard drill --by NAME")
    for report in reports:
        result = "passed" if report.passed else "NOT PASSED"
        say(f"{report.id}  {report.at:%Y-%m-%d %H:%M} UTC  {report.kind}  {report.phase}  {result}  by {report.by}")
    return OK


def _show(args: Arguments) -> int:
    from proxy.drill.shelf import drill_of, newest_drill

    directory = args.settings.data_dir
    report = newest_drill(directory) if args.id is None else drill_of(directory, args.id)
    if report is None:
        return _failed("there is no such report", NOT_OK)
    _print(report, as_json=args.json)
    return OK


def _print(report: DrillReport, *, as_json: bool) -> None:
    from proxy.store.codec import plain

    if as_json:
        show_json(plain(report))
        return
    say(f"drill {report.id} ({report.kind}), by {report.by}: {'passed' if report.passed else 'NOT PASSED'}")
    say(f"  blocked after {report.blocked_ms} ms")
    if report.kind == "practice":
        taken = "" if report.taken is None else f", {report.taken} taken by the exchange"
        rate = f"{report.rate_per_s:g} a second; most seen: {report.rate_seen_per_s:g}"
        say(f"  {report.sent} orders sent{taken}, {rate}")
        say(f"  orders of bots that arrived after that: {report.arrived_after_blocked}")
    for each in report.accounts:
        times = (
            f"cancelled {each.cancelled_ms} ms, flat {each.flat_ms} ms, proven {each.verified_ms} ms after the press"
        )
        say(f"  {each.account}: {each.phase}; {each.positions} positions, {each.orders} orders")
        say(f"    {times}")
        say(f"    cost {each.cost or 'not known'}, estimated {each.cost_estimate or 'not known'}")
        for line in (*each.left, each.trouble):
            if line:
                say(f"    {line}")
    for line in (*report.not_copied, report.trouble):
        if line:
            say(f"  {line}")


def _failed(words: str, code: int) -> int:
    complain("drill", words)
    return code
