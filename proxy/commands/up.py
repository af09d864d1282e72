"""``perpguard up``: the guard on this machine: store, warden and gates, and the watchdog where it is to run here."""

from __future__ import annotations

import argparse
import os

from proxy.commands.arguments import Arguments
from proxy.terminal import complain


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``up`` to the global command line, which provides ``settings``."""
    subparsers.add_parser("up", help="run the guard: store, warden and gates")


def run(args: Arguments) -> int:
    """Look whether the guard can start, and run it until it is told to stop; the supervisor's exit code.

    Raises ``SettingsError``, ``PolicyError``, ``VaultError``, ``TagsClash`` or ``TlsMissing`` for what a person has to
    mend first, and what the supervisor raises.
    """
    from proxy.policy.reading import load_policy
    from proxy.policy.shelf import policy_path
    from proxy.store.fence import Fence
    from proxy.supervision.starting import check_startable
    from proxy.supervision.supervisor import Supervisor
    from proxy.vault.opening import open_unambiguous

    settings = args.settings
    load_policy(settings.policy)
    load_policy(policy_path(settings))
    vault = open_unambiguous(settings, os.environ)
    check_startable(settings, {key.account for key in vault.accounts()})
    if settings.watchdog == "local":
        vault.pair_watchdog()
    if Fence(settings.data_dir).is_lost:
        lost = "kill/ is gone from a data directory that has been used: the desk is stopped"
        complain("up", lost)
    Fence.resume(settings.data_dir)
    passed_on = ["--data-dir", str(settings.data_dir)]
    if args.config is not None:
        passed_on += ["--config", str(args.config)]
        # For what the warden starts in its turn, such as a drill.
        os.environ["PERPGUARD_CONFIG"] = str(args.config)
    return Supervisor(settings, passed_on, os.environ).run()
