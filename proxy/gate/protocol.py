"""The bots' connections: bytes in, whole requests to the venue's door one after another, each answer in one write.

uvicorn listens and stops us; nothing of its own lies between the bytes and the door. A request is begun when it is
whole and the one before it is answered, so what is pipelined waits in our buffer, unread, and what is cut short is
never acted on. Everything that waits has a deadline. See decisions 8 and 22.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from proxy.gate.alarm import Alarm
from proxy.gate.answers import Answer
from proxy.gate.caller import Caller
from proxy.gate.framing import BadFraming, Head, Intake, asks_for_websocket
from proxy.gate.hall import hall_of
from proxy.gate.inside import ask_inside
from proxy.gate.venue_door import VenueDoor

log = logging.getLogger("perpguard.gate")

REQUEST_DEADLINE_S: Final = 5.0
"""From the first byte of a request to its last, and from connecting to the first byte."""

WRITE_BYTES_MAX: Final = 262_144
"""Unread answers of one connection. The largest single one, exchangeInfo, is 1 MiB and may pass it for a while."""

WRITE_DEADLINE_S: Final = 20.0
"""How long it may be passed: whoever reads 50 kB a second is through with the largest answer by then."""

_LINGER_S: Final = 2.0
"""For the client of a refused request to hang up: closing on bytes that nobody read would cost it the refusal."""

_LAST: Final = (b"connection", b"close")
"""Among the headers of every answer while the server stops."""


class StrictHttpProtocol(asyncio.Protocol):
    """One connection of a bot, bounded in time and size."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._app_state = app_state
        self._venue: VenueDoor | None = app_state.get("venue")
        self._server_state = server_state
        # uvicorn names its own classes only; of a connection it calls ``shutdown`` alone.
        self._connections: set[Any] = server_state.connections
        self._loop = _loop or asyncio.get_running_loop()
        self._hall = hall_of(server_state, self._loop)
        self._idle_s: float = config.timeout_keep_alive
        self._caller = Caller()
        self._intake = Intake()
        self._following: tuple[Head, bytes] | None = None
        self._behind = False
        self._begun = False
        self._busy = False
        self._paused = False
        self._half_closed = False
        self._stopping = False
        self._leaving = False
        self._alarm = Alarm(self._loop, self._too_late)
        self._slow: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    # What uvicorn and the event loop call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock: a connection that says nothing is closed. Where there are too many, one is closed now."""
        self.transport = made = cast("asyncio.Transport", transport)  # uvloop's is one, and does not say so.
        made.set_write_buffer_limits(high=WRITE_BYTES_MAX)
        self._connections.add(self)
        peer = made.get_extra_info("peername")
        self._hall.connections.arrived(self, str(peer[0]) if peer else "")
        self._alarm.expect_within(REQUEST_DEADLINE_S)

    @property
    def idle(self) -> bool:
        """See ``Guest.idle``."""
        return not (self._busy or self._begun or self._leaving)

    def give_way(self) -> None:
        """See ``Guest.give_way``."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of the bot. Behind a request that is not answered yet they wait, and those after them in the kernel."""
        if self._leaving:
            return
        self._intake.feed(data)
        if not self._busy:
            self._go_on()
        elif not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The bot will send no more. What it sent whole is still answered; TLS knows no half of a connection."""
        self._half_closed = True
        return self._busy and not self._leaving and self.transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more. What is under way goes on without it."""
        self._depart()
        self._leaving = True
        self._intake.clear()
        self._following = None

    def pause_writing(self) -> None:
        """The bot reads more slowly than we write: nothing more is begun, and it has a while to catch up."""
        if self._slow is None:
            self._slow = self._loop.call_later(WRITE_DEADLINE_S, self.transport.abort)
            self._hall.reads_slowly(self)

    def resume_writing(self) -> None:
        """It has read."""
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
            self._hall.has_read(self)
        if (following := self._following) is not None:
            self._following = None
            self._begin(*following)

    def shutdown(self) -> None:
        """The server stops: what is whole is answered, then the connection is closed."""
        self._stopping = True
        if not self._busy:
            self._leave()

    @property
    def _stops(self) -> bool:
        """Whether the next answer is the last: the server closes this connection, or says so with every answer."""
        return self._stopping or _LAST in self._server_state.default_headers

    # From bytes to requests.

    def _go_on(self) -> None:
        """Begin the next request if it is whole."""
        try:
            whole = self._intake.take()
        except BadFraming as bad:
            self._refuse(str(bad))
            return
        if whole is None:
            self._wait()
        elif self._slow is not None:
            # It asks and does not read: this one begins when it has read what it asked for before.
            self._busy, self._begun = True, False
            self._alarm.expect_nothing()
            self._following = whole
        else:
            self._begin(*whole)

    def _wait(self) -> None:
        """Nothing is under way: for the rest of a request, or for the first of one."""
        self._busy = False
        if not self._intake.begun:
            self._alarm.expect_within(self._idle_s)
        elif not self._begun:
            self._begun = True
            self._alarm.expect_within(REQUEST_DEADLINE_S)
        if self._intake.wants_go_ahead:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._resume_reading()

    def _begin(self, head: Head, body: bytes) -> None:
        self._busy, self._begun = True, False
        self._alarm.expect_nothing()
        key = head.fields.get(b"x-mbx-apikey")
        if key is not None and (self._venue is None or not self._venue.knows(key)):
            key = None
        self._hall.connections.served(self, key)
        self._caller.behind, self._behind = self._behind, False
        if asks_for_websocket(head) and self._config.ws_protocol_class is not None:
            self._hand_over(head)
        elif key is not None:
            self._start(head, body, bot=True)
        else:
            self._hall.in_turn(self, partial(self._start, head, body, bot=False))

    def _start(self, head: Head, body: bytes, *, bot: bool) -> None:
        # In no set of uvicorn's: neither a bot that hangs up nor a server that stops cancels an order.
        task = self._loop.create_task(self._serve(head, body))
        self._hall.answers(task, bot=bot)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._hall.answered(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("an answer could not be written; its connection is cut", exc_info=bug)
            self.transport.abort()

    async def _serve(self, head: Head, body: bytes) -> None:
        if self._venue is not None and head.path.startswith(self._venue.prefix):
            answer = await self._venue.answer(head, body, self._caller)
        else:
            app: Any = self._config.loaded_app
            answer = await ask_inside(app, head, body, self.transport)
        self._server_state.total_requests += 1
        if not self._leaving and not self.transport.is_closing():
            self._reply(answer, head)

    def _reply(self, answer: Answer, head: Head) -> None:
        """Write the answer, and go on with what has come meanwhile."""
        following: tuple[Head, bytes] | None = None
        refused: BadFraming | None = None
        if persists := head.persists and not self._caller.changed:
            self._behind = self._intake.begun
            try:
                following = self._intake.take()
            except BadFraming as bad:
                refused = bad
            persists = following is not None or refused is not None or not (self._stops or self._half_closed)
        self.transport.write(answer.to_bytes(last=not persists, to_head=head.method == b"HEAD"))
        if not persists:
            self._leave()
        elif refused is not None:
            self._refuse(str(refused))
        elif following is None:
            self._wait()
        elif self._slow is None:
            self._begin(*following)
        else:
            self._following = following

    def _hand_over(self, head: Head) -> None:
        """Make a WebSocket of the connection. RFC 6455: a client sends nothing before its handshake is answered."""
        if self._caller.behind or self._intake.begun:
            self._refuse("an upgrade among unanswered requests")
            return
        if head.method != b"GET" or head.body_length:
            self._refuse("unsupported request form")
            return
        self._depart()
        self._resume_reading()
        self.transport.set_write_buffer_limits()
        make: Any = self._config.ws_protocol_class
        socket = make(config=self._config, server_state=self._server_state, app_state=self._app_state)
        socket.connection_made(self.transport)
        socket.data_received(head.text)
        self.transport.set_protocol(socket)

    def _resume_reading(self) -> None:
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # The end.

    def _refuse(self, reason: str) -> None:
        """Say why, and hear nothing more: where one request is ambiguous, so is where the next begins."""
        body = b'{"code":-1130,"msg":"GUARD malformed HTTP: ' + reason.encode("ascii") + b'"}'
        self.transport.write(Answer(status=400, body=body, media_type="application/json").to_bytes(last=True))
        if self._half_closed or not self.transport.can_write_eof():
            self._leave()
            return
        self._leaving = True
        self._intake.clear()
        self.transport.write_eof()
        self._alarm.expect_within(_LINGER_S)
        self._resume_reading()

    def _leave(self) -> None:
        """Close, once everything is written."""
        self._leaving = True
        self._intake.clear()
        self._alarm.expect_within(WRITE_DEADLINE_S)
        self.transport.close()

    def _depart(self) -> None:
        """The connection is not this object's any more."""
        self._connections.discard(self)
        self._hall.left(self)
        self._alarm.cancel()
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _too_late(self) -> None:
        """What was expected has not happened in time: the connection ends, in its turn."""
        self._hall.ends_in_turn(self, self._end)

    def _end(self) -> None:
        if not self._alarm.is_late:  # It has happened meanwhile.
            return
        if self._leaving or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._leave()
