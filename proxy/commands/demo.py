"""``perpguard demo``: the whole story on one machine."""

from __future__ import annotations

import argparse


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``demo`` to the global command line."""
    demo = subparsers.add_parser("demo", help="the whole story on this machine, in a minute")
    demo.add_argument("--once", action="store_true", help="run unattended and end")
    demo.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Tell it; the exit code."""
    from proxy.demo import story

    return story.run(once=args.once, as_json=args.json)
