"""The ASGI edge: read a bounded request, meet the armed faults, answer, and keep engine time running."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus

from sandbox.asgi import Receive, Scope, Send
from sandbox.binance.dialect import BinanceDialect, Reply, Request, json_reply, places_orders
from sandbox.binance.limits import RateLimits
from sandbox.binance.permissions import KeyPermissions
from sandbox.binance.routes import reads_only
from sandbox.binance.signing import Credential
from sandbox.connections import Connections
from sandbox.control import ControlDoor
from sandbox.engine.exchange import Exchange
from sandbox.engine.history import invent_history
from sandbox.engine.listing import DEFAULT_INSTRUMENTS, extra_instruments, with_listed
from sandbox.engine.scenario import STEP_MS
from sandbox.engine.stepping import start_playback, step
from sandbox.faults import Fault, LateExecution
from sandbox.request_log import LogEntry, RequestLog
from sandbox.settings import AccountSettings, Settings
from sandbox.stream_faults import StreamFaultDoor, StreamFaults
from sandbox.streams.hub import StreamHub

BODY_MAX = 64 * 1024
# A stalled process catches up at most this many steps per tick, then time is simply lost.
STEPS_PER_TICK_MAX = 1_000
# A fast clock lets waiting requests in between this many steps (some 40 ms of work).
STEPS_AT_A_TIME = 50

_log = logging.getLogger("sandbox")

_UNKNOWN = json_reply(
    HTTPStatus.SERVICE_UNAVAILABLE,
    {
        "code": -1007,
        "msg": "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    },
)
_TOO_LARGE = json_reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"code": -1101, "msg": "Too many parameters."})
_BROKEN = json_reply(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    {"code": -1000, "msg": "An unknown error occurred while processing the request."},
)


class ConnectionDropped(Exception):
    """Raised instead of dropping when there is no socket to drop (in-process transports)."""


class PracticeExchange:
    """The ASGI application. Everything the engine does happens between two awaits, so requests never interleave."""

    def __init__(self, settings: Settings, connections: Connections, end: Callable[[], None]) -> None:
        start = settings.start_time
        now_ms = time.time_ns() // 1_000_000 if start is None else int(start.timestamp()) * 1000
        exchange = Exchange(
            with_listed((*DEFAULT_INSTRUMENTS, *extra_instruments(settings.extra_symbols)), settings.instruments),
            seed=settings.seed,
            scenario=settings.scenario,
            now_ms=now_ms,
            insurance_fund=settings.insurance_fund,
        )
        if settings.playback is not None:
            start_playback(exchange, settings.playback)
        invent_history(exchange)
        for account in settings.accounts:
            exchange.open_account(account.name, account.balance)
        credentials = [credential for row in settings.accounts for credential in _credentials(row)]
        limits = RateLimits(settings.weight_limit, settings.order_limit)
        self._limits = limits
        self._exchange = exchange
        self._dialect = BinanceDialect(exchange, credentials, limits)
        self._request_log = RequestLog()
        stream_faults = StreamFaults()
        self._hub = StreamHub(exchange, self._dialect, stream_faults, self._serve_request)
        streams = StreamFaultDoor(stream_faults, self._hub)
        self._control = ControlDoor(exchange, self._request_log, limits.bans, settings.speed, settings.seed, streams)
        self._connections = connections
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point: lifespan runs the clocks, HTTP is answered, WebSockets are served."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            client = scope["client"]
            await self._hub.serve(scope, receive, send, lambda: self._connections.drop(client))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with asyncio.TaskGroup() as tasks:
            clock = tasks.create_task(self._or_end(self._keep_time()))
            streams = tasks.create_task(self._or_end(self._hub.run()))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            clock.cancel()
            streams.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _or_end(self, work: Awaitable[None]) -> None:
        """Do what must not stop while requests are answered: an exchange without a clock would look alive."""
        try:
            await work
        except Exception:
            # The other edge: here a bug cannot be answered to anybody, so it ends the process.
            _log.exception("the exchange cannot go on")
            self._end()

    async def _keep_time(self) -> None:
        due = 0.0
        last = time.monotonic()
        while True:
            await asyncio.sleep(STEP_MS / 1000)
            now = time.monotonic()
            due = min(due + (now - last) * 1000 / STEP_MS * self._control.speed, STEPS_PER_TICK_MAX)
            last = now
            while due >= 1:
                for _ in range(min(int(due), STEPS_AT_A_TIME)):
                    step(self._exchange)
                    due -= 1
                await asyncio.sleep(0)
            for late in self._control.late.due(now):
                self._request_log.executed_late(late.entry, self._answer_or_break(late.request).status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            await _send(send, _TOO_LARGE)
            return
        try:
            reply = await self._reply(scope, body)
        except ConnectionDropped:
            raise
        except Exception:
            # The edge: a bug costs its sender a 500 in the venue's format, never the exchange its life.
            _log.exception("request failed: %s %s", scope["method"], scope["path"])
            reply = _BROKEN
        if reply is not None:
            await _send(send, reply)
        elif self._connections.drop(scope["client"]):
            # Wait for the loss to be noticed; returning before it would make the server answer 500.
            await receive()
        else:
            raise ConnectionDropped

    async def _reply(self, scope: Scope, body: bytes) -> Reply | None:
        """The reply to send, or None to close the connection without one."""
        method, path = scope["method"], scope["path"]
        if path.startswith("/sandbox/"):
            return self._control.answer(method, path, body)
        return await self._meet_faults(_request(scope, body, time.time_ns() // 1_000_000))

    async def _serve_request(self, request: Request) -> Reply | None:
        """The reply to a frame of the trading socket, or None to close its connection without one."""
        try:
            return await self._meet_faults(request)
        except Exception:
            # The edge, as in `_answer`: a bug costs its sender an error, never the exchange its life.
            _log.exception("request failed: %s %s", request.method, request.path)
            return _BROKEN

    def _answer_or_break(self, request: Request) -> Reply:
        """The reply to a request whose sender has been answered long ago."""
        try:
            return self._dialect.answer(request)
        except Exception:
            # The edge, as in `_answer`.
            _log.exception("request failed: %s %s", request.method, request.path)
            return _BROKEN

    async def _meet_faults(self, request: Request) -> Reply | None:
        faults = self._control.faults
        # Who is banned gets no further than that.
        banned = self._limits.bans.banned_until_ms(request.caller) > request.received_ms
        places = places_orders(request.method, request.path)
        reads = reads_only(request.method, request.path)
        fault = Fault.NONE if banned else faults.next_for(reads_only=reads, places_orders=places)
        if fault is Fault.LOST_REQUEST:
            # It never arrived: nothing is executed, counted or logged.
            return None
        time_ns = time.time_ns()
        reply = self._execute(request, fault)
        entry = self._note(request, time_ns, reply, fault)
        if fault is Fault.UNKNOWN_503 and faults.unknown_503_execution is LateExecution.LATE and entry is not None:
            self._control.late.add(time.monotonic() + faults.late_ms / 1000, request, entry)
        if fault is Fault.DUPLICATE:
            # Somebody on the way sends it again; the sender sees the second answer.
            reply = self._execute(request, fault)
            self._note(request, time_ns, reply, fault)
        if delay_s := faults.delay_s():
            await asyncio.sleep(delay_s)
        match fault:
            case Fault.DROP_REPLY:
                return None
            case Fault.UNKNOWN_503:
                return _UNKNOWN
            case Fault.REJECT_429 | Fault.DUPLICATE | Fault.NONE:
                return reply

    def _note(self, request: Request, time_ns: int, reply: Reply, fault: Fault) -> LogEntry | None:
        """Log a request that wanted to change something; None for one that only reads."""
        if reads_only(request.method, request.path):
            return None
        return self._request_log.add(
            time_ns=time_ns,
            account=self._dialect.account_of(request.api_key),
            method=request.method,
            path=request.path,
            params=request.params.as_sent(),
            status=reply.status,
            fault=str(fault),
        )

    def _execute(self, request: Request, fault: Fault) -> Reply:
        faults = self._control.faults
        if fault is Fault.REJECT_429:
            self._limits.bans.count_refusal(request.caller, request.received_ms)
            message = "Too many requests; current limit of IP is reached. Please slow down."
            headers = [("retry-after", str(faults.retry_after_s))]
            return json_reply(HTTPStatus.TOO_MANY_REQUESTS, {"code": -1003, "msg": message}, headers)
        if fault is Fault.UNKNOWN_503 and faults.unknown_503_execution is not LateExecution.NOW:
            return _UNKNOWN
        return self._dialect.answer(request)


def create_app(
    settings: Settings, connections: Connections | None = None, end: Callable[[], None] = lambda: None
) -> PracticeExchange:
    """The practice exchange as an ASGI application.

    Give it the server's `connections` so that it can drop them; it calls `end` when its clock is broken for good.
    """
    return PracticeExchange(settings, connections or Connections(), end)


def _credentials(account: AccountSettings) -> list[Credential]:
    permissions = KeyPermissions(withdrawals=account.withdrawals, ip_restricted=account.ip_restricted)
    shared = Credential(
        account.name,
        account.api_key,
        account.api_secret,
        permissions=permissions,
        email=account.email,
        master=account.master,
    )
    if account.ed25519 is None:
        return [shared]
    own = account.ed25519
    return [shared, replace(shared, api_key=own.api_key, api_secret="", public_key=own.public_key)]


def _request(scope: Scope, body: bytes, received_ms: int) -> Request:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    api_key = headers.get(b"x-mbx-apikey")
    client = scope["client"]
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        body=body.decode("latin-1"),
        api_key=None if api_key is None else api_key.decode("latin-1"),
        caller=client[0] if client else "in-process",
        received_ms=received_ms,
    )


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or None when it is larger than `BODY_MAX`."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > BODY_MAX:
            return None
        if not message.get("more_body"):
            return body


async def _send(send: Send, reply: Reply) -> None:
    headers = [
        (b"content-type", b"application/json;charset=UTF-8"),
        (b"content-length", str(len(reply.body)).encode()),
        *((name.encode(), value.encode()) for name, value in reply.headers),
    ]
    await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
