"""Sentinels that a person puts are pressed for once; those of a press are not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from proxy.kill.sentinels import SentinelWatch, obey_kill_signal
from proxy.store.fence import DESK, Fence, Scope

MAIN = Scope("main")


class World:
    """A data directory with one account, and what was pressed."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.fence = Fence.initialise(data_dir)
        self.pressed: list[tuple[str, str]] = []
        self.full = False
        self.restart()

    def restart(self) -> None:
        self.watch = SentinelWatch(
            data_dir=self.data_dir,
            press=self._press,
            accounts=lambda scope: [name for name in ("main", "other") if scope.covers(name)],
        )

    async def look(self) -> list[str]:
        """What one round presses."""
        self.pressed.clear()
        for scope in self.fence.scopes():
            await self.watch._look(scope)
        return [scope for scope, _ in self.pressed]

    async def _press(self, scope: Scope, by: str, reason: str) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.pressed.append((str(scope), by))

    def journal(self, account: str, at: float) -> None:
        path = self.data_dir / "kill" / "jobs" / account / "20261124T093000000000-00000000.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (at, at))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_file_is_pressed_for_once_and_in_its_owners_name(world: World) -> None:
    (world.data_dir / "kill" / "account.main").touch()
    assert await world.look() == ["account:main"]
    assert "(sentinel file)" in world.pressed[0][1]
    assert await world.look() == []


async def test_touched_again_it_presses_again(world: World) -> None:
    desk = world.data_dir / "kill" / "desk"
    desk.touch()
    await world.look()
    os.utime(desk, (time.time() + 1, time.time() + 1))
    assert await world.look() == ["desk"]


async def test_what_a_press_wrote_is_not_pressed_for(world: World) -> None:
    world.fence.engage(DESK)
    world.fence.engage(MAIN)
    assert await world.look() == []
    assert world.fence.put_at(DESK) is None


async def test_a_press_leaves_a_persons_file_as_it_is(world: World) -> None:
    (world.data_dir / "kill" / "desk").touch()
    put_at = world.fence.put_at(DESK)
    world.fence.engage(DESK)
    assert world.fence.put_at(DESK) == put_at is not None


async def test_after_a_restart_only_what_no_job_has_worked_off_is_pressed_for(world: World) -> None:
    desk = world.data_dir / "kill" / "desk"
    desk.touch()
    world.journal("main", time.time() + 1)
    world.restart()
    assert await world.look() == ["desk"], "the other account had no job"
    world.journal("other", time.time() + 1)
    world.restart()
    assert await world.look() == []


async def test_damage_stops_and_is_no_press(world: World) -> None:
    (world.data_dir / "kill" / "epoch").write_bytes(b"damage")
    assert DESK in world.fence.scopes()
    assert await world.look() == []
    Fence.initialise(world.data_dir)
    assert await world.look() == [], "mending the damage at a start pressed"


async def test_a_full_disk_is_tried_again(world: World) -> None:
    (world.data_dir / "kill" / "desk").touch()
    world.full = True
    assert await world.look() == []
    world.full = False
    assert await world.look() == ["desk"]


async def test_the_signal_puts_the_file_and_a_second_one_touches_it(world: World) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        obey_kill_signal(world.data_dir)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert world.fence.engaged("main") and await world.look() == ["desk"]
        os.utime(world.data_dir / "kill" / "desk", (1, 1))
        os.kill(os.getpid(), signal.SIGUSR1)
        assert await world.look() == ["desk"]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_where_nothing_can_be_written_ends_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        obey_kill_signal(tmp_path / "nowhere")
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "the sentinel cannot be put" in capfd.readouterr().err
