"""What a market stream's feed is: its memory of what it has said, and what it has to say now. No socket, no clock."""

from __future__ import annotations

from sandbox.binance.call import Json
from sandbox.engine.events import Event

Content = Json | list[Json]


class Feed:
    """One stream, shared by everybody who subscribed to it. Each feed overrides what concerns it."""

    def due(self) -> list[Content]:
        """The frames to send now, oldest first; empty when there is nothing new. Asked at the stream's interval."""
        return []

    def renew(self) -> None:
        """Somebody new listens: a feed that states something states it again at its next turn."""

    def hear(self, event: Event) -> None:
        """An event of the engine's log."""


def timeless(frame: Json) -> Json:
    """A frame without what changes when nothing happens: its times, and the update number snapshots move too."""
    return {name: value for name, value in frame.items() if name not in ("E", "T", "u", "C", "O")}
