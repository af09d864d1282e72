"""``perpguard rules``: what each rule does, its settings, codes and clauses."""

from __future__ import annotations

import argparse

from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.terminal import complain, say


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``rules`` to the global command line."""
    rules = subparsers.add_parser("rules", help="what each rule does, its settings, codes and clauses")
    rules.add_argument("rule_id", nargs="?", metavar="RULE")
    rules.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one rule's page or all of them; 2 for a rule that there is not."""
    from proxy.reference.rule_pages import rule_page, rules_json, rules_part
    from rules.catalog import CATALOG

    if args.rule_id is not None and args.rule_id not in CATALOG:
        complain("rules", f"no rule {args.rule_id}; known are {', '.join(CATALOG)}")
        return USAGE_ERROR
    if args.json:
        page = rules_json(args.rule_id)
    else:
        page = rules_part() if args.rule_id is None else rule_page(CATALOG[args.rule_id])
    say(*page.split("\n"))
    return OK
