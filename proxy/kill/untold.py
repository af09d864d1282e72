"""Kills whose end nobody has been told yet: a note of each, so that a warden that dies owes it to the next one.

``<data_dir>/kill/following/SCOPE`` names who pressed and the accounts that this process is at, or follows what was on
the wire of. It is written as their kill begins and goes when its end has been told: until then an account whose job has
ended may be killed once more. A note that the disk does not take delays no kill.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.kill.asked import fitting, note_name, scopes_noted, write_note
from proxy.kill.tries import PURSUER
from proxy.store.fence import Scope

_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Who pressed, and the accounts whose end is owed."""

    by: str
    accounts: frozenset[str]


class Untold:
    """The notes of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "kill" / "following"
        self._owed: dict[Scope, Owed] = {}

    def left(self, covered: Callable[[Scope], Collection[str]]) -> Mapping[Scope, Owed]:
        """What an earlier process left, of the accounts that a scope covers now: owed until it is told or let go.
        A note that cannot be read is one of all of them."""
        for scope in scopes_noted(self._folder):
            by, accounts = self._read(scope)
            held = frozenset(covered(scope))
            self._owed[scope] = Owed(by=by, accounts=held if accounts is None else held & accounts)
        return dict(self._owed)

    def owe(self, scope: Scope, by: str, accounts: frozenset[str]) -> None:
        """The kill of these begins. Of what is owed already a pursuit has not pressed: whoever did stays named."""
        owed = self._owed.get(scope)
        if owed is not None:
            by, accounts = owed.by if by == PURSUER else by, accounts | owed.accounts
        self._keep(scope, Owed(by=by, accounts=accounts))

    def told(self, scope: Scope, accounts: frozenset[str]) -> None:
        """Their end has been told."""
        owed = self._owed.get(scope)
        if owed is not None:
            self._keep(scope, Owed(by=owed.by, accounts=owed.accounts - accounts))

    def let_go(self, scope: Scope) -> None:
        """Nothing is owed of a scope any more."""
        self._owed.pop(scope, None)
        with suppress(OSError):
            (self._folder / note_name(scope)).unlink()

    def _keep(self, scope: Scope, owed: Owed) -> None:
        if not owed.accounts:
            self.let_go(scope)
            return
        self._owed[scope] = owed
        with suppress(OSError):
            write_note(self._folder / note_name(scope), {"by": owed.by, "accounts": sorted(owed.accounts)})

    def _read(self, scope: Scope) -> tuple[str, frozenset[str] | None]:
        try:
            with (self._folder / note_name(scope)).open("rb") as file:
                said = json.loads(file.read(_BYTES_MAX))
            return fitting(said["by"]), frozenset(map(str, said["accounts"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "somebody", None  # Cut short. That somebody pressed is certain all the same.
