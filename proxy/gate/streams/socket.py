"""One bot's WebSocket on the wire: websockets' sans-IO protocol between uvicorn's transport and a session.

Not uvicorn's own class around the same protocol: that one logs paths, and a user stream's path is its secret; encodes
every message anew for every bot; and waits for slow readers instead of cutting them off. See decision 10.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from proxy.gate.answers import http_date
from proxy.gate.bot_socket import SocketGone
from proxy.gate.streams.admission import Admission, Door, Handshake, Session
from proxy.gate.streams.arrival import Arrival
from proxy.gate.streams.frames import text_frame
from proxy.gate.streams.pace import Pace
from proxy.venues.binance import rejections
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.rejections import Rejection

log = logging.getLogger("perpguard.gate")
_wire_log = logging.getLogger("perpguard.gate.wire")
_wire_log.setLevel(logging.WARNING)  # Below that it would tell of every connection, and of every frame.

MESSAGE_BYTES_MAX: Final = 65_536
PARSED_AT_ONCE: Final = 1024
"""So much is read before it is asked again whether the socket is closed, and of a patiently read bot what its rate has
room for: a few orders, or 170 empty frames."""

FRAGMENTS_MAX: Final = 16
PING_EVERY_S: Final = 20.0
"""Binance pings spot streams every 20 s. A bot that has not answered when the next one is due is gone."""

CLOSE_DEADLINE_S: Final = 1.0
"""From our close frame, or the bot's, to the end of the connection."""

_REASON_BYTES_MAX: Final = 123


