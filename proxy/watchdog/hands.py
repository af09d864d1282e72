"""What a watchdog can do by itself: see whether a venue answers, and make every account of its vault flat."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from proxy.accounts.troubles import VenueTrouble
from proxy.accounts.venue_account import VenueAccount
from proxy.certificate.keeping import CertificateKeeper
from proxy.clock import utc_now
from proxy.gate.recording import new_decision_id
from proxy.kill.direct import DirectHands
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
from proxy.watchdog.turns import Turns
from rules.kill.events import Phase
from rules.kill.settings import Flatten

log = logging.getLogger("perpguard.watchdog")

PROBE_TIMEOUT_S: Final = 2.0
STORE_WAIT_S: Final = 1.0


class Flattening:
    """A watchdog's own hands, apart from anything of the guard's."""

    def __init__(self, settings: Settings, vault: Vault, store: WardenStore, turns: Turns, name: str) -> None:
        self._settings = settings
        self._vault = vault
        self._store = store
        self._turns = turns
        self._by = f"watchdog {name}"

    async def line_holds(self) -> bool:
        """Whether any venue answers from here. If none does, it may be our own line that is cut."""
        async with contextlib.AsyncExitStack() as closing:
            asked = [asyncio.create_task(self._ask(key, closing)) for key in self._keys()]
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    for answered in asyncio.as_completed(asked):
                        with contextlib.suppress(VenueTrouble):
                            await answered
                            return True
            except TimeoutError:
                pass
            finally:
                for each in asked:
                    each.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
        return False

    async def flatten(self, reason: str, flatten: Flatten) -> bool:
        """Stop the desk and close everything; whether it is flat. Its latch stays until a person re-arms the desk."""
        log.error("WATCHDOG ACTS: the desk is stopped and flattened: %s", reason)
        await self._record("watchdog.acted", {"reason": reason})
        async with self._turns.held(), DirectHands(self._settings, ()) as direct:

            async def latch(scope: Scope, _: int) -> None:
                await direct.latch(scope, await self._generation())

            hands = [await direct.hand(DESK, key) for key in self._keys()]
            report = await kill(self._settings.data_dir, DESK, hands, self._by, reason, latch=latch, flatten=flatten)
            await direct.end(DESK, await self._known_generation())
        log.error("the watchdog's kill of the desk ended: %s", report.phase.value)
        await self._record(f"kill.{report.phase.value.lower()}", plain(report))
        await asyncio.to_thread(self._certify, report)
        return report.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST)

    async def _generation(self) -> int:
        """The desk's own number, which stays as it is. Raises what the store client raises.

        A data directory apart from the guard's counts for itself: gates never let go again on a smaller number, so
        one of ours that is greater would outlast every re-arming.
        """
        return int((await self._store.controls()).get("generation", "0"))

    async def _known_generation(self) -> int | None:
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                return await self._generation()
        except STORE_TROUBLE:
            return None

    def _keys(self) -> tuple[ExchangeKey, ...]:
        """Every account of the vault as it is now."""
        try:
            self._vault.reload_if_changed()
        except VaultError as trouble:
            log.error("the vault cannot be read again: %s", trouble)  # What was read of it before serves.
        return self._vault.accounts()

    async def _ask(self, key: ExchangeKey, closing: contextlib.AsyncExitStack) -> None:
        account = VenueAccount(
            name=key.account,
            venue=key.venue,
            api_key=key.api_key,
            secret=key.api_secret,
            base_url=self._settings.venue_urls[key.venue],
        )
        closing.push_async_callback(account.aclose)
        await account.server_time()

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
