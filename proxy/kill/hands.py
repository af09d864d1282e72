"""What a kill needs of a venue, and the venue's calls fitted to it. Decides nothing."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol, TypeVar

from proxy.exchange.calls import together
from proxy.exchange.market_payloads import Depth, Touch
from proxy.exchange.payloads import parsed
from proxy.exchange.row import Row
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble, VenueUnreached
from proxy.exchange.venue_account import VenueAccount
from proxy.exchange.way_out import NO_SUCH_PATH, WayOut
from proxy.exchange.way_out_payloads import CloseReport, Listed, exits, legs_of, resting
from proxy.store import codec
from rules.kill.events import CancelStep, CloseStep, Event, Fee, Fill, Surveyed
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder

T = TypeVar("T")

_LISTING_WAIT_S: Final = 3.0
_LISTING_FRESH_S: Final = 10.0
# What only makes a close better, or belongs to another of the venue's services, must not make the way out slow.
_BESIDE_WAIT_S: Final = 1.0
# Once no position is open nothing is late for it: then as long as the client itself waits for an answer.
_ALGO_CALM_WAIT_S: Final = 3.0
_ALGO_AGAIN_S: Final = 5.0
# While the positions are not shown, the first readings ask for all: what was on the wire rests by then. Then they ask
# for the positions first, at a seventeenth of the price, and for the rest only when those are answered, or when it was
# not asked for so long: an order that rests can be stopped, and one that rests unseen may fill.
_WHOLE_FIRST: Final = 5
_WHOLE_AGAIN_S: Final = 4.0
# Where the key is refused whatever it asks, the first and every eighth do, and any that comes so long after the last.
_WHOLE_EVERY: Final = 8
_WHOLE_REFUSED_S: Final = 30.0
# A bare 403 is a firewall's word, not the venue's about a key.
_FORBIDDEN: Final = -403
_CLOCKS_APART: Final = timedelta(minutes=1)
# A leg larger than this part of what stands at the touch is worth a look into the book; it costs a request a symbol.
_TOUCH_SHARE: Final = Decimal("0.25")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One survey of the venue, as ``rules.kill.events.Surveyed`` tells of it. ``exits`` are the orders in it that can
    open nothing."""

    plain_orders: tuple[RestingOrder, ...]
    conditional_orders: tuple[RestingOrder, ...]
    positions: tuple[OpenLeg, ...]
    algo_orders: tuple[RestingOrder, ...] = ()
    complete: bool = True
    unread: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    venue_time: datetime | None = None
    digest: str = ""
    exits: frozenset[RestingOrder] = frozenset()


class AllRefused(VenueRefused):
    """The venue says no to everything that the key asks for."""


class AccountHands(Protocol):
    """One account, to be read, cancelled and closed. Every method may raise a ``VenueTrouble``."""

    @property
    def name(self) -> str:
        """The account's name in the guard."""
        ...

    async def survey(self, *, orders: bool = True) -> Reading:
        """What the venue shows now; without ``orders`` the positions alone."""
        ...

    async def cancel(self, step: CancelStep) -> None:
        """Cancel the orders of one kind of one symbol."""
        ...

    async def close(self, step: CloseStep, client_order_id: str) -> CloseReport:
        """Send one reduce-only order, once."""
        ...

    async def tally(
        self, closes: Sequence[tuple[CloseStep, str]], symbols: Sequence[str], since: datetime
    ) -> tuple[tuple[Fill, ...], tuple[Fee, ...]]:
        """What became of closes, each named by its client order id, and what was charged on symbols since then."""
        ...


