"""Between the wire and the door: what an upgrade request says, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from proxy.gate.bot_socket import BotSocket
from proxy.gate.streams.outbox import Outbox
from proxy.venues.binance.rejections import Rejection


@dataclass(frozen=True, slots=True)
class Handshake:
    """A well-formed upgrade request. ``path`` is raw and carries the query; ``client`` is the peer's address."""

    path: str
    headers: Mapping[str, str]
    client: str

    def __repr__(self) -> str:
        # The path of a user stream is its secret.
        return f"Handshake(client={self.client!r})"


class FrameSocket(BotSocket, Protocol):
    """A bot's socket that also takes a message already encoded as a frame, and tells when it is over."""

    @property
    def gone(self) -> asyncio.Event:
        """Set once nothing more is read or sent."""
        ...

    def send_frame(self, frame: bytes) -> None:
        """Send what ``text_frame`` made. Never waits."""
        ...


Session: TypeAlias = Callable[[FrameSocket], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Admission:
    """The bot may come in: who talks to it, and how many messages a second it may send.

    A bot that sends more is closed, or where ``patient`` read no faster; there cancels are said, so what was read whole
    is heard even where its socket is closed before. What waits unread beyond the rate is lost with the connection.

    ``ready`` is waited for, bounded by itself, before the handshake is completed; an answer instead of ``None`` refuses
    the bot after all. Then ``serve`` is never called.
    """

    serve: Session
    messages_per_s: float
    ready: Callable[[], Awaitable[Rejection | None]] | None = None
    patient: bool = False


class Door(Protocol):
    """Whoever decides about upgrade requests. In uvicorn's lifespan state under ``sockets``."""

    @property
    def outbox(self) -> Outbox:
        """Where the sockets of this door write."""
        ...

    def admit(self, handshake: Handshake) -> Admission | Rejection:
        """Let a bot in or not. Neither waits nor raises."""
        ...
