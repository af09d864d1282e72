"""Keeps the store's picture of one account equal to the venue's: the stream tells, surveys judge.

While the private stream is unbroken every event is in the store some milliseconds after it is heard (``news``), and a
full survey every ``survey_every_s`` only checks it. Whatever casts doubt on the stream (its end, a frame nobody can
read, fills and quantities that disagree) makes the account stale at once: gates refuse what adds risk until a survey,
begun after the doubt and on an open stream, has been published. Without a stream, surveys are all there is.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from proxy.accounts.bookkeeper import Bookkeeper
from proxy.accounts.feed import Feed
from proxy.accounts.feed_state import FeedState, FeedStatus
from proxy.accounts.held_orders import HeldOrders
from proxy.accounts.news import News
from proxy.accounts.store_clock import StoreClock, StoreTime
from proxy.accounts.store_loss import StoreLoss
from proxy.accounts.survey_plan import SETTLE_LAG_S, SurveyPlan
from proxy.accounts.unresolved import Unresolved
from proxy.exchange.events import Event, StreamKeyExpired, UnreadableEvent, read_event
from proxy.exchange.survey import Survey
from proxy.exchange.troubles import VenueThrottled, VenueTrouble
from proxy.exchange.venue_account import VenueAccount
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.warden_store import EpochLost, WardenStore
from rules.account import Account, HoldStatus

log = logging.getLogger("perpguard.accounts")

EXPECTED_MAX: Final = 10_000
"""Requests whose outcome may still come; the full survey covers whatever is forgotten."""

LOOK_EVERY_S: Final = 0.5
ASK_EVERY_S: Final = 2.0
DISAGREE_MAX_S: Final = 1.0
"""How long a leg's fills and quantity may differ without a word: the venue sends one right after the other."""

LINGER_MAX_S: Final = 2.0
"""A hold the venue acknowledged this long ago, and the stream has not told of: then something was not heard."""

VOUCH_EVERY_S: Final = 10.0
"""How often an account on which nothing happens is published anew, as the unbroken stream vouches for it."""

RETRY_S: Final = 0.2


