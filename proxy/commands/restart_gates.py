"""``perpguard restart-gates``: new gates in place of those that run, one after another, and no order refused."""

from __future__ import annotations

import argparse
import time
from typing import Final

from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK
from proxy.commands.in_words import file_trouble
from proxy.terminal import say

WAIT_S: Final = 60.0
"""For each gate: half of it until the new one serves, and a quarter until the old one is gone."""

_LOOK_EVERY_S: Final = 0.1


class NotRestarted(Exception):
    """There is no guard to ask, or it may not be asked."""


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``restart-gates`` to the global command line."""
    subparsers.add_parser("restart-gates", help="relieve the running gates by new ones; no order is refused")


def run(args: Arguments) -> int:
    """0 when all gates are new, 1 when one did not come up in time. Raises ``NotRestarted``."""
    from proxy.supervision.restarts import NoGuard, ask_to_restart, last_restart
    from proxy.supervision.rolling import Rolled

    before = last_restart(args.data_dir)
    try:
        ask_to_restart(args.data_dir)
    except PermissionError as trouble:
        raise NotRestarted(f"the guard is another user's: {file_trouble(trouble)}") from trouble
    except NoGuard as trouble:
        raise NotRestarted(str(trouble)) from trouble
    deadline = time.monotonic() + WAIT_S * args.settings.gate_workers
    while time.monotonic() < deadline:
        now = last_restart(args.data_dir)
        if now.number > before.number and now.state is not Rolled.RUNNING:
            break
        time.sleep(_LOOK_EVERY_S)
    else:
        say("the guard was asked, and is not done yet: see its log")
        return NOT_OK
    if now.state is Rolled.FAILED:
        say("a new gate did not come up; the old ones serve on: see the guard's log")
        return NOT_OK
    say(f"{args.settings.gate_workers} gates are new")
    return OK
