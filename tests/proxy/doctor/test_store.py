"""What the doctor sees of a store: a real server, with each mistake by itself."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from proxy.doctor.finding import Level
from proxy.doctor.store import look_at_store
from proxy.settings import Settings
from proxy.store.embedded import EmbeddedStore
from tests.support.waiting import until

MIB = 1 << 20

Mistake = Callable[[redis.Redis], object]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started.url


def looked(url: str) -> dict[str, Level]:
    """What is not well, its slowness aside: a busy machine is slow."""
    found = asyncio.run(look_at_store(Settings(store_url=url)))
    return {each.check: each.level for each in found if each.level is not Level.OK and "speed" not in each.check}


def nearly_full(client: redis.Redis) -> None:
    """95 hundredths of what it may keep, in one value that the server makes itself: no buffer of it comes and goes."""
    client.setrange("large", 64 * MIB, "x")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.95))


MISTAKES: dict[str, tuple[Mistake, dict[str, Level]]] = {
    "a replica": (lambda client: client.replicaof("127.0.0.1", "1"), {"store takes": Level.FAIL}),
    "full": (lambda client: client.config_set("maxmemory", MIB // 2), {"store takes": Level.FAIL}),
    "nearly full": (nearly_full, {"store takes": Level.WARN}),
    "evicts": (lambda client: client.config_set("maxmemory-policy", "allkeys-lru"), {"store keeps": Level.FAIL}),
    "forgets": (lambda client: client.config_set("appendonly", "no"), {"store restarts": Level.WARN}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_found_and_nothing_else(url: str, name: str) -> None:
    make, wanted = MISTAKES[name]
    assert looked(url) == {}
    with redis.Redis.from_url(url) as client:
        make(client)
    assert looked(url) == wanted


def test_a_primary_that_goes_on_without_its_replicas_is_found(url: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        replica = client.connection_pool.get_connection()
        replica.send_command("PSYNC", "?", "-1")  # From now on that connection is one.
        asyncio.run(until(lambda: client.info("replication")["connected_slaves"] == 1))
        assert looked(url) == {"store replicas": Level.WARN}
        client.config_set("min-replicas-to-write", 1)
        assert looked(url) == {}
        replica.disconnect()
