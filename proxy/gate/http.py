"""The bots' REST door for Binance USD-M: raw ASGI, no framework between the bytes and the strict parser.

One path prefix per venue; the prefix is never part of a signature. A request is read whole, matched against the
table, authenticated, parsed once, and either forwarded as a read or carried through the judge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Any, Final

from proxy.clock import milliseconds
from proxy.gate.answers import Answer, refusal
from proxy.gate.identity import Identities, Identity, Refused
from proxy.gate.lease import LeaseDesk, lease_route
from proxy.gate.orders import OrderDesk
from proxy.gate.protocol import BODY_BYTES_MAX
from proxy.gate.reads import ReadDesk
from proxy.gate.user_streams import UserStreams
from proxy.venues.binance import rejections
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.route import Access, Kind, Route
from proxy.venues.binance.routes import find_route
from proxy.venues.binance.wire import read_parameters
from rules.intent import is_guaranteed_exit
from rules.model import ArmDeadMan, CancelAll, CancelOrder, PlaceOrder

log = logging.getLogger("perpguard.gate")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX: Final = "/binanceusdm"
UNDER_WAY_MAX: Final = 512
"""Requests of one gate process at the same time, and as many that ask to leave; beyond it a bot is told at once."""


class Disconnected(Exception):
    """The bot went away before its request was whole: nothing is done with half a request."""


class BinanceDoor:
    """An ASGI middleware: what lies under the prefix is the venue's, everything else belongs to the app inside.

    ``now`` is the venue's time: requests are stamped with it, and bots' time stamps judged by it.
    """

    def __init__(
        self,
        app: Application,
        *,
        identities: Identities,
        orders: OrderDesk,
        reads: ReadDesk,
        streams: UserStreams,
        leases: LeaseDesk,
        now: Callable[[], datetime],
    ) -> None:
        self._app = app
        self._identities = identities
        self._orders = orders
        self._reads = reads
        self._streams = streams
        self._leases = leases
        self._now = now
        self._under_way: set[asyncio.Task[Answer]] = set()
        self._leaving: set[asyncio.Task[Answer]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["raw_path"].startswith(f"{PREFIX}/".encode()):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except Disconnected:
            return
        except Exception:  # The edge: a bug answers as the venue's own 500 and is logged; the guard goes on.
            log.exception("a request failed in the guard")
            answer = refusal(rejections.internal())
        await _reply(send, answer)

    async def drain(self) -> None:
        """Wait for the orders under way; called when the process is asked to stop."""
        if under_way := self._under_way | self._leaving:
            await asyncio.wait(under_way, timeout=15)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method = scope["method"]
        path = scope["raw_path"].decode("ascii", "replace")[len(PREFIX) :]
        route = lease_route(method, path) or find_route(method, path)
        if route is None or route.kind is Kind.DENY:
            return refusal(rejections.unknown_route(method, path, route.reason if route is not None else ""))
        headers = dict(scope["headers"])
        if b"content-encoding" in headers or headers.get(b"x-mbx-time-unit", b"MILLISECOND").upper() != b"MILLISECOND":
            return refusal(
                rejections.malformed(MalformedRequest(-1130, "GUARD an encoding or time unit it does not read"))
            )
        body = await _read_body(receive)
        if body is None:
            return refusal(rejections.oversized())
        try:
            return await self._dispatch(route, headers, scope["query_string"], body)
        except MalformedRequest as error:
            return refusal(rejections.malformed(error))
        except Refused as refused:
            return refusal(refused.rejection)

    async def _dispatch(self, route: Route, headers: Mapping[bytes, bytes], query: bytes, body: bytes) -> Answer:
        if body and route.method == "GET":
            raise MalformedRequest(-1130, "GUARD a GET carries no body")
        parameters = read_parameters(query, body, headers.get(b"content-type", b"").decode("ascii", "replace"))
        identity = None
        if route.access is not Access.PUBLIC:
            key = headers.get(b"x-mbx-apikey")
            identity = self._identities.identify(
                route,
                key.decode("ascii", "replace") if key is not None else None,
                query,
                body,
                parameters,
                milliseconds(self._now()),
            )
        if route.kind is Kind.LEASE and identity is not None:
            return await self._leases.answer(route, parameters, identity)
        return await self.carry(read_request(route, parameters), identity)

    async def carry(self, request: VenueRequest, identity: Identity | None) -> Answer:
        """Answer a request that was authenticated and parsed, whichever door it came through."""
        if request.route.kind is Kind.STREAM_KEY and identity is not None:
            return await self._streams.answer(request.route, identity)
        if not request.commands:
            return await self._reads.read(request, identity)
        assert identity is not None  # noqa: S101 - law 5: the table has no public row that moves money; a test walks it
        under_way = self._leaving if _asks_to_leave(request) else self._under_way
        if len(under_way) >= UNDER_WAY_MAX:
            return refusal(rejections.cannot_judge())
        # Shielded: a bot that hangs up, or a stopping server, must not tear an order between sending and settling.
        task = asyncio.create_task(self._orders.carry(request, identity))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        try:
            return await asyncio.shield(task)
        except Exception:  # The edge of the order path: a bug there may come after the send, so nothing is denied.
            log.exception("an order failed in the guard; its hold stays until the venue has been asked")
            return refusal(rejections.unknown_outcome())


def _asks_to_leave(request: VenueRequest) -> bool:
    """Whether a request is cancels and exits alone, by its own words: a flood of entries must not shut the way out."""
    return all(
        is_guaranteed_exit(command)
        if isinstance(command, PlaceOrder)
        else isinstance(command, CancelOrder | CancelAll | ArmDeadMan)
        for command in request.commands
    )


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or ``None`` when it is too large. Raises ``Disconnected`` for half a body."""
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        length += len(part)
        if length > BODY_BYTES_MAX:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _reply(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", b"application/json;charset=UTF-8"),
        (b"content-length", str(len(answer.body)).encode("ascii")),
        *((name.lower().encode("ascii"), value.encode("ascii", "replace")) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
