"""The vault's keys as the control door sees them: listed without a secret, guard keys switched off and on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from proxy.accounts.key_watch import UNKNOWN, KeyWatch
from proxy.record import Record
from proxy.refused import Refused
from proxy.store.codec import plain
from proxy.vault.errors import VaultError
from proxy.vault.keys import ExchangeKey, GuardKey, last_four
from proxy.vault.plane import ExchangeKeyView, GuardKeyView, KeysView
from proxy.vault.vault import Vault


class KeysControl:
    """Implements ``KeysPlane``. ``watches`` know what the exchange last said of each account's key, ``spoken_for``
    that a key is being switched here and recorded here."""

    def __init__(
        self,
        *,
        vault: Vault,
        watches: Mapping[str, KeyWatch],
        record: Record,
        spoken_for: Callable[[str], AbstractContextManager[None]],
        now: Callable[[], datetime],
    ) -> None:
        self._vault = vault
        self._watches = watches
        self._record = record
        self._spoken_for = spoken_for
        self._now = now

    async def keys(self) -> KeysView:
        """See ``KeysPlane.keys``."""
        return KeysView(
            guard_keys=[_guard_key(key) for key in self._vault.guard_keys()],
            exchange_keys=[self._exchange_key(key) for key in self._vault.accounts()],
        )

    async def switch(self, key_id: str, *, on: bool, by: str) -> GuardKeyView:
        """See ``KeysPlane.switch``."""
        found = next((key for key in self._vault.guard_keys() if _id(key.key) == key_id), None)
        if found is None:
            raise Refused("there is no such guard key")
        change = self._vault.enable if on else self._vault.disable
        try:
            with self._spoken_for(found.key):
                # The file is locked, written and synced.
                changed = await asyncio.to_thread(change, found.key, self._now())
        except (VaultError, OSError) as trouble:
            raise Refused(f"the key stays as it was: {trouble}") from trouble
        detail = {"bot": changed.bot, "account": changed.account, "key": last_four(changed.key)}
        await self._record("key.enabled" if on else "key.disabled", by, detail)
        return _guard_key(changed)

    def _exchange_key(self, key: ExchangeKey) -> ExchangeKeyView:
        watch = self._watches.get(key.account)
        return ExchangeKeyView(
            account=key.account,
            venue=key.venue,
            hint=last_four(key.api_key),
            created_at=plain(key.created_at),
            verdict=watch.verdict if watch is not None else UNKNOWN,
            accepted=[str(risk) for risk in key.enrolment.accepted] if key.enrolment is not None else [],
            master=key.master is not None,
        )


def _guard_key(key: GuardKey) -> GuardKeyView:
    return GuardKeyView(
        id=_id(key.key),
        bot=key.bot,
        account=key.account,
        label=key.label,
        hint=last_four(key.key),
        state=key.state.value,
        signs="ed25519" if key.public_key is not None else "secret",
        created_at=plain(key.created_at),
        changed_at=plain(key.changed_at) if key.changed_at is not None else None,
    )


def _id(key: str) -> str:
    """A name for the key in forms: whoever reads a page or a log learns nothing to sign with."""
    return hashlib.sha256(b"perpguard/key id\0" + key.encode()).hexdigest()[:16]
