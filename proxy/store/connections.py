"""Connections to the store that lose no cancellation, and are not kept to a server that may not write any more.

redis-py 8.1 sends within ``asyncio.wait_for``, a task and two turns of the loop for every call, and before Python 3.12
this swallows a cancellation that comes in the very moment the sending is done (CPython issue 86296, seen 2026-11-27). A
task is cancelled only once: a loop that was asked to end would go on for ever, and its process with it. It is mended
here, below every call, so that no loop needs to know.

After a planned failover (Valkey's ``FAILOVER``) the old server lives on, as a replica, and closes no connection, though
the address leads to the new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import DataError, ReadOnlyError

_SERIALIZER: Final = HiredisRespSerializer()


class _Heeding(AbstractConnection):
    dialled_at = float("-inf")
    """When it was last connected, by the monotonic clock; to whichever server the address led to then."""

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        """As redis-py's."""
        if not self.is_connected:
            self.dialled_at = time.monotonic()
        await super().connect_check_health(check_health, retry_socket_connect)

    def pack_command(self, *args: Any) -> list[bytes]:
        """As redis-py's; but in C, unless a part is of a kind that hiredis does not know: an enum's, for one."""
        try:
            packed: list[bytes] = _SERIALIZER.pack(*args)
        except DataError:
            packed = super().pack_command(*args)
        return packed

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """As redis-py's; but only what the kernel does not take at once is waited for, in the caller's own task, and
        what goes wrong then is raised as it is: ``OSError`` or ``TimeoutError``."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        assert self._writer is not None  # noqa: S101 - it is connected
        if isinstance(command, str):
            command = command.encode()
        try:
            self._writer.writelines([command] if isinstance(command, bytes) else command)
            if self._writer.transport.get_write_buffer_size():
                async with asyncio.timeout(self.socket_timeout):
                    await self._writer.drain()
        except BaseException:
            # Half a command may have gone out: the connection is not fit for another call.
            await self.disconnect(nowait=True)
            raise

    async def read_response(self, *how: Any, **terms: Any) -> Any:
        """As redis-py's; but once it was told that the server is a replica, its pool closes it, with all others."""
        try:
            return await super().read_response(*how, **terms)
        except ReadOnlyError:
            # Not here: a pipeline's other answers are still to be read.
            self.mark_for_reconnect()  # type: ignore[no-untyped-call]
            raise


class HeedingPool(BlockingConnectionPool):
    """Closes all connections when one of them led to a replica, those too that only read and would never hear of it:
    the server that they tell of would be now the one, now the other.

    All that were dialled before that, once: those that are closed for it one after another, as each comes back from
    its use, tell nothing new, and what was dialled since leads to the new server.
    """

    _demoted_at = float("-inf")

    async def release(self, connection: AbstractConnection) -> None:
        """As redis-py's."""
        assert isinstance(connection, _Heeding)  # noqa: S101 - ``connect`` gives it no others
        if connection.should_reconnect() and connection.dialled_at > self._demoted_at:  # type: ignore[no-untyped-call]
            self._demoted_at = time.monotonic()
            await self.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
            await self.close_idle()
        await super().release(connection)

    async def close_idle(self) -> None:
        """Close what nobody uses: the next calls connect anew, to whichever server the address leads to then."""
        for idle in tuple(self._available_connections):
            await idle.disconnect(nowait=True)  # In one go: nobody takes one that is being closed.


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
