"""`perpguard kill`: works with gates, Redis, console and warden down.

The sentinel is written before anything is imported that could fail, be slow or ask a question.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from proxy.store.fence import Fence, Scope

if TYPE_CHECKING:
    from proxy.certificate.keeping import Issued
    from proxy.kill.report import AccountReport, KillReport
    from proxy.vault.keys import ExchangeKey
    from proxy.vault.vault import Vault
    from rules.kill.settings import Flatten

FLAT, NOT_FLAT, NOT_STARTED = 0, 1, 3
"""Exit codes. NOT_STARTED: nothing was cancelled or closed; whether entries are stopped is printed."""


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``kill`` to the global command line."""
    kill = subparsers.add_parser("kill", help="stop all bots, cancel everything, close every position")
    scope = kill.add_mutually_exclusive_group()
    scope.add_argument("--venue", help="only the accounts on this venue; default: the whole desk")
    scope.add_argument("--account", help="only this account")
    scope.add_argument("--bot", help="only this bot: its orders, and its share of each position")
    kill.add_argument("--reason", required=True)
    kill.add_argument("--by", required=True, help="your name")
    kill.add_argument("--json", action="store_true", help="print the report as JSON")
    kill.add_argument("--passphrase-file", type=Path, help="a file only you can read")


def run(args: argparse.Namespace, stdout: TextIO = sys.stdout, stderr: TextIO = sys.stderr) -> int:
    """Run ``perpguard kill``. Reads ``args.settings`` only after the sentinel stands."""
    try:
        scope = Scope(args.account or None, venue=args.venue or None, bot=args.bot or None)
    except ValueError as trouble:
        print(f"perpguard kill: {trouble}; NOTHING was stopped", file=stderr)
        return 2
    data_dir: Path = args.data_dir
    try:
        Fence(data_dir).engage(scope)
        done = f"entries of {scope} are stopped on this machine and stay so until re-armed"
    except OSError as trouble:
        done = f"nothing: the sentinel could not be written ({trouble})"
    print(done, file=stderr)
    report = _by_the_warden(args, scope, stderr)
    if report is not None:
        return _told(args, report, stdout)

    from proxy.vault.errors import VaultError

    try:
        vault = _open_vault(data_dir, args.passphrase_file)
    except (VaultError, OSError, EOFError) as trouble:
        return _blocked_only(f"the exchange keys cannot be read: {trouble}", done, args, stdout, stderr)
    traders = tuple((key.bot, key.account) for key in vault.guard_keys())
    keys = tuple(
        key
        for key in vault.accounts()
        if scope.covers(key.account, key.venue) or (scope.bot is not None and (scope.bot, key.account) in traders)
    )
    if not keys:
        return _blocked_only(f"the vault holds no such {scope.level.value}", done, args, stdout, stderr)
    unknown = sorted({key.venue for key in keys} - set(args.settings.venue_urls))
    if unknown:
        return _blocked_only(f"no base URL is set for {', '.join(unknown)}", done, args, stdout, stderr)
    return _drive(args, scope, vault, keys, traders, stdout, stderr)


def _by_the_warden(args: argparse.Namespace, scope: Scope, stderr: TextIO) -> KillReport | None:
    """What the running warden made of it; ``None`` when there is none, or it cannot: then it is done from here."""
    from proxy.kill.calling import LineRefused, NoWarden, ask_warden

    def show(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=stderr)

    try:
        told = ask_warden(args.data_dir, scope=str(scope), by=args.by, reason=args.reason, show=show)
        return _report_of(told)
    except (NoWarden, LineRefused) as trouble:
        print(f"perpguard kill: {trouble}; going to the exchange from here", file=stderr)
        return None


def _report_of(told: dict[str, Any]) -> KillReport:
    """Raises ``NoWarden`` for the report of a warden of another version."""
    import msgspec

    from proxy.decoding import build
    from proxy.kill.calling import NoWarden
    from proxy.kill.report import KillReport as Report

    try:
        return build(told, Report)
    except msgspec.ValidationError:
        raise NoWarden("the warden's report cannot be read") from None


