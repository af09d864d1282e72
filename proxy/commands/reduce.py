"""``perpguard reduce``: make accounts reduce-only through the running warden. Exits and cancels go on."""

from __future__ import annotations

import argparse

from proxy.commands.answering import answered_by_the_warden
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.store.scope import Scope
from proxy.terminal import complain, say, show_json


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``reduce`` to the global command line."""
    reduce = subparsers.add_parser("reduce", help="let nothing in that adds risk; exits and cancels go on")
    scope = reduce.add_mutually_exclusive_group()
    scope.add_argument("--venue", help="only the accounts on this venue; default: the whole desk")
    scope.add_argument("--account", help="only this account")
    reduce.add_argument("--by", required=True, help="your name")
    reduce.add_argument("--reason", required=True)
    reduce.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """0 when done, 1 when refused, 2 for a scope that cannot be one, 3 when nobody answered."""
    try:
        scope = Scope(args.account or None, venue=args.venue or None)
    except ValueError as trouble:
        complain("reduce", str(trouble))
        return USAGE_ERROR
    return answered_by_the_warden("reduce", lambda: _reduce(args, scope), without="; perpguard kill works without it")


def _reduce(args: Arguments, scope: Scope) -> int:
    from proxy.client.asking import ask

    done = ask(args.settings, "POST", "/control/reduce", {"scope": str(scope), "by": args.by, "reason": args.reason})
    if args.json:
        show_json(done)
    else:
        say(_said(done["scope"], done["reduced"]))
    return OK


def _said(scope: str, reduced: list[str]) -> str:
    if not reduced:
        return f"{scope}: all of it was reduce-only, or stopped, before"
    return f"{scope}: reduce-only now: {', '.join(reduced)}; back with perpguard rearm"
