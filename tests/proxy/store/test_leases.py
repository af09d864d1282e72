"""Whose word on leases is read: the server's that the address leads to, and no replica's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ReadOnlyError

from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.leases import LeaseRequest, LeaseStore
from tests.proxy.store.failover import Moved, demote


async def heard(url: str, desk: str, ttl_s: int) -> None:
    """The bot asks, at a gate that has just been started."""
    gate = GateStore(url, desk, timeout_s=2.0)
    request = LeaseRequest(
        account="main",
        bot="grid",
        guard_key="key",
        ttl_s=ttl_s,
        replay_digest=f"{desk}-{ttl_s}",
        replay_window_ms=60_000,
    )
    await gate.keep_lease(request)
    await gate.aclose()


@pytest.mark.parametrize("ask", [LeaseStore.read, LeaseStore.now_us])
async def test_a_server_that_became_a_replica_is_not_believed_and_its_successor_is_asked(
    own_server: EmbeddedStore, desk: str, tmp_path: Path, ask: Callable[[LeaseStore], Awaitable[Any]]
) -> None:
    """It closes no connection, and nothing is written over them that it would refuse."""
    with EmbeddedStore(tmp_path / "other") as other, Moved(tmp_path / "address") as moved:
        moved.to(own_server)
        store = LeaseStore(moved.url, desk, "")
        await heard(moved.url, desk, 30)
        assert (await store.read()).held["main|grid"].ttl_us == 30_000_000
        await demote(own_server)
        moved.to(other)
        await heard(moved.url, desk, 60)
        with pytest.raises(ReadOnlyError):
            await ask(store)
        assert (await store.read()).held["main|grid"].ttl_us == 60_000_000
        await store.aclose()


async def test_a_replica_that_the_address_still_leads_to_is_not_believed_either(
    own_server: EmbeddedStore, desk: str
) -> None:
    store = LeaseStore(own_server.url, desk, "")
    await heard(own_server.url, desk, 30)
    await demote(own_server)
    for _ in range(2):
        with pytest.raises(ReadOnlyError):
            await store.read()
    await store.aclose()
