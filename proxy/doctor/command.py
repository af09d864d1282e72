"""``perpguard doctor``: look for the usual mistakes and say how to mend each."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from proxy.doctor.finding import Finding, Level

WELL: Final = 0
ILL: Final = 1
"""Something has to be mended; what is only worth a look does not count."""

_MARKS: Final = {Level.OK: "ok  ", Level.WARN: "look", Level.FAIL: "MEND"}


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor`` to the global command line."""
    doctor = subparsers.add_parser("doctor", help="look for the usual mistakes, and say how to mend each")
    doctor.add_argument("--offline", action="store_true", help="do not ask the exchange")
    doctor.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print every finding; 0 when nothing has to be mended, 1 otherwise."""
    from proxy.doctor.rounds import looked

    findings = list(looked(lambda: args.settings, offline=args.offline))
    ill = any(each.level is Level.FAIL for each in findings)
    if args.json:
        print(json.dumps({"ok": not ill, "findings": [asdict(each) for each in findings]}, indent=2))  # noqa: T201
    else:
        _print(findings)
    return ILL if ill else WELL


def _print(findings: Sequence[Finding]) -> None:
    from proxy.audit.words import spelled_out

    for each in findings:
        print(spelled_out(f"{_MARKS[each.level]}  {each.check}: {each.said}"))  # noqa: T201 - a command's own output
        if each.mend:
            print(spelled_out(f"      mend: {each.mend}"))  # noqa: T201
    count = {level: sum(each.level is level for each in findings) for level in Level}
    print(f"{count[Level.FAIL]} to mend, {count[Level.WARN]} to look at, {count[Level.OK]} well")  # noqa: T201
