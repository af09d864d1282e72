"""What the gate's parts know of a bot's WebSocket: it can be read, written to without waiting, and closed."""

from __future__ import annotations

from typing import Protocol


class SocketGone(Exception):
    """The bot's socket is closed, whoever closed it."""


class BotSocket(Protocol):
    """One accepted WebSocket of a bot. Frames are text; sizes, rates and slow readers are bounded by the socket."""

    @property
    def waited_s(self) -> float:
        """Seconds since the earliest moment at which the message received last can have come."""
        ...

    async def receive(self) -> str:
        """The next whole text message. Raises ``SocketGone``."""
        ...

    def send(self, message: bytes) -> None:
        """Send one UTF-8 text message. Never waits: a bot that does not read is cut off."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close with a status code (RFC 6455 section 7.4) and a reason the bot can show."""
        ...
