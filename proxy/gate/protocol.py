"""The HTTP/1.1 door for bots: llhttp's strict framing plus the deadlines and limits that uvicorn leaves open.

Measured against 80 hostile payloads, h11 lets a smuggled second request through and llhttp does not; llhttp in turn
accepts a missing or doubled Host, any version text and headers of any size. So: httptools, and these checks on top.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from typing import Any, Final
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

REQUEST_DEADLINE_S: Final = 5.0
"""From the first byte of a request to its last, and from connecting to the first byte."""

CONNECTIONS_MAX: Final = 4_096
"""Of one gate process. Beyond it whoever has held a connection longest without one whole request gives it up, so that
a crowd of clients that never finish anything keeps no bot out: theirs is whole within milliseconds."""

HEADERS_MAX: Final = 64
HEADER_BYTES_MAX: Final = 16_384
BODY_BYTES_MAX: Final = 65_536


_STRANGERS: Final[WeakKeyDictionary[ServerState, dict[StrictHttpProtocol, None]]] = WeakKeyDictionary()
"""By server: the connections on which no request was ever whole, the oldest first."""


class StrictHttpProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol, bounded in time and size, refusing every ambiguous framing."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: TimerHandle | None = None
        self._header_bytes = 0
        self._body_bytes = 0
        self._refused = False
        self._strangers = _STRANGERS.setdefault(server_state, {})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a connection that says nothing is closed. Where there are too many, one is closed now."""
        super().connection_made(transport)
        self._strangers[self] = None
        if len(self.connections) > CONNECTIONS_MAX:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.transport.abort()
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._strangers.pop(self, None)
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser unless the connection has been refused already."""
        if self._refused:
            return
        if self._deadline is None:
            self._start_deadline()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A new request: its sizes start from nothing."""
        self._header_bytes = self._body_bytes = 0
        if self._deadline is None:  # Pipelined behind a whole request: no byte of its own has started the clock.
            self._start_deadline()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Bound the request target."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound number and size of headers."""
        self._count_header(len(name) + len(value))
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            self._refuse("too many headers")

    def on_headers_complete(self) -> None:
        """Refuse what two servers could frame differently: version, Host, Transfer-Encoding, target form."""
        names = [name for name, _ in self.headers]
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            self._refuse("HTTP/1.1 only")
        elif names.count(b"host") != 1:
            self._refuse("exactly one Host")
        elif b"transfer-encoding" in names:
            self._refuse("Content-Length framing only")
        elif names.count(b"content-length") > 1 or names.count(b"x-mbx-apikey") > 1:
            self._refuse("a header is repeated")
        elif not self.url.startswith(b"/") or any(name == b"expect" and not self.expect_100_continue for name in names):
            self._refuse("unsupported request form")
        if not self._refused:
            super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand over to the WebSocket protocol, unless there is an answer on the way or the request was refused."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._refuse("an upgrade behind an unanswered request")
        if not self._refused:
            self._strangers.pop(self, None)
            super().handle_websocket_upgrade()

    def on_body(self, body: bytes) -> None:
        """Bound the body before anyone reads it."""
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > BODY_BYTES_MAX:
            self._refuse("body too large")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: the clock stops."""
        if self._refused:
            return
        self._stop_deadline()
        self._strangers.pop(self, None)
        super().on_message_complete()

    def _count_header(self, length: int) -> None:
        self._header_bytes += length
        if self._header_bytes > HEADER_BYTES_MAX:
            self._refuse("headers too large")

    def _refuse(self, reason: str) -> None:
        if self._refused:
            return
        self._refused = True
        self._stop_deadline()
        # The application never sees this request; half a request must not be acted upon.
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = b'{"code":-1130,"msg":"GUARD malformed HTTP: ' + reason.encode("ascii") + b'"}'
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
            + str(len(body)).encode("ascii")
            + b"\r\n\r\n"
            + body
        )
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What the parser itself refuses gets the venue's error shape too."""
        self._refuse("not a valid request")

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_DEADLINE_S, self._deadline_passed)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _deadline_passed(self) -> None:
        self._deadline = None
        if self._refused:
            return
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
