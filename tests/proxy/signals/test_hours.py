"""The feed of hours against a venue on a socket: history, gaps, restarts and the running hour by one question."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.signals.barrier import BarrierForecaster
from proxy.signals.bars import HOUR_S, Bar
from proxy.signals.hours import BATCH_MAX, BATCH_SMALL, HourFeed
from proxy.signals.joint import HOURS_KEPT
from proxy.signals.shelf import KEPT_S, Shelf
from tests.proxy.signals.books import Learner, some_bars
from tests.support.scripted_venue import Answer, Venue, an_account, scripted_venue

NOW = 480_000 * HOUR_S + 1_800
"""Half an hour into an hour."""


class House:
    """A venue with hours of two symbols, and a feed that asks it."""

    def __init__(self, venue: Venue, data_dir: Path) -> None:
        self.venue = venue
        self.data_dir = data_dir
        self.hands = an_account(venue.base_url, timeout=5.0)
        self.now = NOW
        self.hours: dict[str, Sequence[Bar]] = {}
        venue.answers = self.answer
        self.feed = self.another()

    def learning(self) -> HourFeed:
        """A feed whose models refuse what is no bar, as those of a guard do."""
        return self.another(make=lambda: BarrierForecaster(1.0), remake=BarrierForecaster.from_state)

    def another(
        self,
        *warm: Path,
        make: Callable[[], Any] = Learner,
        remake: Callable[[dict[str, Any]], Any] = Learner.of,
    ) -> HourFeed:
        return HourFeed(
            reads=self.hands.public,
            shelf=Shelf(self.data_dir, "venue"),
            warm=warm,
            make=make,
            remake=remake,
            now=lambda: datetime.fromtimestamp(self.now, UTC),
            clock_offset_ms=lambda: 0,
        )

    def answer(self, method: str, path: str) -> Answer:
        asked = self.venue.requests[-1][2]
        found = [bar for bar in self.hours[asked["symbol"]] if (bar.end - HOUR_S) * 1_000 >= int(asked["startTime"])]
        return 200, {}, [_candle(bar) for bar in found[: int(asked["limit"])]]

    async def read(self, *symbols: str, times: int = 1, feed: HourFeed | None = None) -> None:
        feed = feed or self.feed
        await feed.follow(symbols)
        for _ in range(times):
            await feed.read_next()

    @property
    def limits(self) -> list[int]:
        return [int(asked["limit"]) for _, _, asked in self.venue.requests]


def _candle(bar: Bar) -> list[Any]:
    prices = [f"{price:.9f}" for price in bar[1:]]
    return [(bar.end - HOUR_S) * 1_000, *prices, "0", bar.end * 1_000 - 1, "0", 60, "0", "0", "0"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with scripted_venue() as venue:
        house = House(venue, tmp_path)
        yield house
        await house.hands.aclose()


async def test_half_a_year_is_read_in_order_and_the_running_hour_is_no_closed_one(house: House):
    house.hours["A"] = some_bars(1_700, until=480_001 * HOUR_S)
    await house.read("A")
    assert not house.feed.is_caught_up("A")
    await house.read("A")
    found = house.feed.known["A"]
    assert house.feed.is_caught_up("A")
    assert found.last == house.hours["A"][-2] and found.model.samples == 1_699
    assert house.limits == [BATCH_MAX, BATCH_MAX]
    assert int(house.venue.requests[0][2]["startTime"]) == (480_000 - HOURS_KEPT) * HOUR_S * 1_000


async def test_then_only_what_is_missing_is_asked_for_once_a_minute(house: House, monkeypatch: pytest.MonkeyPatch):
    house.hours["A"] = some_bars(700, until=480_001 * HOUR_S)
    await house.read("A", times=3)
    assert len(house.limits) == 1
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    house.now += HOUR_S
    house.hours["A"] = [*house.hours["A"], house.hours["A"][-1]._replace(end=480_002 * HOUR_S)]
    await house.read("A", times=2)
    assert house.limits == [BATCH_MAX, BATCH_SMALL]
    assert house.feed.known["A"].model.samples == 700


async def test_the_budget_is_kept(house: House):
    for name in "ABCDEFGHIJ":
        house.hours[name] = some_bars(700, until=480_000 * HOUR_S)
    await house.read(*"ABCDEFGHIJ", times=30)
    assert len(house.limits) == 6, "60 a minute, 10 for each half year"


async def test_the_symbols_that_matter_more_come_first(house: House):
    for name in "AB":
        house.hours[name] = some_bars(1_700, until=480_000 * HOUR_S)
    await house.read("B", "A", times=3)
    assert [asked["symbol"] for _, _, asked in house.venue.requests] == ["B", "B", "A"]


async def test_a_restart_goes_on_where_it_ended_and_is_no_restart(house: House):
    house.hours["A"] = some_bars(700, until=480_000 * HOUR_S)
    await house.read("A")
    other = house.another()
    house.hours["A"] = [*house.hours["A"], Bar(480_001 * HOUR_S, 100.0, 101.0, 99.0, 100.5)]
    house.now += HOUR_S
    await house.read("A", feed=other)
    assert house.limits == [BATCH_MAX, BATCH_SMALL]
    whole = house.another()
    (house.data_dir / "signals" / "venue" / "A.json").unlink()
    await house.read("A", feed=whole)
    assert other.known["A"].state() == whole.known["A"].state()


@pytest.mark.parametrize("damage", ["{", "[]", json.dumps({"method": "learner 1"}), json.dumps({"method": "other 2"})])
async def test_what_is_kept_and_cannot_be_read_begins_anew(house: House, damage: str):
    folder = house.data_dir / "signals" / "venue"
    folder.mkdir(parents=True)
    (folder / "A.json").write_text(damage)
    house.hours["A"] = some_bars(700, until=480_000 * HOUR_S)
    await house.read("A")
    assert house.feed.known["A"].model.samples == 700


async def test_a_file_warms_what_the_venue_has_no_history_of(house: House):
    warm = house.data_dir / "warm.csv"
    rows = [
        f"A,{bar.end - HOUR_S},{bar.open},{bar.high},{bar.low},{bar.close}"
        for bar in some_bars(800, until=479_990 * HOUR_S)
    ]
    warm.write_text("symbol,ts,open,high,low,close\n" + "\n".join(rows))
    house.hours["A"] = some_bars(11, until=480_001 * HOUR_S)
    feed = house.another(warm)
    await house.read("A", feed=feed)
    assert feed.known["A"].model.samples == 810 and feed.known["A"].model.is_warm


def a_warm_file(house: House, bars: Sequence[Bar]) -> Path:
    warm = house.data_dir / "warm.csv"
    rows = [f"A,{bar.end - HOUR_S},{bar.open},{bar.high},{bar.low},{bar.close}" for bar in bars]
    warm.write_text("symbol,ts,open,high,low,close\n" + "\n".join(rows))
    return warm


@pytest.mark.parametrize("ahead_h", [8, 720])
async def test_a_file_that_knows_the_future_does_not_freeze_the_forecast(
    house: House, caplog: pytest.LogCaptureFixture, ahead_h: int
):
    warm = a_warm_file(house, some_bars(800, until=(480_000 + ahead_h) * HOUR_S))
    house.hours["A"] = some_bars(11, until=480_001 * HOUR_S)
    feed = house.another(warm)
    await house.read("A", feed=feed)
    assert feed.known["A"].model.samples == 10 and feed.known["A"].last == house.hours["A"][-2]
    assert caplog.messages == [f"A is not warmed: {ahead_h - 2} of its hours in the file lie ahead"]


async def test_the_hour_under_way_in_a_file_is_no_closed_one(house: House):
    hours = some_bars(700, until=480_001 * HOUR_S)
    house.hours["A"] = hours
    feed = house.another(a_warm_file(house, hours))
    await feed.follow(["A"])
    assert feed.known["A"].last == hours[-2]


async def test_a_file_in_nanoseconds_is_said_to_be_none(house: House, caplog: pytest.LogCaptureFixture):
    warm = house.data_dir / "warm.csv"
    warm.write_text(f"symbol,ts,open,high,low,close\nA,{479_000 * HOUR_S * 10**9},1,1,1,1\n")
    feed = house.another(warm)
    await feed.follow(["A"])
    assert feed.known["A"].known_until() is None
    assert "forecasts are not warmed" in caplog.text and "no moment" in caplog.text


async def test_a_kept_state_of_hours_that_lie_ahead_begins_anew(house: House, caplog: pytest.LogCaptureFixture):
    house.hours["A"] = some_bars(700, until=480_000 * HOUR_S)
    await house.read("A")
    await house.feed.follow(())
    house.now -= 8 * HOUR_S
    house.hours["A"] = house.hours["A"][:-7]
    heir = house.another()
    await house.read("A", feed=heir)
    assert caplog.messages == ["the forecasts of A begin anew: HoursAhead"]
    assert heir.known["A"].model.samples == 692 and heir.known["A"].last == house.hours["A"][-2]
    assert len(heir.history.common(["A"]).extremes(1).low) > 0


async def test_what_nobody_was_interested_in_for_a_month_is_taken_away(house: House):
    house.hours["A"] = some_bars(700, until=480_000 * HOUR_S)
    await house.read("A")
    kept = house.data_dir / "signals" / "venue" / "A.json"
    await house.feed.tidy()
    assert kept.exists()
    os.utime(kept, (time.time() - KEPT_S - 60,) * 2)
    await house.feed.tidy()
    assert not kept.exists()


async def test_a_symbol_nobody_follows_is_kept_on_the_disk_and_nowhere_else(house: House):
    house.hours["A"] = some_bars(700, until=480_000 * HOUR_S)
    await house.read("A")
    await house.feed.follow(())
    assert not house.feed.known and len(house.feed.history.common(["A"]).extremes(1).low) == 0
    await house.feed.follow(["A"])
    assert house.feed.known["A"].model.samples == 700 and not house.feed.is_caught_up("A")


async def test_a_symbol_the_venue_refuses_does_not_hold_up_the_others(house: House):
    house.hours["B"] = some_bars(700, until=480_000 * HOUR_S)

    def answer(method: str, path: str) -> Answer:
        if house.venue.requests[-1][2]["symbol"] == "A":
            return 400, {}, {"code": -1121, "msg": "Invalid symbol."}
        return house.answer(method, path)

    house.venue.answers = answer
    await house.read("A", "B", times=4)
    assert house.feed.is_caught_up("B") and not house.feed.is_caught_up("A")
    assert len(house.limits) == 2


async def test_nothing_the_venue_says_of_an_hour_ends_the_reading(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    odd = some_bars(50, until=480_001 * HOUR_S)
    odd[2] = odd[2]._replace(open=odd[2].high + 0.01)
    odd[10] = odd[10]._replace(end=odd[10].end + 1_800)
    odd[20] = odd[20]._replace(end=490_000 * HOUR_S)
    odd[30] = odd[30]._replace(low=1e-300)
    rows = [_candle(bar) for bar in odd]
    rows[30][3] = "1e-300"
    rows[40][3] = "0"
    rows.append([odd[-1].end * 1_000 + 1, *rows[-1][1:]])
    house.venue.answers = lambda method, path: (200, {}, rows)
    feed = house.learning()
    await house.read("A", feed=feed)
    found = feed.known["A"]
    assert found.last == odd[-2] and found.model.samples == 45 and feed.is_caught_up("A")
    assert [record.getMessage() for record in caplog.records] == ["hours of A are left out, they are none: 5 candles"]
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    await house.read("A", feed=feed)
    assert len(house.limits) == 2 and len(caplog.records) == 1, "said once"
    heir = house.learning()
    await house.read("A", feed=heir)
    assert heir.known["A"].last == odd[-2]


async def test_a_symbol_of_which_nothing_can_be_used_does_not_use_up_the_budget(house: House):
    house.hours["A"] = [bar._replace(end=bar.end + 1) for bar in some_bars(BATCH_MAX, until=480_000 * HOUR_S)]
    house.hours["B"] = some_bars(700, until=480_000 * HOUR_S)
    await house.read("A", "B", times=3)
    assert [asked["symbol"] for _, _, asked in house.venue.requests] == ["A", "B"]
