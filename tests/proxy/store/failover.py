"""A planned failover: the server of before becomes a replica, and the address leads to another one."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import redis.asyncio

from proxy.store.embedded import EmbeddedStore


class Moved:
    """One address that leads to whichever server was named last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"unix://{path}"

    def to(self, server: EmbeddedStore) -> None:
        """From now on whoever connects is there."""
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(server.url.removeprefix("unix://"))

    def __enter__(self) -> Moved:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)


async def demote(server: EmbeddedStore) -> None:
    """Make it the replica of a server that is away: it answers, and takes no writes."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.replicaof("127.0.0.1", "1")


async def promote(server: EmbeddedStore) -> None:
    """Make it a primary again, as it is."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.replicaof("NO", "ONE")


async def run_id(client: redis.asyncio.Redis) -> str:
    """Which server answers."""
    return str((await client.info("server"))["run_id"])
