"""One small simulation for all tests that only look at it."""

from __future__ import annotations

import pytest

from sandbox.orderflow.simulation import Simulation, Stream

SEED, DAYS, LEARNING_DAYS = 4, 6, 4


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return Simulation(SEED, DAYS, LEARNING_DAYS)


@pytest.fixture(scope="session")
def struck(simulation: Simulation) -> dict[str, Stream]:
    return {stream.account: stream for stream in simulation.with_incidents()}
