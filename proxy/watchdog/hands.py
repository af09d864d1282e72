"""What a watchdog can do by itself: see whether a venue answers, and make every account of its vault flat."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from proxy.certificate.keeping import CertificateKeeper
from proxy.clock import utc_now
from proxy.gate.recording import new_decision_id
from proxy.kill.direct import DirectHands
from proxy.kill.hands import VenueHands
from proxy.kill.job import kill
from proxy.kill.report import KillReport
from proxy.settings import Settings
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import DESK, Scope
from proxy.store.warden_store import WardenStore
from proxy.vault.errors import VaultError
from proxy.vault.keys import ExchangeKey
from proxy.vault.vault import Vault
from proxy.watchdog.acts import Acts
from proxy.watchdog.turns import Turns
from rules.kill.events import Phase
from rules.kill.settings import Flatten

log = logging.getLogger("perpguard.watchdog")

STORE_WAIT_S: Final = 1.0


class Flattening:
    """A watchdog's own hands, apart from anything of the guard's. ``direct`` opens them, and closes them at the end."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        store: WardenStore,
        turns: Turns,
        direct: DirectHands,
        name: str,
        acts: Acts,
    ) -> None:
        self._settings = settings
        self._vault = vault
        self._store = store
        self._turns = turns
        self._direct = direct
        self._by = f"watchdog {name}"
        self._acts = acts
        self._opened: dict[tuple[str, str], VenueHands] = {}
        self._said: set[str] = set()

    async def line_holds(self) -> bool:
        """Whether any venue answers from here. If none does, it may be our own line that is cut.

        Asked by the kill's own hands: what answers them, at whichever address and however slowly, is what can be acted
        upon. Bounded by theirs.
        """
        asked = [asyncio.create_task(hands.answers()) for hands in await self._hands()]
        try:
            for answered in asyncio.as_completed(asked):
                if await answered:
                    return True
        finally:
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return False

    async def flatten(self, reason: str, flatten: Flatten) -> bool:
        """Stop the desk and close everything; whether it is flat. Its latch stays until a person re-arms the desk."""
        log.error("WATCHDOG ACTS: the desk is stopped and flattened: %s", reason)
        await self._record("watchdog.acted", {"reason": reason})
        async with self._turns.held():
            hands, data_dir = await self._hands(), self._settings.data_dir
            whole = len(hands) == len(self._vault.accounts())
            report = await kill(
                data_dir, DESK, hands, self._by, reason, latch=self._latch, flatten=flatten, whole=whole
            )
            if await self._direct.end(DESK, None):
                self._acts.told()
        log.error("the watchdog's kill of the desk ended: %s", report.phase.value)
        await self._record(f"kill.{report.phase.value.lower()}", plain(report))
        await asyncio.to_thread(self._certify, report)
        return report.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST)

    async def _latch(self, scope: Scope, _: int | None) -> None:
        """The desk's own number stays as it is. A data directory apart from the guard's counts for itself: gates never
        let go again on a smaller number, so one of ours that is greater would outlast every re-arming."""
        told = False
        try:
            await self._direct.latch(scope, None)
            told = True
        finally:
            if not told:
                self._acts.note()

    def _keys(self) -> tuple[ExchangeKey, ...]:
        """Every account of the vault as it is now."""
        try:
            self._vault.reload_if_changed()
        except VaultError as trouble:
            log.error("the vault cannot be read again: %s", trouble)  # What was read of it before serves.
        return self._vault.accounts()

    async def _hands(self) -> list[VenueHands]:
        """The hands on every account, kept from one use to the next with their connections, addresses and silence."""
        keys = [key for key in self._keys() if self._within_reach(key)]
        for key in keys:
            if (key.account, key.api_key) not in self._opened:
                self._opened[key.account, key.api_key] = await self._direct.hand(DESK, key)
        return [self._opened[key.account, key.api_key] for key in keys]

    def _within_reach(self, key: ExchangeKey) -> bool:
        """Whether the settings say where the key's venue is. One that came into the vault since the start may be on
        another: the rest are flattened all the same."""
        known = key.venue in self._settings.venues
        if not known and key.account not in self._said:
            self._said.add(key.account)
            log.error("%s cannot be flattened from here: the settings name no venue %s", key.account, key.venue)
        return known

    def _certify(self, report: KillReport) -> None:
        issued = CertificateKeeper(self._settings.data_dir, self._vault, utc_now).certify(report)
        for trouble in issued.troubles:
            log.warning("the watchdog's kill has no certificate: %s", trouble)

    async def _record(self, what: str, detail: dict[str, Any]) -> None:
        record = {
            "kind": "event",
            "id": new_decision_id(),
            "at": plain(utc_now()),
            "desk": self._settings.desk,
            "what": what,
            "by": self._by,
            "detail": detail,
        }
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                await self._store.record([record])
        except STORE_TROUBLE:
            log.warning("the event %s is only in this log and under kill/jobs: the store does not answer", what)
