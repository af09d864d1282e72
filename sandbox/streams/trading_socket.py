"""The trading socket: frames become requests, requests are answered as their REST sisters are, sessions log on once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sandbox.binance.call import Json
from sandbox.binance.dialect import BinanceDialect, Reply, Request, places_orders
from sandbox.binance.errors import VenueError
from sandbox.binance.frames import BadFrame, Frame, as_request, error_frame, read_frame, reply_frame, result_frame
from sandbox.binance.routes import ROUTES, WS
from sandbox.streams.endpoints import TradingDoor
from sandbox.streams.socket import Socket

# Frames of one socket that may wait for their answer; a sender beyond it is read no further.
IN_FLIGHT_MAX = 100

Answer = Callable[[Request], Awaitable[Reply | None]]


@dataclass(slots=True)
class _Session:
    """A connection's log-on state; times in wall-clock milliseconds."""

    connected_ms: int
    rate_limits: bool
    api_key: str | None = None
    logged_on_ms: int | None = None


class TradingSocket:
    """One connection to `/ws-fapi/v1`. `answer` gives a request's reply, or None when it must never get one."""

    def __init__(self, socket: Socket, door: TradingDoor, caller: str, dialect: BinanceDialect, answer: Answer) -> None:
        self._socket = socket
        self._caller = caller
        self._dialect = dialect
        self._answer = answer
        self._session = _Session(_now_ms(), door.rate_limits)
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def serve(self) -> None:
        """Answer frames until the connection ends; what has arrived by then is still executed."""
        async with self._socket.open(), asyncio.TaskGroup() as tasks:
            async for text in self._socket.frames():
                await self._room.acquire()
                self._take(text, tasks)

    def _take(self, text: str, tasks: asyncio.TaskGroup) -> None:
        try:
            frame = read_frame(text)
        except BadFrame as bad:
            self._socket.post(error_frame(bad.frame_id, bad.error))
            self._room.release()
            return
        if frame.method.startswith("session."):
            self._socket.post(self._on_session(frame))
            self._room.release()
            return
        task = tasks.create_task(self._relay(frame))
        task.add_done_callback(lambda _: self._room.release())

    async def _relay(self, frame: Frame) -> None:
        request = as_request(frame, self._session.api_key, self._caller, _now_ms())
        if (WS, frame.method) not in ROUTES:
            # -1020 is the venue's code for an unsupported operation; its text for this socket is a guess.
            self._socket.post(error_frame(frame.frame_id, VenueError(-1020, "This operation is not supported.")))
            return
        reply = await self._answer(request)
        if reply is None:
            self._socket.cut()
            return
        self._socket.post(reply_frame(frame.frame_id, reply, self._rate_limits(frame, request), request.received_ms))

    def _rate_limits(self, frame: Frame, request: Request) -> list[Json] | None:
        asked = frame.wants_rate_limits
        if not (self._session.rate_limits if asked is None else asked):
            return None
        account = self._dialect.account_of(request.api_key) if places_orders(WS, frame.method) else None
        return self._dialect.limits.usage(self._caller, account, request.received_ms)

    def _on_session(self, frame: Frame) -> str:
        now_ms = _now_ms()
        match frame.method:
            case "session.logon":
                request = as_request(frame, None, self._caller, now_ms)
                try:
                    credential = self._dialect.log_on(replace(request, logged_on=False))
                except VenueError as refused:
                    return error_frame(frame.frame_id, refused)
                self._session.api_key = credential.api_key
                self._session.logged_on_ms = now_ms
            case "session.status":
                pass
            case "session.logout":
                self._session.api_key = self._session.logged_on_ms = None
            case _:
                return error_frame(frame.frame_id, VenueError(-1020, "This operation is not supported."))
        if frame.wants_rate_limits is not None:
            self._session.rate_limits = frame.wants_rate_limits
        result: Json = {
            "apiKey": self._session.api_key,
            "authorizedSince": self._session.logged_on_ms,
            "connectedSince": self._session.connected_ms,
            "returnRateLimits": self._session.rate_limits,
            "serverTime": now_ms,
        }
        return result_frame(frame.frame_id, result)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
