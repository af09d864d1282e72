"""The WebSocket trading API as bots see it: frames in, judged by the very path REST takes, frames out.

It knows no rule and sends nothing itself. A frame becomes the request that REST would have made of it, authenticated
by the same code; what answers a request answers both doors. Upstream every order leaves as REST: docs/decisions/0011.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from proxy.clock import milliseconds
from proxy.gate.answers import TRIMMED, Answer, refusal, retry_after_s
from proxy.gate.bot_socket import BotSocket, SocketGone
from proxy.gate.counting import Arrival, Counting, TurnedAway, clock_ns, kind_of
from proxy.gate.fairness import EXIT_SLOTS, Bot
from proxy.gate.identity import Identities, Identity, Refused
from proxy.gate.streams.keys import SOCKETS_PER_KEY_MAX, KeyedSockets, TooManySockets
from proxy.store.gate_store import GateStore
from proxy.store.trouble import RequestReplayed, StoreUnavailable
from proxy.store.view import HoldRequest
from proxy.venues.binance import rejections
from proxy.venues.binance.frames import (
    LOGON,
    LOGOUT,
    Call,
    Frame,
    FrameId,
    RefusedFrame,
    UnknownMethod,
    answer_frame,
    read_frame,
)
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.route import Access
from proxy.venues.binance.wire import AUTHENTICATION

log = logging.getLogger("perpguard.gate")

UNDER_WAY_MAX: Final = 32
"""Entries, amends, settings and reads of one socket under way at once."""

WAYS_OUT_MAX: Final = EXIT_SLOTS // 4
"""Exits and cancels besides, as many as the REST door gives one bot: neither entries nor reads that hang at the
exchange shut the way out. One frame at a time is read, so no more than these wait here."""

POLICY_VIOLATION: Final = 1008
"""RFC 6455 section 7.4.1: the endpoint received a message that violates its policy."""

Carrier: TypeAlias = Callable[[VenueRequest, Identity | None, Arrival, Bot], Awaitable[Answer]]
"""What answers a request that was authenticated and parsed, whichever door it came through; see ``BinanceDoor``."""


class TradingDoor:
    """Serves trading sockets of one venue. In ``keys`` each is bound to the guard keys that spoke on it."""

    def __init__(
        self,
        *,
        identities: Identities,
        store: GateStore,
        keys: KeyedSockets,
        carry: Carrier,
        now: Callable[[], datetime],
        counting: Counting,
    ) -> None:
        self._identities = identities
        self._store = store
        self._keys = keys
        self._carry = carry
        self._now = now
        self._counting = counting

    async def serve(self, socket: BotSocket, client: str) -> None:
        """Answer a bot's frames until its socket is closed. ``client`` is its address, for the log."""
        session = TradingSession(
            socket, client, self._identities, self._store, self._carry, self._now, self._keys, self._counting
        )
        await session.run()


@dataclass(frozen=True, slots=True)
class _Logon:
    """Who the socket belongs to since ``session.logon``."""

    guard_key: str
    since_ms: int


