"""A press straight to the kill, and jobs of it as the control door shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from proxy.console import examples
from proxy.decoding import build
from proxy.kill import job
from proxy.kill.hands import AccountHands
from proxy.kill.journal import Listener
from proxy.kill.press import Press
from proxy.kill.press_plane import AccountKill, Kill
from proxy.kill.report import KillReport
from proxy.store.fence import Scope
from rules.kill.settings import FLATTEN_DEFAULT, Flatten

EXAMPLE_KILL: Final = build(examples.KILL["kill"], Kill)
"""The one of the API's description."""


async def kill(
    data_dir: Path,
    scope: Scope,
    accounts: Sequence[AccountHands],
    by: str,
    reason: str,
    *,
    on_step: Listener | None = None,
    latch: job.Latch | None = None,
    flatten: Flatten = FLATTEN_DEFAULT,
) -> KillReport:
    """Somebody presses, with hands on some accounts of the scope."""
    press = Press(scope=scope, by=by, reason=reason, flatten=flatten)
    return await job.kill(data_dir, press, accounts, on_step=on_step, latch=latch)


def a_kill(*accounts: AccountKill, **changes: Any) -> Kill:
    """A kill of the desk that runs."""
    return replace(EXAMPLE_KILL, **{"scope": "desk", "accounts": accounts, **changes})


def an_account_kill(phase: str, **changes: Any) -> AccountKill:
    """The account main's part of it, with nothing told yet."""
    (account,) = EXAMPLE_KILL.accounts
    bare = {"scope": "desk", "steps": (), "left": (), "read_backs": (), "phase": phase}
    return replace(account, **{**bare, **changes})
