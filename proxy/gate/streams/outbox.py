"""What the sockets of one gate still have to write: once a turn of the event loop, and never without bound.

Messages that arrive together leave together, one system call a bot. A bot that does not read is cut off, and when many
read slowly at once the slowest go first: what waits in memory is bounded for each and for all.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

SOCKET_BYTES_MAX: Final = 1 << 20
"""Bytes that may wait for one bot when there is more to send to it."""

TOTAL_BYTES_MAX: Final = 64 << 20
"""Bytes that may wait for all bots of a gate process."""


class Writer(Protocol):
    """A socket with something to write."""

    def flush(self) -> None:
        """Hand over to the transport what was sent since the last turn."""
        ...

    def backlog(self) -> int:
        """Bytes the transport could not write yet."""
        ...

    def cut(self, why: str) -> None:
        """Drop the connection and what waits in it."""
        ...


class Outbox:
    """The sockets of one event loop that have something to write, and those whose peers are behind."""

    def __init__(self) -> None:
        self._due: list[Writer] = []
        self._behind: set[Writer] = set()

    def add(self, writer: Writer) -> None:
        """Flush ``writer`` in the next turn of the loop, once all that are behind have been looked at."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._turn)
        self._due.append(writer)

    def fell_behind(self, writer: Writer) -> None:
        """The transport's buffer is above its mark: the peer reads more slowly than we write."""
        self._behind.add(writer)

    def caught_up(self, writer: Writer) -> None:
        """The peer has read, or is gone."""
        self._behind.discard(writer)

    def _turn(self) -> None:
        due, self._due = self._due, []
        if self._behind:
            self._cut_the_slowest()
        for writer in due:
            writer.flush()

    def _cut_the_slowest(self) -> None:
        waiting = sorted(((writer.backlog(), writer) for writer in self._behind), key=lambda each: -each[0])
        total = sum(backlog for backlog, _ in waiting)
        for backlog, writer in waiting:
            if backlog <= SOCKET_BYTES_MAX and total <= TOTAL_BYTES_MAX:
                return
            total -= backlog
            self._behind.discard(writer)
            writer.cut("it does not read")
