"""``perpguard leases``: who has promised to be heard of, and who has not kept it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from proxy.client.asking import ask
from proxy.commands.answering import answered_by_the_warden
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK
from proxy.terminal import say, show_json


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``leases`` to the global command line."""
    leases = subparsers.add_parser("leases", help="the bots' leases, as the running warden sees them")
    leases.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Print every lease; 0, 1 when refused, 3 when nobody answered."""
    return answered_by_the_warden("leases", lambda: _show(args))


def _show(args: Arguments) -> int:
    leases = ask(args.settings, "GET", "/api/desk")["leases"]
    if args.json:
        show_json(leases)
    else:
        say(*(map(_line, leases) if leases else ["no bot holds a lease"]))
    return OK


def _line(lease: Mapping[str, Any]) -> str:
    named = f"bot={lease['bot']} account={lease['account']} ttl={lease['ttl_s']:.0f}s"
    if lease["left_s"] >= 0:
        return f"{named} left={lease['left_s']:.0f}s"
    return f"{named} lapsed={-lease['left_s']:.0f}s step={lease['step'] or 'none'}"
