"""``perpguard leases``: who has promised to be heard of, and who has not kept it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from proxy.control.client import NoAnswer, Refused, ask


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``leases`` to the global command line."""
    leases = subparsers.add_parser("leases", help="the bots' leases, as the running warden sees them")
    leases.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print every lease; 0, 1 when refused, 3 when nobody answered."""
    try:
        leases = ask(args.settings, "GET", "/api/desk")["leases"]
    except NoAnswer as silence:
        print(f"perpguard leases: {silence}", file=sys.stderr)  # noqa: T201 - a command's own output
        return 3
    except Refused as refusal:
        print(f"perpguard leases: {refusal}", file=sys.stderr)  # noqa: T201
        return 1
    if args.json:
        print(json.dumps(leases))  # noqa: T201
        return 0
    for lease in leases:
        print(_line(lease))  # noqa: T201
    return 0


def _line(lease: Mapping[str, Any]) -> str:
    named = f"bot={lease['bot']} account={lease['account']} ttl={lease['ttl_s']:.0f}s"
    if lease["left_s"] >= 0:
        return f"{named} left={lease['left_s']:.0f}s"
    return f"{named} lapsed={-lease['left_s']:.0f}s step={lease['step'] or 'none'}"
