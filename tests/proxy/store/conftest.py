"""One real Valkey for the folder, a clean desk for each test; and a server of its own for those that hurt it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from proxy.store.client import connect
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.warden_store import WardenStore

_numbers = itertools.count()


@pytest.fixture(scope="package")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path) as started:
        yield started


@pytest.fixture
def desk() -> str:
    return f"desk{next(_numbers)}"


@pytest.fixture
def keys(desk: str) -> Keys:
    return Keys(desk)


@pytest.fixture
async def gate(server: EmbeddedStore, desk: str) -> AsyncIterator[GateStore]:
    # Generous: what a loaded machine takes is no subject of these tests, except where it is.
    store = GateStore(server.url, desk, timeout_s=2.0)
    yield store
    await store.aclose()


@pytest.fixture
async def warden(server: EmbeddedStore, desk: str) -> AsyncIterator[WardenStore]:
    store = WardenStore(server.url, desk)
    await store.begin_epoch()
    yield store
    await store.aclose()


@pytest.fixture
async def raw(server: EmbeddedStore) -> AsyncIterator[redis.asyncio.Redis]:
    """Redis itself, to look at what is really there."""
    client = connect(server.url, timeout_s=2.0)
    yield client
    await client.aclose()
