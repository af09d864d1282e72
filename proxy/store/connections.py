"""Connections to the store that lose no cancellation.

redis-py 8.1 sends within ``asyncio.wait_for``, and before Python 3.12 this swallows a cancellation that comes in the
very moment the sending is done (CPython issue 86296, seen 2026-11-27). A task is cancelled only once: a loop that was
asked to end would go on for ever, and its process with it. It is mended here, below every call, so that no loop needs
to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection


class _Heeding(AbstractConnection):
    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """As redis-py's; but if the task is cancelled meanwhile, it ends here, whatever came of the sending."""
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        try:
            await super().send_packed_command(command, check_health)
        finally:
            if task is not None and task.cancelling() > before:
                # Nobody will read the answer to what was sent: the connection is not fit for another call.
                await self.disconnect(nowait=True)
                raise asyncio.CancelledError


class _TcpConnection(_Heeding, Connection):
    pass


class _TlsConnection(_Heeding, SSLConnection):
    pass


class _SocketConnection(_Heeding, UnixDomainSocketConnection):
    pass


HEEDING: Final[dict[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: _TcpConnection,
    SSLConnection: _TlsConnection,
    UnixDomainSocketConnection: _SocketConnection,
}
"""For each of redis-py's kinds of connection, one that ends a call when its task is cancelled."""
