"""``perpguard drill``: rehearse the kill, and read the reports."""

from __future__ import annotations

import argparse


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``drill`` to the global command line."""
    drill = subparsers.add_parser("drill", help="rehearse the kill; list and show the reports")


def run(args: argparse.Namespace) -> int:
    return 2
