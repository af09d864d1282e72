"""Asks the venue every hour what an account's key may do: a right that somebody added is found, and never silently."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from proxy.exchange.troubles import VenueRefused, VenueTrouble
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.vault.permissions import KeyPermissions, Risk

log = logging.getLogger("perpguard.accounts")

EVERY_S: Final = 3600.0
AGAIN_S: Final = 60.0
"""After a question that got no answer, or whose key was not taken."""

KEY_REFUSED: Final = frozenset({-2014, -2015})
"""The venue says that it does not take the key, not that it does not know the question."""

UNKNOWN: Final = "unknown"
SOUND: Final = "sound"


class KeyWatch:
    """Watches the key of one account. ``verdict`` is UNKNOWN, SOUND, or what is wrong, for the console; ``refusal`` is
    what the venue said where it does not answer the question, empty while it was not asked or did answer; ``refused``
    says that it was the key that it did not take.

    ``reduce`` makes the account reduce-only and answers whether it did; it is left alone while the policy
    ``only_alerts``. It is done once for the same wrong: who re-arms without mending the key, or accepting it, has
    decided.
    """

    def __init__(
        self,
        *,
        account: str,
        ask: Callable[[], Awaitable[KeyPermissions]],
        accepted: Callable[[], tuple[Risk, ...]],
        reduce: Callable[[str, str, str], Awaitable[bool]],
        only_alerts: Callable[[], bool],
        record: Record,
    ) -> None:
        self._account = account
        self._ask = ask
        self._accepted = accepted
        self._reduce = reduce
        self._only_alerts = only_alerts
        self._record = record
        self._reported: tuple[str, ...] = ()
        self.verdict = UNKNOWN
        self.refusal = ""
        self.refused = False

    async def run(self) -> None:
        """Ask for ever, first at once."""
        while True:
            try:
                pause = EVERY_S if await self.check() else AGAIN_S
            except STORE_TROUBLE as trouble:
                log.error("%s cannot be made reduce-only yet: %s", self._account, type(trouble).__name__)
                pause = AGAIN_S
            await asyncio.sleep(pause)

    async def check(self) -> bool:
        """Ask once, and act; whether that will do for an hour. Raises what the store client raises."""
        try:
            permissions = await self._ask()
        except VenueRefused as refusal:
            # Test networks, and some accounts, have no such question: that is no proof of anything.
            log.warning("what the key of %s may do is unknown: %s", self._account, refusal)
            self.verdict, self.refusal = UNKNOWN, str(refusal)
            self.refused = refusal.code in KEY_REFUSED
            return not self.refused
        except VenueTrouble as trouble:
            log.warning("what the key of %s may do is unknown: %s", self._account, trouble)
            return False
        wrong = (
            *(f"no {name}" for name in permissions.missing),
            *(str(risk) for risk in permissions.risks if risk not in self._accepted()),
        )
        self.verdict, self.refusal, self.refused = ", ".join(wrong) or SOUND, "", False
        if wrong and wrong != self._reported:
            await self._report(wrong)
        self._reported = wrong
        return True

    async def _report(self, wrong: tuple[str, ...]) -> None:
        log.error("the key of %s is not as it should be: %s", self._account, ", ".join(wrong))
        # A key that can do too little endangers nobody.
        dangerous = any(each in list(Risk) for each in wrong)
        acts = dangerous and not self._only_alerts()
        detail = {"account": self._account, "wrong": list(wrong), "action": "reduce" if acts else "alert"}
        await self._record("key.permissions", "warden", detail)
        if acts:
            await self._reduce(self._account, "warden", f"the exchange key: {', '.join(wrong)}")
