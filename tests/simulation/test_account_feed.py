"""The guard knows the account event by event: at every instant it counts at least what the exchange has, and at rest
exactly that. Random orders, fills, cancels and faults of four bots through two gates; a failure prints its seed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.store.embedded import EmbeddedStore
from tests.simulation.trading_world import CUT, DROPPED, DUPLICATED, SWAPPED, TradingWorld, state

STEPS = 2_000
SETTLE_EVERY = 200
PROOF_SEEDS = max(10, int(os.environ.get("PERPGUARD_PROOF", "0")))
"""``make proof`` asks for a hundred of each kind."""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


async def never_less(world: TradingWorld) -> None:
    """The guard's worst case is at least the exchange's, in every direction of every symbol."""
    holds, account = await world.guard()
    counted = world.exposures(account, holds)
    for symbol, true in world.exposures(world.truth()).items():
        found = counted.get(symbol)
        where = f"seed {world.seed}, step {world.happened['steps']}: {symbol}"
        assert found is not None, f"{where}: nothing counted, {true}"
        for name in ("long_quantity", "short_quantity", "long_notional", "short_notional", "gross_notional"):
            assert getattr(found, name) >= getattr(true, name), f"{where}: {name} of {found} is less than of {true}"


async def exactly(world: TradingWorld) -> None:
    """Nothing is held, and the guard's account is the exchange's to the last digit."""
    holds, account = await world.guard()
    where = f"seed {world.seed}, step {world.happened['steps']}"
    assert holds == (), where
    assert state(account) == state(world.truth()), where
    assert world.exposures(account) == world.exposures(world.truth()), where
    if not {DROPPED, CUT} & set(world.faults):
        assert {(each.symbol, each.order_id): each.bot for each in account.open_orders} == world.bots(), where


async def run(server: EmbeddedStore, data_dir: Path, seed: int, *faults: str, surveys: bool) -> TradingWorld:
    world = TradingWorld(seed, server.url, data_dir, surveys=surveys, faults=faults)
    try:
        await world.open()
        for number in range(1, STEPS + 1):
            await world.step()
            await never_less(world)
            if number % SETTLE_EVERY == 0:
                await world.settle()
                await never_less(world)
                if surveys:
                    await world.heal()
                await exactly(world)
    finally:
        print(f"seed {seed}: {dict(world.happened)}")
        await world.close()
    return world


async def alone(server: EmbeddedStore, data_dir: Path, seed: int) -> None:
    world = await run(server, data_dir, seed, DUPLICATED, surveys=False)
    assert world.happened["surveys"] == 1, "the first, and no other"
    for what in ("lost", "late", "dropped reply", "rejected", DUPLICATED):
        assert world.happened[what] >= 5, world.happened
    assert world.happened["refused"]
    assert world.happened["events"] > 500


async def healed(server: EmbeddedStore, data_dir: Path, seed: int) -> None:
    world = await run(server, data_dir, seed, DROPPED, DUPLICATED, SWAPPED, CUT, surveys=True)
    for fault in (DROPPED, DUPLICATED, SWAPPED, CUT):
        assert world.happened[fault] >= 5, world.happened


@pytest.mark.parametrize("seed", range(2))
async def test_on_streams_alone_never_less_and_at_rest_exactly(
    server: EmbeddedStore, tmp_path: Path, seed: int
) -> None:
    await alone(server, tmp_path, seed)


@pytest.mark.parametrize("seed", range(1_000, 1_002))
async def test_surveys_heal_every_gap(server: EmbeddedStore, tmp_path: Path, seed: int) -> None:
    await healed(server, tmp_path, seed)


async def named(server: EmbeddedStore, data_dir: Path, seed: int) -> None:
    """Surveys beside an unbroken stream: some show an order before the stream says what it grew out of."""
    world = await run(server, data_dir, seed, DUPLICATED, surveys=True)
    assert world.happened["surveys"] > 50


@pytest.mark.parametrize("seed", range(2_002, 2_004))
async def test_an_order_that_the_exchange_named_keeps_its_bot(server: EmbeddedStore, tmp_path: Path, seed: int) -> None:
    await named(server, tmp_path, seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2_004, 2_004 + PROOF_SEEDS))
async def test_proof_that_orders_keep_their_bots(server: EmbeddedStore, tmp_path: Path, seed: int) -> None:
    await named(server, tmp_path, seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2, 2 + PROOF_SEEDS))
async def test_proof_on_streams_alone(server: EmbeddedStore, tmp_path: Path, seed: int) -> None:
    await alone(server, tmp_path, seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1_002, 1_002 + PROOF_SEEDS))
async def test_proof_that_surveys_heal(server: EmbeddedStore, tmp_path: Path, seed: int) -> None:
    await healed(server, tmp_path, seed)
