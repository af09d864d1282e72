"""Jobs of the kill as the control door shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from proxy.console import examples
from proxy.decoding import build
from proxy.kill.press_plane import AccountKill, Kill

EXAMPLE_KILL: Final = build(examples.KILL["kill"], Kill)
"""The one of the API's description."""


def a_kill(*accounts: AccountKill, **changes: Any) -> Kill:
    """A kill of the desk that runs."""
    return replace(EXAMPLE_KILL, **{"scope": "desk", "accounts": accounts, **changes})


def an_account_kill(phase: str, **changes: Any) -> AccountKill:
    """The account main's part of it, with nothing told yet."""
    (account,) = EXAMPLE_KILL.accounts
    bare = {"scope": "desk", "steps": (), "left": (), "read_backs": (), "phase": phase}
    return replace(account, **{**bare, **changes})
