"""What the guard makes of a watchdog's act: a stop, unless it is here already, or people have let trade since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.kill.rearm import write_down
from proxy.store.fence import DESK, Fence
from proxy.warden.pieces.heart import OBEYED_WITHIN_S, build_heart


class Desk:
    """A guard's data directory, the kill's desk, and the record."""

    def __init__(self, data_dir: Path) -> None:
        Fence.initialise(data_dir)
        self.data_dir, self.now = data_dir, datetime.now(UTC)
        self.pressed: list[tuple[object, str]] = []
        self.told: list[str] = []
        scribe = SimpleNamespace(event=self.event)
        settings = SimpleNamespace(data_dir=data_dir, watchdog="remote")
        ground: Any = SimpleNamespace(settings=settings, scribe=scribe, now=lambda: self.now, pulse=None)
        beats: Any = None
        kill: Any = self
        self.obey = build_heart(ground, beats, lambda: kill)._obey

    async def event(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.told.append(f"{what} {detail['reason']}")

    async def press(self, scope: object, by: str, reason: str) -> None:
        self.pressed.append((scope, by))


async def test_an_act_becomes_a_press_of_the_desk(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.obey("far", 40.0)
    assert desk.pressed == [(DESK, "watchdog far")]
    assert desk.told == ["watchdog.acted it acted 40 s ago, when it did not hear this guard"]


async def test_a_stop_that_is_here_already_is_not_pressed_for_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    Fence(tmp_path).engage(DESK)
    await desk.obey("far", 40.0)
    assert (desk.pressed, desk.told) == ([], [])


@pytest.mark.parametrize(("ago_s", "pressed"), [(40.0, 1), (90.0, 0)])
async def test_a_desk_that_people_rearmed_since_is_not_stopped_again(
    tmp_path: Path, ago_s: float, pressed: int
) -> None:
    desk = Desk(tmp_path)
    write_down(tmp_path, "desk", "ann", "looked at it")
    desk.now += timedelta(seconds=60)
    await desk.obey("far", ago_s)
    assert len(desk.pressed) == pressed


async def test_of_an_act_of_long_ago_people_are_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.obey("far", OBEYED_WITHIN_S + 1)
    assert desk.pressed == []
    assert "too long ago to press for it now: look, then press" in desk.told[0]
