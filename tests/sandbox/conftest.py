"""A real practice exchange in its own process, and an engine without one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from sandbox.engine.exchange import Exchange
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.scenario import Scenario
from tests.sandbox.practice import PracticeServer, start, stop

# 2026-11-24T00:00:00Z, a funding time.
START_MS = 1_795_478_400_000


@pytest.fixture
def venue() -> Iterator[PracticeServer]:
    """A flat market with a stopped clock: prices and time move only through the control door."""
    process, server = start("--scenario", "flat", "--speed", "0")
    yield server
    server.control.close()
    stop(process)


@pytest.fixture
def venue_before_funding() -> Iterator[PracticeServer]:
    """A flat market with a stopped clock, two seconds (eight steps) before a funding time."""
    process, server = start("--scenario", "flat", "--speed", "0", "--start-time", "2026-11-24T07:59:58Z")
    yield server
    server.control.close()
    stop(process)


@pytest.fixture
def exchange() -> Exchange:
    """An engine with a flat market and two customers, alice (10 000) and bob (1 000 000)."""
    built = Exchange(DEFAULT_INSTRUMENTS, seed=7, scenario=Scenario.FLAT, now_ms=START_MS)
    built.open_account("alice", Decimal(10_000))
    built.open_account("bob", Decimal(1_000_000))
    return built


@pytest.fixture(scope="module")
def venue_for_refusals() -> Iterator[PracticeServer]:
    """One flat exchange for a whole table of refused orders: they leave nothing behind."""
    process, server = start("--scenario", "flat", "--speed", "0")
    yield server
    server.control.close()
    stop(process)
