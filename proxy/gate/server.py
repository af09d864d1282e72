"""A gate's server: how it says that it is ready, and how it ends without losing an order or an answer.

The end, in order: no new connection is taken; what is under way is answered and settled; each socket gets a goodbye as
soon as its own bot is heard out and answered, for it is deaf until then; and where another gate has taken over,
kept-alive connections are listened to a while longer, so that every bot is told ``connection: close`` with an answer
and none finds its connection closed under a request. Nothing a bot does or the exchange leaves undone keeps the process
for longer than ``END_WITHIN_S``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Final, Protocol

import uvicorn

from proxy.collector import spare_what_stays
from proxy.gate.streams.socket import BotConnection

log = logging.getLogger("perpguard.gate")

END_WITHIN_S: Final = 10.0
"""From the signal to the end of the process."""

LISTEN_ON_S: Final = 4.0
"""For whoever keeps a connection and has another gate to go to; who is silent for longer asks for nothing just then."""

GIVE_UP_AFTER_S: Final = 7.0
"""An order that the exchange has not answered by then is left as unknown: there is time to write that down. What is
left of a burst by then is not heard: there is time to say goodbye."""

CUT_AFTER_S: Final = 8.5
"""Connections that do not take their last answer are cut off."""

ACCEPTED_AT_ONCE: Final = 8
"""New connections in one turn of the loop. libuv takes one, so that a crowd that connects at once would keep a bot
behind it waiting for thousands of turns; all of them at once would be as long a turn for every order under way."""

_SETTLE_S: Final = 1.0
_TURNS: Final = 20
_LOOK_EVERY_S: Final = 0.02


class Orders(Protocol):
    """What the server must know of the orders on their way through this process."""

    @property
    def under_way(self) -> int:
        """How many there are."""
        ...

    def give_up(self) -> None:
        """Wait no longer for the exchange: what has no answer is unknown from here on."""
        ...


def as_listeners(sockets: Iterable[socket.socket]) -> list[socket.socket]:
    """These sockets, each as often as the loop is to take a connection from it in one turn."""
    return [each for one in sockets for each in (one, *(one.dup() for _ in range(ACCEPTED_AT_ONCE - 1)))]


class GateServer(uvicorn.Server):
    """``SIGTERM`` and ``SIGINT`` stop it; ``SIGHUP`` as well, and says that another gate has taken over.

    ``ready`` is a descriptor on which it says, once, that it serves; it is closed then.
    """

    def __init__(self, config: uvicorn.Config, orders: Orders, ready: int | None = None) -> None:
        # What is left by then is cut off already; this bounds uvicorn's own waiting.
        config.timeout_graceful_shutdown = 1
        super().__init__(config)
        self._orders = orders
        self._ready = ready
        self._relieved = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does: the application first, which warms what an order needs, then the listening."""
        signal.signal(signal.SIGHUP, self._relieve)
        await super().startup(sockets=as_listeners(sockets or ()))
        # A hundred thousand objects: walked again with a full collection, they are a pause of fifty milliseconds for
        # every order under way.
        gc.collect()
        spare_what_stays()

    async def main_loop(self) -> None:
        """Say that orders are welcome, and serve."""
        if self._ready is not None:
            os.write(self._ready, b"ready\n")
            os.close(self._ready)
        await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer, settle, say goodbye, end."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        giving_up = loop.call_at(began + GIVE_UP_AFTER_S, self._orders.give_up)
        for server in self.servers:
            server.close()
        # Whatever is answered from here on is the last answer of its connection.
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for each in self._sockets():
            each.hold()
        await self._until(lambda: self._let_go(began + GIVE_UP_AFTER_S), began + CUT_AFTER_S)
        for each in self._sockets():
            each.shutdown()
        if self._relieved:
            await self._until(lambda: not self.server_state.connections, began + LISTEN_ON_S)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._until(lambda: not self.server_state.connections, began + CUT_AFTER_S)
        self._cut_off()
        await self._until(lambda: self._orders.under_way == 0, began + CUT_AFTER_S + _SETTLE_S)
        giving_up.cancel()
        await super().shutdown(sockets=sockets)

    def _relieve(self, number: int, frame: FrameType | None) -> None:
        self._relieved = True
        self.should_exit = True

    def _sockets(self) -> list[BotConnection]:
        connections: set[Any] = self.server_state.connections
        return [each for each in connections if isinstance(each, BotConnection)]

    def _let_go(self, until: float) -> bool:
        """Say goodbye to every socket whose bot waits for nothing. True when none is kept and no order is under way.

        What has not been heard at ``until`` is not waited for.
        """
        waits = asyncio.get_running_loop().time() < until
        kept = 0
        for each in self._sockets():
            if each.owes or (waits and each.behind):
                kept += 1
            else:
                each.shutdown()
        return kept == 0 and self._orders.under_way == 0

    def _cut_off(self) -> None:
        connections: list[Any] = list(self.server_state.connections)
        if connections:
            log.warning("connections that do not take their last answer are cut off: %d", len(connections))
        for connection in connections:
            connection.transport.abort()

    async def _until(self, done: Callable[[], bool], deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while not await _stays(done) and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn's own sets tell nobody
            await asyncio.sleep(_LOOK_EVERY_S)


async def _stays(done: Callable[[], bool]) -> bool:
    """Whether it is done, and still so some turns later: a frame that has been read is an order three turns after that,
    and one turn lies between the end of an order and its answer."""
    for _ in range(_TURNS):
        if not done():
            return False
        await asyncio.sleep(0)
    return done()
