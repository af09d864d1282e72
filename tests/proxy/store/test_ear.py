"""The ear at the store: one connection, which mends itself, and a question that is not lost with the script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from proxy.store.ear import Ear
from proxy.store.embedded import EmbeddedStore
from proxy.store.keys import Keys
from proxy.store.trouble import StoreUnavailable
from tests.proxy.store.failover import Moved, demote


@pytest.fixture
def plain(server: EmbeddedStore) -> Iterator[Any]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def ear(server: EmbeddedStore, desk: str) -> Iterator[Ear]:
    hearing = Ear(server.url, desk)
    yield hearing
    hearing.close()


def test_it_hears_what_is_stopped_and_leaves_word(ear: Ear, plain: Any, keys: Keys) -> None:
    plain.hset(keys.controls, mapping={"generation": "7", "desk": "HALTED"})
    assert ear.hear("here:1", 6) == {"generation": "7", "desk": "HALTED"}
    assert plain.hget(keys.gates, "here:1").startswith("6|")
    ear.leave("here:1")
    assert not plain.hexists(keys.gates, "here:1")


def test_the_gate_of_another_guard_takes_its_word_back(
    server: EmbeddedStore, desk: str, plain: Any, keys: Keys
) -> None:
    """A press would wait for it, though it obeys another guard's."""
    hearing, anybodys = Ear(server.url, desk, "ours"), Ear(server.url, desk)
    hearing.hear("here:1", 6)
    plain.hset(keys.controls, "guard", "theirs")
    assert hearing.hear("here:1", 6) == {"guard": "theirs"}
    anybodys.hear("elsewhere:1", 6)
    assert plain.hkeys(keys.gates) == ["elsewhere:1"]
    plain.hset(keys.controls, "guard", "ours")
    hearing.hear("here:1", 6)
    assert sorted(plain.hkeys(keys.gates)) == ["elsewhere:1", "here:1"]
    hearing.close()
    anybodys.close()


def test_a_store_that_lost_its_scripts_is_told_them_again(ear: Ear, plain: Any) -> None:
    ear.hear("here:1", 1)
    plain.script_flush()
    assert ear.hear("here:1", 1) == {}


def test_a_lost_connection_is_said_once_and_then_opened_again(ear: Ear, plain: Any) -> None:
    ear.hear("here:1", 1)
    plain.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(StoreUnavailable):
        ear.hear("here:1", 1)
    assert ear.hear("here:1", 1) == {}


def test_a_store_that_is_away_is_said(own_server: EmbeddedStore, desk: str) -> None:
    hearing = Ear(own_server.url, desk)
    hearing.hear("here:1", 1)
    own_server.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            hearing.hear("here:1", 1)
    hearing.close()


async def test_after_a_planned_failover_it_hears_the_new_server(
    own_server: EmbeddedStore, tmp_path: Path, desk: str, keys: Keys
) -> None:
    """The old one lives on as a replica, and closes no connection: a gate would refuse every entry until its end."""
    with EmbeddedStore(tmp_path / "other") as other, Moved(tmp_path / "address") as moved:
        moved.to(own_server)
        hearing = Ear(moved.url, desk)
        hearing.hear("here:1", 1)
        await demote(own_server)
        moved.to(other)
        with redis.Redis.from_url(other.url) as there:
            there.hset(keys.controls, "desk", "HALTED")
        with pytest.raises(StoreUnavailable):
            hearing.hear("here:1", 1)
        assert hearing.hear("here:1", 1) == {"desk": "HALTED"}
        hearing.close()