def _open_vault(data_dir: Path, passphrase_file: Path | None) -> Vault:
    from getpass import getpass

    from proxy.vault.passphrase import read_passphrase
    from proxy.vault.vault import Vault

    prompt = getpass if sys.stdin.isatty() else None
    passphrase = read_passphrase(environment=os.environ, file=passphrase_file, prompt=prompt)
    return Vault.open(data_dir / "vault" / "vault.json", passphrase)


def _drive(
    args: argparse.Namespace,
    scope: Scope,
    vault: Vault,
    keys: tuple[ExchangeKey, ...],
    traders: tuple[tuple[str, str], ...],
    stdout: TextIO,
    stderr: TextIO,
) -> int:
    import asyncio

    from proxy.certificate.keeping import CertificateKeeper
    from proxy.clock import utc_now

    report = asyncio.run(_kill(args, scope, keys, traders, stderr))
    issued = CertificateKeeper(args.data_dir, vault, utc_now).certify(report)
    return _told(args, report, stdout, issued)


def _told(args: argparse.Namespace, report: KillReport, stdout: TextIO, issued: Issued | None = None) -> int:
    """``issued`` is ``None`` where the warden ran the kill: it issues the certificates itself."""
    from proxy.certificate.shelf import CertificateShelf
    from proxy.store import codec
    from rules.kill.events import Phase

    if args.json:
        certificates = {} if issued is None else {"certificates": codec.plain(issued)}
        print(codec.dump(codec.plain(report) | certificates).decode(), file=stdout)
    else:
        for account in report.accounts:
            print(_summary(account), file=stdout)
        for each in issued.certificates if issued is not None else ():
            print(f"certificate of {each.phase}: {CertificateShelf(args.data_dir).path(each.id)}", file=stdout)
        for trouble in issued.troubles if issued is not None else ():
            print(f"NO CERTIFICATE: {trouble}", file=stdout)
    return FLAT if report.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST) else NOT_FLAT


async def _kill(
    args: argparse.Namespace,
    scope: Scope,
    keys: tuple[ExchangeKey, ...],
    traders: tuple[tuple[str, str], ...],
    stderr: TextIO,
) -> KillReport:
    from proxy.kill.direct import DirectHands
    from proxy.kill.job import kill

    def show(line: dict[str, Any]) -> None:
        if line["kind"] == "event":
            print(json.dumps(line["event"], default=str), file=stderr)

    async with DirectHands(args.settings, traders) as direct:
        hands = [await direct.hand(scope, key) for key in keys]
        report = await kill(
            args.data_dir,
            scope,
            hands,
            args.by,
            args.reason,
            on_step=show,
            latch=direct.latch,
            flatten=_flatten(args),
        )
        await direct.end(scope, report.generation)
        return report


def _flatten(args: argparse.Namespace) -> Flatten:
    """How the policy in force wants positions closed; a policy that cannot be read delays no kill."""
    from proxy.policy.problems import PolicyError
    from proxy.policy.shelf import Shelf
    from proxy.policy_file import read_policy
    from rules.kill.settings import FLATTEN_DEFAULT

    for path in (Shelf(args.data_dir).active_path, args.settings.policy):
        with suppress(PolicyError):
            return read_policy(path)[0].kill.flatten
    return FLATTEN_DEFAULT


def _blocked_only(why: str, done: str, args: argparse.Namespace, stdout: TextIO, stderr: TextIO) -> int:
    not_done = "no order was cancelled, no position was closed, gates on other machines were not told"
    if args.json:
        print(json.dumps({"flat": False, "done": done, "not_done": not_done, "why": why}), file=stdout)
    print(f"perpguard kill: {why}\nDONE: {done}\nNOT DONE: {not_done}", file=stderr)
    return NOT_STARTED


def _summary(report: AccountReport) -> str:
    closed = ", ".join(f"{each.quantity} {each.symbol}" for each in report.closed) or "none"
    lines = [
        f"{report.account}: {report.phase.value} (job {report.job_id}{', joined' if report.joined else ''})",
        f"  orders cancelled: {report.cancelled}; positions closed: {closed}",
    ]
    if report.flat_ms is not None and report.verified_ms is not None:
        lines.append(f"  flat after {report.flat_ms / 1000:.1f} s, verified after {report.verified_ms / 1000:.1f} s")
    lines += [f"  LEFT: {each}" for each in report.left]
    lines += [f"  {each}" for each in (report.why, report.advice, report.trouble) if each]
    return "\n".join(lines)
