"""The last day in the warden's memory: a minute a look, kept over a restart, bounded in memory and on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.control import history as histories
from proxy.control.history import KEPT, History

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def seen(history: History, clock: Clock, count: int) -> None:
    for _ in range(count):
        history._keep(history.take())
        clock.time += timedelta(minutes=1)


async def test_a_series_that_began_late_has_nothing_before(tmp_path: Path, clock: Clock) -> None:
    values = {"anomaly": 0.1}
    history = History(tmp_path, lambda: values, clock)
    seen(history, clock, 1)
    values["leverage:main"] = 2.0
    seen(history, clock, 1)
    view = await history.history()
    assert view.at == [NOON.timestamp(), NOON.timestamp() + 60]
    assert view.series == {"anomaly": [0.1, 0.1], "leverage:main": [None, 2.0]}


async def test_a_restart_keeps_it_and_a_torn_line_costs_a_minute(tmp_path: Path, clock: Clock) -> None:
    seen(History(tmp_path, lambda: {"anomaly": 0.5}, clock), clock, 3)
    (file,) = (tmp_path / "console").iterdir()
    file.write_bytes(file.read_bytes()[:-4])
    again = History(tmp_path, dict, clock)
    again.load()
    assert (await again.history()).series == {"anomaly": [0.5, 0.5]}


async def test_what_is_older_than_a_day_is_gone(tmp_path: Path, clock: Clock) -> None:
    seen(History(tmp_path, lambda: {"anomaly": 0.5}, clock), clock, 2)
    clock.time += timedelta(days=2)
    again = History(tmp_path, dict, clock)
    again.load()
    assert (await again.history()).at == []


async def test_memory_and_file_are_bounded(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "KEPT", 5)
    history = History(tmp_path, lambda: {"anomaly": 0.5}, clock)
    seen(history, clock, 12)
    (file,) = (tmp_path / "console").iterdir()
    assert len(file.read_bytes().splitlines()) <= 10
    assert KEPT * 60 == 86_400


async def test_no_number_is_no_value_and_series_end_somewhere(tmp_path: Path, clock: Clock) -> None:
    many = {f"leverage:{at:04}": 1.0 for at in range(histories.SERIES_MAX + 9)}
    history = History(tmp_path, lambda: {"anomaly": float("nan"), **many}, clock)
    view = (history.take(), await history.history())[1]
    assert "anomaly" not in view.series
    assert len(view.series) == histories.SERIES_MAX


def test_a_disk_that_cannot_be_written_is_said_and_nothing_stops(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "console").write_text("a file where the folder should be")
    history = History(tmp_path, lambda: {"anomaly": 0.5}, clock)
    history.load()
    history._keep(history.take())
    assert "cannot be kept" in caplog.text
