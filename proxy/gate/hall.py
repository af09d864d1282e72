"""What the connections of one server share: how many there may be, the answers under way, and the strangers' turns.

A request that names no guard key of this vault is a stranger's. It can move nothing, so it never stands in the way of
one that can: however many of them are whole at once, one begins in each turn of the loop, and while a bot waits for its
answer only one every few milliseconds. An idle loop turns so fast that it answers as many as it would without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

from proxy.gate.connections import Connections, Guest

SLOW_STRANGERS_MAX: Final = 64
"""Of those who read more slowly than they are answered. What waits for each may be the largest answer, 1 MiB."""

STRANGERS_PAUSE_S: Final = 0.005
"""Between two strangers' requests while one of a bot is under way: each costs it a millisecond or more, and it has five
turns of the loop before it."""


class Hall:
    """Of one server, which all run in one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.connections = Connections()
        self._answering: set[asyncio.Task[None]] = set()  # The loop itself would forget a task that waits.
        self._bots: set[asyncio.Task[None]] = set()
        self._loop = loop
        self._waiting: dict[Guest, Callable[[], None]] = {}  # One of each connection at most.
        self._turning = False
        self._slow: dict[Guest, None] = {}

    def in_turn(self, guest: Guest, begin: Callable[[], None]) -> None:
        """Begin a stranger's request when those before it have begun, unless its connection is gone by then."""
        self._waiting[guest] = begin
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def answers(self, task: asyncio.Task[None], *, bot: bool) -> None:
        """A request is under way, a bot's or a stranger's. Kept until ``answered``, whatever becomes of its sender."""
        self._answering.add(task)
        if bot:
            self._bots.add(task)

    def answered(self, task: asyncio.Task[None]) -> None:
        """It is no more."""
        self._answering.discard(task)
        self._bots.discard(task)

    def left(self, guest: Guest) -> None:
        """A connection is no more, or is a WebSocket from here on."""
        self.connections.left(guest)
        self._waiting.pop(guest, None)
        self._slow.pop(guest, None)

    def reads_slowly(self, guest: Guest) -> None:
        """More waits for it than it should. Of strangers, the one that has let us wait longest may have to go."""
        if self.connections.is_known(guest):
            return
        self._slow[guest] = None
        if len(self._slow) > SLOW_STRANGERS_MAX:
            going = next(iter(self._slow))
            self.left(going)
            going.give_way()

    def has_read(self, guest: Guest) -> None:
        """It has caught up."""
        self._slow.pop(guest, None)

    def _turn(self) -> None:
        if self._waiting:  # The last may have hung up.
            self._waiting.pop(next(iter(self._waiting)))()
        self._turning = bool(self._waiting)
        if not self._turning:
            return
        if self._bots:
            self._loop.call_later(STRANGERS_PAUSE_S, self._turn)
        else:
            self._loop.call_soon(self._turn)


_HALLS: Final[WeakKeyDictionary[ServerState, Hall]] = WeakKeyDictionary()


def hall_of(state: ServerState, loop: asyncio.AbstractEventLoop) -> Hall:
    """The one hall of a server."""
    found = _HALLS.get(state)
    if found is None:
        found = _HALLS[state] = Hall(loop)
    return found
