"""The warden's eye on one account: feeds the detector, and does what the policy says about what it finds."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from proxy.accounts import births, settling
from proxy.accounts.births import Birth, Births
from proxy.accounts.findings import Activity, Finding
from proxy.accounts.funding_watch import FundingWatch
from proxy.accounts.intended import Intended
from proxy.accounts.journal_search import JournalSearch
from proxy.accounts.journaled import AGE_MAX as JOURNALED
from proxy.accounts.known_settings import SettingsView
from proxy.accounts.outside import UNHEARD_S_MAX, OutsideDetector
from proxy.accounts.settling import Settling
from proxy.accounts.shares import Shares
from proxy.exchange.events import AccountEvent, AlgoEvent, Event, OrderEvent
from proxy.exchange.payloads import FundingRow, SymbolConfig
from proxy.exchange.survey import OrderKey
from proxy.exchange.troubles import VenueThrottled, VenueTrouble
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.venues.binance.client_ids import is_guards
from rules.account import Account, FundingMark, Hold, OpenOrder, Position, Share, UnexplainedOrder
from rules.outside import OutsideAction

log = logging.getLogger("perpguard.accounts")

TICK_S: Final = 0.25
SETTINGS_EVERY_S: Final = 1.5
"""The stream does not tell every change of a setting. At weight 5 a reading, 200 of 2,400 a minute for an account."""

LATE_S_MAX: Final = 600.0
"""How much later than it happened an event may be told, as far as it matters: a clock may be set."""

FOUND_MAX: Final = 100
"""Findings kept for the console; the audit has them all."""


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
        """Whether a kill covers the whole account, running or done."""
        ...

    def stopped_in_part(self, account: str) -> bool:
        """Whether a kill covers the account or a bot's part of it, running or done."""
        ...


class Venue(births.Venue, settling.Venue, Protocol):
    """What is read of the venue besides its stream and the surveys."""

    async def symbol_configs(self) -> dict[str, SymbolConfig]:
        """Leverage and margin mode by symbol. Raises ``VenueTrouble``."""
        ...

    async def fundings(self, since_ms: int) -> tuple[FundingRow, ...]:
        """Fundings from the venue's time ``since_ms`` on, oldest first. Raises ``VenueTrouble``."""
        ...


