"""A gate's clock is the venue's, whatever its host's says, and it goes on while nobody can be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proxy.gate.clock import GateClock
from proxy.store.embedded import EmbeddedStore
from tests.proxy.gate.conftest import Desk

VENUE = "binanceusdm"
MINUTES = timedelta(minutes=1)


def utc() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("host_off", [-10 * MINUTES, 10 * MINUTES])
async def test_a_host_whose_clock_is_wrong_keeps_the_venues_time(desk: Desk, host_off: timedelta) -> None:
    clock = GateClock(desk.store, VENUE, lambda: utc() + host_off)
    assert abs(clock.now() - utc() - host_off) < timedelta(seconds=1), "before anything is known"
    await desk.warden.publish_clock(VENUE, 3_000_000)
    await clock.read()
    assert abs(clock.now() - utc() - timedelta(seconds=3)) < timedelta(seconds=1)


async def test_a_venue_without_a_measurement_changes_nothing(desk: Desk) -> None:
    clock = GateClock(desk.store, "elsewhere", lambda: utc() + MINUTES)
    await clock.read()
    assert abs(clock.now() - utc() - MINUTES) < timedelta(seconds=1)


async def test_the_last_reading_runs_on_while_the_store_is_away(own_desk: Desk, own_server: EmbeddedStore) -> None:
    steady = [100.0]
    clock = GateClock(own_desk.store, VENUE, utc, steady_s=lambda: steady[0])
    await own_desk.warden.publish_clock(VENUE, 0)
    await clock.read()
    then = clock.now()
    own_server.stop()
    steady[0] += 60
    await clock.read()
    assert clock.now() - then == MINUTES
