"""A task that talks to the store ends when it is cancelled, in whatever moment that comes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError

from proxy.store.client import STORE_SILENCE, STORE_TROUBLE, connect
from proxy.store.embedded import EmbeddedStore
from tests.proxy.store.failover import Moved, demote, run_id

TURNS = range(1, 60)
"""Of the event loop, before the cancellation comes: a call takes about as many."""


@pytest.fixture
async def client(server: EmbeddedStore) -> AsyncIterator[Redis]:
    client = connect(server.url, timeout_s=5.0)
    yield client
    await client.aclose()


async def read(client: Redis) -> None:
    await client.get("anything")


async def read_over_a_new_connection(client: Redis) -> None:
    await client.connection_pool.disconnect()
    await client.get("anything")


async def read_in_a_pipeline(client: Redis) -> None:
    await client.pipeline(transaction=True).get("anything").get("more").execute()


CALLS = pytest.mark.parametrize("call", [read, read_over_a_new_connection, read_in_a_pipeline])


@CALLS
async def test_an_endless_loop_ends(client: Redis, call: Callable[[Redis], Awaitable[None]]) -> None:
    async def endless() -> None:
        while True:
            try:
                await call(client)
            except STORE_TROUBLE:
                continue

    for turns in TURNS:
        loop = asyncio.ensure_future(endless())
        await cancelled_after(turns, loop)
        ended, _ = await asyncio.wait({loop}, timeout=1)
        while not loop.done():  # However this ends, nothing goes on after it.
            await cancelled_after(turns, loop)
            await asyncio.wait({loop}, timeout=0)
        assert ended, f"cancelled after {turns} turns, it went on"


@CALLS
async def test_a_call_either_was_over_or_is_cancelled(client: Redis, call: Callable[[Redis], Awaitable[None]]) -> None:
    over, turns = False, 0
    while not over:
        turns += 1
        asked = asyncio.ensure_future(call(client))
        over = await cancelled_after(turns, asked)
        await asyncio.wait({asked}, timeout=5)
        assert asked.cancelled() is not over, f"cancelled after {turns} turns"
    assert turns > 1, "none was cancelled"


async def test_what_a_cancelled_call_asked_is_not_answered_to_the_next(client: Redis) -> None:
    await client.mset({"mine": "mine", "yours": "yours"})
    for turns in TURNS:
        await cancelled_after(turns, asyncio.ensure_future(client.get("mine")))
        assert await client.get("yours") == "yours", f"after a call that was cancelled after {turns} turns"


async def test_a_time_out_around_a_call_is_still_a_time_out(client: Redis) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            while True:
                await client.get("anything")


async def test_a_server_that_takes_half_a_command_is_silent(own_server: EmbeddedStore) -> None:
    """The rest is given up, and the connection with it."""
    client = connect(own_server.url, timeout_s=0.2)
    connection = await client.connection_pool.get_connection()
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(STORE_SILENCE):
            await connection.send_packed_command([b"x" * 16 * 1024 * 1024])
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    assert not connection.is_connected
    await client.connection_pool.release(connection)
    await client.aclose()


async def write(client: Redis) -> None:
    await client.set("anything", "1")


async def write_in_a_pipeline(client: Redis) -> None:
    await client.pipeline(transaction=False).set("anything", "1").get("anything").execute()


@pytest.mark.parametrize("call", [write, write_in_a_pipeline])
async def test_no_connection_is_kept_to_a_server_that_became_a_replica(
    own_server: EmbeddedStore, tmp_path: Path, call: Callable[[Redis], Awaitable[None]]
) -> None:
    """Those too that only read: which server answers would be now the one, now the other."""
    with EmbeddedStore(tmp_path / "other") as other, Moved(tmp_path / "address") as moved:
        moved.to(own_server)
        client = connect(moved.url, timeout_s=5.0)
        await asyncio.gather(*(run_id(client) for _ in range(4)))
        in_use = await client.connection_pool.get_connection()
        await demote(own_server)
        moved.to(other)
        with pytest.raises(ReadOnlyError):
            await call(client)
        await client.connection_pool.release(in_use)
        answers = await asyncio.gather(*(run_id(client) for _ in range(4)))
        async with Redis.from_url(other.url, decode_responses=True) as there:
            assert set(answers) == {await run_id(there)}
        await call(client)
        await client.aclose()


async def test_what_was_dialled_since_a_failover_is_kept_however_late_the_old_ones_come_back(
    own_server: EmbeddedStore, tmp_path: Path
) -> None:
    """Each that came back closed all others again, for as long as any was in use: hundreds of greetings for one."""
    with EmbeddedStore(tmp_path / "other") as other, Moved(tmp_path / "address") as moved:
        moved.to(own_server)
        client = connect(moved.url, timeout_s=5.0)
        pool = client.connection_pool
        used, *slow = [await pool.get_connection() for _ in range(4)]
        await pool.release(used)
        await demote(own_server)
        moved.to(other)
        with pytest.raises(ReadOnlyError):
            await write(client)
        at_work, idle = await pool.get_connection(), await pool.get_connection()
        await pool.release(idle)
        async with Redis.from_url(other.url, decode_responses=True) as there:
            before = await dialled(there)
            for each in slow:
                await pool.release(each)
            assert idle.is_connected
            await pool.release(at_work)
            assert at_work.is_connected
            await asyncio.gather(write(client), write(client))
            assert await dialled(there) - before <= 1, "one that came back may be used again"
        await client.aclose()


async def dialled(client: Redis) -> int:
    """How many connections a server has taken."""
    return int((await client.info("stats"))["total_connections_received"])


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///nowhere"])
def test_every_kind_of_connection_heeds(url: str) -> None:
    made = connect(url, timeout_s=1).connection_pool.connection_class
    assert made.__module__ == "proxy.store.connections"


async def cancelled_after(turns: int, task: asyncio.Future[None]) -> bool:
    """Cancels ``task`` after so many turns of the loop; whether it was over before."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return not task.cancel()
