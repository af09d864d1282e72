"""Keeps one account's book and publishes it: whatever changes the account goes through here, one step after another.

Events that have piled up are published together. That hides states, never exposure: everything the venue did by the
last event is in the document, and every hold those events speak of goes in the same step; a hold that no event speaks
of stays. What could not be published is not forgotten: the next publication brings it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from proxy.accounts.births import Birth
from proxy.accounts.book import Book
from proxy.accounts.known_settings import SettingsView
from proxy.accounts.merging import Merged, merge_survey
from proxy.exchange.events import AlgoEvent, Event, OrderEvent
from proxy.exchange.survey import OrderKey, Survey
from proxy.store.conversion import NOTHING, Conversion
from proxy.store.warden_store import Published, WardenStore
from rules.account import Account, FundingMark, OpenOrder, Position, Share, UnexplainedOrder
from rules.snapshot import Market

log = logging.getLogger("perpguard.accounts")

_ATTEMPTS: Final = 3
UNSAID_MAX: Final = 10_000
"""Events kept for whoever watches the outside while the store is away; beyond it, it is told that it does not see all.
As many owners of orders are kept for the store; a fill beyond it is left out of what its bot reads of its fills. Of as
many things that happened to holds the store is told; beyond it, a survey lets the holds go."""


class Attribution(Protocol):
    """Splits the account by bot: hears every event before it is published, and what surveys found."""

    def apply(self, event: Event) -> object:
        """Take one event in; repeated ones change nothing."""

    def owners_of(self, event: Event) -> Mapping[str, str]:
        """Whose order and trade an event tells of (``proxy.store.owners``); asked after ``apply``."""
        ...

    def restore(self, account: Account) -> None:
        """Take up the shares an earlier warden published."""

    def adopt(self, positions: Sequence[Position], open_orders: Sequence[OpenOrder]) -> None:
        """The whole book after a survey was put into it, each leg as the venue tells it: shares are to add up to it."""

    def all(self) -> tuple[Share, ...]:
        """Every share."""

    @property
    def funding_mark(self) -> FundingMark | None:
        """How far the shares have the venue's funding, at this very moment."""
        ...

    @property
    def shares_ms(self) -> int | None:
        """Up to which venue's time fills are in the shares."""
        ...

    @property
    def shares_since(self) -> datetime | None:
        """When their counting began."""
        ...

    def unexplained(self) -> tuple[UnexplainedOrder, ...]:
        """Orders of which it is not found out yet whether the guard sent them, for the next document."""
        ...

    @property
    def settings(self) -> SettingsView:
        """What the venue has set for the account's symbols."""
        ...

    def missed(self) -> None:
        """Events may have been lost that no survey makes good, as those of funding."""


class Outside(Protocol):
    """Hears of every event whether the guard knew of its order."""

    def saw(self, event: Event, known: bool) -> None:
        """``known``: a hold was waiting for the order, it was in the book already, or it is the guard's own."""

    def overlooked(self) -> None:
        """An event is not going to be told: too many are."""

    def own(self, key: OrderKey, client_order_id: str) -> None:
        """A hold was waiting for this order: it is the guard's, whoever saw it first."""

    def mode(self, hedged: bool) -> None:
        """The position mode, as a survey read it."""


