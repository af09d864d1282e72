"""Connections to the store. Nothing here retries: the caller decides what a lost answer means."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as StoreSilent

from proxy.store.connections import HEEDING, HeedingPool

T = TypeVar("T")

STORE_TROUBLE: Final = (RedisError, OSError, TimeoutError)
"""What a call of a client may raise when the store is away, refuses, or does not answer in time."""

STORE_SILENCE: Final = (TimeoutError, StoreSilent)
"""Those of them that took all the time there was: to ask again at once takes it once more."""

HOT_TIMEOUT_S: Final = 0.05
"""An entry waits this long for the store, unless the settings say otherwise, and never longer: with the library's
own retries it would be seconds."""

HOT_CONNECTIONS: Final = 4
"""Opened by a gate before its first request, beside those of ``proxy.store.lean``: greeting a server costs several
round trips, too many for the few things that an order asks by redis-py."""

HOT_CONNECTIONS_MAX: Final = 64
HOT_PATIENCE: Final = 20.0
"""However late our own process is, no call waits longer than this many times its time-out."""

_SLICE_S: Final = 0.005

CALM_TIMEOUT_S: Final = 5.0
"""The warden's own reads may wait; nothing in the order path uses them."""


def connect(url: str, *, timeout_s: float, connections_max: int = 512) -> Redis:
    """A client for ``redis://``, ``rediss://`` or ``unix://`` URLs. Connects on first use, never here."""
    pool = HeedingPool.from_url(
        url,
        max_connections=connections_max,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
        decode_responses=True,
        health_check_interval=0,
    )
    pool.connection_class = HEEDING[pool.connection_class]
    return Redis(connection_pool=pool)


async def connect_anew(client: Redis) -> None:
    """Have the next calls of a client from ``connect`` connect anew, to whichever server the address leads to then.

    For whoever only reads: a server that a planned failover made a replica closes no connection, and tells of it only
    where somebody writes.
    """
    assert isinstance(client.connection_pool, HeedingPool)  # noqa: S101 - ``connect`` gives it no other
    await client.connection_pool.close_idle()


def _never() -> float:
    return float("-inf")


async def within(timeout_s: float, call: Coroutine[Any, Any, T], heard: Callable[[], float] = _never) -> T:
    """``call``'s result unless the store is silent for ``timeout_s`` of our own attention; else ``TimeoutError``.

    When this process is late, because it or the machine is busy, an answer may long be there before the timer and the
    reader get their turn. Only time in which the loop turned counts, so a busy second is no outage of the store. And
    a store that answers others meanwhile is not silent: ``heard`` is the loop's time of its last answer to anybody.
    """
    task = asyncio.ensure_future(call)
    loop = asyncio.get_running_loop()
    started = latest = loop.time()
    left = timeout_s
    try:
        while left > 0 and loop.time() - started < timeout_s * HOT_PATIENCE:
            before = loop.time()
            await asyncio.wait({task}, timeout=min(left, _SLICE_S))
            if task.done():
                return task.result()
            left -= min(loop.time() - before, _SLICE_S)
            if (answered := heard()) > latest:
                latest, left = answered, timeout_s
        raise TimeoutError
    finally:
        task.cancel()
        task.add_done_callback(_heard)


def _heard(task: asyncio.Task[Any]) -> None:
    """A call nobody waits for any more may still fail; that it did is known."""
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script of this package and the digest the store knows it by."""

    text: str
    sha: str

    @classmethod
    def named(cls, name: str, *shared: str) -> Script:
        """The script in ``scripts/NAME.lua``, after those whose functions it uses."""
        folder = Path(__file__).parent / "scripts"
        text = "".join((folder / f"{each}.lua").read_text(encoding="utf-8") for each in (*shared, name))
        # The store's protocol names scripts by SHA-1; nothing is protected by it.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


async def run_script(client: Redis, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Run ``script`` by its digest, sending the text only when the store does not know it (then nothing has run)."""
    try:
        return await client.evalsha(script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return await client.eval(script.text, len(keys), *keys, *arguments)
