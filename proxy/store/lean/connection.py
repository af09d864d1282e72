"""One connection to the store: calls go out as they come, answers come in the same order, none is ever asked twice."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis

from proxy.store.lean.attention import Since
from proxy.store.lean.trouble import CallFailed, Refusal

CALLS_MAX: Final = 512
"""Calls in flight on one connection."""

BUFFERED_MAX: Final = 4 * 1024 * 1024
"""Bytes that wait because the store does not read; beyond it nothing more is asked of this connection."""

REPLY_MAX: Final = 16 * 1024 * 1024
"""Bytes of one reply. An account's two thousand holds are two megabytes."""

DEMOTED: Final = "READONLY"
"""What a replica answers to a call that writes, as all of an order's do."""

_INCOMPLETE: Final = object()


class Connection(asyncio.Protocol):
    """A connection that is made, asked, and in the end dropped; it is never mended."""

    def __init__(self, heard: Callable[[], None], lost: Callable[[Connection], None]) -> None:
        """``heard`` is called when the store has answered, ``lost`` when the connection is of no more use."""
        self._heard = heard
        self._lost = lost
        self._transport: asyncio.Transport
        self._unanswered: deque[tuple[asyncio.Future[Any], Since]] = deque()
        self._reader = hiredis.Reader(
            protocolError=ValueError, replyError=Refusal, encoding="utf-8", notEnoughData=_INCOMPLETE
        )
        self._unread = 0
        self._clogged = False
        self.dropped = False

    @property
    def in_flight(self) -> int:
        """Calls sent and not answered, those that nobody waits for any more among them."""
        return len(self._unanswered)

    @property
    def ready(self) -> bool:
        """Whether another call may be sent."""
        return not (self._clogged or self.dropped) and len(self._unanswered) < CALLS_MAX

    @property
    def oldest(self) -> Since | None:
        """When the call began that has waited longest. Answers come in order: no other has waited longer."""
        return self._unanswered[0][1] if self._unanswered else None

    def send(self, command: bytes, answer: asyncio.Future[Any], since: Since) -> None:
        """Ask. Only while ``ready``.

        ``answer`` becomes the reply, a ``Refusal`` or a ``CallFailed``; a value in any case, because an exception
        that a cancelled caller does not fetch makes noise.
        """
        self._unanswered.append((answer, since))
        self._transport.write(command)

    def drop(self, reason: str) -> None:
        """Give the connection up: what was asked over it may have been done, and nobody will know by its answer."""
        if not self.dropped:
            self.dropped = True
            self._transport.abort()
            while self._unanswered:
                answer, _ = self._unanswered.popleft()
                if not answer.done():
                    answer.set_result(CallFailed(reason, asked=True))
            self._lost(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Small calls go at once, and a store that does not read is noticed."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=BUFFERED_MAX)
        made = transport.get_extra_info("socket")
        if made is not None and made.family in (socket.AF_INET, socket.AF_INET6):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Hand each complete reply to the call it answers, in order."""
        if self.dropped:
            return
        self._unread += len(data)
        try:
            self._reader.feed(data)
            while not self.dropped and (reply := self._reader.gets()) is not _INCOMPLETE:
                self._answer(reply)
        except (ValueError, TypeError, MemoryError):
            # Not the protocol, no UTF-8, a map whose keys can be none, or a length nobody can mean: whose answer the
            # next bytes are is unknown.
            self.drop("ProtocolError")
            return
        if self._unread > REPLY_MAX:
            self.drop("ReplyTooLong")

    def _answer(self, reply: Any) -> None:
        if not self._unanswered or isinstance(reply, hiredis.PushNotification):
            raise ValueError("an answer that nobody asked for")
        self._unread = 0
        self._heard()
        answer, _ = self._unanswered.popleft()
        if not answer.done():  # The caller may have been cancelled; its answer is taken all the same.
            answer.set_result(reply)
        if isinstance(reply, Refusal) and reply.reason == DEMOTED:
            # In a planned failover the old server lives on, as a replica, and keeps its connections: the address may
            # lead to another by now.
            self.drop(DEMOTED)

    def pause_writing(self) -> None:
        """The store does not read."""
        self._clogged = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._clogged = False

    def eof_received(self) -> None:
        """The store says no more: nothing is asked in the moment before the transport has closed."""
        self.drop("ConnectionError")

    def connection_lost(self, error: Exception | None) -> None:
        """The store, or what lies between, closed it."""
        self.drop("ConnectionError")
