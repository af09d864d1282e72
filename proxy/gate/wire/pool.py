"""The connections to one host, from one source address, of one lane: bounded, the warmest first, a few kept warm.

Nobody is refused for a burst, and nobody waits for ever: whoever finds all connections taken waits in line, bounded.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from typing import Final

from proxy import under_way
from proxy.gate import upstream
from proxy.gate.upstream import NotSent
from proxy.gate.wire.connection import Connection
from proxy.gate.wire.dial import dial
from proxy.gate.wire.origin import Origin
from proxy.gate.wire.tls import TlsLayer

log = logging.getLogger("perpguard.gate")

IDLE_MAX_S: Final = 10.0
"""Below the 15 s for which aiohttp, under ccxt, keeps idle connections to the same venues. A venue that hangs up on
an idle connection in the instant in which an order is written on it leaves an outcome that is not known."""

WARM: Final = 1
"""Idle connections that are kept ready. A burst opens more, and they stay as long as they are used."""

TEND_EVERY_S: Final = 1.0
AWAY_S: Final = 5.0
"""How long a venue that could not be reached is left alone, by who only wants to be ready."""

_RENEW_S: Final = 2 * TEND_EVERY_S


class Pool:
    """A ``Keeper`` of connections. Built and used inside one running loop."""

    def __init__(self, origin: Origin, local_address: str | None, tls: ssl.SSLContext | None) -> None:
        """``tls`` is whom to trust, ``None`` for a host that is spoken to in plain."""
        self.origin = origin
        self._local_address = local_address
        self._tls = tls
        self._session: ssl.SSLSession | None = None
        self._connections_max = upstream.CONNECTIONS_MAX
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._standing: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    def take(self) -> Connection | None:
        """The idle connection that was used last, if one is fit. It is the caller's now."""
        stale = self._loop.time() - IDLE_MAX_S
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since > stale and connection.fit():
                return connection
            connection.drop("stale")
        return None

    async def acquire(self) -> Connection:
        """A connection of the caller's own: an idle one, a new one, or the next that another gives back.

        Raises ``NotSent``.
        """
        ends_at = self._loop.time() + under_way.POOL_TIMEOUT_S
        while not self._closed:
            connection = self.take()
            if connection is not None:
                return connection
            if self._has_room:
                self._opening += 1
                return await self._open()
            connection = await self._turn(ends_at)
            if connection is None:
                return await self._open()
            if connection.fit():
                return connection
            connection.drop("stale")
        raise NotSent("the guard ends")

    def idle(self, connection: Connection) -> None:
        """See ``Keeper.idle``; also for a connection that was taken and not used."""
        if connection.gone:
            return
        connection.idle_since = self._loop.time()
        if not self._give(connection):
            self._idle.append(connection)

    def gone(self, connection: Connection) -> None:
        """See ``Keeper.gone``."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._remember(connection)
        if connection in self._standing:  # Not so while it is being opened: then its place is freed by who opens it.
            self._standing.discard(connection)
            self._freed()

    async def warm(self) -> bool:
        """Have a connection ready that will still do for a while; whether the venue could be reached."""
        now = self._loop.time()
        for connection in [each for each in self._idle if now - each.idle_since > IDLE_MAX_S]:
            connection.drop("stale")
        lasting = sum(now - each.idle_since < IDLE_MAX_S - _RENEW_S for each in self._idle)
        if lasting >= WARM or not self._has_room:
            return True
        self._opening += 1
        try:
            self.idle(await self._open())
        except NotSent as trouble:
            log.debug("no connection to %s is kept ready: %s", self.origin.host, trouble)
            return False
        return True

    async def keep_warm(self) -> None:
        """Keep a connection ready, renewed before it is too old to be used, for ever."""
        while True:
            reached = await self.warm()
            await asyncio.sleep(TEND_EVERY_S if reached else AWAY_S)

    def close(self) -> None:
        """Drop every connection. What was on the way has an unknown outcome."""
        self._closed = True
        for connection in tuple(self._standing):
            connection.drop("the guard ends")
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(NotSent("the guard ends"))

    @property
    def _has_room(self) -> bool:
        return len(self._standing) + self._opening < self._connections_max

    async def _open(self) -> Connection:
        """Open the connection whose place the caller has counted in ``_opening``. Raises ``NotSent``."""
        try:
            connection = await dial(self.origin, self._local_address, self._new, under_way.CONNECT_TIMEOUT_S)
        except BaseException:
            self._session = None  # Should it be the reason, the next handshake is a whole one.
            self._opening -= 1
            self._freed()
            raise
        self._opening -= 1
        self._standing.add(connection)
        if self._closed:
            connection.drop("the guard ends")
        if connection.gone:
            self.gone(connection)
            raise NotSent("ConnectError: the connection ended at once")
        return connection

    def _new(self) -> Connection:
        if self._tls is None:
            return Connection(self, None, upstream.REPLY_BYTES_MAX)
        for connection in self._standing:
            self._remember(connection)
        return Connection(self, TlsLayer(self._tls, self.origin.host, self._session), upstream.REPLY_BYTES_MAX)

    def _remember(self, connection: Connection) -> None:
        if connection.tls is not None:
            self._session = connection.tls.session or self._session

    async def _turn(self, ends_at: float) -> Connection | None:
        """Wait in line for a connection, or for room that is counted already. Raises ``NotSent``."""
        turn: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(turn)
        timer = self._loop.call_at(ends_at, _too_late, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                given = turn.result()  # Given in the turn in which the waiter was cancelled: the next one's.
                if given is not None:
                    self.idle(given)
                else:
                    self._opening -= 1
                    self._freed()
            raise
        finally:
            timer.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _freed(self) -> None:
        """There is room: the place is counted as taken before its waiter wakes, or a newcomer would take it too."""
        if self._has_room and not self._closed:
            self._opening += 1
            if not self._give(None):
                self._opening -= 1

    def _give(self, connection: Connection | None) -> bool:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False


def _too_late(turn: asyncio.Future[Connection | None]) -> None:
    if not turn.done():
        turn.set_exception(NotSent("PoolTimeout"))
