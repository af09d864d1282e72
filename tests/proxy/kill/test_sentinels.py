"""Sentinels that a person puts are pressed for once; those of a press are not."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from proxy.kill import sentinels
from proxy.kill.asked import Asked, answered, note_asked
from proxy.kill.journal import Journal
from proxy.kill.sentinels import SentinelWatch, obey_kill_signal
from proxy.store.fence import DESK, Fence, Scope
from tests.support.certificates import a_job

MAIN = Scope("main")


class World:
    """A data directory with one account, and what was pressed."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.fence = Fence.initialise(data_dir)
        self.pressed: list[tuple[str, str]] = []
        self.full = False
        self.broken: set[str] = set()
        self.at_it: tuple[str, ...] = ()
        self.came_at: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        self.watch = SentinelWatch(
            data_dir=self.data_dir,
            press=self._press,
            accounts=lambda scope, at: [
                name for name in ("main", "other") if scope.covers(name) and self.came_at.get(name, 0) <= at
            ],
            at_it=lambda scope: self.at_it,
        )

    async def look(self) -> list[str]:
        """What one round presses."""
        self.pressed.clear()
        for scope in self.fence.scopes():
            await self.watch._look(scope)
        return [scope for scope, _ in self.pressed]

    async def turn(self) -> None:
        """One whole round, with what it clears up."""
        running = asyncio.create_task(self.watch.run())
        await asyncio.sleep(0.05)
        running.cancel()

    async def _press(self, scope: Scope, by: str, reason: str) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        if str(scope) in self.broken:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        self.pressed.append((str(scope), by))

    def journal(self, account: str, at: float) -> None:
        path = self.data_dir / "kill" / "jobs" / account / "20261124T093000000000-00000000.jsonl"
        path.unlink(missing_ok=True)
        Journal.create(path, a_job(account)).close()
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


async def test_what_a_press_wrote_is_not_pressed_for_while_its_job_may_be_on_the_way(world: World) -> None:
    world.fence.engage(DESK)
    world.fence.engage(MAIN)
    assert await world.look() == []
    assert world.fence.put_at(DESK) is None


ANN = Asked(by="ann", reason="runaway grid")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was pressed was pressed long enough ago."""
    monkeypatch.setattr(sentinels, "UNDER_WAY_S", 0.0)


def press(world: World, scope: Scope) -> None:
    """A press on the command line that dies as soon as it has stopped the gates."""
    note_asked(world.data_dir, scope, ANN)
    world.fence.engage(scope)


async def test_a_press_whose_job_may_be_on_the_way_is_not_pressed_for(world: World) -> None:
    press(world, MAIN)
    assert await world.look() == []


@pytest.mark.usefixtures("later")
async def test_a_press_that_came_to_no_job_is_pressed_for_once_in_the_name_of_whoever_asked(world: World) -> None:
    press(world, MAIN)
    assert await world.look() == ["account:main"]
    assert world.pressed == [("account:main", "ann")]
    assert await world.look() == []
    answered(world.data_dir, MAIN)
    world.restart()
    assert await world.look() == [], "every account has its job"


@pytest.mark.usefixtures("later")
async def test_so_is_one_that_died_before_its_stop_or_half_way_in_it(world: World) -> None:
    note_asked(world.data_dir, MAIN, ANN)
    assert await world.look() == [], "it stops nothing"
    (world.data_dir / "kill" / "asked" / "account.main").write_text("{torn")
    world.fence._put_sentinel(MAIN)
    assert await world.look() == ["account:main"]
    assert world.pressed == [("account:main", "somebody")]


@pytest.mark.usefixtures("later")
async def test_one_that_died_between_its_job_and_its_note_has_its_job(world: World) -> None:
    press(world, MAIN)
    world.journal("main", time.time() + 1)
    assert await world.look() == []


@pytest.mark.usefixtures("later")
async def test_a_note_of_a_press_that_stopped_nothing_does_not_count_for_a_later_stop(world: World) -> None:
    note_asked(world.data_dir, MAIN, ANN)
    note = world.data_dir / "kill" / "asked" / "account.main"
    await world.turn()
    assert note.exists(), "its stop may be on the way"
    os.utime(note, (time.time() - 61, time.time() - 61))
    await world.turn()
    assert not note.exists()
    world.fence.engage(MAIN)
    assert await world.look() == []


@pytest.mark.usefixtures("later")
async def test_a_note_that_cannot_be_read_is_a_press_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(world, MAIN)
    (world.data_dir / "kill" / "asked" / "account.main").write_text('{"by": [1], "reason": 2}')
    assert await world.look() == ["account:main"]
    world.restart()

    def refused(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        assert await world.look() == ["account:main"]


@pytest.mark.usefixtures("later")
async def test_a_file_and_a_note_that_stay_are_each_pressed_for_once(world: World) -> None:
    (world.data_dir / "kill" / "account.main").touch()
    note_asked(world.data_dir, MAIN, ANN)
    assert [len(await world.look()) for _ in range(5)] == [1, 1, 0, 0, 0]


def test_a_note_follows_no_link_and_is_written_over_no_file_of_another_name(world: World) -> None:
    theirs = world.data_dir / "theirs"
    theirs.write_text("of somebody else")
    asked = world.data_dir / "kill" / "asked"
    asked.mkdir()
    for name, linked in (("account.main", "symlink_to"), ("account.other", "hardlink_to")):
        getattr(asked / name, linked)(theirs)
    for scope in (MAIN, Scope("other")):
        note_asked(world.data_dir, scope, ANN)
    assert theirs.read_text() == "of somebody else"


@pytest.mark.usefixtures("later")
async def test_what_this_process_is_at_is_not_pressed_for(world: World) -> None:
    press(world, MAIN)
    world.at_it = ("main",)
    assert await world.look() == []
    world.at_it = ()
    assert await world.look() == ["account:main"]


@pytest.mark.usefixtures("later")
async def test_of_a_scope_that_covers_nobody_nothing_is_pressed(world: World) -> None:
    press(world, Scope("dmeo"))
    assert await world.look() == []


@pytest.mark.usefixtures("later")
async def test_a_stop_that_nobody_asked_for_closes_nothing_whatever_becomes_of_its_files(world: World) -> None:
    world.fence.engage(MAIN)
    assert world.fence.stands(MAIN) and await world.look() == []
    (world.data_dir / "kill" / "account.main").unlink()
    assert MAIN in world.fence.scopes() and await world.look() == []
    world.fence.engage(MAIN)
    (world.data_dir / "kill" / "epoch").write_bytes(b"damage")
    assert await world.look() == []


async def test_an_account_that_came_after_a_file_was_put_was_never_meant(world: World) -> None:
    (world.data_dir / "kill" / "desk").touch()
    world.journal("main", time.time() + 1)
    world.came_at["other"] = time.time() + 1
    assert await world.look() == []
    world.came_at.clear()
    assert await world.look() == ["desk"]


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


async def test_a_press_that_fails_is_tried_again_and_ends_no_watch_over_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sentinels, "LOOK_EVERY_S", 0.01)
    for name in ("account.main", "account.other"):
        (world.data_dir / "kill" / name).touch()
    world.broken.add("account:main")
    running = asyncio.create_task(world.watch.run())
    await asyncio.sleep(0.05)
    assert [scope for scope, _ in world.pressed] == ["account:other"] and not running.done()
    world.broken.clear()
    await asyncio.sleep(0.05)
    running.cancel()
    assert [scope for scope, _ in world.pressed] == ["account:other", "account:main"]
    assert "the kill of account:main could not begin: UnicodeDecodeError" in caplog.text


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