class Bookkeeper:
    """One account's book, and its place in the store.

    ``heard`` hears every event before the document it changes is published, ``published`` every document that was, with
    the name of the survey its balances rest on: the store's time it began at.
    """

    def __init__(
        self,
        *,
        book: Book,
        desk: str,
        store: WardenStore,
        markets: Callable[[], Mapping[str, Market]] = dict,
        shares: Attribution | None = None,
        outside: Outside | None = None,
        heard: Callable[[Event], None] = lambda event: None,
        published: Callable[[Account, int], None] = lambda account, reading: None,
    ) -> None:
        self.book = book
        self.account: Account | None = None
        self.surveyed_at: datetime | None = None
        """When the venue was last read as a whole."""
        self.stale = False
        self._desk = desk
        self._store = store
        self._markets = markets
        self._shares = shares
        self._outside = outside
        self._heard = heard
        self._published = published
        self._lock = asyncio.Lock()
        self._version = 0
        self._pending = NOTHING
        self._overflown = False
        self._owners: dict[str, str] = {}
        self._unsaid: list[tuple[Event, bool, int | None]] = []
        self._surveyed: list[tuple[OrderKey, str, int]] = []
        self._as_of: datetime | None = None
        self._reading = 0
        self.unreported = False
        """Whether, as of the last events, orders are kept whose bot does not know what became of them."""

    def hear(self, events: Sequence[Event], received: float) -> tuple[str, ...]:
        """Take events into the book, to be published next. Returns in words why the book may have missed something."""
        doubts = []
        for event in events:
            effects = self.book.apply(event, received)
            self._heard(event)
            place = None
            if self._pending.size < UNSAID_MAX:
                place = len(self._pending.taken) if effects.conversion.taken else None
                self._pending = self._pending.then(effects.conversion)
            elif effects.conversion.size and not self._overflown:
                self._overflown = True
                doubts.append("more happened than is kept until the store takes it")
            if self._shares is not None:
                self._shares.apply(event)
                if len(self._owners) < UNSAID_MAX:
                    self._owners |= self._shares.owners_of(event)
            if self._outside is not None and len(self._unsaid) < UNSAID_MAX:
                self._unsaid.append((event, effects.known, place))
            elif self._outside is not None:
                self._outside.overlooked()
            if effects.doubt:
                doubts.append(effects.doubt)
        return tuple(doubts)

    async def publish(self, *, alive_at: datetime | None = None, resolved: Sequence[str] = ()) -> bool:
        """Publish the book as it is. ``alive_at`` is the last moment an unbroken stream vouches for.

        False before the first survey: then there is nothing to publish. Raises ``EpochLost`` or what the store client
        raises; what was to be said is then said the next time.
        """
        async with self._lock:
            if alive_at is not None and not self.stale:
                self._as_of = alive_at
            for _ in range(_ATTEMPTS):
                account = self._next()
                if account is None:
                    return False
                conversion, said, owners = self._pending, len(self._unsaid), dict(self._owners)
                done = await self._store.publish_events(
                    account, conversion=conversion, resolved=resolved, desk=self._desk, owners=owners
                )
                if await self._finish(account, done, conversion, said):
                    self.unreported = done.unreported
                    for each in owners:
                        self._owners.pop(each, None)
                    return True
            return False

    async def survey(
        self,
        survey: Survey,
        *,
        began_us: int,
        since: float,
        resolved: Sequence[str] = (),
        began_s: float | None = None,
    ) -> Merged:
        """Put a survey into the book and publish both. Raises like ``publish``.

        ``began_us`` is the store's time before which a hold must have been acknowledged to be released, and ``began_s``
        when the store showed that (``WardenStore.publish_account``); ``since`` is the monotonic time from which on
        events may be newer than what was read.
        """
        async with self._lock:
            merged = merge_survey(self.book, survey, since)
            self._reading = began_us
            if survey.symbols is None:
                self.surveyed_at = survey.account.as_of
            # However long the reads took, what the stream has vouched for since is not undone.
            if survey.symbols is None and (self._as_of is None or self._as_of < survey.account.as_of):
                self._as_of = survey.account.as_of
            first = len(self._pending.taken)
            self._surveyed += [
                (key, order.client_order_id, first + at)
                for at, (key, order) in enumerate(zip(merged.taken, merged.conversion.taken, strict=True))
            ]
            self._pending = self._pending.then(merged.conversion)
            if self._shares is not None and not self.book.unsettled():
                # While the fills and the quantity of a leg disagree, nobody can say whose the difference is.
                self._shares.adopt(self.book.told(self._markets()), self.book.open_orders())
            if self._outside is not None:
                self._outside.mode(survey.account.hedged)
            for _ in range(_ATTEMPTS):
                account = self._next()
                conversion, said = self._pending, len(self._unsaid)
                assert account is not None  # noqa: S101 - a survey was just merged
                done = await self._store.publish_account(
                    account,
                    began_us=began_us,
                    began_s=began_s,
                    symbols=survey.symbols,
                    resolved=resolved,
                    desk=self._desk,
                    conversion=conversion,
                )
                if await self._finish(account, done, conversion, said):
                    break
            return merged

    async def take_up(self) -> None:
        """What an earlier warden published: its shares are taken over, and it is stale until it has been surveyed.

        Raises like ``publish``.
        """
        async with self._lock:
            published = await self._store.account(self.book.name)
            if published is None or self.account is not None:
                return
            self.restore(published)
            if self.stale and not published.feed_stale:
                account = replace(published, version=published.version + 1, feed_stale=True)
                await self._store.publish_events(account, conversion=NOTHING, resolved=(), desk=self._desk)

    def restore(self, last: Account) -> None:
        """Begin where an earlier warden ended: with its shares, whose orders are, and versions above its own."""
        self._version = last.version
        self.book.restore(last)
        if self._shares is not None:
            self._shares.restore(last)

    def begin_above(self, version: int) -> None:
        """Begin with nothing, and with versions above this one: gates and the audit know documents by theirs."""
        self._version = version

    def born(self, birth: Birth) -> None:
        """A plain order turns out to be what a conditional one became."""
        self.book.born(birth.symbol, birth.order_id, birth.client_order_id)

    def missed(self) -> None:
        """Events may have been lost: what a survey does not tell is to be looked up."""
        if self._shares is not None:
            self._shares.missed()

    def forget(self) -> None:
        """The store lost what it knew: the next survey tells everything anew."""
        self.account = None
        self.book.surveyed = None

    def _next(self) -> Account | None:
        markets = self._markets()
        if self._as_of is None:
            return None
        account = self.book.account(version=self._version + 1, as_of=self._as_of, stale=self.stale, markets=markets)
        if account is None or self._shares is None:
            return account
        settings = self._shares.settings
        return replace(
            account,
            shares=self._shares.all(),
            shares_ms=self._shares.shares_ms,
            shares_since=self._shares.shares_since,
            funding_mark=self._shares.funding_mark,
            settings=settings.apart,
            usual_settings=settings.usual,
            unexplained=self._shares.unexplained(),
        )

    async def _finish(self, account: Account, done: Published, conversion: Conversion, said: int) -> bool:
        """Note what was published; another version in the way is only another warden's, or one of ours before."""
        if not done.accepted:
            self._version = await self._store.account_version(account.name)
            return False
        self._version, self.account = account.version, account
        self._published(account, self._reading)
        self._pending, self._overflown = self._pending.without(conversion), False
        for event, known, place in self._unsaid[:said]:
            if self._outside is not None:
                held = place is not None and done.matched[place]
                self._outside.saw(event, known or held)
                if held and isinstance(event, OrderEvent):
                    self._outside.own((event.symbol, event.order_id, False), event.client_order_id)
                elif held and isinstance(event, AlgoEvent):
                    self._outside.own((event.symbol, event.algo_id, True), event.client_order_id)
        for key, client_order_id, place in self._surveyed:
            if self._outside is not None and done.matched[place]:
                self._outside.own(key, client_order_id)
        self._surveyed.clear()
        later = self._unsaid[said:]
        taken = len(conversion.taken)
        self._unsaid = [(event, known, None if place is None else place - taken) for event, known, place in later]
        return True
