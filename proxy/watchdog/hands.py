"""What a watchdog can do by itself: see whether a venue answers, and make every account of its vault flat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from proxy.audit.recording import new_decision_id
from proxy.certificate.keeping import CertificateKeeper
from proxy.clock import utc_now
from proxy.kill.direct import DirectHands
from proxy.kill.hands import AccountHands, VenueHands
from proxy.kill.job import Latch, kill
from proxy.kill.late import kill_followed
from proxy.kill.press import Press
from proxy.kill.report import KillReport, lacking
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


class _NotWithinReach(Exception):
    """The settings do not say where an account's venue is."""


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
        asked = [asyncio.create_task(hands.answers()) for hands in (await self._hands())[0]]
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
        """Stop the desk and close everything; whether all that could be opened is flat. Its latch stays until a person
        re-arms the desk."""
        log.error("WATCHDOG ACTS: the desk is stopped and flattened: %s", reason)
        await self._record("watchdog.acted", {"reason": reason})
        async with self._turns.held():
            hands, not_touched = await self._hands()

            async def once(press: Press, hands: Sequence[AccountHands], latch: Latch) -> KillReport:
                try:
                    return await kill(self._settings.data_dir, press, hands, latch=latch)
                finally:
                    # Each at its end: this process may be stopped in it, or while what was on the wire is waited for.
                    if await asyncio.shield(self._direct.end(DESK, None)):
                        self._acts.told()

            press = Press(scope=DESK, by=self._by, reason=reason, whole=not not_touched, flatten=flatten)
            done = await kill_followed(once, press, hands, latch=self._latch, store=self._store, say=_say)
            report = lacking(done, not_touched)
        log.error("the watchdog's kill of the desk ended: %s", report.phase.value)
        await self._record(f"kill.{report.phase.value.lower()}", plain(report))
        await asyncio.to_thread(self._certify, report)
        # One that cannot be opened will be no better for another kill of the others.
        return done.phase in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST)

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

    async def _hands(self) -> tuple[list[VenueHands], list[str]]:
        """The hands on every account, kept from one use to the next with their connections, addresses and silence; and
        the accounts that cannot be opened, with the reason. They keep no other open."""
        found, not_touched = [], []
        for key in self._keys():
            try:
                found.append(await self._hand(key))
            except Exception as trouble:  # The edge: whatever ails one account, the others are flattened.
                why = str(trouble) if isinstance(trouble, _NotWithinReach) else f"{type(trouble).__name__}: {trouble}"
                not_touched.append(f"{key.account} ({why})")
                if key.account not in self._said:
                    self._said.add(key.account)
                    log.error("%s cannot be flattened from here: %s", key.account, why)
        return found, not_touched

    async def _hand(self, key: ExchangeKey) -> VenueHands:
        if key.venue not in self._settings.venues:  # It came into the vault since the start.
            raise _NotWithinReach(f"the settings name no venue {key.venue}")
        if (key.account, key.api_key) not in self._opened:
            self._opened[key.account, key.api_key] = await self._direct.hand(DESK, key)
        return self._opened[key.account, key.api_key]

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


def _say(what: str) -> None:
    log.warning("the kill of the desk: %s", what)