class AccountKeeper:
    """Keeps one account. ``expect`` and ``happened`` are how the warden says that a symbol moved.

    ``turned`` hears of every turn of the loop that judges, and for how long it then waits.
    """

    def __init__(
        self,
        *,
        desk: str,
        hands: VenueAccount,
        store: WardenStore,
        now: Callable[[], datetime],
        survey_every_s: float,
        books: Bookkeeper,
        record: Record,
        streams: bool,
        turned: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._desk = desk
        self._hands = hands
        self._store = store
        self._now = now
        self._books = books
        self._record = record
        self._turned = turned
        self._plan = SurveyPlan(survey_every_s, turned)
        self._news = News()
        self.feed = Feed(hands.name, opened=self._opened, broke=self._doubt, woke=self._news.told) if streams else None
        self._doubts = 0
        self._why = "the stream is not open yet" if streams else ""
        books.stale = streams
        self._unbroken_us: int | None = None
        self._adopted: dict[str, Any] | None = None
        self._healed = 0
        self._expected: dict[str, set[str | None]] = {}
        self._said_at = float("-inf")
        self._forgotten = 0
        unresolved, clock = Unresolved(hands, store), StoreClock(hands.name, store)
        self.loss = StoreLoss(hands.name, store, books, unresolved, clock, turned)
        self._held = HeldOrders(hands.name, store, unresolved, clock, self.loss, self._clock_set)

    @property
    def name(self) -> str:
        """The account's name."""
        return self._hands.name

    @property
    def venue(self) -> str:
        """The venue the account is at."""
        return self._hands.venue

    @property
    def account(self) -> Account | None:
        """The account as last published, for the console."""
        return self._books.account

    @property
    def surveyed_at(self) -> datetime | None:
        """When this warden last read the account as a whole; ``account.as_of`` may be later, by the stream."""
        return self._books.surveyed_at

    @property
    def view(self) -> FeedState:
        """The feed, for the console."""
        state = FeedStatus.OFF if self.feed is None else FeedStatus.STALE if self._books.stale else FeedStatus.LIVE
        return FeedState(
            state=state,
            why=self._why,
            age_s=self.feed.silent_s if self.feed is not None else None,
            adopted=self._adopted,
            gaps_healed=self._healed,
        )

    def expect(self, request_id: str, symbol: str | None) -> None:
        """A request that names ``symbol`` was judged, or with ``None`` one that changes how the whole account trades;
        its outcome may follow. Bounded: the oldest is forgotten."""
        self._expected.setdefault(request_id, set()).add(symbol)
        while len(self._expected) > EXPECTED_MAX:
            self._expected.pop(next(iter(self._expected)))

    def happened(self, request_id: str, *, changed: bool) -> None:
        """The outcome of a request. If it may have ``changed`` the venue, the stream tells; without one, a survey. Of
        the position mode no stream tells."""
        symbols = self._expected.pop(request_id, set())
        if changed and None in symbols:
            self.survey_soon()
        elif changed and symbols and not self._live:
            self._plan.moved({symbol for symbol in symbols if symbol is not None})

    def restore(self, last: Account) -> None:
        """Begin where an earlier warden ended, before ``run``."""
        self._books.restore(last)

    def begin_above(self, version: int) -> None:
        """Begin with nothing of what an earlier warden published, before ``run``, and with versions above its own."""
        self._books.begin_above(version)

    def distrust_store(self) -> None:
        """The store may have lost what it knew: it is filled anew without waiting until it says so."""
        self.loss.came_again()
        self._plan.soon()

    def survey_soon(self) -> None:
        """Survey the whole account without waiting for its time."""
        self._plan.soon()

    def publish_soon(self) -> None:
        """Something that is not of the book is to be published with it. Without a stream, the next survey does."""
        self._news.at_once()

    async def run(self) -> None:
        """Keep the account for ever. Trouble with the venue or the store is waited out; gates refuse meanwhile."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._judge())
            if self.feed is not None:
                loops.create_task(self.feed.run())
                loops.create_task(self._listen())
                loops.create_task(self._look())

    async def survey(self) -> None:
        """Read the whole account and publish it.

        Raises ``VenueTrouble``, ``EpochLost`` or what the store client raises.
        """
        self._plan.begin_whole()
        doubts, live = self._doubts, self.feed is None or self.feed.connected
        began, since = await self._held.begun(), time.monotonic() - SETTLE_LAG_S
        answer = await self._held.asked(began.us)
        survey = await self._hands.survey(self._now())
        self.loss.check()
        if live and doubts == self._doubts and self._books.stale:
            # Everything since this survey began has been heard, or waits to be: from here on the stream tells.
            self._books.stale, self._why = False, ""
            self._books.missed()
            self._unbroken_us = began.us
        await self._judged(survey, began, since, answer.resolved + answer.by_whole)
        if self._adopted is None:
            await self._adopt(survey.account)

    async def _survey_symbols(self, symbols: frozenset[str]) -> None:
        base = self._books.account
        if base is None:
            return
        began, since = await self._held.begun(), time.monotonic() - SETTLE_LAG_S
        answer = await self._held.asked(began.us)
        survey = await self._hands.survey_symbols(symbols, base)
        over = await self._held.covered(answer.resolved, symbols)
        self.loss.check()
        await self._judged(survey, began, since, over)

    def _clock_set(self, now_us: int) -> None:
        if self._unbroken_us is not None:
            self._unbroken_us = min(self._unbroken_us, now_us)

    async def _judged(self, survey: Survey, began: StoreTime, since: float, over: Sequence[str]) -> None:
        """Publish what was read, and see what it tells. Raises like ``survey``."""
        seen = began.earlier(SETTLE_LAG_S)
        merged = await self._books.survey(survey, began_us=seen.us, began_s=seen.before_s, since=since, resolved=over)
        self._said_at = time.monotonic()
        self._held.forget(over)
        await self._forget_spent()
        if merged.healed and self.feed is not None:
            self._healed += len(merged.healed)
            self._books.missed()
            healed = "; ".join(merged.healed[:10])
            log.warning("a survey of %s put right what the stream had not told: %s", self.name, healed)

    async def _adopt(self, account: Account) -> None:
        """The first survey: what was there before the guard was, and is from now on counted."""
        self._adopted = {
            "positions": len(account.positions),
            "open_orders": len(account.open_orders),
            "at": self._now().isoformat(),
        }
        log.info(
            "%s adopted: %s positions, %s open orders", self.name, len(account.positions), len(account.open_orders)
        )
        await self._record("adopted", "warden", {"account": self.name, **self._adopted})

    async def _judge(self) -> None:
        """Survey for ever: when it is time, when there is doubt, and symbols that moved unheard."""
        while True:
            self._turned(0.0)
            pause = 0.0
            try:
                while self.loss.stands:
                    await self.loss.refill()
                    self._plan.soon()
                if self._plan.whole_is_due:
                    await self.survey()
                    self._plan.whole_done()
                elif symbols := self._plan.begin_symbols():
                    await self._survey_symbols(symbols)
            except EpochLost:
                self.loss.came()
            except VenueThrottled as trouble:
                log.warning("survey of %s: %s", self.name, trouble)
                pause = trouble.retry_after
            except (VenueTrouble, *STORE_TROUBLE) as trouble:
                log.warning("survey of %s failed: %s", self.name, trouble)
                pause = 1.0
            self._turned(pause)
            await asyncio.sleep(pause)
            await self._plan.wait()

    async def _listen(self) -> None:
        """Publish what the stream tells, as soon as it is gathered; what has piled up, together."""
        assert self.feed is not None  # noqa: S101 - run() starts this loop only with a feed
        await self._take_up()
        while True:
            await self._news.wait()
            frames = self.feed.take()
            events = [event for frame in frames if (event := self._read(frame)) is not None]
            for doubt in self._books.hear(events, time.monotonic()):
                self._doubt(doubt)
            await self._say()

    async def _say(self, resolved: Sequence[str] = ()) -> None:
        """Publish the book. What the store does not take now, it is told again; one that was lost, by a survey."""
        while not self.loss.stands:
            try:
                if await self._books.publish(alive_at=self._alive_at, resolved=resolved):
                    self._said_at = time.monotonic()
                    if self._books.unreported:
                        await self._forget_spent()
                return
            except EpochLost:
                self.loss.came()
                self.survey_soon()
                return
            except STORE_TROUBLE as trouble:
                log.warning("events of %s cannot be published: %s", self.name, type(trouble).__name__)
                await asyncio.sleep(RETRY_S)

    def _read(self, frame: object) -> Event | None:
        assert self.feed is not None  # noqa: S101 - frames come from a feed
        try:
            event = read_event(frame) if isinstance(frame, dict) else None
        except UnreadableEvent as trouble:
            self._doubt(str(trouble))
            return None
        if isinstance(event, StreamKeyExpired):
            self.feed.reconnect()
        return event

    async def _look(self) -> None:
        """Look for what an unbroken stream should have told and has not, and ask about orders of unknown fate; forget
        those that nobody need know of any more."""
        asked_at = float("-inf")
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            for leg in self._books.book.unsettled():
                if self._live and now - leg.touched > DISAGREE_MAX_S:
                    self._doubt(f"fills and quantity of {leg.symbol} disagree")
            try:
                if now - asked_at >= ASK_EVERY_S and self._live:
                    asked_at = now
                    await self._ask()
                if now - self._said_at >= VOUCH_EVERY_S and self._live:
                    await self._say()
                await self._forget_spent()
            except VenueThrottled as trouble:
                log.warning("asking about orders of %s: %s", self.name, trouble)
                asked_at = now + trouble.retry_after
            except (VenueTrouble, *STORE_TROUBLE) as trouble:
                log.warning("asking about orders of %s failed: %s", self.name, trouble)

    async def _ask(self) -> None:
        """Holds of unknown fate, and acknowledged ones the stream has not turned into orders."""
        if self.loss.stands:
            return  # Another clock may have timed them: a filled order would be missed.
        holds, now_us = await self._held.timed()
        before_us = now_us - int(LINGER_MAX_S * 1e6)
        for aged in holds:
            if aged.hold.status is HoldStatus.ACCEPTED and aged.at_us < before_us:
                self._plan.moved({order.symbol for order in aged.hold.orders})
        answer = await self._held.asked(now_us)
        proven = [
            hold_id
            for hold_id, first_us in answer.absent
            if self._live and self._unbroken_us is not None and self._unbroken_us <= first_us
        ]
        if proven:
            await self._say(proven)
            self._held.forget(proven)
        for aged in holds:
            if aged.hold.hold_id in answer.resolved and aged.hold.hold_id not in proven and aged.at_us < before_us:
                self._plan.moved({order.symbol for order in aged.hold.orders})

    async def _forget_spent(self) -> None:
        """Forget the unreported orders of which the last document leaves nothing.

        Asked with every document that there are any beside; until then a bot is refused what it might double.
        """
        account = self._books.account
        if account is not None and account.version != self._forgotten:
            await self._store.forget_spent(self.name)
            self._forgotten = account.version

    async def _take_up(self) -> None:
        """An account that an earlier warden published is stale until this one has surveyed it."""
        while True:
            try:
                await self._books.take_up()
                return
            except EpochLost:
                self.loss.came()
                return
            except STORE_TROUBLE as trouble:
                log.warning("the store does not answer: %s", type(trouble).__name__)
                await asyncio.sleep(RETRY_S)

    def _doubt(self, why: str) -> None:
        """The stream may have missed something: the account is stale until it has been surveyed."""
        self._doubts += 1
        if not self._books.stale:
            log.warning("the feed of %s is stale: %s", self.name, why)
        self._books.stale, self._why = True, why
        self._unbroken_us = None
        self._news.at_once()
        self._plan.in_doubt()

    def _opened(self) -> None:
        """What happens from now on is heard; what happened before, a survey tells."""
        self._plan.in_doubt()

    @property
    def _live(self) -> bool:
        """Whether the stream is unbroken since a survey."""
        return self.feed is not None and self.feed.connected and not self._books.stale

    @property
    def _alive_at(self) -> datetime | None:
        """When the unbroken stream last vouched for the account.

        Right after this process stood still its connection may be gone and the feed not know yet: that vouches for
        nothing.
        """
        silent_s = self.feed.silent_s if self.feed is not None else None
        if not self._live or silent_s is None or not math.isfinite(silent_s):
            return None
        return self._now() - timedelta(seconds=silent_s)