class TradingSession:
    """One socket. Frames are authenticated in the order they come, answered as they are done, matched by their id."""

    def __init__(
        self,
        socket: BotSocket,
        client: str,
        identities: Identities,
        store: GateStore,
        carry: Carrier,
        now: Callable[[], datetime],
        keys: KeyedSockets,
        counting: Counting,
    ) -> None:
        self._counting = counting
        self._socket = socket
        self._client = client
        self._identities = identities
        self._store = store
        self._carry = carry
        self._now = now
        self._keys = keys
        self._bound: set[str] = set()
        self._connected_ms = milliseconds(now())
        self._logon: _Logon | None = None
        self._under_way: dict[asyncio.Task[None], bool] = {}  # Whether it is a way out.

    async def run(self) -> None:
        """Serve the socket until it is closed, by whichever side.

        What is under way then is given up, but for orders that have begun, and for every exit and cancel that was read:
        those are carried to their settlement without an audience.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                with suppress(SocketGone):
                    while True:
                        await self._take(await self._socket.receive(), tasks)
                self._give_up(way_out=False)
                await asyncio.sleep(0)  # The way out that was read last has not begun.
                self._give_up(way_out=True)
        finally:
            for guard_key in self._bound:
                self._keys.release(guard_key, self._socket)

    def _give_up(self, *, way_out: bool) -> None:
        for call, is_way_out in self._under_way.items():
            if is_way_out is way_out:
                call.cancel()

    async def _take(self, raw: str, tasks: asyncio.TaskGroup) -> None:
        """Read and authenticate one frame, before the next is read: a logon counts for the frame right behind it."""
        frame_id: FrameId = None
        began_ns = clock_ns()
        try:
            frame = read_frame(raw)
            frame_id = frame.id
            if not isinstance(frame, Frame):
                self._answer(frame_id, await self._session(frame))
                return
            public = frame.route.access is Access.PUBLIC
            identity = None if public else self._identify(frame)
            named = self._identities.named(self._key_of(frame)) if public else None
            arrival = Arrival(began_ns, clock_ns())
            request = read_request(frame.route, frame.parameters)
        except UnknownMethod as refused:
            self._counting.turned_away(TurnedAway.UNKNOWN_ROUTE)
            self._answer(refused.frame_id, refusal(refused.rejection))
            log.warning("%s called a method that is not served; its socket is closed", self._client)
            self._close("GUARD UNKNOWN_ROUTE: this method is not served")
        except RefusedFrame as refused:
            self._counting.turned_away(TurnedAway.MALFORMED)
            self._answer(refused.frame_id, refusal(refused.rejection))
        except MalformedRequest as error:
            self._counting.turned_away(TurnedAway.MALFORMED)
            self._answer(frame_id, refusal(rejections.malformed(error)))
        except Refused as refused:
            self._counting.turned_away(TurnedAway.UNAUTHENTICATED)
            self._answer(frame_id, refusal(refused.rejection))
        else:
            way_out = kind_of(request.commands).is_way_out
            most = WAYS_OUT_MAX if way_out else UNDER_WAY_MAX
            if sum(each is way_out for each in self._under_way.values()) >= most:
                self._counting.turned_away(TurnedAway.OVERLOADED)
                self._answer(frame_id, refusal(rejections.too_many_under_way(most)))
                return
            call = tasks.create_task(self._call(frame_id, request, identity, arrival, named))
            self._under_way[call] = way_out
            call.add_done_callback(self._under_way.pop)

    def _identify(self, frame: Frame) -> Identity:
        now_ms = milliseconds(self._now())
        arrived_ms = now_ms - int(self._socket.waited_s * 1000)
        if frame.api_key is not None:
            identity = self._identities.identify_frame(frame, now_ms, arrived_ms)
        elif self._logon is not None:
            identity = self._identities.identify_session(self._logon.guard_key, frame, now_ms, arrived_ms)
        else:
            raise Refused(rejections.not_logged_on())
        self._bind(identity.guard_key)
        return identity

    def _key_of(self, frame: Frame) -> str | None:
        if frame.api_key is not None or self._logon is None:
            return frame.api_key
        return self._logon.guard_key

    def _bind(self, guard_key: str) -> None:
        """Close the socket when this key is switched off: its bot must not believe that it still trades."""
        if guard_key in self._bound:
            return
        try:
            self._keys.bind(guard_key, self._socket)
        except TooManySockets:
            raise Refused(rejections.too_many_sockets(SOCKETS_PER_KEY_MAX)) from None
        self._bound.add(guard_key)

    async def _session(self, frame: Call) -> Answer:
        frame.parameters.without(AUTHENTICATION).expect_only(frozenset(), frame.method)
        now_ms = milliseconds(self._now())
        if frame.method == LOGON:
            identity = self._identities.identify_logon(frame, now_ms)
            await self._expect_first(identity)
            self._bind(identity.guard_key)
            self._logon = _Logon(identity.guard_key, now_ms)
        elif frame.method == LOGOUT:
            self._logon = None
        status = {
            "apiKey": self._logon.guard_key if self._logon is not None else None,
            "authorizedSince": self._logon.since_ms if self._logon is not None else None,
            "connectedSince": self._connected_ms,
            "returnRateLimits": False,
            "serverTime": now_ms,
        }
        return Answer(status=200, body=json.dumps(status).encode("ascii"))

    async def _expect_first(self, identity: Identity) -> None:
        """Refuse a logon that was seen before, by any gate: whoever recorded one would own the bot's session.

        With the store away it passes. No entry does then, and the way out must not depend on the store.
        """
        mark = HoldRequest(
            hold_id="logon",
            account=identity.account,
            venue=identity.venue,
            bot=identity.bot,
            guard_key=identity.guard_key,
            orders=(),
            reserve=False,
            buckets=(),
            write_ahead=None,
            replay_digest=identity.replay_digest,
            replay_window_ms=identity.replay_window_ms,
        )
        try:
            if (await self._store.hold(mark)).key_disabled:
                raise Refused(rejections.key_disabled())
        except RequestReplayed:
            raise Refused(rejections.replayed()) from None
        except StoreUnavailable as trouble:
            log.warning("a logon was not looked up: %s", trouble)

    async def _call(
        self, frame_id: FrameId, request: VenueRequest, identity: Identity | None, arrival: Arrival, named: Bot
    ) -> None:
        try:
            answer = await self._carry(request, identity, arrival, named)
        except Exception:  # The edge: a bug answers as the venue's own 500 and is logged; the session goes on.
            self._counting.turned_away(TurnedAway.FAILED)
            log.exception("a frame failed in the guard")
            answer = refusal(rejections.internal())
        self._answer(frame_id, answer)

    def _answer(self, frame_id: FrameId, answer: Answer) -> None:
        trimmed, wait_s, now_ms = answer.headers.get(TRIMMED, ""), retry_after_s(answer), milliseconds(self._now())
        frame = answer_frame(frame_id, answer.status, answer.body, trimmed=trimmed, retry_after_s=wait_s, now_ms=now_ms)
        self._socket.send(frame)

    def _close(self, reason: str) -> None:
        self._socket.close(POLICY_VIOLATION, reason)
