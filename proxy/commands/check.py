"""``perpguard check``: settings, policy and vault, read as the guard would read them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``check`` to the global command line, which provides ``settings``."""
    check = subparsers.add_parser("check", help="read settings, policy and vault as the guard would; say what is wrong")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="this policy, instead of the settings'")
    check.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Any) -> int:
    """Look, and say what is wrong; the exit code."""
    from proxy.doctor import checking

    return checking.run(args.file, lambda: args.settings, as_json=args.json)
