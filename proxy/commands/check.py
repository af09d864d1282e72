"""``perpguard check``: settings, policy and vault, read as the guard would read them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.terminal import say, show_json

if TYPE_CHECKING:
    from proxy.doctor.checking import Checked
    from proxy.policy.problems import Problem


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``check`` to the global command line, which provides ``settings``."""
    check = subparsers.add_parser("check", help="read settings, policy and vault as the guard would; say what is wrong")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="this policy, instead of the settings'")
    check.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Arguments) -> int:
    """Check the policy named, or everything the settings name: 0 when the guard would start, otherwise 2.

    Raises ``SettingsError``, ``PolicyError``, ``VaultError``, ``TagsClash`` or ``TlsMissing``, unless the answer is
    JSON.
    """
    from proxy.doctor.checking import check_all, check_file
    from proxy.policy.problems import PolicyError
    from proxy.settings import SettingsError
    from proxy.tls.shelf import TlsMissing
    from proxy.vault.errors import VaultError
    from proxy.venues.binance.client_ids import TagsClash

    try:
        checked = check_file(args.file, lambda: args.settings) if args.file is not None else check_all(args.settings)
    except (SettingsError, PolicyError, VaultError, TagsClash, TlsMissing) as error:
        if not args.json:
            raise
        _print_json(None, error)
        return USAGE_ERROR
    if args.json:
        _print_json(checked, None)
    else:
        _print(checked)
    return OK


def _print(checked: Checked) -> None:
    policy = checked.policy
    about = f"policy {policy.name} ({policy.version}), {len(policy.rules)} rules"
    for warning in checked.warnings:
        say(f"warning: {warning.at(str(checked.file))}")
    for warning in checked.of_settings:
        say(f"warning: {warning.at('')}")
    if checked.accounts is None:
        say(f"{about}; accounts and bots were not compared with a vault")
    else:
        say(f"settings ok; {about}; accounts: {', '.join(checked.accounts) or 'none'}")


def _print_json(checked: Checked | None, error: Exception | None) -> None:
    policy = checked.policy if checked is not None else None
    shown_policy = (
        {"name": policy.name, "owner": policy.owner, "version": policy.version, "rules": len(policy.rules)}
        if policy is not None
        else None
    )
    answer: dict[str, Any] = {
        "ok": error is None,
        "policy": shown_policy,
        "accounts": checked.accounts if checked is not None else None,
        "problems": _plain(error) if error is not None else [],
        "warnings": [*_listed(checked.warnings, str(checked.file)), *_listed(checked.of_settings, "")]
        if checked is not None
        else [],
    }
    show_json(answer, indent=2)


def _plain(error: Exception) -> list[dict[str, Any]]:
    from proxy.policy.problems import PolicyError, Problem

    if isinstance(error, PolicyError):
        return _listed(error.problems, error.file)
    return _listed([Problem(str(error))], "")


def _listed(problems: Iterable[Problem], file: str) -> list[dict[str, Any]]:
    return [{"file": file, "line": problem.line, "message": problem.message} for problem in problems]
