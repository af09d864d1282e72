"""What a press of a scope would cancel and close, and at what cost: from what the warden knows, and books read now.

The cost is the kill's own arithmetic (``rules.kill.cost``). The kill's hands are not used, and nothing that is asked
here is waited for by a press: it reads everything again, and closes what is there then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from proxy.exchange.market_payloads import Depth
from proxy.exchange.troubles import VenueTrouble
from proxy.kill.preview_plane import AccountPreview, CancelledOrder, ClosedLeg, KillPreview
from proxy.kill.roster import Roster
from proxy.store.codec import plain
from proxy.store.fence import Scope
from rules.account import Account, OpenOrder, Position
from rules.kill.cost import LegEstimate, estimate
from rules.kill.legs import BookLevel, OpenLeg
from rules.model import PositionSide
from rules.snapshot import Market

ORDERS_SHOWN: Final = 200
BOOKS_MAX: Final = 12
"""Books read for one look, those of the largest legs: each is a request to the venue."""

READING_S: Final = 2.0
FRESH_S: Final = 5.0
_BOOKS_KEPT: Final = 256

_NONE: Final = Decimal(0)


class OwnPart(Protocol):
    """A bot's shares of one account."""

    def quantity(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        """The bot's signed part of a leg; ``None`` while the shares cannot be trusted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known of accounts and venues by those who follow them. ``part`` is ``None`` for a bot to whom all of an
    account is; ``depth`` reads one book, and may raise a ``VenueTrouble``."""

    account: Callable[[str], Account | None]
    part: Callable[[str, str], OwnPart | None]
    markets: Callable[[str], Mapping[str, Market]]
    depth: Callable[[str, str], Awaitable[Depth]]


@dataclass(frozen=True, slots=True)
class _Book:
    read_at: float
    depth: Depth


@dataclass(frozen=True, slots=True)
class _Part:
    """What of an account a press would take away, before it is costed."""

    name: str
    account: Account | None
    legs: tuple[Position, ...]
    orders: tuple[OpenOrder, ...]
    bot: str
    trouble: str


class Preview:
    """Implements ``PreviewPlane``."""

    def __init__(self, *, roster: Roster, knowledge: Knowledge, now: Callable[[], datetime]) -> None:
        self._roster = roster
        self._known = knowledge
        self._now = now
        self._books: dict[tuple[str, str], _Book] = {}
        self._reading = asyncio.Lock()

    async def preview(self, scope: str) -> KillPreview:
        """Look ahead; at most ``READING_S`` for the books."""
        parsed = self._roster.parsed(scope)
        parts = [self._part(parsed, name) for name in self._roster.accounts(parsed)]
        wanted = {
            (self._roster.venue(part.name), leg.symbol): self._worth(part, leg) for part in parts for leg in part.legs
        }
        books = await self._books_of(sorted(wanted, key=lambda each: -wanted[each])[:BOOKS_MAX])
        accounts = [self._seen(part, books) for part in parts]
        legs = [leg for account in accounts for leg in account.legs]
        ages = [time.monotonic() - book.read_at for book in books.values()]
        return KillPreview(
            scope=str(parsed),
            at=str(plain(self._now())),
            accounts=accounts,
            orders=sum(len(part.orders) for part in parts),
            legs=len(legs),
            notional=sum((leg.notional for leg in legs), _NONE),
            cost=sum((leg.cost for leg in legs if leg.cost is not None), _NONE),
            uncosted=sum(leg.cost is None for leg in legs),
            depth_age_s=max(ages, default=None),
        )

    def _part(self, scope: Scope, name: str) -> _Part:
        account = self._known.account(name)
        if account is None:
            return _Part(name, None, (), (), "", "not surveyed yet; the press reads the venue itself")
        own = self._known.part(scope.bot, name) if scope.bot is not None else None
        if scope.bot is None or own is None:
            return _Part(name, account, tuple(account.positions), tuple(account.open_orders), "", _stale(account))
        orders = tuple(order for order in account.open_orders if order.bot == scope.bot)
        parts = [_own(leg, own.quantity(leg.symbol, leg.position_side)) for leg in account.positions]
        trouble = _stale(account)
        if any(part is None for part in parts):
            trouble = "whose the positions are is not known now; the press waits until it is"
        legs = tuple(part for part in parts if part is not None and part.quantity)
        return _Part(name, account, legs, orders, scope.bot, trouble)

    def _seen(self, part: _Part, books: Mapping[tuple[str, str], _Book]) -> AccountPreview:
        venue = self._roster.venue(part.name)
        legs = [_open_leg(leg, self._mark(venue, leg), books.get((venue, leg.symbol))) for leg in part.legs]
        rows = estimate(legs).legs
        age = (self._now() - part.account.as_of).total_seconds() if part.account is not None else None
        return AccountPreview(
            name=part.name,
            venue=venue,
            age_s=age,
            part_of=part.bot,
            orders=[_order(each) for each in part.orders[:ORDERS_SHOWN]],
            orders_left_out=max(len(part.orders) - ORDERS_SHOWN, 0),
            legs=[_closed(leg, row) for leg, row in zip(legs, rows, strict=True)],
            trouble=part.trouble,
        )

    async def _books_of(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], _Book]:
        """The books, as far as the venue gives them in time; one that was read moments ago serves again."""
        async with self._reading:  # Several pages that look at once share what is read.
            old = [each for each in wanted if not self._fresh(each, FRESH_S)]
            try:
                async with asyncio.timeout(READING_S):
                    await asyncio.gather(*(self._read(*each) for each in old))
            except TimeoutError:
                pass  # What has not come by now is shown as not read.
            return {each: self._books[each] for each in wanted if self._fresh(each, FRESH_S + READING_S)}

    def _fresh(self, key: tuple[str, str], age_max_s: float) -> bool:
        book = self._books.get(key)
        return book is not None and time.monotonic() - book.read_at < age_max_s

    async def _read(self, venue: str, symbol: str) -> None:
        try:
            depth = await self._known.depth(venue, symbol)
        except VenueTrouble:
            return  # As above; the press itself says what it could not read.
        if len(self._books) >= _BOOKS_KEPT:
            del self._books[next(iter(self._books))]
        self._books[venue, symbol] = _Book(time.monotonic(), depth)

    def _worth(self, part: _Part, leg: Position) -> Decimal:
        return abs(leg.quantity) * self._mark(self._roster.venue(part.name), leg)

    def _mark(self, venue: str, leg: Position) -> Decimal:
        market = self._known.markets(venue).get(leg.symbol)
        return leg.mark_price if market is None else market.mark_price


