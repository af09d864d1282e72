"""Keeps one account's ledger: asks the venue for what was booked, at the lowest priority, until nothing is missing.

Questions go through the guard's own connections, whose reads leave the kill its part of the venue's budget, and never
cost more than ``WEIGHT_PER_S``. What was not read while the warden was away is a gap, and is read afterwards. A full
disk or a silent venue stops nothing but this; the ledger says how far it is complete.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from proxy.accounts.births import Birth
from proxy.accounts.lineage import Lineage
from proxy.exchange.events import AccountEvent, AlgoEvent, Event, OrderEvent
from proxy.exchange.payloads import FundingRow
from proxy.exchange.statement_payloads import Fill, IncomeRow, NamedOrder
from proxy.exchange.statement_reads import (
    FILLS_WEIGHT,
    INCOME_WEIGHT,
    ORDER_WEIGHT,
    ORDERS_WEIGHT,
    ROWS_MAX,
    TRIGGERED_WEIGHT,
    WINDOW_MS,
)
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble, VenueUnavailable
from proxy.ledger.books.attribution import Origin, attributed
from proxy.ledger.books.book import INCOME, LedgerBook, fills_of
from proxy.ledger.books.inbox import Inbox
from proxy.ledger.books.schedule import Question, Schedule
from proxy.ledger.books.schema import BooksUnavailable
from proxy.ledger.books.spans import Span

log = logging.getLogger("perpguard.ledger")

TURN_S: Final = 1.0
AWAY_S: Final = 30.0
DISK_AWAY_S: Final = 60.0

WEIGHT_PER_S: Final = 4
"""At most 240 of the venue's 2,400 a minute, for all accounts together."""

FIRST_LOOK_MS: Final = WINDOW_MS - 60_000
"""How far back a new ledger begins: as far as one question reaches."""

NAMES_MAX: Final = 50
"""Orders whose names are asked for in one turn."""

_OF_THE_KEY: Final = frozenset({-401, -403, -1021, -1022, -2008, -2014, -2015})
"""Refusals of clock, signature, key or address: they say nothing of the symbol that was asked about.

Source: Binance USD-M "Error Codes" and "HTTP Return Codes" (403: its firewall), seen 2026-11.
"""

_NOBODYS: Final = (Origin.OUTSIDE, Origin.UNKNOWN)

JUDGED_KEPT_US: Final = 90 * 24 * 3600 * 1_000_000
FORGET_EVERY_MS: Final = 3600 * 1000


class Statement(Protocol):
    """Where the statement is. All raise ``VenueTrouble``."""

    async def fills(self, symbol: str, since_ms: int, until_ms: int | None) -> tuple[Fill, ...]:
        """A symbol's executions, oldest first."""
        ...

    async def income(self, since_ms: int, until_ms: int | None) -> tuple[IncomeRow, ...]:
        """Rows of every type, oldest first."""
        ...

    async def orders_from(self, symbol: str, order_id: str) -> tuple[NamedOrder, ...]:
        """A symbol's orders from an id on, oldest first."""
        ...

    async def order_named(self, symbol: str, order_id: str) -> NamedOrder | None:
        """One order, ``None`` when the venue knows none any more."""
        ...

    async def triggered(self, symbol: str) -> tuple[NamedOrder, ...]:
        """Plain orders that a symbol's conditional ones became, by the conditional one's name."""
        ...


