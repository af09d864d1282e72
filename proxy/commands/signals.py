"""``perpguard signals ...``: what the signals state, and how well such statements have held.

Each sub-command is a file of its own; nothing heavy is imported to parse.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxy.commands import signals_anomalies, signals_backtest, signals_shown

if TYPE_CHECKING:
    from proxy.commands.arguments import Arguments


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``signals`` and its sub-commands to the global command line; without one it is ``show``.

    Each sub-command's parser sets ``signals_run``: the function that runs it and gives its exit code.
    """
    signals = subparsers.add_parser("signals", help="the forecasts and scores, with their age and track record")
    signals_shown.add_options(signals)
    actions = signals.add_subparsers(metavar="COMMAND")
    signals_shown.add_arguments(actions)
    signals_backtest.add_arguments(actions)
    signals_anomalies.add_arguments(actions)


def run(args: Arguments) -> int:
    """Run one ``signals`` command and give its exit code."""
    code: int = args.signals_run(args)
    return code