def _stale(account: Account) -> str:
    return "the private stream has a gap; this may be old" if account.feed_stale else ""


def _own(leg: Position, share: Decimal | None) -> Position | None:
    """The leg as far as it is the bot's to close, as the kill of a bot takes it; ``None`` where that is not known."""
    if share is None:
        return None
    own = min(abs(share), abs(leg.quantity)) if share * leg.quantity > 0 else _NONE
    return Position(
        symbol=leg.symbol,
        position_side=leg.position_side,
        quantity=own.copy_sign(leg.quantity),
        entry_price=leg.entry_price,
        mark_price=leg.mark_price,
    )


def _open_leg(leg: Position, mark: Decimal, book: _Book | None) -> OpenLeg:
    return OpenLeg(
        symbol=leg.symbol,
        position_side=leg.position_side,
        quantity=leg.quantity,
        mark_price=mark,
        book=None if book is None else _levels(book.depth.bids if leg.quantity > 0 else book.depth.asks),
    )


def _levels(rows: Iterable[tuple[Decimal, Decimal]]) -> tuple[BookLevel, ...]:
    return tuple(BookLevel(price, quantity) for price, quantity in rows)


def _closed(leg: OpenLeg, row: LegEstimate) -> ClosedLeg:
    read = leg.book is not None
    return ClosedLeg(
        symbol=leg.symbol,
        side="LONG" if leg.quantity > 0 else "SHORT",
        quantity=leg.size,
        mark_price=leg.mark_price or _NONE,
        notional=leg.notional or _NONE,
        cost=row.cost if read else None,
        in_book=row.in_book if read else None,
    )


def _order(order: OpenOrder) -> CancelledOrder:
    return CancelledOrder(
        kind="conditional" if order.order_type.is_conditional else "plain",
        symbol=order.symbol,
        side=order.side.value,
        order_type=order.order_type.value,
        quantity=order.leaves_quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        reduce_only=order.reduce_only or order.close_position,
        bot=order.bot,
        order_id=order.order_id,
    )
