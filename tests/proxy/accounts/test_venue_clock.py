"""The venue's clock: the quickest answer is believed, host clocks may step, and what is too far off is said once."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.accounts.venue_clock import SAMPLES, VenueClock

STORE_S = 1_000.0
"""Whatever the store's clock says at steady second 0."""


class Hosts:
    """Three clocks, the venue's, this host's and the store's, and answers that take their time."""

    def __init__(self) -> None:
        self.steady = 0.0
        self.wall_step = 1_700_000_000.0
        self.venue_s = self.wall_step
        self.way_out_s = self.way_back_s = 0.01
        self.store_s = STORE_S
        self.published: list[int] = []
        self.adjusted: list[int] = []
        self.records: list[dict[str, Any]] = []
        self.clock = VenueClock(
            venue="binanceusdm",
            ask=self._ask,
            store=self,
            adjust=self.adjusted.append,
            record=self.record,
            wall_s=lambda: self.wall_step + self.steady,
            steady_s=lambda: self.steady,
        )

    async def _ask(self) -> datetime:
        self.steady += self.way_out_s
        answer = datetime.fromtimestamp(self.venue_s + self.steady, UTC)
        self.steady += self.way_back_s
        return answer

    async def now_us(self) -> int:
        return round((self.store_s + self.steady) * 1e6)

    async def publish_clock(self, venue: str, offset_us: int) -> None:
        self.published.append(offset_us)

    async def record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.records.append({"what": what, **detail})

    async def measure(self, *ways: tuple[float, float]) -> None:
        for self.way_out_s, self.way_back_s in ways:
            await self.clock.measure()


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


async def test_the_middle_of_the_round_trip_is_the_moment_of_the_answer(hosts: Hosts) -> None:
    hosts.venue_s += 600
    await hosts.measure((0.1, 0.1))
    assert hosts.clock.offset_ms == 600_000
    assert hosts.adjusted == [600_000]
    assert abs(hosts.published[0] / 1e6 - (hosts.venue_s - STORE_S)) < 0.001


async def test_the_quickest_of_the_last_answers_is_believed(hosts: Hosts) -> None:
    await hosts.measure((0.9, 0.1), (0.005, 0.005), (0.0, 2.0))
    assert hosts.clock.offset_ms == 0
    await hosts.measure(*[(0.5, 0.1)] * SAMPLES)
    assert hosts.clock.offset_ms == 200


async def test_another_store_is_told_what_is_known_by_its_own_clock_and_the_venue_is_not_asked(hosts: Hosts) -> None:
    await hosts.clock.publish_again()
    assert hosts.published == [], "nothing is known yet"
    await hosts.measure((0.01, 0.01))
    hosts.store_s += 20
    asked_at = hosts.steady
    await hosts.clock.publish_again()
    assert hosts.steady == asked_at
    assert abs(hosts.published[1] - hosts.published[0] + 20_000_000) < 1_000


async def test_nothing_is_known_before_the_first_answer(hosts: Hosts) -> None:
    assert hosts.clock.offset_ms is None


async def test_a_step_of_the_hosts_own_clock_is_seen_at_once(hosts: Hosts) -> None:
    await hosts.measure((0.01, 0.01))
    hosts.wall_step -= 300
    assert hosts.clock.offset_ms == 300_000
    await hosts.measure((0.3, 0.01))
    assert hosts.adjusted[-1] == 300_000, "the older, quicker sample still holds: it was not measured by the wall"


@pytest.mark.parametrize(("off_s", "level", "recorded"), [(0.9, "", 0), (1.5, "WARNING", 1), (-9.0, "ERROR", 1)])
async def test_what_is_too_far_off_is_logged_and_recorded_once(
    hosts: Hosts, caplog: pytest.LogCaptureFixture, off_s: float, level: str, recorded: int
) -> None:
    hosts.venue_s += off_s
    await hosts.measure((0.01, 0.01), (0.01, 0.01))
    assert [record.levelname for record in caplog.records] == [level][:recorded]
    assert [(each["what"], each["ok"]) for each in hosts.records] == [("clock", False)][:recorded]
    hosts.venue_s -= off_s
    await hosts.measure((0.001, 0.001))
    assert [each["ok"] for each in hosts.records] == [False, True][: 2 * recorded]


async def test_what_a_new_answer_contradicts_is_believed_no_more(hosts: Hosts) -> None:
    """Within its own round trip it may be wrong itself; beyond that the venue's clock was set."""
    await hosts.measure((0.005, 0.005))
    hosts.venue_s += 0.3
    await hosts.measure((0.2, 0.2))
    assert hosts.clock.offset_ms == 0
    await hosts.measure((0.1, 0.1))
    assert hosts.clock.offset_ms == 300


async def test_however_often_a_time_stamp_is_refused_the_venue_is_asked_no_sooner_than_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bot with a window of some milliseconds would spend what the kill needs."""
    monkeypatch.setattr("proxy.accounts.venue_clock.AGAIN_S", 0.2)
    hosts, asked = Hosts(), 0

    async def ask() -> datetime:
        nonlocal asked
        asked += 1
        return datetime.now(UTC)

    clock = VenueClock(venue="binanceusdm", ask=ask, store=hosts, adjust=hosts.adjusted.append, record=hosts.record)
    running = asyncio.create_task(clock.run())
    ends = time.monotonic() + 0.7
    while time.monotonic() < ends:
        clock.soon()
        await asyncio.sleep(0.01)
    running.cancel()
    assert 2 <= asked <= 4


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the steady clock stands still with the host")
async def test_a_host_that_was_suspended_knows_the_venues_time_when_it_wakes(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspended_s, read = [0.0], time.clock_gettime
    monkeypatch.setattr(
        time, "clock_gettime", lambda which: read(which) + (suspended_s[0] if which == time.CLOCK_BOOTTIME else 0.0)
    )

    async def ask() -> datetime:
        return datetime.now(UTC)

    clock = VenueClock(
        venue="binanceusdm",
        ask=ask,
        store=hosts,
        adjust=hosts.adjusted.append,
        record=hosts.record,
        wall_s=lambda: time.time() + suspended_s[0],
    )
    await clock.measure()
    suspended_s[0] = 60
    assert clock.offset_ms is not None and abs(clock.offset_ms) < 400
