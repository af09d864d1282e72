"""The automatic triggers' loop: looks at one account every second, and presses what the judge rules.

It decides nothing: ``rules.kill.triggers`` does, on evidence that every firing leaves in the audit whole, so that it
can be judged again. A second source is read by the kill's own hands, and only once a hard limit may be reached.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from proxy.exchange.troubles import VenueThrottled, VenueTrouble
from proxy.kill.witness import orders_seen, reading_seen
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from rules.account import Account
from rules.kill.evidence import AccountSeen, Evidence
from rules.kill.settings import Triggers
from rules.kill.triggers import Action, Ruling, Tally, judge

log = logging.getLogger("perpguard.kill")

TICK_S: Final = 1.0
TICK_SUSPECTED_S: Final = 0.5
LOOK_EVERY: Final = timedelta(seconds=2)
"""A reading of the whole account weighs 60 of the 2,400 a minute; it is made only while a hard limit may be reached."""

LOOK_S_MAX: Final = 5.0
RECORDS_LAG: Final = timedelta(seconds=30)
"""For so long after a start, or after the store was away, gates' records of orders may still be on their way to us."""

_REASON_LENGTH_MAX: Final = 200


class Response(Protocol):
    """What can be done about it: the kill desk."""

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        """Let nothing in that adds risk. False when that is so already. Raises what the store client raises."""
        ...

    async def close(self, account: str, by: str, reason: str) -> bool:
        """Kill the account, unless that is under way."""
        ...

    def stopped(self, account: str) -> bool:
        """Whether a kill covers the whole account, running or done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the evidence comes from. ``evidence`` is all of it but the reading and the orders.

    ``unrecorded`` and ``outside`` are the moments at which orders nobody recorded were found; ``read`` is the venue's
    own word now, by the kill's hands (raises ``VenueTrouble``); ``ask_store`` raises what the store client raises.
    """

    evidence: Callable[[datetime], Evidence]
    unrecorded: Callable[[], Iterable[datetime]]
    outside: Callable[[], Iterable[datetime]]
    read: Callable[[], Awaitable[Account]]
    ask_store: Callable[[], Awaitable[object]]


class TriggerWatch:
    """Watches one account under the triggers of the policy in force."""

    def __init__(
        self,
        *,
        account: str,
        sources: Sources,
        settings: Callable[[], Triggers],
        response: Response,
        record: Record,
        now: Callable[[], datetime],
    ) -> None:
        self._account = account
        self._sources = sources
        self._settings = settings
        self._response = response
        self._record = record
        self._now = now
        self._tally = Tally()
        self._reading: AccountSeen | None = None
        self._look = False
        self._look_from: datetime | None = None
        self._store_away = now()
        self._unanswered: Ruling | None = None

    @property
    def suspects(self) -> bool:
        """Whether the last look saw anything that further ones may confirm."""
        return self._look or any(count.ruled is None for count in self._tally.counts)

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(TICK_SUSPECTED_S if self.suspects else TICK_S)

    async def look(self) -> None:
        """One look at the account, and what follows from it."""
        if self._response.stopped(self._account):
            # A kill covers it. What was counted before says nothing about the account after it.
            self._tally, self._reading, self._look, self._unanswered = Tally(), None, False, None
            return
        await self._ask_store()
        if self._look:
            await self._read()
        evidence, settings, before = self._evidence(), self._settings(), self._tally
        self._tally, ruling = judge(before, evidence, settings)
        self._look = ruling.look
        if ruling.action is not Action.NONE:
            await self._tell(ruling, evidence, settings, before)
            self._unanswered = ruling
        if self._unanswered is not None:
            await self._answer(self._unanswered)

    def _evidence(self) -> Evidence:
        now, settings = self._now(), self._settings()
        seen = self._sources.evidence(now)
        told_from = self._store_away + RECORDS_LAG
        found = (at for at in self._sources.unrecorded() if at > told_from)
        return Evidence(
            at=now,
            account=self._account,
            book=seen.book,
            reading=self._reading,
            results=seen.results,
            forecast=seen.forecast,
            unrecorded=orders_seen(found, now, settings.orders_window_s),
            outside=orders_seen(self._sources.outside(), now, settings.orders_window_s),
            anomaly=seen.anomaly,
        )

    async def _ask_store(self) -> None:
        try:
            await self._sources.ask_store()
        except STORE_TROUBLE:
            self._store_away = self._now()

    async def _read(self) -> None:
        """The second source. Without an answer there is none, and nothing is confirmed."""
        now = self._now()
        if self._look_from is not None and now < self._look_from:
            return
        self._look_from = now + LOOK_EVERY
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                self._reading = reading_seen(await self._sources.read())
        except VenueThrottled as trouble:
            log.warning("%s cannot be read for its triggers: %s", self._account, trouble)
            self._look_from = now + timedelta(seconds=trouble.retry_after)
        except (VenueTrouble, TimeoutError) as trouble:
            log.warning("%s cannot be read for its triggers: %s", self._account, trouble or "no answer")

    async def _tell(self, ruling: Ruling, evidence: Evidence, settings: Triggers, before: Tally) -> None:
        log.error("trigger on %s: %s, %s", self._account, ruling.action, ruling.reason)
        await self._record(
            f"trigger.{ruling.action}",
            "warden",
            {
                "account": self._account,
                "ruling": plain(ruling),
                "evidence": plain(evidence),
                "tally": plain(before),
                "settings": plain(settings),
            },
        )

    async def _answer(self, ruling: Ruling) -> None:
        reason = f"{ruling.trigger}: {ruling.reason}"[:_REASON_LENGTH_MAX]
        try:
            if ruling.action is Action.KILL:
                await self._response.close(self._account, "warden", reason)
            else:
                await self._response.reduce(self._account, "warden", reason)
        except STORE_TROUBLE as trouble:
            log.error("%s cannot be made reduce-only yet: %s", self._account, type(trouble).__name__)
            return
        self._unanswered = None
