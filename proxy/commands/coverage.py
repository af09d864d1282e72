"""``perpguard coverage``: which clauses of the regulations a policy covers."""

from __future__ import annotations

import argparse
from pathlib import Path

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK
from proxy.terminal import say, show_json


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``coverage`` to the global command line, which provides ``settings``."""
    covered = subparsers.add_parser("coverage", help="which clauses of the regulations the policy covers")
    covered.add_argument("policy_file", nargs="?", type=Path, metavar="POLICY", help="instead of the policy in force")
    covered.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Print the clauses, row by row."""
    from proxy.policy.reading import load_policy
    from proxy.policy.shelf import policy_path
    from proxy.reference.coverage import coverage, coverage_table
    from proxy.store.codec import plain

    policy = load_policy(args.policy_file if args.policy_file is not None else policy_path(args.settings))
    rows = list(coverage(policy))
    if args.json:
        show_json(plain(rows))
    else:
        say(*coverage_table(policy, rows).split("\n"))
    return OK
