"""Opens one connection: names, addresses, source address and TLS, all within one time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from proxy.gate.upstream import NotSent
from proxy.gate.wire.connection import Connection
from proxy.gate.wire.origin import Origin

ADDRESSES_MAX: Final = 4
"""Of a name that has more, the first ones."""


async def dial(
    origin: Origin, local_address: str | None, make: Callable[[], Connection], timeout_s: float
) -> Connection:
    """A connection that is ready. Each address has its part of the time, so that a dead one is passed over.

    Raises ``NotSent``; nothing of a request can have left.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_UNSPEC if local_address is None else socket.AF_INET6 if ":" in local_address else socket.AF_INET
    local = None if local_address is None else (local_address, 0)
    ends_at = loop.time() + timeout_s
    trouble: Exception | None = None
    try:
        async with asyncio.timeout_at(ends_at):
            found = await loop.getaddrinfo(origin.host, origin.port, family=family, type=socket.SOCK_STREAM)
            addresses = [str(each[4][0]) for each in found[:ADDRESSES_MAX]]
            for place, address in enumerate(addresses):
                part_s = (ends_at - loop.time()) / (len(addresses) - place)
                try:
                    async with asyncio.timeout(part_s):
                        return await _connected(loop, address, origin.port, local, make)
                except OSError as error:  # A time-out and a certificate nobody trusts are two of them.
                    trouble = error
    except (OSError, UnicodeError) as error:  # The latter for a host that is no name.
        trouble = error
    raise NotSent("ConnectTimeout" if isinstance(trouble, TimeoutError) else f"ConnectError: {trouble}") from trouble


async def _connected(
    loop: asyncio.AbstractEventLoop,
    address: str,
    port: int,
    local: tuple[str, int] | None,
    make: Callable[[], Connection],
) -> Connection:
    _, connection = await loop.create_connection(make, address, port, local_addr=local)
    try:
        await connection.ready
    except BaseException:  # Cancelled, too: half a handshake is of no use to anybody.
        connection.drop("not ready")
        raise
    return connection
