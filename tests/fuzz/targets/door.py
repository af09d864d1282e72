"""The bots' protocol without a socket, a clock or an event loop: what is whole is asked when the caller says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.server import ServerState

from proxy.gate.answers import Answer
from proxy.gate.caller import Caller
from proxy.gate.framing import Head
from proxy.gate.protocol import StrictHttpProtocol

READ: Final = frozenset(
    (b"host", b"content-length", b"content-type", b"content-encoding", b"connection", b"upgrade", b"x-mbx-apikey",
     b"x-mbx-time-unit")
)  # fmt: skip
"""The headers that are compared. The gate may read an Expect away."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it reached what answers it, with those of its headers that are compared."""

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The connection went on as a WebSocket, which was given this head."""

    text: bytes


class Door:
    """One connection. Every request is answered with its number: the first is 0."""

    prefix: Final = b"/binanceusdm/"

    def __init__(self) -> None:
        self.seen: list[Asked | Upgraded] = []
        self._loop = _Loop()
        self._wire = _Wire()
        config: Any = _Config(loaded_app=self._inside)
        self._protocol = StrictHttpProtocol(config, ServerState(), {"venue": self}, self._loop)
        self._wire.upgraded = lambda text: self.seen.append(Upgraded(text))
        self._protocol.connection_made(self._wire)  # type: ignore[arg-type]

    @property
    def written(self) -> list[bytes]:
        """What the bot was sent, in the writes it was sent in."""
        return self._wire.written

    def hear(self, data: bytes) -> None:
        """Bytes from the bot."""
        if not self._wire.closed:
            self._protocol.data_received(data)

    def carry(self) -> None:
        """Answer what is whole, and what that lets begin."""
        self._loop.run()

    def hang_up(self) -> None:
        """The bot is gone."""
        self._protocol.connection_lost(None)

    # What answers.

    def knows(self, key: bytes) -> bool:
        """Some keys."""
        return len(key) % 2 == 1

    async def answer(self, head: Head, body: bytes, caller: Caller) -> Answer:
        """As the venue's door does."""
        return Answer(status=200, body=self._saw(head.method, head.path, head.query, head.fields, body))

    async def _inside(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert not message["more_body"]
        method, headers = scope["method"].encode(), dict(scope["headers"])
        number = self._saw(method, scope["raw_path"], scope["query_string"], headers, message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": number})

    def _saw(self, method: bytes, path: bytes, query: bytes, headers: dict[bytes, bytes], body: bytes) -> bytes:
        kept = {name: value for name, value in headers.items() if name in READ}
        self.seen.append(Asked(method, path, query, kept, body))
        return b"%d" % (len(self.seen) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """As much of uvicorn's as the protocol looks at."""

    loaded_app: Any
    loaded: bool = True
    timeout_keep_alive: int = 30

    def ws_protocol_class(self, **_: Any) -> _Socket:
        return _Socket()


class _Socket:
    """What the connection is handed to."""

    def connection_made(self, wire: _Wire) -> None:
        self._wire = wire

    def data_received(self, text: bytes) -> None:
        self._wire.closed = True  # To the one protocol: it hears no more.
        self._wire.upgraded(text)


class _Loop:
    """Runs what it is given one after another, each to its end: nothing in here waits for anything."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Task, Coroutine[Any, Any, None]]] = deque()

    def time(self) -> float:
        return 0.0

    def create_task(self, running: Coroutine[Any, Any, None]) -> _Task:
        task = _Task()
        self._waiting.append((task, running))
        return task

    def run(self) -> None:
        while self._waiting:
            task, running = self._waiting.popleft()
            try:
                running.send(None)
            except StopIteration:
                task.done(task)
            else:
                raise AssertionError("a request waits for something")

    def call_soon(self, call: Callable[[], None]) -> None:
        """At once: that is soon."""
        call()

    def call_at(self, *_: Any) -> _Task:
        """No clock runs in here."""
        return _Task()

    call_later = call_at


class _Task:
    done: Callable[[Any], None]

    def add_done_callback(self, done: Callable[[Any], None]) -> None:
        self.done = done

    def cancelled(self) -> bool:
        return False

    def exception(self) -> None:
        """It came to its end."""

    def cancel(self) -> None:
        """It is no timer that rings."""


class _Wire:
    """A transport that goes nowhere."""

    upgraded: Callable[[bytes], None]

    def __init__(self) -> None:
        self.closed = False
        self.ended = False
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        assert not (self.closed or self.ended), "a write on a connection that ended"
        self.written.append(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> Any:
        return None

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, **_: int) -> None:
        """Nothing is buffered."""

    def pause_reading(self) -> None:
        """What was read before it still comes."""

    resume_reading = pause_reading

    def set_protocol(self, _: Any) -> None:
        """It hears nothing more."""
