"""``perpguard init``: the first state of a data directory."""

from __future__ import annotations

import argparse

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK
from proxy.terminal import say


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``init`` to the global command line, which provides ``settings``."""
    subparsers.add_parser("init", help="write the first state of a data directory")


def run(args: Arguments) -> int:
    """Write it, or leave what is there as it is; say what is stopped. Raises ``SettingsError``: where `up` would not
    start, no folder is made for it."""
    from proxy.store.fence import Fence

    data_dir = args.settings.data_dir
    fence = Fence.initialise(data_dir)
    stopped = ", ".join(sorted(map(str, fence.scopes())))
    state = f"STOPPED: {stopped}; perpguard rearm lets it trade again" if stopped else "nothing is stopped"
    say(f"{data_dir} is ready; {state}; kill generation {fence.generation()}")
    return OK
