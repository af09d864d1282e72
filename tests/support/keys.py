"""Keys for the tests of the console: one of a bot, one of an account."""

from __future__ import annotations

from dataclasses import replace

from proxy.console.examples_record import KEYS
from proxy.refused import Refused
from proxy.vault.plane import GuardKeyView, KeysView


class KeysDouble:
    """The keys of a test; what was switched is remembered."""

    def __init__(self) -> None:
        self.view = KEYS
        self.switched: list[tuple[str, bool, str]] = []

    async def keys(self) -> KeysView:
        return self.view

    async def switch(self, key_id: str, *, on: bool, by: str) -> GuardKeyView:
        found = [key for key in self.view.guard_keys if key.id == key_id]
        if not found:
            raise Refused("there is no such guard key")
        self.switched.append((key_id, on, by))
        changed = replace(found[0], state="active" if on else "disabled")
        self.view = replace(self.view, guard_keys=(changed,))
        return changed
