"""Somebody listening: a socket, what it subscribed to, and in which of the two shapes it wants its messages."""

from __future__ import annotations

from functools import cached_property

import msgspec

from sandbox.streams.feed import Content
from sandbox.streams.socket import Socket


class Message:
    """One message of one stream, encoded once for all who hear it. `event` is its type, empty for lists."""

    def __init__(self, stream: str, content: Content) -> None:
        self.stream = stream
        self.event = "" if isinstance(content, list) else str(content["e"])
        self.plain = msgspec.json.encode(content).decode()

    @cached_property
    def combined(self) -> str:
        """The message with its stream's name around it."""
        return f'{{"stream":{msgspec.json.encode(self.stream).decode()},"data":{self.plain}}}'


class Listener:
    """One stream socket. `names` are its subscriptions in order; `combined` can be changed while it is open."""

    def __init__(self, socket: Socket, *, combined: bool) -> None:
        self.socket = socket
        self.combined = combined
        self.names: dict[str, None] = {}

    def deliver(self, message: Message) -> None:
        """Send a message in the shape this listener wants."""
        self.socket.post(message.combined if self.combined else message.plain)