class BotConnection(asyncio.Protocol):
    """A ``BotSocket``. uvicorn makes one of every upgrade request and hands it the request's bytes first."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._door: Door = app_state["sockets"]
        self._outbox = self._door.outbox
        # uvicorn names its own classes only; of a connection it calls ``shutdown`` alone.
        self._connections: set[Any] = server_state.connections
        self._tasks = server_state.tasks
        self._loop = asyncio.get_running_loop()
        self._wire = ServerProtocol(max_size=MESSAGE_BYTES_MAX, logger=_wire_log)
        self._messages: deque[tuple[str, float]] = deque()  # Each with the earliest moment at which it can have come.
        self._owed = 0
        self._parts: list[bytes] = []
        self._pending: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._arrival = Arrival(self._loop)
        self._pace = Pace(self._loop, self._arrival)
        self._came_at = self._loop.time()
        self._gone = asyncio.Event()
        self._unanswered = False
        self._deciding: asyncio.Task[Any] | None = None
        self._pinged = False
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    @property
    def gone(self) -> asyncio.Event:
        """Set once nothing more is read or sent."""
        return self._gone

    @property
    def behind(self) -> bool:
        """Whether the bot is read patiently and something that was taken off the wire is still to be heard."""
        return self._pace.patient and not self._gone.is_set() and (self._pace.keeps_some or bool(self._messages))

    @property
    def owes(self) -> bool:
        """Whether the bot is read patiently, so that each of its messages has one answer, and waits for one."""
        return self._pace.patient and not self._gone.is_set() and self._owed > 0

    @property
    def waited_s(self) -> float:
        """See ``BotSocket.waited_s``."""
        return self._loop.time() - self._came_at

    async def receive(self) -> str:
        """See ``BotSocket.receive``. What was whole before the bot hung up is still delivered."""
        while not self._messages:
            if self._gone.is_set():
                raise SocketGone
            self._pace.resume()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, self._came_at = self._messages.popleft()
        self._owed += 1
        return message

    def send(self, message: bytes) -> None:
        """See ``BotSocket.send``. An answer does not wait for the turn's end, as a message for many does."""
        self._owed -= 1
        self.send_frame(text_frame(message))
        self.flush()

    def send_frame(self, frame: bytes) -> None:
        """Send what ``text_frame`` made, in order with everything else. Nothing happens once the socket is gone."""
        if self._gone.is_set():
            return
        if not self._pending:
            self._outbox.add(self)
        self._pending.append(frame)

    def close(self, code: int, reason: str) -> None:
        """See ``BotSocket.close``. The connection ends within ``CLOSE_DEADLINE_S``, whatever the bot does."""
        if self._gone.is_set():
            return
        self.flush()
        self._forget()
        self._leave()
        if self._wire.state is State.OPEN:  # The bot's own close may have come in the same breath.
            self._wire.send_close(code, reason.encode("ascii", "replace")[:_REASON_BYTES_MAX].decode())
        self._write_out()
        self._pace.resume()  # For the bot's answer to it.

    # What uvicorn and the event loop call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport comes from the HTTP protocol, which has read the request."""
        # What a TCP server gives has both directions; uvloop's is no subclass of asyncio's that could be asked for.
        self.transport = self._pace.transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the bot: first the request, then frames."""
        if self._unanswered:
            # RFC 6455 section 4.1: a client sends nothing before its handshake is answered.
            self.cut("it did not wait for the answer to its handshake")
            return
        if data := self._pace.came(data):
            self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more, whoever ended it."""
        self._leave()
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.caught_up(self)
        self._connections.discard(self)

    def pause_writing(self) -> None:
        """The bot reads more slowly than we write."""
        self._outbox.fell_behind(self)

    def resume_writing(self) -> None:
        """It has read."""
        self._outbox.caught_up(self)

    def hold(self) -> None:
        """The server is about to stop: nothing more is taken off the wire, what was is still heard and answered."""
        self._pace.hold()

    def shutdown(self) -> None:
        """The server stops: bots come back and find another gate."""
        self.close(CloseCode.SERVICE_RESTART, "the gate is stopping")

    # What the outbox calls.

    def flush(self) -> None:
        """See ``Writer.flush``."""
        pending, self._pending = self._pending, []
        if pending and not self.transport.is_closing():
            self.transport.write(pending[0] if len(pending) == 1 else b"".join(pending))

    def backlog(self) -> int:
        """See ``Writer.backlog``."""
        return self.transport.get_write_buffer_size()

    def cut(self, why: str) -> None:
        """See ``Writer.cut``."""
        log.warning("a bot's socket was cut off: %s", why)
        self._forget()
        self._leave()
        self.transport.abort()

    # The handshake.

    def _shake_hands(self, request: Request) -> None:
        response = self._wire.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(
                rejections.malformed(MalformedRequest(-1130, "GUARD malformed HTTP: no valid upgrade request"))
            )
            return
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        peer = self.transport.get_extra_info("peername")
        admission = self._door.admit(Handshake(request.path, headers, str(peer[0]) if peer else ""))
        if isinstance(admission, Rejection):
            self._refuse(admission)
            return
        if admission.ready is None:
            self._let_in(response, admission)
            self._work(self._run(admission.serve))
        else:
            self._unanswered = True
            self._work(self._run_when_ready(response, admission, admission.ready))

    def _let_in(self, response: Response, admission: Admission) -> None:
        self._pace.agreed(admission.messages_per_s, patient=admission.patient)
        self._wire.send_response(response)
        self._timer = self._loop.call_later(PING_EVERY_S, self._keep_alive)

    def _work(self, session: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(session)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_when_ready(
        self, response: Response, admission: Admission, ready: Callable[[], Awaitable[Rejection | None]]
    ) -> None:
        self._deciding = asyncio.current_task()  # A bot that leaves ends the wait, and its place is free.
        try:
            refused = await ready()
        except Exception:  # The edge: a bug costs this bot its handshake, and nobody else anything.
            log.exception("a handshake failed in the guard")
            refused = rejections.internal()
        finally:
            self._deciding = None
            self._unanswered = False
        if refused is not None:
            if not self._gone.is_set():
                self._refuse(refused)
                self._write_out()
            return
        if not self._gone.is_set():
            self._let_in(response, admission)
            self._write_out()
        await self._run(admission.serve)  # Also for a bot that is gone by now: it finds that out, and clears up.

    def _refuse(self, rejection: Rejection) -> None:
        body = rejection.body()
        headers = Headers(
            {
                "Date": http_date(time.time()),
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
        )
        phrase = HTTPStatus(rejection.status).phrase
        self._wire.send_response(Response(rejection.status, phrase, headers, body))
        self._leave()

    async def _run(self, serve: Session) -> None:
        try:
            await serve(self)
        except SocketGone:
            pass
        except Exception:  # The edge: a bug costs this bot its socket, and nobody else anything.
            log.exception("a session failed in the guard")
            self.close(CloseCode.INTERNAL_ERROR, "GUARD INTERNAL")
        else:
            self.close(CloseCode.NORMAL_CLOSURE, "")

    # Frames.

    def _read(self, data: bytes) -> None:
        """Read the bytes of frames; of a bot that is read patiently no more than its rate has room for.

        Of a socket that is closed only the close frame is still wanted: it is looked for in one step, and the rest is
        dropped, so that a flood behind it costs nobody else the loop. Who buried its close frame meets the deadline.
        """
        for start in range(0, len(data), PARSED_AT_ONCE):
            self._parse(data[start : start + PARSED_AT_ONCE])
            if self._gone.is_set() or self._pace.keeps_back(data, start + PARSED_AT_ONCE, self._read_on):
                break
        self._write_out()

    def _read_on(self, unread: bytes) -> None:
        """The rate has room again."""
        self._read(unread)
        if self._waiter is not None and not self._waiter.done():
            self._pace.resume()

    def _parse(self, data: bytes) -> None:
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
            elif isinstance(event, Frame) and not self._gone.is_set():
                self._read_frame(event)
        if self._wire.parser_exc is not None and not self._gone.is_set():
            # Not masked, compressed, too large: the protocol has its close frame with the reason ready already.
            self._forget()
            self._leave()

    def _read_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            self._pinged = self._pinged and frame.opcode is not Opcode.PONG
            if not self._pace.takes_control():
                self.close(CloseCode.POLICY_VIOLATION, "GUARD TOO_MANY_MESSAGES: pings and pongs")
        elif frame.opcode is Opcode.CLOSE:
            self._leave()
        elif frame.opcode is Opcode.BINARY:
            self.close(CloseCode.UNSUPPORTED_DATA, "GUARD MALFORMED: text only")
        elif not self._pace.takes_message():
            self.close(CloseCode.POLICY_VIOLATION, "GUARD TOO_MANY_MESSAGES: the messages come too fast")
        elif len(self._parts) == FRAGMENTS_MAX:
            self.close(CloseCode.POLICY_VIOLATION, "GUARD MALFORMED: a message in too many fragments")
        else:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                self._deliver()

    def _deliver(self) -> None:
        whole, self._parts = b"".join(self._parts), []
        try:
            self._messages.append((whole.decode(), self._arrival.earliest))
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "GUARD MALFORMED: not UTF-8")
            return
        if self._waiter is None or self._waiter.done():
            # One message at a time: while the session is busy, what the bot sends waits in its own kernel.
            self._pace.pause()
        else:
            self._wake()

    def _keep_alive(self) -> None:
        if self._pinged and not self._pace.paused:
            self.cut("it does not answer pings")
            return
        self._pinged = True
        self._wire.send_ping(b"")
        self._write_out()
        self._timer = self._loop.call_later(PING_EVERY_S, self._keep_alive)

    # The end.

    def _forget(self) -> None:
        """The bot is closed, not heard out: of a patiently read one only what was not whole is lost."""
        if not self._pace.patient:
            self._messages.clear()

    def _leave(self) -> None:
        """Nothing is read or sent from here on, and the connection has a deadline."""
        if self._gone.is_set():
            return
        self._gone.set()
        self._pending.clear()
        self._pace.end()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_DEADLINE_S, self.transport.abort)
        if self._deciding is not None:
            self._deciding.cancel()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _write_out(self) -> None:
        """What the protocol itself has to say: the handshake, pongs, close frames."""
        for part in self._wire.data_to_send():
            if part == SEND_EOF:
                # Only our half: closing on bytes that nobody read would reset the connection, close frame and all. TLS
                # has no half.
                if self.transport.can_write_eof():
                    self.transport.write_eof()
                else:
                    self.transport.close()
            elif not self.transport.is_closing():
                self.transport.write(part)
