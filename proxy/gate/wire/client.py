"""The ``Upstream`` of orders: a request out by one write, its reply back, and not one way to send anything twice.

httpx stays for everything else; what it costs more is measured by ``python -m bench.upstream_client``.
"""

from __future__ import annotations

import asyncio
import ssl

from proxy import under_way
from proxy.gate.upstream import NotSent, OutboundRequest, Turnstile, UpstreamReply
from proxy.gate.wire.origin import Origin, split_url
from proxy.gate.wire.pool import Pool
from proxy.gate.wire.tls import trusted


class WireUpstream:
    """Connections from one source address, of one lane: no proxies, no redirects, no cookies, no retries."""

    def __init__(self, local_address: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        """``local_address`` is the source address, ``None`` for the host's usual one; ``tls`` is whom to trust."""
        self._local_address = local_address
        self._tls = tls
        self._pools: dict[str, Pool] = {}

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        """See ``Upstream.send``."""
        origin, target = split_url(request.url)
        pool = self._pools.get(origin) or self._pool(origin)
        written = pool.origin.request(request, target)
        connection = pool.take() or await pool.acquire()
        try:
            reply = connection.exchange(written, fence, under_way.REPLY_TIMEOUT_S)
        except NotSent:
            pool.idle(connection)  # Stopped at the fence: not a byte was written.
            raise
        except BaseException:
            connection.drop("a bug")
            raise
        try:
            return await reply
        except asyncio.CancelledError:
            connection.abandon(reply)
            raise

    async def warm(self, url: str) -> None:
        """Have a connection to this host ready. A venue that is away is no error."""
        await self._pool_of(url).warm()

    async def keep_warm(self, url: str) -> None:
        """The same, for ever."""
        await self._pool_of(url).keep_warm()

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    def _pool_of(self, url: str) -> Pool:
        origin, _ = split_url(url)
        return self._pools.get(origin) or self._pool(origin)

    def _pool(self, name: str) -> Pool:
        origin = Origin(name)
        pool = self._pools[name] = Pool(origin, self._local_address, (self._tls or trusted()) if origin.tls else None)
        return pool