class VenueHands:
    """The kill's own ``VenueAccount``, never shared with the warden's feeds: its pool is free when it is needed."""

    def __init__(self, venue: VenueAccount) -> None:
        self._venue = venue
        self._way = WayOut(venue.calls)
        self._listing: Mapping[str, Listed] = {}
        self._listed_at = float("-inf")
        self._algo_again_at = float("-inf")
        self._algo_trouble = ""
        self._algo_listed = False
        self._held_positions = True
        self._closable = True
        self._blind = 0
        self._whole_at = float("-inf")
        self._refused = False

    @property
    def name(self) -> str:
        """The account's name in the guard."""
        return self._venue.name

    @property
    def sources(self) -> tuple[str, ...]:
        """The source addresses it goes out by; empty is the host's usual one."""
        return self._venue.calls.sources

    async def answers(self) -> bool:
        """Whether the venue answers from here, whatever it says: a refusal, a 429 or a 503 came over the line as well.

        Two tries of three seconds, at two addresses where there are several. While the venue's silence is kept nothing
        is asked and nothing known of the line.
        """
        if self._way.silent:
            return False
        try:
            await self._way.server_time()
        except VenueUnreached:
            return False
        except VenueTrouble:
            return True
        return True

    async def survey(self, *, orders: bool = True) -> Reading:
        """What the venue shows now, with limits, touch and depth of what is held as far as they could be had.

        An order's way is algo or conditional, plain, position. Read in that direction, none slips through between two
        reads; read at the same time, one that triggers just then would be in neither answer. What cannot be read keeps
        nobody from acting on the rest: it is named as ``unread``. Where all of it is, there is no reading.
        """
        if orders and not self._asks_for_all():
            await self._positions_first()
        if orders:
            self._whole_at = time.monotonic()
        listing = asyncio.create_task(self._load_listing(self._held_positions))
        try:
            raw = await self._order_rows() if orders else _NO_ORDERS
            (positions, blind), touches, venue_time = await together(
                _or_trouble(self._way.positions()), self._touches(), self._venue_time(orders)
            )
            if blind is not None and not raw.some_read:
                if orders:
                    self._blind += 1
                    self._refused = raw.refused and _is_of_key(blind)
                raise self._told(blind)
            await listing
        finally:
            listing.cancel()
        if self._listing and not self._held_positions and parsed(lambda: legs_of(positions, {}, {}, {})):
            # It was not asked for, as nothing was held: what it said of the contract may be of another day.
            await self._load_listing(True)
        legs = parsed(lambda: legs_of(positions, self._listing, touches, {}))
        deep = await self._depths(legs)
        self._held_positions = bool(legs) or blind is not None
        self._closable = blind is not None or any(leg.closable for leg in legs)
        self._blind, self._refused = (0 if blind is None or raw.some_rows else self._blind + 1), False
        read = {"algo": raw.algo, "conditional": raw.conditional, "plain": raw.plain, "positions": positions}
        digest = hashlib.sha256(codec.dump(read)).hexdigest()
        plain = parsed(lambda: resting(raw.plain, "orderId"))
        conditional = parsed(lambda: resting(raw.conditional, "algoId"))
        return parsed(
            lambda: Reading(
                plain_orders=plain,
                conditional_orders=conditional,
                algo_orders=resting(raw.algo, "algoId"),
                positions=legs_of(positions, self._listing, touches, deep) if deep else legs,
                complete=orders,
                unread=(*raw.unread, *_unread("positions", blind)),
                unlisted=raw.unlisted,
                venue_time=venue_time,
                digest=digest,
                exits=exits(plain, raw.plain) | exits(conditional, raw.conditional),
            )
        )

    async def cancel(self, step: CancelStep) -> None:
        """Cancel the orders of one kind of one symbol."""
        match step.kind:
            case OrderKind.PLAIN:
                await self._way.cancel_plain(step.symbol)
            case OrderKind.CONDITIONAL:
                await self._way.cancel_conditional(step.symbol)
            case OrderKind.ALGO:
                await together(*(self._way.cancel_algo(order_id) for order_id in step.order_ids))

    async def close(self, step: CloseStep, client_order_id: str) -> CloseReport:
        """Send one reduce-only order, once."""
        leg = step.leg
        return await self._way.close(
            leg.symbol, leg.position_side, step.side, step.quantity, step.price, client_order_id
        )

    async def tally(
        self, closes: Sequence[tuple[CloseStep, str]], symbols: Sequence[str], since: datetime
    ) -> tuple[tuple[Fill, ...], tuple[Fee, ...]]:
        """What became of closes, each named by its client order id, and what was charged on symbols since then."""
        reports = await together(*(self._way.order(step.leg.symbol, name) for step, name in closes))
        # The venue's clock decides, and its own orders are for the caller to tell from others.
        charged = await together(*(self._way.fees(symbol, since - _CLOCKS_APART) for symbol in symbols))
        fills = tuple(_fill(step.leg.symbol, name, told) for (step, name), told in zip(closes, reports, strict=True))
        return fills, tuple(fee for fees in charged for fee in fees)

    def remember(self, events: Iterable[Event]) -> None:
        """Take up what an earlier process read of the same job: what it was shown, the venue lists. A job begins with
        a reading of all, and as if a position were open."""
        self._blind, self._closable = 0, True
        if any(isinstance(event, Surveyed) and event.algo_orders for event in events):
            self._algo_listed = True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._venue.aclose()

    def _asks_for_all(self) -> bool:
        """Whether the orders are asked for though the positions may still not be shown."""
        if not self._blind:
            return True
        unasked_s = time.monotonic() - self._whole_at
        if self._refused:
            return (self._blind + 1) % _WHOLE_EVERY == 0 or unasked_s >= _WHOLE_REFUSED_S
        return self._blind < _WHOLE_FIRST or unasked_s >= _WHOLE_AGAIN_S

    async def _positions_first(self) -> None:
        """Raise what still keeps the positions from being read, if something does: then nobody asks for the rest."""
        try:
            await self._way.positions()
        except VenueThrottled:
            raise
        except VenueTrouble as trouble:
            self._blind += 1
            raise self._told(trouble) from None

    def _told(self, trouble: VenueTrouble) -> VenueTrouble:
        """The trouble; where the last reading of all was refused whole, a refusal is one of everything."""
        if isinstance(trouble, VenueRefused) and self._refused and _is_of_key(trouble):
            return AllRefused(trouble.code, trouble.message)
        return trouble

    async def _order_rows(self) -> _OrderRows:
        algo = asyncio.create_task(self._algo_rows())
        try:
            conditional, no_conditional = await _or_trouble(self._way.conditional_orders())
            rows, no_algo, unlisted = await algo
            plain, no_plain = await _or_trouble(self._way.plain_orders())
        finally:
            algo.cancel()
        return _OrderRows(
            algo=rows,
            conditional=conditional,
            plain=plain,
            unread=(*no_algo, *_unread("conditional orders", no_conditional), *_unread("orders", no_plain)),
            unlisted=unlisted,
            some_read=bool(rows) or no_conditional is None or no_plain is None,
            refused=bool(no_algo or unlisted) and _is_of_key(no_conditional) and _is_of_key(no_plain),
        )

    async def _algo_rows(self) -> tuple[tuple[Row, ...], tuple[str, ...], tuple[str, ...]]:
        """The working TWAPs; else why they are not read this time, or never can be at this venue's address.

        What was listed once is a service of this venue: whatever it answers later, it is not read and not unlisted.
        """
        if time.monotonic() < self._algo_again_at:
            return (), (self._algo_trouble,), ()
        wait_s = _BESIDE_WAIT_S if self._closable else _ALGO_CALM_WAIT_S
        try:
            async with asyncio.timeout(wait_s):
                rows = await self._way.algo_orders()
            self._algo_listed = True
            return rows, (), ()
        except VenueTrouble as trouble:
            self._algo_trouble = f"algo orders: {trouble}"
            if isinstance(trouble, VenueRefused) and trouble.code in NO_SUCH_PATH and not self._algo_listed:
                return (), (), (self._algo_trouble,)
            silence = trouble.retry_after if isinstance(trouble, VenueThrottled) else 0.0
        except TimeoutError:
            silence, self._algo_trouble = 0.0, f"algo orders: no answer within {wait_s:g} s"
        self._algo_again_at = time.monotonic() + max(silence, _ALGO_AGAIN_S)
        return (), (self._algo_trouble,), ()

    async def _load_listing(self, held: bool) -> None:
        """Slices need the venue's limits, but a listing that cannot be read must not delay the way out."""
        fresh = time.monotonic() - self._listed_at < _LISTING_FRESH_S
        if self._listing and (fresh or not held):
            return
        wait = _BESIDE_WAIT_S if self._listing else _LISTING_WAIT_S
        # The next survey tries again; until then an older listing serves, or none.
        with suppress(VenueTrouble, TimeoutError):
            async with asyncio.timeout(wait):
                self._listing = await self._way.listing()
                self._listed_at = time.monotonic()

    async def _touches(self) -> Mapping[str, Touch]:
        if not self._held_positions:
            return {}
        return await _beside(self._way.touches(), {})

    async def _venue_time(self, wanted: bool) -> datetime | None:
        return await _beside(self._way.server_time(), None) if wanted else None

    async def _depths(self, legs: Iterable[OpenLeg]) -> dict[str, Depth]:
        """The books of the legs that the touch is too small for, or of which nothing is known."""
        symbols = sorted({leg.symbol for leg in legs if leg.trading and _worth_a_look(leg)})
        depths = await together(*(_beside(self._way.depth(symbol), None) for symbol in symbols))
        return {symbol: depth for symbol, depth in zip(symbols, depths, strict=True) if depth is not None}


