"""The bots' REST door for Binance USD-M: no framework between the bytes and the strict parser.

One path prefix per venue; the prefix is never part of a signature. A request arrives whole from the protocol, is
matched against the table, authenticated, parsed once, and either forwarded as a read or carried through the judge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from proxy.clock import milliseconds
from proxy.gate.answers import Answer, refusal
from proxy.gate.caller import Caller
from proxy.gate.counting import Arrival, Counting, Stage, TurnedAway, clock_ns, kind_of
from proxy.gate.fairness import Bot, Lane, Lanes
from proxy.gate.framing import Head
from proxy.gate.identity import Identities, Identity, Refused
from proxy.gate.lease import LEASE_ROUTES, LeaseDesk
from proxy.gate.orders import OrderDesk
from proxy.gate.reads import ReadDesk
from proxy.gate.user_streams import UserStreams
from proxy.venues.binance import rejections
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.route import Access, Kind
from proxy.venues.binance.routes import ROUTES
from proxy.venues.binance.venue import VENUE
from proxy.venues.binance.wire import read_parameters

log = logging.getLogger("perpguard.gate")

PREFIX: Final = f"/{VENUE}"
_DRAIN_S: Final = 15.0
_COME_AGAIN: Final = {"Retry-After": "1"}
"""Seconds. Whole ones is all the header knows; a share of the gate is free again long before."""

_ROUTES: Final = {
    (route.method.encode("ascii"), f"{PREFIX}{route.path}".encode("ascii")): route for route in (*LEASE_ROUTES, *ROUTES)
}
"""By method and raw path. Nothing is normalised: another case, a trailing slash or ``%2f`` is another path."""


class BinanceDoor:
    """Answers what lies under the venue's prefix.

    ``now`` is the venue's time: requests are stamped with it, and bots' time stamps judged by it.
    """

    prefix: Final = f"{PREFIX}/".encode("ascii")
    """What the raw path of a request for this door begins with."""

    def __init__(
        self,
        *,
        identities: Identities,
        orders: OrderDesk,
        reads: ReadDesk,
        streams: UserStreams,
        leases: LeaseDesk,
        now: Callable[[], datetime],
        counting: Counting,
    ) -> None:
        self._counting = counting
        self._identities = identities
        self._orders = orders
        self._reads = reads
        self._streams = streams
        self._leases = leases
        self._now = now
        self._lanes = Lanes()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def answer(self, head: Head, body: bytes, caller: Caller) -> Answer:
        """Answer one whole request. Never raises.

        Runs in a task that nobody cancels when the bot hangs up: an order is carried to its settlement.
        """
        try:
            return await self._answer(head, body, caller)
        except MalformedRequest as error:
            self._counting.turned_away(TurnedAway.MALFORMED)
            return refusal(rejections.malformed(error))
        except Refused as refused:
            self._counting.turned_away(TurnedAway.UNAUTHENTICATED)
            return refusal(refused.rejection)
        except Exception:  # The edge: a bug answers as the venue's own 500 and is logged; the guard goes on.
            log.exception("a request failed in the guard")
            self._counting.turned_away(TurnedAway.FAILED)
            return refusal(rejections.internal())

    def knows(self, key: bytes) -> bool:
        """Whether a guard key was ever issued with this text."""
        return self._identities.issued(key.decode("ascii", "replace"))

    @property
    def under_way(self) -> int:
        """How many orders and cancels are on their way through this process, to their settlement."""
        return len(self._under_way) + len(self._orders.unsettled)

    async def drain(self) -> None:
        """Wait for the orders under way and their settlements; called when the process is asked to stop."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_DRAIN_S)
        if unsettled := self._orders.unsettled:
            await asyncio.wait(unsettled, timeout=_DRAIN_S)

    async def _answer(self, head: Head, body: bytes, caller: Caller) -> Answer:
        route = _ROUTES.get((head.method, head.path))
        if route is None or route.kind is Kind.DENY:
            self._counting.turned_away(TurnedAway.UNKNOWN_ROUTE)
            method, path = head.method.decode("ascii"), head.path.decode("ascii")[len(PREFIX) :]
            return refusal(rejections.unknown_route(method, path, route.reason if route is not None else ""))
        began_ns = clock_ns()
        fields = head.fields
        if b"content-encoding" in fields or fields.get(b"x-mbx-time-unit", b"MILLISECOND").upper() != b"MILLISECOND":
            raise MalformedRequest(-1130, "GUARD an encoding or time unit it does not read")
        if body and head.method == b"GET":
            raise MalformedRequest(-1130, "GUARD a GET carries no body")
        parameters = read_parameters(head.query, body, fields.get(b"content-type", b"").decode("ascii", "replace"))
        identity, named = None, None
        key = fields.get(b"x-mbx-apikey")
        api_key = key.decode("ascii", "replace") if key is not None else None
        if route.access is Access.PUBLIC:
            named = self._identities.named(api_key)
        else:
            now_ms = milliseconds(self._now())
            identity = self._identities.identify(route, api_key, head.query, body, parameters, now_ms)
            if not caller.may_speak_for(identity.account, identity.bot):
                raise Refused(rejections.not_this_bots_connection())
            if route.kind is Kind.LEASE:
                return await self._leases.answer(route, parameters, identity)
        arrival = Arrival(began_ns, clock_ns())
        return await self.carry(read_request(route, parameters), identity, arrival, named, detached=True)

    async def carry(
        self,
        request: VenueRequest,
        identity: Identity | None,
        arrival: Arrival,
        named: Bot = None,
        *,
        detached: bool = False,
    ) -> Answer:
        """Answer a request that was authenticated and parsed, whichever door it came through.

        ``named`` is who asks for what needs no key, as far as it says so (see ``Identities.named``). ``detached`` says
        that the caller's task is nobody's to cancel; else an order gets one of its own.
        """
        if request.route.kind is Kind.STREAM_KEY and identity is not None:
            return await self._streams.answer(request.route, identity)
        bot = _sharer(request, identity, named)
        if detached or not kind_of(request.commands).is_way_out:
            return await self._in_turn(request, identity, arrival, bot, detached)
        # Shielded while it waits for a slot, too: who hangs up has asked for no entry, but wants out all the same.
        return await asyncio.shield(asyncio.create_task(self._in_turn(request, identity, arrival, bot, detached=True)))

    async def _in_turn(
        self, request: VenueRequest, identity: Identity | None, arrival: Arrival, bot: Bot, detached: bool
    ) -> Answer:
        """Answer a request when its bot has a slot for it."""
        kind, took = kind_of(request.commands), self._counting.took
        took(kind, Stage.AUTHENTICATE, *arrival)
        took(kind, Stage.PARSE, arrival.authenticated_ns, clock_ns())
        lane = self._lanes.lane(kind) if bot is not None else self._lanes.public
        if lane.enter_at_once(bot) or await lane.enter(bot):
            answer = await self._carry(request, identity, lane, bot, detached)
        else:
            self._counting.turned_away(TurnedAway.OVERLOADED)
            answer = refusal(rejections.too_many_under_way(lane.holds(bot) + lane.queued(bot)), _COME_AGAIN)
        took(kind, Stage.TOTAL, arrival.began_ns, clock_ns())
        return answer

    async def _carry(
        self, request: VenueRequest, identity: Identity | None, lane: Lane, bot: Bot, detached: bool
    ) -> Answer:
        """Answer a request that has a slot of ``lane``, and give the slot back whatever happens."""
        if not request.commands:
            try:
                return await self._reads.read(request, identity)
            finally:
                lane.leave(bot)
        assert identity is not None  # noqa: S101 - law 5: the table has no public row that moves money; a test walks it
        if detached:
            return await self._settle(request, identity, lane, bot)
        # Shielded: a socket that is closed, or a stopping server, must not tear an order between sending and settling.
        return await asyncio.shield(asyncio.create_task(self._settle(request, identity, lane, bot)))

    async def _settle(self, request: VenueRequest, identity: Identity, lane: Lane, bot: Bot) -> Answer:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._under_way.add(task)
        try:
            return await self._orders.carry(request, identity)
        except Exception:  # The edge of the order path: a bug there may come after the send, so nothing is denied.
            log.exception("an order failed in the guard; its hold stays until the venue has been asked")
            self._counting.turned_away(TurnedAway.FAILED)
            return refusal(rejections.unknown_outcome())
        finally:
            self._under_way.discard(task)
            lane.leave(bot)


def _sharer(request: VenueRequest, identity: Identity | None, named: Bot) -> Bot:
    """Whose slots a request takes, ``None`` for everybody's who names no key.

    What is not signed has a share of its own beside the bot's: whoever knows the text of a key may fill that, and the
    bot's signed reads do not wait for it.
    """
    who = (identity.account, identity.bot) if identity is not None else named
    if request.route.access is Access.SIGNED or who is None:
        return who
    return who, "unsigned"
