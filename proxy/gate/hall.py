"""What the connections of one server share: how many there may be, the answers under way, and who waits for a turn.

A request that names no guard key of this vault is a stranger's. It can move nothing, so it never stands in the way of
one that can: however many of them are whole at once, one begins in each turn of the loop, and while a bot waits for its
answer only one every few milliseconds. An idle loop turns so fast that it answers as many as it would without. So it is
with connections whose time is up: a crowd that came together is late together, and closing three thousand in one turn
was a quarter of a second for every order under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

from proxy.gate.connections import Connections, Guest

SLOW_STRANGERS_MAX: Final = 64
"""Of those who read more slowly than they are answered. What waits for each may be the largest answer, 1 MiB."""

STRANGERS_PAUSE_S: Final = 0.005
"""Between two strangers' requests while one of a bot is under way: each costs it a millisecond or more, and it has five
turns of the loop before it."""

ENDED_AT_ONCE: Final = 4
ENDINGS_PAUSE_S: Final = 0.002
"""Connections closed in one turn of the loop, some fifty microseconds each, and between two such turns while a bot's
request is under way: all a gate may have are closed within about two seconds even then."""


class _Turns:
    """What connections wait for, in the order in which they came: so many in a turn of the loop, and while any of
    ``bots`` waits for its answer, then nothing for ``pause_s``."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, bots: set[asyncio.Task[None]], at_once: int, pause_s: float
    ) -> None:
        self._loop = loop
        self._bots = bots
        self._at_once = at_once
        self._pause_s = pause_s
        self._waiting: dict[Guest, Callable[[], None]] = {}  # One of each connection at most.
        self._turning = False

    def wait(self, guest: Guest, begin: Callable[[], None]) -> None:
        """``begin`` is called when it is the guest's turn."""
        self._waiting[guest] = begin
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def leave(self, guest: Guest) -> None:
        """It waits no longer."""
        self._waiting.pop(guest, None)

    def _turn(self) -> None:
        going = list(islice(self._waiting, self._at_once))
        self._turning = bool(going)  # Also when these are all: whoever comes next waits as long.
        if not going:
            return
        try:
            for guest in going:
                if (begin := self._waiting.pop(guest, None)) is not None:  # One may end another.
                    begin()
        finally:
            if self._bots:
                self._loop.call_later(self._pause_s, self._turn)
            else:
                self._loop.call_soon(self._turn)


class Hall:
    """Of one server, which all run in one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.connections = Connections()
        self._answering: set[asyncio.Task[None]] = set()  # The loop itself would forget a task that waits.
        self._bots: set[asyncio.Task[None]] = set()
        self._strangers = _Turns(loop, self._bots, 1, STRANGERS_PAUSE_S)
        self._endings = _Turns(loop, self._bots, ENDED_AT_ONCE, ENDINGS_PAUSE_S)
        self._slow: dict[Guest, None] = {}

    def in_turn(self, guest: Guest, begin: Callable[[], None]) -> None:
        """Begin a stranger's request when those before it have begun, unless its connection is gone by then."""
        self._strangers.wait(guest, begin)

    def ends_in_turn(self, guest: Guest, end: Callable[[], None]) -> None:
        """End a connection whose time is up when those before it have ended, unless it is gone by then."""
        self._endings.wait(guest, end)

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
        self._strangers.leave(guest)
        self._endings.leave(guest)
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


_HALLS: Final[WeakKeyDictionary[ServerState, Hall]] = WeakKeyDictionary()


def hall_of(state: ServerState, loop: asyncio.AbstractEventLoop) -> Hall:
    """The one hall of a server."""
    found = _HALLS.get(state)
    if found is None:
        found = _HALLS[state] = Hall(loop)
    return found
