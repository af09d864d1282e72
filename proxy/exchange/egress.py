"""The ways out of one client: a session for each source address, one in use, and the next when the venue bans it.

Binance bans addresses (HTTP 418), not keys. A kill with a second address goes on by it; with one it waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import aiohttp

from proxy.exchange.resolver import RememberingResolver


class WaysOut:
    """Sessions in the order they are preferred at the start. ``steady_s`` is a clock that never steps."""

    def __init__(
        self, sessions: Sequence[aiohttp.ClientSession], steady_s: Callable[[], float] = time.monotonic
    ) -> None:
        assert sessions  # noqa: S101 - the usual address is a way out too
        self._sessions = sessions
        self._steady_s = steady_s
        self._closed_until = [0.0] * len(sessions)
        self._current = 0

    @property
    def current(self) -> aiohttp.ClientSession:
        """The session in use."""
        return self._sessions[self._current]

    def banned(self, session: aiohttp.ClientSession, for_s: float) -> float:
        """The venue does not hear ``session`` for so long. How long until there is a way out: 0 when there is one."""
        if len(self._sessions) == 1:
            return for_s
        now = self._steady_s()
        banned = self._sessions.index(session)
        self._closed_until[banned] = max(self._closed_until[banned], now + for_s)
        # Stay where we are when another request has moved us on already.
        after = range(self._current, self._current + len(self._sessions))
        self._current = min((each % len(self._sessions) for each in after), key=lambda each: self._wait_s(each, now))
        return self._wait_s(self._current, now)

    def failed(self, session: aiohttp.ClientSession) -> None:
        """Nothing came back by ``session``; the next request tries the next way that is not banned."""
        if session is not self.current:
            return
        now = self._steady_s()
        for step in range(1, len(self._sessions)):
            other = (self._current + step) % len(self._sessions)
            if self._wait_s(other, now) == 0:
                self._current = other
                return

    async def aclose(self) -> None:
        """Close all sessions."""
        for session in self._sessions:
            await session.close()

    def _wait_s(self, way: int, now: float) -> float:
        return max(0.0, self._closed_until[way] - now)


def open_session(address: str, traces: Sequence[aiohttp.TraceConfig]) -> aiohttp.ClientSession:
    """A session that sends from ``address``, empty for the host's usual one; nothing of the environment is heeded."""
    # ccxt closes only what it opened itself, so the connector is the session's own.
    connector = aiohttp.TCPConnector(local_addr=(address, 0) if address else None, resolver=RememberingResolver())
    return aiohttp.ClientSession(connector=connector, trust_env=False, trace_configs=list(traces))
