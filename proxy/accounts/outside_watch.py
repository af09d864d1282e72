"""The warden's eye on one account: feeds the detector, and does what the policy says about what it finds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from proxy.accounts.book import GUARD_ORDER_PREFIX
from proxy.accounts.events import Event, OrderEvent
from proxy.accounts.findings import Finding
from proxy.accounts.journaled import journaled
from proxy.accounts.outside import OutsideDetector
from proxy.accounts.payloads import SymbolConfig
from proxy.accounts.shares import Shares
from proxy.accounts.troubles import VenueThrottled, VenueTrouble
from proxy.store.codec import plain
from rules.outside import OutsideAction
from rules.snapshot import Account, HeldOrder

log = logging.getLogger("perpguard.accounts")

TICK_S: Final = 0.25
SETTINGS_EVERY_S: Final = 1.5
"""The stream does not tell every change of a setting. At weight 5 a reading, 200 of 2,400 a minute for an account."""

FOUND_MAX: Final = 100
"""Findings kept for the console; the audit has them all."""

_STORE_TROUBLE: Final = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding and when the guard was sure of it."""

    at: datetime
    finding: Finding


class Response(Protocol):
    """What can be done about it: the kill desk."""

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        """Let nothing in that adds risk. False when it was stopped already. Raises what the store client raises."""
        ...

    async def close(self, account: str, by: str, reason: str) -> bool:
        """Kill the account, unless that is under way."""
        ...

    def stopped(self, account: str) -> bool:
        """Whether a kill covers the account, running or done."""
        ...


class OutsideWatch:
    """Watches one account; ``hear``, ``saw`` and ``surveyed`` tell it everything, ``run`` does the rest.

    ``saw`` is to be called before the event is folded into ``shares``.
    """

    def __init__(
        self,
        *,
        account: str,
        action: OutsideAction,
        shares: Shares,
        response: Response,
        settings: Callable[[], Awaitable[Mapping[str, SymbolConfig]]],
        survey_soon: Callable[[], None],
        record: Callable[[str, str, dict[str, Any]], Awaitable[None]],
        data_dir: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._account = account
        self._action = action
        self._shares = shares
        self._response = response
        self._read_settings = settings
        self._survey_soon = survey_soon
        self._record = record
        self._data_dir = data_dir
        self._now = now
        self._detector = OutsideDetector(shares)
        self._adopted = False
        self._survey: Account | None = None
        self._unanswered: Finding | None = None
        self.found: deque[Found] = deque(maxlen=FOUND_MAX)

    def begin(self, last: Account, held: tuple[HeldOrder, ...]) -> None:
        """Take up what an earlier warden knew: what it published last, and the holds it left."""
        at = time.monotonic()
        self._detector.adopt(last)
        self._detector.held(held, at)
        self._adopted = True

    def hear(self, record: Mapping[str, Any]) -> None:
        """A record on its way to the archive: what a gate is about to send, or has refused."""
        commands = record.get("commands")
        if not isinstance(commands, list):
            return
        told = [command for command in commands if isinstance(command, dict)]
        if record.get("kind") == "intent":
            self._detector.forwarded(told, time.monotonic())
        elif record.get("kind") == "decision":
            verdicts = record.get("decisions")
            if isinstance(verdicts, list) and len(verdicts) == len(told):
                pairs = zip(told, verdicts, strict=True)
                self._detector.refused(command for command, each in pairs if each.get("verdict") == "DENY")

    def saw(self, event: Event, known: bool) -> None:
        """The private stream told this; ``known`` says that a hold stands behind it."""
        self._detector.saw(event, known or self._is_kill(event), time.monotonic())

    def surveyed(self, account: Account) -> None:
        """The account was read whole."""
        if not self._adopted:
            self._detector.adopt(account)
            self._adopted = True
        if self._response.stopped(self._account):
            # The kill moves the book on its own, without a record of every order.
            self._shares.adopt(account.positions, account.open_orders)
        self._detector.surveyed(account, time.monotonic())
        self._survey = account

    async def run(self) -> None:
        """Look, for ever. Trouble with venue or store is waited out; what was found is acted on all the same."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._look())
            loops.create_task(self._follow_settings())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self._search_journals()
            found = self._detector.findings(time.monotonic())
            if found:
                await self._report(found)
            if self._unanswered is not None:
                await self._answer(self._unanswered)

    async def _search_journals(self) -> None:
        """While the store is away the gates' records are on this machine's disk alone."""
        soon = time.monotonic() + TICK_S
        names = frozenset(
            each.explanation[1]
            for each in self._detector.suspicions
            if each.explanation[0] == "order" and each.due <= soon
        )
        if names:
            commands = await asyncio.to_thread(journaled, self._data_dir, names, self._now())
            self._detector.forwarded(commands, time.monotonic())

    async def _report(self, found: tuple[Finding, ...]) -> None:
        at = self._now()
        for finding in found:
            what = "OUTSIDE_ACTIVITY" if finding.is_outside else "the venue acted"
            log.error("%s on %s: %s %s %s", what, self._account, finding.activity, finding.subject, finding.detail)
            self.found.append(Found(at=at, finding=finding))
        outside = next((finding for finding in found if finding.is_outside), None)
        what = "outside.activity" if outside is not None else "venue.forced"
        action = self._action.value if outside is not None else OutsideAction.ALERT.value
        await self._record(what, "warden", {"account": self._account, "action": action, "findings": plain(found)})
        if outside is not None and self._action is not OutsideAction.ALERT:
            self._unanswered = outside
        if self._survey is not None and any(finding.activity == "position" for finding in found):
            self._shares.adopt(self._survey.positions, self._survey.open_orders)

    async def _answer(self, finding: Finding) -> None:
        reason = f"OUTSIDE_ACTIVITY: {finding.activity} {finding.subject} {finding.detail}"[:200]
        try:
            if self._action is OutsideAction.KILL:
                await self._response.close(self._account, "warden", reason)
            else:
                await self._response.reduce(self._account, "warden", reason)
        except _STORE_TROUBLE as trouble:
            log.error("%s cannot be made reduce-only yet: %s", self._account, type(trouble).__name__)
            return
        self._unanswered = None

    async def _follow_settings(self) -> None:
        while True:
            pause = SETTINGS_EVERY_S
            began = time.monotonic()
            try:
                self._detector.configured(await self._read_settings(), began, time.monotonic())
            except VenueThrottled as trouble:
                log.warning("settings of %s: %s", self._account, trouble)
                pause = max(pause, trouble.retry_after)
            except VenueTrouble as trouble:
                log.warning("settings of %s cannot be read: %s", self._account, trouble)
            await asyncio.sleep(pause)

    def _is_kill(self, event: Event) -> bool:
        """Anyone may name an order like the kill's; it is one only while the account is stopped."""
        return (
            isinstance(event, OrderEvent)
            and event.client_order_id.startswith(GUARD_ORDER_PREFIX)
            and self._response.stopped(self._account)
        )
