"""``perpguard doctor``: look for the usual mistakes and say how to mend each."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from typing import Final

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK
from proxy.doctor.finding import Finding, Level
from proxy.terminal import say, show_json

_MARKS: Final = {Level.OK: "ok  ", Level.WARN: "look", Level.FAIL: "MEND"}


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor`` to the global command line."""
    doctor = subparsers.add_parser("doctor", help="look for the usual mistakes, and say how to mend each")
    doctor.add_argument("--offline", action="store_true", help="do not ask the exchange")
    doctor.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Print every finding; 0 when nothing has to be mended, 1 otherwise. What is only worth a look does not count."""
    from proxy.doctor.rounds import looked

    findings = []
    for each in looked(lambda: args.settings, offline=args.offline):
        findings.append(each)
        if not args.json:
            _print(each)
    count = Counter(each.level for each in findings)
    ill = count[Level.FAIL] > 0
    if args.json:
        show_json({"ok": not ill, "findings": [asdict(each) for each in findings]}, indent=2)
    else:
        say(f"{count[Level.FAIL]} to mend, {count[Level.WARN]} to look at, {count[Level.OK]} well")
    return NOT_OK if ill else OK


def _print(finding: Finding) -> None:
    """At once, also into a pipe: whoever waits for a slow exchange reads meanwhile what is known already."""
    mend = [f"      mend: {finding.mend}"] if finding.mend else []
    say(f"{_MARKS[finding.level]}  {finding.check}: {finding.said}", *mend, flush=True)
