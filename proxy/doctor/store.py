"""What the doctor sees of the store: whether it is there, keeps what it is told, and never throws anything away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.settings import Settings
from proxy.store.client import STORE_TROUBLE

TIMEOUT_S: Final = 2.0
TRIES: Final = 5
"""The quickest counts: a busy machine says nothing about where the store is."""

ROUND_TRIP_MAX_MS: Final = 5.0
"""The order path waits for one round trip; above this the store is on the wrong machine, or starved."""


async def look_at_store(settings: Settings) -> list[Finding]:
    """Every finding about the store. Its URL, which may hold a password, is in none of them."""
    client = redis.asyncio.Redis.from_url(
        settings.store, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
    try:
        took_ms = min([await _timed(client) for _ in range(TRIES)])
        return [ok("store", "answers"), *_speed(took_ms), *await _kept(client)]
    except STORE_TROUBLE as trouble:
        if settings.store_url is None:
            said = "the embedded store does not run; `perpguard up` starts it"
            return [warn("store", said, "perpguard up, with the same settings")]
        said = f"the store of the settings does not answer ({type(trouble).__name__})"
        return [fail("store", said, "is it running, is its password right, does a firewall stand between?")]
    finally:
        await client.aclose()


async def _timed(client: redis.asyncio.Redis) -> float:
    began = time.perf_counter()
    await client.ping()
    return (time.perf_counter() - began) * 1000


def _speed(took_ms: float) -> Iterator[Finding]:
    if took_ms > ROUND_TRIP_MAX_MS:
        yield warn(
            "speed of the store",
            f"answers in {took_ms:.1f} ms, and every order waits for it",
            "put it nearer to the gates",
        )
    else:
        yield ok("speed of the store", f"answers in {took_ms:.1f} ms")


async def _kept(client: redis.asyncio.Redis) -> list[Finding]:
    try:
        told = {name: await client.config_get(name) for name in ("maxmemory-policy", "appendonly")}
    except ResponseError:
        # Hosted stores often do not let themselves be asked.
        mend = "check at its provider: maxmemory-policy noeviction, appendonly yes"
        return [warn("store keeps", "it does not say how it keeps what it is told", mend)]
    words = {name: "".join(map(_text, answer.values())) for name, answer in told.items()}
    return [*_eviction(words["maxmemory-policy"]), *_durable(words["appendonly"])]


def _eviction(policy: str) -> Iterator[Finding]:
    if policy != "noeviction":
        said = f"when memory is short it throws keys away ({policy}): holds and stops among them"
        yield fail("store keeps", said, "CONFIG SET maxmemory-policy noeviction, and in its configuration")
    else:
        yield ok("store keeps", "it throws nothing away")


def _durable(appendonly: str) -> Iterator[Finding]:
    if appendonly != "yes":
        said = "it forgets on a restart: accounts stay reduce-only until they have been surveyed again"
        yield warn("store restarts", said, "appendonly yes in its configuration")
    else:
        yield ok("store restarts", "it writes an append-only file")


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
