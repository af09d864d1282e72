"""What the vault says of guard keys, carried to the store and into the record, however it was said.

Gates on other machines do not see this one's files: a key switched off in the vault is off in the store.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from typing import Any, Final, Protocol

from proxy.store.client import STORE_TROUBLE
from proxy.vault.errors import VaultError
from proxy.vault.keys import GuardKey, KeyState, last_four
from proxy.vault.vault import Vault

log = logging.getLogger("perpguard.warden")

EVERY_S: Final = 0.25
WHOLE_EVERY_S: Final = 5.0
"""So often everything is written once more: a store may lose it without any sign."""

AGAIN_AFTER_S: Final = 5.0
"""What the record did not take is told again then: sooner, it would stand in the way of a kill's own events."""

COMMAND_LINE: Final = "command line"
"""Who switched a key that the control door did not: whoever opened the vault."""


class AccountsChanged(Exception):
    """The vault holds other accounts than this process was built for; it ends, and is started anew with them."""


class Store(Protocol):
    """Where gates look. Raises what the store client raises."""

    async def set_key_disabled(self, guard_key: str, *, disabled: bool) -> None:
        """Switch a guard key off, or on again, for every gate."""
        ...


class Record(Protocol):
    """Where switches are written down, and told to people."""

    async def __call__(self, what: str, by: str, detail: dict[str, Any], *, heard: bool = False) -> bool:
        """Whether the record has it now. ``heard``: people were told when it did not."""
        ...


class KeysMirror:
    """One vault's. ``accounts`` are those this process was built for."""

    def __init__(
        self,
        *,
        vault: Vault,
        store: Store,
        record: Record,
        accounts: Callable[[], Set[str]],
    ) -> None:
        self._vault = vault
        self._store = store
        self._record = record
        self._accounts = accounts
        self._writing = asyncio.Lock()
        self._written: dict[str, bool] = {}
        self._whole_at = float("-inf")
        self._states = {key.key: key.state for key in vault.guard_keys()}
        self._heard: dict[str, KeyState] = {}  # What people were told, and the record did not take.
        self._spoken_for: set[str] = set()
        self._told_not_before = float("-inf")

    async def run(self) -> None:
        """For ever. Raises ``AccountsChanged``."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Once. Raises ``AccountsChanged``."""
        try:
            self._vault.reload_if_changed()
        except VaultError as trouble:
            log.error("the vault cannot be read again: %s", trouble)
        except OSError as trouble:
            log.error("the vault cannot be read again: %s", trouble.strerror or type(trouble).__name__)
        if {key.account for key in self._vault.accounts()} != self._accounts():
            raise AccountsChanged
        try:
            if time.monotonic() - self._whole_at >= WHOLE_EVERY_S:
                await self.publish()
            else:
                await self._write()
        except STORE_TROUBLE as trouble:
            log.warning("key states cannot be written to the store: %s", type(trouble).__name__)
            self._whole_at = float("-inf")  # It may come back with less than it had.
        await self._tell_switched()

    async def publish(self) -> None:
        """Write everything, to a store that may know nothing of it. Raises what the store client raises."""
        self._written.clear()
        await self._write()
        self._whole_at = time.monotonic()

    @contextmanager
    def spoken_for(self, key: str) -> Iterator[None]:
        """Whoever switches a key within tells the record of it."""
        self._spoken_for.add(key)
        try:
            yield
        finally:
            self._spoken_for.discard(key)
            self._heard.pop(key, None)  # Written after what is told here, it would stand there as the last word.
            found = self._vault.guard_key(key)
            if found is not None:
                self._states[key] = found.state

    async def _write(self) -> None:
        async with self._writing:
            for key in self._vault.guard_keys():
                disabled = key.state is not KeyState.ACTIVE
                if self._written.get(key.key) != disabled:
                    self._written.pop(key.key, None)  # An answer that is lost leaves open what the store knows.
                    await self._store.set_key_disabled(key.key, disabled=disabled)
                    self._written[key.key] = disabled

    async def _tell_switched(self) -> None:
        """Tell the record of keys that were switched in the vault. A new one is no switch, nor one that was rotated."""
        if time.monotonic() < self._told_not_before:
            return
        for key in self._vault.guard_keys():
            # What people heard of, and was switched again before the record had it: that gets both.
            for state in dict.fromkeys((self._heard.get(key.key, key.state), key.state)):
                if self._is_another(key):
                    break
                if not await self._told(key, state):
                    self._told_not_before = time.monotonic() + AGAIN_AFTER_S
                    return

    def _is_another(self, key: GuardKey) -> bool:
        """Whether a key is being switched at the control door, or was switched while the record was waited for: who did
        it tells the record, or the next look does."""
        found = self._vault.guard_key(key.key)
        return key.key in self._spoken_for or found is None or found.state is not key.state

    async def _told(self, key: GuardKey, state: KeyState) -> bool:
        """Whether the record has it that a key came to be in this state, or need not."""
        known = self._states.get(key.key)
        if known is not None and state not in (known, KeyState.ROTATED):
            what = "key.enabled" if state is KeyState.ACTIVE else "key.disabled"
            detail = {"bot": key.bot, "account": key.account, "key": last_four(key.key)}
            heard = self._heard.get(key.key) is state
            self._heard[key.key] = state
            if not await self._record(what, COMMAND_LINE, detail, heard=heard):
                return False
            if key.key in self._spoken_for or key.key not in self._heard:
                return True  # The control door's switch came between, and is the last word.
        self._heard.pop(key.key, None)
        self._states[key.key] = state
        return True
