"""What the door leaves to others: the trading API, and the user streams of an account."""

from __future__ import annotations

from typing import Protocol

from proxy.gate.bot_socket import BotSocket


class TradingApi(Protocol):
    """Whoever answers on ``/ws-fapi/v1``. Binds the sockets of its sessions to their keys in ``KeyedSockets``."""

    async def serve(self, socket: BotSocket, client: str) -> None:
        """Talk to one bot until the socket is gone. ``client`` is the bot's address. May let ``SocketGone`` pass."""
        ...


class Attached(Protocol):
    """A socket that gets the events of a user stream."""

    @property
    def guard_key(self) -> str:
        """The key the stream was opened with; the socket lives no longer than it."""
        ...

    def close(self) -> None:
        """No more events for the socket. It stays open."""
        ...


class UserStreams(Protocol):
    """Whoever knows the stream keys that were given out and what their accounts live through."""

    async def ready(self, stream_key: str) -> bool:
        """Wait, bounded, until the stream's events reach this gate. A key nobody gave out is ``open``'s to refuse."""
        ...

    def open(
        self, stream_key: str, socket: BotSocket, *, combined: bool, events: frozenset[str] | None = None
    ) -> Attached | None:
        """Send the stream's events, or those of the types in ``events``, to ``socket`` from now on.

        They are wrapped if ``combined``. ``None``: no such key.
        """
        ...
