"""What the doctor sees of the store: whether it is there, keeps what it is told, and never throws anything away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.settings import Settings
from proxy.store.client import STORE_TROUBLE
from proxy.store.embedded import socket_path

TIMEOUT_S: Final = 2.0
TRIES: Final = 5
"""The quickest counts: a busy machine says nothing about where the store is."""

MEMORY_NEAR: Final = 0.9

_SETTINGS: Final = ("maxmemory-policy", "appendonly", "min-replicas-to-write")

ROUND_TRIP_MAX_MS: Final = 5.0
"""The order path waits for one round trip; above this the store is on the wrong machine, or starved."""


async def look_at_store(settings: Settings) -> list[Finding]:
    """Every finding about the store. Its URL, which may hold a password, is in none of them."""
    client = redis.asyncio.Redis.from_url(
        settings.store, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
    try:
        took_ms = min([await _timed(client) for _ in range(TRIES)])
        return [ok("store", "answers"), *_speed(took_ms), *await _taken(client), *await _kept(client)]
    except STORE_TROUBLE as trouble:
        if settings.store_url is None:
            with suppress(FileNotFoundError):
                socket_path(settings.data_dir).stat()  # Raises where this user may not even look for it.
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


async def _taken(client: redis.asyncio.Redis) -> list[Finding]:
    """Why it would refuse what is written to it; a ping says nothing of that."""
    try:
        told = await client.info()
    except ResponseError:
        return []  # As below: a provider that does not let itself be asked is said there.
    if told.get("role") == "slave":
        said = "it is a replica, which takes nothing that is written: entries are refused"
        return [fail("store takes", said, "name the primary in store_url, or in store_url_file")]
    most, used = int(told.get("maxmemory", 0)), int(told.get("used_memory", 0))
    if most and used >= most:
        said = f"its memory is full ({used >> 20} of {most >> 20} MiB): entries are refused"
        return [fail("store takes", said, "more maxmemory; is something else in it?")]
    if most and used >= MEMORY_NEAR * most:
        said = f"its memory is nearly full ({used >> 20} of {most >> 20} MiB); when it is, entries are refused"
        return [warn("store takes", said, "more maxmemory; is something else in it?")]
    return [ok("store takes", "what is written to it")]


async def _kept(client: redis.asyncio.Redis) -> list[Finding]:
    try:
        told = {name: await client.config_get(name) for name in _SETTINGS}
        replicas = int((await client.info("replication")).get("connected_slaves", 0))
    except ResponseError:
        # Hosted stores often do not let themselves be asked.
        mend = "check at its provider: maxmemory-policy noeviction, appendonly yes"
        return [warn("store keeps", "it does not say how it keeps what it is told", mend)]
    words = {name: "".join(map(_text, answer.values())) for name, answer in told.items()}
    lasting = (*_eviction(words["maxmemory-policy"]), *_durable(words["appendonly"]))
    return [*lasting, *_cut_off(replicas, words["min-replicas-to-write"])]


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


def _cut_off(replicas: int, least: str) -> Iterator[Finding]:
    if replicas and least == "0":
        said = "cut off from its replicas it goes on: gates that reach it alone hear of no stop of the next primary"
        yield warn("store replicas", said, "min-replicas-to-write 1 and min-replicas-max-lag 2 in its configuration")


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