def sources_of(hands: AccountHands) -> tuple[str, ...]:
    """The source addresses that hands ask the venue by; empty is the host's usual one."""
    return hands.sources if isinstance(hands, VenueHands) else ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OrderRows:
    algo: tuple[Row, ...] = ()
    conditional: tuple[Row, ...] = ()
    plain: tuple[Row, ...] = ()
    unread: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    some_read: bool = False
    refused: bool = False

    @property
    def some_rows(self) -> bool:
        return bool(self.algo or self.conditional or self.plain)


_NO_ORDERS: Final = _OrderRows()


def _worth_a_look(leg: OpenLeg) -> bool:
    return leg.book is None or leg.size > sum((level.quantity for level in leg.book), Decimal(0)) * _TOUCH_SHARE


async def _or_trouble(rows: Awaitable[tuple[Row, ...]]) -> tuple[tuple[Row, ...], VenueTrouble | None]:
    """The rows; or none, and why they were not read. A demand of silence is for all that would be asked after it."""
    try:
        return await rows, None
    except VenueThrottled:
        raise
    except VenueTrouble as trouble:
        return (), trouble


def _is_of_key(trouble: VenueTrouble | None) -> bool:
    return isinstance(trouble, VenueRefused) and trouble.code != _FORBIDDEN


def _unread(what: str, trouble: VenueTrouble | None) -> tuple[str, ...]:
    return () if trouble is None else (f"{what}: {trouble}",)


async def _beside(call: Awaitable[T], otherwise: T) -> T:
    """What a close is better for but goes without."""
    try:
        async with asyncio.timeout(_BESIDE_WAIT_S):
            return await call
    except (VenueTrouble, TimeoutError):
        return otherwise


def _fill(symbol: str, name: str, report: CloseReport | None) -> Fill:
    return Fill(
        symbol=symbol,
        client_order_id=name,
        order_id=report.order_id if report is not None else None,
        quantity=report.filled_quantity if report is not None else Decimal(0),
        average_price=report.average_price if report is not None else None,
    )
