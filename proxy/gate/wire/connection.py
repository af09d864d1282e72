"""One connection to the venue: idle, or carrying one request and waiting for its reply.

The fence is asked and the request written in one stretch without a turn of the loop in between, and with one write. The
write buffer holds nothing on either side of it: what the kernel does not take at once is thrown away with the
connection. So when the fence is told that the last byte has left, none is left here that still could.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable
from typing import Final, Protocol, cast

from proxy.gate.alarm import Alarm
from proxy.gate.upstream import OutcomeUnknown, Turnstile, UpstreamReply
from proxy.gate.wire.reply import NotAReply, ReplyReader
from proxy.gate.wire.tls import TlsLayer

_UNEXPECTED: Final = select.POLLIN | select.POLLPRI | select.POLLRDHUP


class Keeper(Protocol):
    """Whose connection it is. Both are called in the loop, and must not wait."""

    def idle(self, connection: Connection) -> None:
        """A whole reply came; the connection may carry another request."""
        ...

    def gone(self, connection: Connection) -> None:
        """The connection is of no use any more. Called once."""
        ...


class Connection(asyncio.Protocol):
    """``ready`` is done when a request may be written. ``idle_since`` is the keeper's, by the loop's clock."""

    def __init__(self, keeper: Keeper, tls: TlsLayer | None, reply_bytes_max: int) -> None:
        self.tls = tls
        self.gone = False
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self._keeper = keeper
        self._reader = ReplyReader(reply_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._reply: asyncio.Future[UpstreamReply] | None = None
        self._alarm = Alarm(self._loop, lambda: self.drop("ReadTimeout"))

    def fit(self) -> bool:
        """Whether a request may be written: the venue has neither hung up nor said anything unasked.

        The kernel is asked too: what it has and the loop has not read yet would be taken for the answer.
        """
        transport = self._transport
        return not (self.gone or transport is None or transport.is_closing() or self._poll.poll(0))

    def exchange(
        self, request: bytes, fence: Turnstile | None, reply_timeout_s: float
    ) -> asyncio.Future[UpstreamReply]:
        """Go through ``fence`` and write ``request``, with no await in between; the reply, or ``OutcomeUnknown``.

        Raises what the fence raises: nothing has left then, and the connection is as it was.
        """
        transport = self._transport
        if transport is None or self._reply is not None:
            raise RuntimeError("one request at a time, on an open connection")
        left: Callable[[], None] | None = fence() if fence is not None else None
        reply = self._reply = self._loop.create_future()
        self._reader.begin()
        try:
            transport.write(request if self.tls is None else self.tls.encrypt(request))
            if transport.get_write_buffer_size():
                self.drop("WriteError: the connection did not take the request at once")
        except BaseException as error:
            # Some of it may have left: this connection carries nothing more, whatever it was.
            self.drop(f"WriteError: {type(error).__name__}")
            if not isinstance(error, OSError | RuntimeError):
                raise
        finally:
            if left is not None:
                left()
        if not self.gone:
            self._alarm.expect_within(reply_timeout_s)
        return reply

    def abandon(self, reply: asyncio.Future[UpstreamReply]) -> None:
        """Nobody waits for ``reply`` any more; what comes late must not meet the next request."""
        if self._reply is reply:
            self.drop("abandoned")
        elif reply.done() and not reply.cancelled():
            reply.exception()  # It came in the very turn in which its sender was cancelled: nobody else looks at it.

    def drop(self, reason: str) -> None:
        """Give up the connection, with whatever is still in its buffer. Who waits for a reply is told ``reason``."""
        if self.gone:
            return
        self.gone = True
        if self._transport is not None:
            self._transport.abort()
        reply = self._ended()
        self._alarm.cancel()
        if reply is not None and not reply.done():
            reply.set_exception(OutcomeUnknown(reason))
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
            self.ready.exception()  # Whoever waited may be gone; then nobody needs to hear of it.
        self._keeper.gone(self)

    # What the loop calls.

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        """The connection stands; TLS does not yet."""
        transport = self._transport = cast("asyncio.Transport", made)  # uvloop's is one, and does not say so.
        # uvloop writes at the end of the turn what does not go over this mark, and a kill may come in between.
        transport.set_write_buffer_limits(high=0)
        self._poll.register(transport.get_extra_info("socket").fileno(), _UNEXPECTED)
        if self.tls is None:
            self.ready.set_result(None)
        else:
            transport.write(self.tls.shake(b""))

    def data_received(self, received: bytes) -> None:
        """Bytes of the venue."""
        if self.gone:
            return
        try:
            plain = received if self.tls is None else self._decrypted(self.tls, received)
        except ssl.SSLError as error:
            self.drop(f"TLS: {type(error).__name__}")
            return
        if plain and self._reply is None:
            self.drop("bytes that nobody asked for")
        elif plain:
            self._read(plain)
        if self.tls is not None and self.tls.ended:
            self.drop("ReadError: the connection ended")

    def eof_received(self) -> None:
        """The venue sends nothing more: no reply that has not ended is whole."""
        self.drop("ReadError: the connection ended")

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed, by whomever."""
        self.drop("ReadError: the connection broke")

    def _decrypted(self, tls: TlsLayer, received: bytes) -> bytes:
        if not tls.stands:
            self._send_tls(tls.shake(received))
            if not tls.stands:
                return b""
            self.ready.set_result(None)
            received = b""
        plain, answer = tls.decrypt(received)
        self._send_tls(answer)
        return plain

    def _send_tls(self, records: bytes) -> None:
        if records and self._transport is not None:
            self._transport.write(records)

    def _read(self, plain: bytes) -> None:
        try:
            whole = self._reader.feed(plain)
        except NotAReply as trouble:
            self.drop(f"RemoteProtocolError: {trouble}")
            return
        if whole is None:
            return
        reply = self._ended()
        if reply is None or reply.done():  # Cancelled, in this very turn.
            self.drop("abandoned")
            return
        reply.set_result(whole)
        if self._reader.keeps_alive:
            self._keeper.idle(self)
        else:
            self.drop("the venue closes it")

    def _ended(self) -> asyncio.Future[UpstreamReply] | None:
        self._alarm.expect_nothing()
        reply, self._reply = self._reply, None
        return reply
