"""A gate's clock is the venue's, whatever its host's says, and it goes on while nobody can be asked."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from proxy.gate.clock import DOUBTED_MAX_S, READ_EVERY_S, SOON_S, GateClock
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


@pytest.mark.parametrize("step_s", [-20.0, 20.0])
async def test_a_store_whose_clock_is_set_or_another_one_moves_no_gate_until_it_is_measured_anew(
    desk: Desk, step_s: float
) -> None:
    """The store cannot be set here; what a reading sees is the same when all the gate has moves the other way."""
    steady = [100.0]
    clock = GateClock(desk.store, VENUE, utc, steady_s=lambda: steady[0])
    await desk.warden.publish_clock(VENUE, 0)
    await clock.read()
    then = clock.now()
    steady[0] -= step_s
    await clock.read()
    assert clock.now() - then == timedelta(seconds=-step_s), "it runs on by its own clock"
    await desk.warden.publish_clock(VENUE, round(-step_s * 1e6))
    steady[0] += 0.25
    await clock.read()
    assert abs(clock.now() - utc() - timedelta(seconds=-step_s)) < timedelta(seconds=0.4), "measured anew: believed"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the steady clock stands still with the host")
async def test_a_host_that_was_suspended_keeps_the_venues_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right requests of its bots, exits too, would get -1021 until the warden has measured again."""
    suspended_s, read = [0.0], time.clock_gettime
    monkeypatch.setattr(
        time, "clock_gettime", lambda which: read(which) + (suspended_s[0] if which == time.CLOCK_BOOTTIME else 0.0)
    )
    clock = GateClock(desk.store, VENUE, utc)
    await desk.warden.publish_clock(VENUE, 0)
    await clock.read()
    suspended_s[0] = 60
    assert abs(clock.now() - utc() - MINUTES) < timedelta(seconds=0.4)


async def test_the_stores_clock_is_doubted_for_no_longer_than_the_warden_takes(desk: Desk) -> None:
    steady = [100.0]
    clock = GateClock(desk.store, VENUE, utc, steady_s=lambda: steady[0])
    await desk.warden.publish_clock(VENUE, 0)
    await clock.read()
    steady[0] += 20
    await clock.read()
    steady[0] += DOUBTED_MAX_S - 1
    await clock.read()
    assert clock.now() - utc() > timedelta(seconds=DOUBTED_MAX_S)
    steady[0] += 2
    await clock.read()
    assert abs(clock.now() - utc()) < timedelta(seconds=0.4), "this host was suspended, and no warden measures"


async def test_a_store_that_is_doubted_is_asked_again_soon(desk: Desk) -> None:
    steady = [100.0]
    clock = GateClock(desk.store, VENUE, utc, steady_s=lambda: steady[0])
    await desk.warden.publish_clock(VENUE, 0)
    await clock.read()
    steady[0] += 20
    following = asyncio.create_task(clock.follow())
    await asyncio.sleep(SOON_S / 2)
    await desk.warden.publish_clock(VENUE, 30_000_000)
    async with asyncio.timeout(READ_EVERY_S / 2):
        while abs(clock.now() - utc() - timedelta(seconds=30)) > timedelta(seconds=0.4):
            await asyncio.sleep(0.02)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