class LedgerKeeper:
    """One account's. ``owner`` names the bot behind a client order id, "" for none; ``held`` are the symbols with a
    position or an order."""

    def __init__(
        self,
        *,
        account: str,
        venue: Statement,
        path: Path,
        owner: Callable[[str], str],
        held: Callable[[], Iterable[str]],
        now: Callable[[], datetime],
        ahead_ms: Callable[[], int | None],
        accounts: int = 1,
    ) -> None:
        """``ahead_ms`` is the venue's time less that of ``now``, ``None`` while it is not known. So many ``accounts``
        share the weight."""
        self._account = account
        self._venue = venue
        self._path = path
        self._owner = owner
        self._held = held
        self._now = now
        self._ahead_ms = ahead_ms
        self._weight_per_s = WEIGHT_PER_S / max(1, accounts)
        self._inbox = Inbox(account)
        self._lineage = Lineage()
        self._book: LedgerBook | None = None
        self._schedule: Schedule | None = None
        self._news: set[str] = set()
        self._names_wanted = True
        self._forget_due_ms = 0
        self._refused: set[str] = set()

    def heard(self, event: Event) -> None:
        """The private stream told an event."""
        match event:
            case AlgoEvent() if event.actual_order_id is not None:
                self._became(event.symbol, event.actual_order_id, event.client_order_id)
            case OrderEvent() if event.last_quantity:
                self._inbox.name(attributed(event.symbol, event.order_id, self._lineage.name(event), self._owner))
                self._news |= {INCOME, fills_of(event.symbol)}
            case AccountEvent() if event.balances:
                self._news.add(INCOME)
            case _:
                pass

    def born(self, birth: Birth) -> None:
        """A plain order turns out to be what a conditional one became."""
        self._became(birth.symbol, birth.order_id, birth.client_order_id)

    def _became(self, symbol: str, order_id: str, conditional_name: str) -> None:
        self._lineage.born(symbol, order_id, conditional_name)
        # Its fill may have been told of before, under the name that the venue gave it.
        self._inbox.name(attributed(symbol, order_id, conditional_name, self._owner))

    def funding_shared(self, row: FundingRow, weights: Mapping[str, Decimal]) -> None:
        """A row of funding was shared out among the bots by these holdings."""
        self._inbox.share_funding(row, weights)

    def hear(self, record: Mapping[str, Any]) -> None:
        """A record of this account on its way to the archive."""
        self._inbox.hear(record)

    async def run(self) -> None:
        """Keep for ever."""
        while True:
            pause = TURN_S
            try:
                pause += await self.turn() / self._weight_per_s
            except BooksUnavailable as trouble:
                log.error("the ledger of %s is not kept: %s", self._account, trouble)
                pause = DISK_AWAY_S
            except VenueThrottled as trouble:
                log.warning("the statement of %s: %s", self._account, trouble)
                pause = max(AWAY_S, trouble.retry_after)
            except VenueTrouble as trouble:
                log.warning("the statement of %s cannot be read: %s", self._account, trouble)
                pause = AWAY_S
            await asyncio.sleep(pause)

    async def aclose(self) -> None:
        """Write down what was told, and give the file back."""
        if self._book is None:
            return
        try:
            await asyncio.to_thread(self._inbox.flush, self._book)
        except BooksUnavailable as trouble:
            log.error("the ledger of %s is not kept: %s", self._account, trouble)
        await asyncio.to_thread(self._book.close)

    async def turn(self) -> int:
        """Write down what was told, ask one question if one is due; what it weighed.

        Raises ``BooksUnavailable`` or ``VenueTrouble``; then nothing of the question counts as read.
        """
        if self._book is None:
            self._book = await asyncio.to_thread(LedgerBook.open, self._path)
        book = self._book
        await asyncio.to_thread(self._inbox.flush, book)
        ahead_ms = self._ahead_ms()
        if ahead_ms is None:
            return 0
        now_ms = int(self._now().timestamp() * 1000) + ahead_ms
        schedule = await self._scheduled(book, now_ms)
        if now_ms >= self._forget_due_ms:
            self._forget_due_ms = now_ms + FORGET_EVERY_MS
            await asyncio.to_thread(book.forget_judged, self._account, now_ms * 1000 - JUDGED_KEPT_US)
        question = schedule.next(now_ms)
        if question is not None:
            self._names_wanted = True
            return await self._ask(book, schedule, question, now_ms)
        return await self._ask_names(book) if self._names_wanted else 0

    async def _scheduled(self, book: LedgerBook, now_ms: int) -> Schedule:
        if self._schedule is None:
            self._schedule = await asyncio.to_thread(self._taken_up, book, now_ms)
        news, self._news = self._news, set()
        known = self._schedule.sources
        new = {symbol for symbol in self._held() if fills_of(symbol) not in known}
        new |= {source.removeprefix("fills ") for source in news - known - {INCOME}}
        if new:
            await asyncio.to_thread(book.follow, self._account, new)
        for source in {*news, *map(fills_of, new)}:
            self._schedule.news(source, now_ms)
        return self._schedule

    def _taken_up(self, book: LedgerBook, now_ms: int) -> Schedule:
        since_ms = book.begin(self._account, now_ms - FIRST_LOOK_MS)
        sources = {INCOME, *map(fills_of, book.symbols(self._account))}
        schedule = Schedule(since_ms, {source: book.spans(self._account, source) for source in sources})
        for source in sources:
            schedule.news(source, now_ms)  # Whatever was booked while nobody listened.
        return schedule

    async def _ask(self, book: LedgerBook, schedule: Schedule, question: Question, now_ms: int) -> int:
        begin, end = question.span.begin, None if question.is_open else question.span.end
        if question.source == INCOME:
            income = await self._venue.income(begin, end)
            read = _covered(question, income)
            await asyncio.to_thread(book.add_income, self._account, income, read)
            for symbol in {row.symbol for row in income if row.symbol and row.trade_id is not None}:
                if fills_of(symbol) not in schedule.sources:
                    schedule.follow(fills_of(symbol))
            weight = INCOME_WEIGHT
        else:
            symbol, weight = question.source.removeprefix("fills "), FILLS_WEIGHT
            try:
                fills = await self._venue.fills(symbol, begin, end)
            except VenueRefused as refusal:
                self._symbol_refused(symbol, refusal)
                schedule.refused(question, now_ms)
                return weight
            self._refused.discard(symbol)
            read = _covered(question, fills)
            await asyncio.to_thread(book.add_fills, self._account, symbol, fills, read)
        schedule.done(question, read, now_ms)
        return weight

    def _symbol_refused(self, symbol: str, refusal: VenueRefused) -> None:
        """Say once that the venue does not tell of a symbol, or raise what is no matter of the symbol."""
        if refusal.code in _OF_THE_KEY:
            raise refusal
        if symbol not in self._refused:
            self._refused.add(symbol)
            log.warning("the venue tells nothing of %s to the ledger of %s: %s", symbol, self._account, refusal)

    async def _ask_names(self, book: LedgerBook) -> int:
        """Who sent the orders that have fills here and whose events nobody heard."""
        nameless = await asyncio.to_thread(book.nameless, self._account, NAMES_MAX)
        if not nameless:
            self._names_wanted = False
            return 0
        symbol = nameless[0][0]
        wanted = [order_id for named, order_id in nameless if named == symbol]
        try:
            names, weight = await self._names(symbol, wanted)
        except VenueRefused as refusal:
            self._symbol_refused(symbol, refusal)
            names, weight = dict.fromkeys(wanted), ORDERS_WEIGHT
        known = [attributed(symbol, order_id, names[order_id], self._owner) for order_id in wanted if order_id in names]
        await asyncio.to_thread(book.name_orders, self._account, known)
        return weight

    async def _names(self, symbol: str, wanted: list[str]) -> tuple[dict[str, str | None], int]:
        """What these orders were sent as, ``None`` where the venue does not know it any more, and what that weighed."""
        told = await self._venue.orders_from(symbol, wanted[0])
        names: dict[str, str | None] = {each.order_id: each.client_order_id for each in told}
        weight = ORDERS_WEIGHT
        # A full answer may end before the others; they come with the next question. Otherwise ask one by one.
        if len(told) < ROWS_MAX:
            for order_id in wanted:
                if order_id not in names:
                    found = await self._venue.order_named(symbol, order_id)
                    names[order_id] = found.client_order_id if found is not None else None
                    weight += ORDER_WEIGHT
        elif wanted[0] not in names:
            names[wanted[0]] = None
        if any(attributed(symbol, each, names.get(each), self._owner).origin in _NOBODYS for each in wanted):
            names |= await self._conditional_names(symbol)
            weight += TRIGGERED_WEIGHT
        return names, weight

    async def _conditional_names(self, symbol: str) -> dict[str, str]:
        """What became of conditional orders: the venue names those plain orders itself."""
        try:
            return {each.order_id: each.client_order_id for each in await self._venue.triggered(symbol)}
        except VenueRefused as refusal:
            self._symbol_refused(symbol, refusal)
            return {}


def _covered(question: Question, rows: tuple[Fill, ...] | tuple[IncomeRow, ...]) -> Span:
    """What an answer is complete for: a full one may have left out others of its last moment."""
    begin, end = question.span
    if len(rows) < ROWS_MAX:
        return Span(begin, max(end, rows[-1].at_ms + 1)) if rows and question.is_open else question.span
    if rows[-1].at_ms <= begin:
        raise VenueUnavailable(f"{len(rows)} rows of one moment")
    return Span(begin, rows[-1].at_ms)
