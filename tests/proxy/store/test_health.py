"""One look at a real store: gates, holds, what waits for the archive, and whose reports are forgotten."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from proxy.process_facts import process_facts
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_report import Count, GateReport, encode_report
from proxy.store.gate_store import GateStore
from proxy.store.health import HealthStore
from proxy.store.keys import Keys
from proxy.store.trouble import StoreUnavailable
from tests.proxy.store.failover import Moved, demote


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


class Desk:
    """One desk in the store, filled by hand as gates and scripts fill it."""

    def __init__(self, url: str) -> None:
        self.name = f"desk-{uuid4().hex[:8]}"
        self.keys = Keys(self.name)
        self.raw = redis.Redis.from_url(url, decode_responses=True)
        self.health = HealthStore(url, self.name)
        self.gate = GateStore(url, self.name, timeout_s=2.0)

    def obeys(self, gate: str, generation: int, age_s: float = 0.0) -> None:
        seconds, micros = self.raw.time()
        at_us = seconds * 1_000_000 + micros - round(age_s * 1e6)
        self.raw.hset(self.keys.gates, gate, f"{generation}|{at_us}")

    def holds(self, hold_id: str, status: str, age_s: float) -> None:
        seconds, micros = self.raw.time()
        at_us = seconds * 1_000_000 + micros - round(age_s * 1e6)
        self.raw.hset(self.keys.holds("main"), hold_id, f"1|{status}|{at_us}|bot|[]")

    def untimed(self, hold_id: str, status: str) -> None:
        self.raw.hset(self.keys.holds("main"), hold_id, f"1|{status}|0|bot|[]")


@pytest.fixture
async def desk(server: EmbeddedStore) -> AsyncIterator[Desk]:
    made = Desk(server.url)
    yield made
    await made.health.aclose()
    await made.gate.aclose()
    made.raw.close()


def a_report(gate: str, sockets: int = 0) -> GateReport:
    return GateReport(
        gate=gate,
        bounds_s=[1.0],
        stages=[],
        decisions=[Count(labels=["allow", "", ""], count=3)],
        orders=[],
        refused=[],
        sockets=sockets,
        under_way=0,
        process=process_facts(),
    )


async def test_what_a_gate_tells_is_read_back_as_it_was(desk: Desk) -> None:
    desk.obeys("host:1", 4)
    told = a_report("host:1", sockets=2)
    await desk.gate.tell("host/gate-0", told)
    seen = await desk.health.look([])
    assert seen.reports == {"host/gate-0": told}
    assert seen.gates["host:1"].generation == 4 and seen.gates["host:1"].holds_lease


async def test_a_gate_that_is_started_again_takes_its_place(desk: Desk) -> None:
    desk.obeys("host:1", 4)
    desk.obeys("host:2", 4)
    again = a_report("host:2")
    await desk.gate.tell("host/gate-0", a_report("host:1", sockets=9))
    await desk.gate.tell("host/gate-0", again)
    assert (await desk.health.look([])).reports == {"host/gate-0": again}


async def test_places_whose_gate_is_gone_are_forgotten(desk: Desk) -> None:
    desk.obeys("host:1", 4)
    desk.obeys("host:2", 4, age_s=61)
    await desk.gate.tell("host/alive", a_report("host:1"))
    await desk.gate.tell("host/ended", a_report("host:2"))
    await desk.gate.tell("host/never-heard", a_report("host:3"))
    desk.raw.hset(desk.keys.reports, "host/of-another-version", '{"moon":"full"}')
    await desk.health.look([])
    assert set(desk.raw.hkeys(desk.keys.reports)) == {"host/alive"}


async def test_holds_are_counted_by_state_with_the_age_of_the_stalest(desk: Desk) -> None:
    desk.holds("a", "UNKNOWN", 30)
    desk.holds("b", "UNKNOWN", 90)
    desk.holds("c", "PENDING", 1)
    seen = {each.state: each for each in (await desk.health.look(["main", "empty"])).holds}
    assert (seen["UNKNOWN"].count, seen["PENDING"].count) == (2, 1)
    assert seen["UNKNOWN"].age_s_max is not None and 90 <= seen["UNKNOWN"].age_s_max < 120


async def test_a_hold_of_which_nobody_knows_the_time_has_no_age(desk: Desk) -> None:
    desk.untimed("a", "UNKNOWN")
    desk.untimed("b", "PENDING")
    desk.holds("c", "PENDING", 30)
    seen = {each.state: each for each in (await desk.health.look(["main"])).holds}
    assert (seen["UNKNOWN"].count, seen["UNKNOWN"].age_s_max, seen["PENDING"].count) == (1, None, 2)
    assert seen["PENDING"].age_s_max is not None and 30 <= seen["PENDING"].age_s_max < 60


async def test_holds_that_another_version_wrote_are_counted_under_the_state_that_stands_there(desk: Desk) -> None:
    desk.holds("a", "PARTIAL", 30)
    desk.holds("b", "PENDING", 30)
    desk.raw.hset(desk.keys.holds("main"), "c", "of the moon")
    seen = {each.state: (each.count, each.age_s_max) for each in (await desk.health.look(["main"])).holds}
    assert (seen["PARTIAL"], seen[""], seen["PENDING"][0]) == ((1, None), (1, None), 1)


async def test_what_waits_for_the_archive_is_as_old_as_its_oldest_record(desk: Desk) -> None:
    assert (await desk.health.look([])).lag_s == 0
    seconds, _ = desk.raw.time()
    desk.raw.xadd(desk.keys.audit, {"r": "{}"}, id=f"{(seconds - 40) * 1000}-0")
    desk.raw.xadd(desk.keys.audit, {"r": "{}"})
    seen = await desk.health.look([])
    assert seen.waiting == 2
    assert 40 <= seen.lag_s < 60


async def test_the_store_says_how_it_is(desk: Desk) -> None:
    seen = await desk.health.look([])
    assert {"used_memory", "aof_enabled", "aof_last_write_status", "evicted_keys"} <= set(seen.info)
    assert 0 < seen.answer_s < 5


async def test_a_store_that_is_away_costs_a_gate_nothing_but_the_telling(tmp_path: Path) -> None:
    gate = GateStore(f"unix://{tmp_path}/nobody.sock", "desk", timeout_s=0.2)
    with pytest.raises(StoreUnavailable):
        await gate.tell("host/gate-0", a_report("host:1"))
    assert not gate.broken  # Orders still ask.
    await gate.aclose()


def test_a_report_is_small() -> None:
    assert len(encode_report(a_report("host:1"))) < 1024


async def test_after_a_planned_failover_it_is_the_new_server_that_is_looked_at(tmp_path: Path) -> None:
    with (
        EmbeddedStore(tmp_path / "one") as one,
        EmbeddedStore(tmp_path / "other") as other,
        Moved(tmp_path / "address") as moved,
    ):
        moved.to(one)
        health = HealthStore(moved.url, "desk")
        await health.look([])
        await demote(one)
        moved.to(other)
        with redis.Redis.from_url(other.url) as there:
            there.hset(Keys("desk").controls, "generation", "7")
        assert (await health.look([])).generation == 7
        await health.aclose()