class OutsideWatch:
    """Watches one account: ``apply`` and ``saw`` tell it every event, ``adopt`` every survey, ``hear`` the audit.

    It keeps the account's shares true on the way: what orders filled while the stream, or the guard, was down is looked
    up and given to their owners; only what no order explains is nobody's, and found. Funding is read from the venue's
    list. ``changed`` is called when shares, settings or what is unexplained are other than before: they are to be
    published. ``born`` is told of plain orders that turn out to have been conditional ones. ``heard`` says up to which
    moment, of the steady clock, everything was heard that gates have written ahead.
    """

    def __init__(
        self,
        *,
        account: str,
        action: Callable[[], OutsideAction],
        shares: Shares,
        response: Response,
        venue: Venue,
        record: Record,
        data_dir: Path,
        heard: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._account = account
        self._action = action
        self._heard = heard
        self._shares = shares
        self._response = response
        self._venue = venue
        self._record = record
        self._now = now
        self._detector = OutsideDetector(shares)
        self._intended = Intended()
        self._funding = FundingWatch(account=account, shares=shares, venue=venue)
        self._births = Births(account, venue, self._learned)
        self._journals = JournalSearch(account, data_dir, self._detector, self._births.waiting)
        self._settling = Settling(
            account=account,
            shares=shares,
            detector=self._detector,
            births=self._births,
            venue=venue,
            stopped=lambda: response.stopped(account),
            is_kills=self._is_kills,
        )
        self._explains_from: datetime | None = None
        self._surveyed = False
        self._written: tuple[UnexplainedOrder, ...] = ()
        self._heard_again = float("-inf")
        self._unanswered: Finding | None = None
        self.found: deque[Found] = deque(maxlen=FOUND_MAX)
        self.changed: Callable[[], None] = lambda: None
        self.born: Callable[[Birth], None] = lambda birth: None

    def restore(self, account: Account) -> None:
        """Take up what an earlier warden published last: its shares, and the orders it knew. Later calls do nothing.

        Orders that a survey shows and that are neither there nor ``held`` came from outside while no warden was there.
        """
        if not self._detector.has_adopted:
            self._settling.restore(account)
            self._funding.restore(account)
            self._detector.doubt(account.unexplained, time.monotonic())
            self._detector.adopt(account.open_orders)
            self._births.waiting.surveyed(account.open_orders, time.monotonic())
            self._explains_from = account.as_of

    def tell_funding(self, told: Callable[[FundingRow, Mapping[str, Decimal]], None]) -> None:
        """Call ``told`` with every row of funding that is shared out, and the bots' holdings it is shared out by."""
        self._funding.tell(told)

    def held(self, holds: Iterable[Hold]) -> None:
        """Holds that the store has at the start: the guard sent their orders, or is about to."""
        at = time.monotonic()
        for hold in holds:
            self._detector.held(hold.orders, at, hold.hold_id)
            self._births.waiting.held(hold.orders, at)

    def hear(self, record: Mapping[str, Any]) -> None:
        """A record on its way to the archive: what a gate is about to send, what it has refused, and what the venue
        did not take."""
        match record.get("kind"):
            case "intent":
                commands, at = self._intended.begin(record), time.monotonic()
                self._detector.forwarded(commands, at, str(record.get("id") or ""))
                self._births.waiting.sent(commands, at)
            case "decision":
                denied = self._intended.denied(record)
                self._detector.refused(denied)
                self._births.waiting.refused(denied)
            case "outcome":
                self._detector.refused(self._intended.not_taken(record))

    def apply(self, event: Event) -> None:
        """An event of the private stream, for the shares."""
        self._detector.hear(event, time.monotonic())
        self._settling.apply(event)
        if isinstance(event, AlgoEvent):
            self._births.waiting.saw(event)
        if isinstance(event, AccountEvent):
            self._funding.hear(event)

    def owners_of(self, event: Event) -> dict[str, str]:
        """Whose order and trade an event tells of, by their fields in the store."""
        return self._shares.owners_of(event)

    def saw(self, event: Event, known: bool) -> None:
        """The same event; ``known`` says that a hold stood behind its order, or that it was known before."""
        before = self._detector.settings
        late_s = min(LATE_S_MAX, max(0.0, (self._venue.venue_ms - event.at_ms) / 1000))
        self._detector.saw(event, self._is_known(event, known), time.monotonic(), late_s)
        if self._detector.settings is not before:
            self.changed()

    def overlooked(self) -> None:
        """An event was heard that will not be told: what it brought about nobody looks at."""
        self._detector.overlooked(time.monotonic())

    def own(self, key: OrderKey, client_order_id: str) -> None:
        """A hold of the guard stood behind this order: it is no stranger's, whatever was heard of it, and when."""
        self._detector.own(key, client_order_id, time.monotonic())

    def adopt(self, positions: Sequence[Position], open_orders: Sequence[OpenOrder]) -> None:
        """The account's whole book after a survey. The first one is taken as it is, but for what an earlier warden knew
        of the shares; later ones are compared."""
        self._surveyed = True
        self._births.waiting.surveyed(open_orders, time.monotonic())
        if not self._detector.has_adopted:
            self._detector.adopt(open_orders)
        self._detector.surveyed(open_orders, time.monotonic(), self._is_kills)
        self._settling.adopt(positions, open_orders)

    def mode(self, hedged: bool) -> None:
        """The account's position mode, as a survey read it."""
        self._detector.mode(hedged, time.monotonic())

    def all(self) -> tuple[Share, ...]:
        """Every bot's share."""
        return self._shares.all()

    @property
    def shares(self) -> Shares:
        """Whose part of each position is whose."""
        return self._shares

    @property
    def settings(self) -> SettingsView:
        """What the venue has set for the account's symbols."""
        return self._detector.settings

    @property
    def shares_ms(self) -> int | None:
        """The venue's time up to which all that orders filled is in the shares, ``None`` where that is not known."""
        return self._settling.shares_ms

    @property
    def shares_since(self) -> datetime | None:
        """When the counting of the shares began, ``None`` where that is not known."""
        return self._shares.began

    @property
    def unsettled(self) -> frozenset[str]:
        """Symbols whose shares may lack what orders filled while the stream, or the guard, was down."""
        return self._settling.unsettled

    def unexplained(self) -> tuple[UnexplainedOrder, ...]:
        """Orders of which it is not found out yet whether the guard sent them, for the next document."""
        self._written = self._detector.unexplained
        return self._written

    @property
    def funding_mark(self) -> FundingMark | None:
        """How far the shares have the venue's funding."""
        return self._funding.mark

    def missed(self) -> None:
        """Events may have been lost; what they told of legs and orders, surveys tell."""
        self._funding.look_soon()

    async def run(self) -> None:
        """Look, for ever. Trouble with venue or store is waited out; what was found is acted on all the same."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._look())
            loops.create_task(self._follow_settings())
            loops.create_task(self._funding.run())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._heed_silence(time.monotonic())
            if await self._settling.look():
                self.changed()
            soon = time.monotonic() + TICK_S
            await self._journals.look(soon, self.searches_from, self._now())
            if strange := self._detector.strange:
                await self._births.look(strange, time.monotonic())
            self._tell_of_unexplained()
            # However long that took, nothing is found that was not looked for.
            found = self._detector.findings(min(time.monotonic(), soon), self._heard())
            if found:
                await self._report(found)
            if self._unanswered is not None:
                await self._answer(self._unanswered)
            is_told = time.monotonic() - self._heard_again > JOURNALED.total_seconds()
            if is_told and self._surveyed and not self._settling.unsettled and not self._detector.suspicions:
                self._explains_from = None

    def _tell_of_unexplained(self) -> None:
        """A warden that takes over adopts what was published: it is to know what of that nobody has explained."""
        if self._written != self._detector.unexplained:
            self.changed()

    def _heed_silence(self, at: float) -> None:
        """Events are told, and surveys made, when the store takes them: after it was away what shows may be as old as
        its silence, and what gates wrote down since that began explains it."""
        silent_s = at - self._heard()
        if math.isfinite(silent_s) and silent_s > UNHEARD_S_MAX:
            self._heard_again = at
            if self._explains_from is None:
                self._explains_from = self._now() - timedelta(seconds=silent_s)

    def _learned(self, birth: Birth) -> None:
        """A strange plain order is none: it was a conditional one."""
        self._journals.learned(birth)
        self._shares.born(birth.symbol, birth.order_id, birth.client_order_id)
        self._detector.born(birth, time.monotonic())
        self.born(birth)
        self.changed()

    @property
    def searches_from(self) -> datetime:
        """From when on what a gate wrote down explains what is new at the venue. After a start that is from when the
        store's last word is, for its last second may be gone; after a silence of the store, from when that began."""
        recent = self._now() - JOURNALED
        return recent if self._explains_from is None else min(recent, self._explains_from - JOURNALED)

    async def _report(self, found: tuple[Finding, ...]) -> None:
        at = self._now()
        for finding in found:
            what = "OUTSIDE_ACTIVITY" if finding.is_outside else "the venue acted"
            log.error("%s on %s: %s %s %s", what, self._account, finding.activity, finding.subject, finding.detail)
            self.found.append(Found(at=at, finding=finding))
        outside = next((finding for finding in found if finding.is_outside), None)
        what = "outside.activity" if outside is not None else "venue.forced"
        action = self._action().value if outside is not None else OutsideAction.ALERT.value
        await self._record(what, "warden", {"account": self._account, "action": action, "findings": plain(found)})
        if outside is not None and self._action() is not OutsideAction.ALERT:
            self._unanswered = outside
        self._settling.give_up({finding.subject for finding in found if finding.activity is Activity.POSITION})

    async def _answer(self, finding: Finding) -> None:
        reason = f"OUTSIDE_ACTIVITY: {finding.activity} {finding.subject} {finding.detail}"[:200]
        try:
            if self._action() is OutsideAction.KILL:
                await self._response.close(self._account, "warden", reason)
            else:
                await self._response.reduce(self._account, "warden", reason)
        except STORE_TROUBLE as trouble:
            log.error("%s cannot be made reduce-only yet: %s", self._account, type(trouble).__name__)
            return
        self._unanswered = None

    async def _follow_settings(self) -> None:
        while True:
            pause = SETTINGS_EVERY_S
            began, before = time.monotonic(), self._detector.settings
            try:
                self._detector.configured(await self._venue.symbol_configs(), began, time.monotonic())
            except VenueThrottled as trouble:
                log.warning("settings of %s: %s", self._account, trouble)
                pause = max(pause, trouble.retry_after)
            except VenueTrouble as trouble:
                log.warning("settings of %s cannot be read: %s", self._account, trouble)
            if self._detector.settings is not before:
                self.changed()
            await asyncio.sleep(pause)

    def _is_known(self, event: Event, known: bool) -> bool:
        if isinstance(event, OrderEvent) and is_guards(event.client_order_id):
            return self._is_kills(event.client_order_id)
        return known

    def _is_kills(self, client_order_id: str) -> bool:
        """Anyone may name an order like the kill's; it is one only while a bot of the account, or all, is stopped."""
        return is_guards(client_order_id) and self._response.stopped_in_part(self._account)
