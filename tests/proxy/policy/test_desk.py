"""Which policy is in force, from the first start to the second person; and what a restart makes of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.people.roles import Role
from proxy.policy import waiting
from proxy.policy.desk import PROPOSALS_MAX, PolicyDesk, PolicyRefused
from proxy.policy.in_force import NotKept
from proxy.policy.problems import PolicyError
from proxy.policy.reading import parse_policy, policy_digest
from proxy.policy.shelf import Shelf
from proxy.store.ownership import DeskTaken
from tests.rules.builders import NOW
from tests.support.people import a_register, write_people

WHY = "calmer markets"


def limited_to(value: int, needs: str = 'loosening = "two-people"') -> str:
    head = f'[policy]\nname = "solo"\nowner = "risk@desk.example"\n{needs}\n'
    return f'{head}[desk.max_order_value]\nenforcement = "enforce"\nlimit = {value}\n'


WIDE, MIDDLE, NARROW = limited_to(300), limited_to(200), limited_to(100)
DELAYED = limited_to(100, "loosening_delay_s = 600")
DELAYED_WIDE = limited_to(300, "loosening_delay_s = 600")


class World:
    """A data directory, the settings' file, and the store and audit around one desk, in memory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "settings-policy.toml"
        self.told: list[str] = []
        self.published: tuple[str, str] | None = None
        self.store_gone = False
        self.taken_by = ""
        self.clock = NOW
        self.desk: PolicyDesk

    async def start(self, text: str | None = None) -> PolicyDesk:
        """Start a warden; the settings name a file of this text, or of the text before."""
        if text is not None:
            self.file.write_text(text)
        self.desk = PolicyDesk(
            data_dir=self.directory,
            settings_file=self.file,
            store=self,
            scribe=self,
            may=a_register(self.directory, lambda: self.clock).may,
            now=lambda: self.clock,
        )
        await self.desk.begin()
        return self.desk

    async def publish_policy(self, version: str, text: str) -> None:
        self._answer()
        self.published = (version, text)

    async def policy_version(self) -> str | None:
        self._answer()
        return self.published[0] if self.published else None

    async def document(self, name: str, version: str, content: Any) -> None:
        self._answer()
        assert name == f"policy:{version}" and policy_digest(content["text"]) == version
        self.told.append(name)

    async def event(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.told.append(f"{what} {detail['policy']} by {by}")

    def _answer(self) -> None:
        if self.store_gone:
            raise TimeoutError
        if self.taken_by:
            raise DeskTaken(self.taken_by)

    @property
    def active(self) -> Path:
        return self.directory / "policy" / "active.toml"

    def edits(self) -> list[str]:
        return [each for each in self.told if each.startswith("policy.edited")]

    def in_force(self, text: str) -> bool:
        """In the warden, on the disk and in the store."""
        active = self.active.read_bytes().decode()
        return (
            self.desk.policy.version == policy_digest(text)
            and active == text
            and self.published
            == (
                policy_digest(text),
                text,
            )
        )

    def waiting(self) -> list[tuple[str, str]]:
        return [(each.proposal.digest, each.proposal.by) for each in self.desk.pending()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def refused(asked: Any) -> str:
    with pytest.raises(PolicyRefused) as refusal:
        await asked
    return str(refusal.value)


def no_room(shelf: Shelf, text: str) -> None:
    raise OSError(28, "No space left on device")


def no_room_for_a_text(full: pytest.MonkeyPatch) -> None:
    """A disk that takes a digest and no more."""
    write = Shelf._write

    def nearly_full(shelf: Shelf, path: Path, content: bytes) -> None:
        if path == shelf.active_path:
            raise OSError(28, "No space left on device")
        write(shelf, path, content)

    full.setattr(Shelf, "_write", nearly_full)


# The start


async def test_the_first_start_adopts_the_settings_file(world: World) -> None:
    await world.start(WIDE)
    assert world.in_force(WIDE) and world.waiting() == []
    digest = policy_digest(WIDE)
    assert world.told == [f"policy:{digest}", f"policy.in_force {digest} by warden"]


async def test_a_restart_on_the_same_file_changes_nothing(world: World) -> None:
    await world.start(WIDE)
    world.told.clear()
    await world.start()
    assert world.in_force(WIDE) and world.told == [f"policy:{policy_digest(WIDE)}"]


async def test_a_tighter_file_is_adopted_at_the_next_start(world: World) -> None:
    await world.start(WIDE)
    await world.start(NARROW)
    assert world.in_force(NARROW) and world.waiting() == []


async def test_a_looser_file_waits_and_waits_once(world: World) -> None:
    await world.start(NARROW)
    for _ in range(2):
        await world.start(WIDE)
        assert world.in_force(NARROW)
        assert world.waiting() == [(policy_digest(WIDE), "")]
    assert [each for each in world.told if each.startswith("policy.proposed")] == [
        f"policy.proposed {policy_digest(WIDE)} by warden"
    ]


async def test_a_file_that_somebody_broke_does_not_take_the_guard_away(world: World) -> None:
    await world.start(WIDE)
    await world.start("not a policy")
    assert world.in_force(WIDE)


async def test_without_any_policy_nothing_starts(world: World) -> None:
    with pytest.raises(PolicyError, match=r"settings-policy\.toml"):
        await world.start("not a policy")


async def test_an_active_policy_with_a_number_that_is_none_any_more_stops_the_start_with_its_line(world: World) -> None:
    await world.start(DELAYED)
    world.active.write_text(world.active.read_text() + "[kill.triggers]\nfacts_age_max_s = 100000000000000\n")
    with pytest.raises(PolicyError, match=r"active\.toml:[0-9]+: .* facts_age_max_s must be at most"):
        await world.start(DELAYED)


async def test_an_active_policy_that_was_damaged_stops_the_start(world: World) -> None:
    """The settings' file may be looser, and nobody can tell."""
    await world.start(NARROW)
    (world.directory / "policy" / "active.toml").write_text("[policy")
    with pytest.raises(PolicyError, match=r"active\.toml"):
        await world.start(WIDE)


async def test_nothing_is_in_force_that_could_not_be_written_down(world: World) -> None:
    world.store_gone = True
    with pytest.raises(TimeoutError):
        await world.start(WIDE)
    assert not (world.directory / "policy").exists() and world.told == []
    world.store_gone = False
    await world.desk.begin()
    assert world.in_force(WIDE)


# Changing


async def test_tightening_is_at_once(world: World) -> None:
    desk = await world.start(WIDE)
    assert await desk.propose(text=NARROW, name="ann", reason=WHY) is None
    assert world.in_force(NARROW)
    digest = policy_digest(NARROW)
    assert world.told[-2:] == [f"policy:{digest}", f"policy.in_force {digest} by ann"]


async def test_loosening_waits_for_somebody_else(world: World) -> None:
    desk = await world.start(NARROW)
    pending = await desk.propose(text=WIDE, name="Ann", reason=WHY)
    assert pending is not None and pending.due is None and world.in_force(NARROW)
    for name in ("Ann", "ann", " ANN ", "Ａnn"):
        assert "somebody else" in await refused(desk.approve(digest=pending.proposal.digest, name=name, reason=WHY))
    assert world.in_force(NARROW)
    assert await desk.approve(digest=pending.proposal.digest, name="ben", reason=WHY) is None
    assert world.in_force(WIDE) and world.waiting() == []
    assert world.told[-1] == f"policy.in_force {policy_digest(WIDE)} by ben"


async def test_a_mixed_policy_waits_whole(world: World) -> None:
    desk = await world.start(NARROW)
    mixed = WIDE + '[desk.max_leverage]\nenforcement = "enforce"\nlimit = 2\n'
    assert await desk.propose(text=mixed, name="ann", reason=WHY) is not None
    assert world.in_force(NARROW)


async def test_what_waits_survives_a_restart(world: World) -> None:
    desk = await world.start(NARROW)
    await desk.propose(text=WIDE, name="ann", reason=WHY)
    desk = await world.start()
    assert world.waiting() == [(policy_digest(WIDE), "ann")]
    assert "somebody else" in await refused(desk.approve(digest=policy_digest(WIDE), name="ann", reason=WHY))
    assert await desk.approve(digest=policy_digest(WIDE), name="ben", reason=WHY) is None


async def test_nobody_stands_for_a_file_until_somebody_does(world: World) -> None:
    """Who edits the file and who approves must be two people, and the guard cannot know who edited it."""
    await world.start(NARROW)
    desk = await world.start(WIDE)
    first = await desk.approve(digest=policy_digest(WIDE), name="ann", reason=WHY)
    assert first is not None and world.waiting() == [(policy_digest(WIDE), "ann")] and world.in_force(NARROW)
    assert await desk.approve(digest=policy_digest(WIDE), name="ben", reason=WHY) is None
    assert world.in_force(WIDE)


async def test_a_named_person_may_propose_what_the_file_says(world: World) -> None:
    await world.start(NARROW)
    desk = await world.start(WIDE)
    assert await desk.propose(text=WIDE, name="ann", reason=WHY) is not None
    assert world.waiting() == [(policy_digest(WIDE), "ann")]
    assert "proposed by ann already" in await refused(desk.propose(text=WIDE, name="ben", reason=WHY))


async def test_whatever_comes_into_force_supersedes_what_waits(world: World) -> None:
    """What waits was compared with a policy that is not in force any more."""
    desk = await world.start(MIDDLE)
    await desk.propose(text=WIDE, name="ann", reason=WHY)
    await desk.propose(text=NARROW, name="ben", reason=WHY)
    assert world.waiting() == []
    assert world.told[-1] == f"policy.superseded {policy_digest(WIDE)} by warden"
    assert "no such proposal" in await refused(desk.approve(digest=policy_digest(WIDE), name="ben", reason=WHY))


async def test_a_crash_between_file_and_tidying_leaves_nothing_that_could_be_approved(world: World) -> None:
    desk = await world.start(MIDDLE)
    await desk.propose(text=WIDE, name="ann", reason=WHY)
    Shelf(world.directory).activate(NARROW)
    desk = await world.start(NARROW)
    assert world.in_force(NARROW) and world.waiting() == []


async def a_stale_proposal(world: World, middle: str = MIDDLE, wide: str = WIDE, narrow: str = NARROW) -> PolicyDesk:
    """What was proposed against ``middle`` is still there under ``narrow``: a backup was put back."""
    desk = await world.start(middle)
    await desk.propose(text=wide, name="ann", reason=WHY)
    path = world.directory / "policy" / "pending" / f"{policy_digest(wide)}.json"
    kept = path.read_bytes()
    assert await desk.propose(text=narrow, name="ben", reason=WHY) is None
    path.write_bytes(kept)
    return desk


async def test_nobody_approves_what_was_proposed_against_another_policy(world: World) -> None:
    """Ann and Ben looked at 200 -> 300; it would be 100 -> 300 by now."""
    desk = await a_stale_proposal(world)
    (pending,) = desk.pending()
    assert pending.stale and pending.due is None
    why = await refused(desk.approve(digest=policy_digest(WIDE), name="ben", reason=WHY))
    assert why == (
        f"{policy_digest(WIDE)} is stale: it was proposed against {policy_digest(MIDDLE)},"
        f" and {policy_digest(NARROW)} is in force now, so it may loosen more than anybody agreed to; propose it again"
    )
    assert world.in_force(NARROW)
    again = await desk.propose(text=WIDE, name="ben", reason=WHY)
    assert again is not None and not again.stale
    assert await desk.approve(digest=policy_digest(WIDE), name="ann", reason=WHY) is None
    assert world.in_force(WIDE)


async def test_what_is_stale_can_be_withdrawn_and_goes_at_the_next_start(world: World) -> None:
    desk = await a_stale_proposal(world)
    await desk.withdraw(digest=policy_digest(WIDE), name="ben", reason=WHY)
    assert world.waiting() == []
    world.active.unlink()
    await a_stale_proposal(world)
    await world.start(NARROW)
    assert world.waiting() == []


async def test_what_is_stale_is_never_due(world: World) -> None:
    narrow = limited_to(50, "loosening_delay_s = 600")
    await a_stale_proposal(world, DELAYED, DELAYED_WIDE, narrow)
    world.clock += timedelta(days=7)
    await world.desk.look()
    assert world.in_force(narrow)


async def test_a_file_that_was_proposed_against_another_policy_is_found_anew(world: World) -> None:
    await a_stale_proposal(world)
    await world.start(WIDE)
    assert world.waiting() == [(policy_digest(WIDE), "")]
    assert not world.desk.pending()[0].stale


@pytest.mark.parametrize(
    ("here", "there"), [("limit = 300", "limit = 900"), (f'"{policy_digest(WIDE)}"', f'"{policy_digest(MIDDLE)}"')]
)
async def test_a_proposal_that_was_changed_on_the_disk_is_none(world: World, here: str, there: str) -> None:
    """Ben approves a digest, and what he has seen under it."""
    desk = await world.start(NARROW)
    await desk.propose(text=WIDE, name="ann", reason=WHY)
    path = world.directory / "policy" / "pending" / f"{policy_digest(WIDE)}.json"
    kept = path.read_text()
    path.write_text(kept.replace(here, there))
    assert path.read_text() != kept
    assert world.waiting() == []
    assert "no such proposal" in await refused(desk.approve(digest=policy_digest(WIDE), name="ben", reason=WHY))


async def test_withdrawn_is_withdrawn(world: World) -> None:
    desk = await world.start(NARROW)
    await desk.propose(text=WIDE, name="ann", reason=WHY)
    await desk.withdraw(digest=policy_digest(WIDE), name="ben", reason=WHY)
    assert world.waiting() == []
    assert world.told[-1] == f"policy.withdrawn {policy_digest(WIDE)} by ben"
    assert "no such proposal" in await refused(desk.withdraw(digest=policy_digest(WIDE), name="ben", reason=WHY))


async def test_what_waits_is_bounded(world: World) -> None:
    desk = await world.start(NARROW)
    for more in range(PROPOSALS_MAX):
        await desk.propose(text=limited_to(300 + more), name="ann", reason=WHY)
    assert f"{PROPOSALS_MAX} proposals wait already" in await refused(
        desk.propose(text=limited_to(1_000), name="ann", reason=WHY)
    )


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (lambda desk: desk.propose(text="not a policy", name="ann", reason=WHY), "line 1: not TOML"),
        (lambda desk: desk.propose(text=NARROW, name="ann", reason=WHY), "is in force already"),
        (lambda desk: desk.propose(text=WIDE, name="ann", reason="why not"), "the reason is shorter than 8"),
        (lambda desk: desk.approve(digest="0" * 16, name="ann", reason=WHY), "no such proposal waits"),
    ],
)
async def test_what_makes_no_sense_is_refused(world: World, asked: Callable[[PolicyDesk], Any], why: str) -> None:
    desk = await world.start(NARROW)
    told = list(world.told)
    assert why in await refused(asked(desk))
    assert world.in_force(NARROW) and world.waiting() == [] and world.told == told


async def test_without_the_store_nothing_changes(world: World) -> None:
    desk = await world.start(WIDE)
    world.store_gone = True
    assert "does not answer" in await refused(desk.propose(text=NARROW, name="ann", reason=WHY))
    world.store_gone = False
    assert world.in_force(WIDE)


async def test_on_another_guards_desk_nothing_changes_and_it_is_said_whose_it_is(world: World) -> None:
    desk = await world.start(NARROW)
    await desk.propose(text=WIDE, name="ann", reason=WHY)
    world.taken_by = "there:/data"
    said = "this desk of the store is another guard's, at there:/data"
    assert await refused(desk.propose(text=MIDDLE, name="ann", reason=WHY)) == said
    assert await refused(desk.approve(digest=policy_digest(WIDE), name="ben", reason=WHY)) == said
    world.taken_by = ""
    assert world.in_force(NARROW)


# The delay


async def pass_time(world: World, **by: float) -> None:
    """Let the clock run, and the desk look once."""
    world.clock += timedelta(**by)
    await world.desk.look()


async def test_after_the_delay_it_takes_effect_by_itself(world: World) -> None:
    desk = await world.start(DELAYED)
    pending = await desk.propose(text=DELAYED_WIDE, name="ann", reason=WHY)
    assert pending is not None and pending.due == world.clock + timedelta(seconds=600)
    await pass_time(world, seconds=599)
    assert world.in_force(DELAYED)
    await pass_time(world, seconds=1)
    assert world.in_force(DELAYED_WIDE)
    assert world.told[-1] == f"policy.in_force {policy_digest(DELAYED_WIDE)} by ann"


async def test_a_second_person_need_not_wait(world: World) -> None:
    desk = await world.start(DELAYED)
    await desk.propose(text=DELAYED_WIDE, name="ann", reason=WHY)
    assert await desk.approve(digest=policy_digest(DELAYED_WIDE), name="ben", reason=WHY) is None
    assert world.in_force(DELAYED_WIDE)


async def test_a_file_nobody_stands_for_is_never_due_and_the_delay_begins_with_a_name(world: World) -> None:
    await world.start(DELAYED)
    desk = await world.start(DELAYED_WIDE)
    await pass_time(world, days=1)
    assert world.in_force(DELAYED)
    pending = await desk.approve(digest=policy_digest(DELAYED_WIDE), name="ann", reason=WHY)
    assert pending is not None and pending.due == world.clock + timedelta(seconds=600)
    await pass_time(world, seconds=600)
    assert world.in_force(DELAYED_WIDE)


async def test_the_active_policy_s_word_counts_not_the_new_one_s(world: World) -> None:
    desk = await world.start(NARROW)
    await desk.propose(text=DELAYED_WIDE, name="ann", reason=WHY)
    await pass_time(world, days=7)
    assert world.in_force(NARROW)


async def test_a_delay_runs_on_while_no_warden_is_there(world: World) -> None:
    desk = await world.start(DELAYED)
    await desk.propose(text=DELAYED_WIDE, name="ann", reason=WHY)
    world.clock += timedelta(seconds=600)
    await world.start()
    assert world.in_force(DELAYED)
    await world.desk.look()
    assert world.in_force(DELAYED_WIDE)


async def test_what_waits_is_read_once_and_never_on_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk looks each second; a large policy takes a while, and the same loop presses the button."""
    readers: list[int] = []

    def reading(text: str) -> Any:
        readers.append(threading.get_ident())
        return parse_policy(text)

    monkeypatch.setattr(waiting, "parse_policy", reading)
    monkeypatch.setattr("proxy.policy.desk.parse_policy", reading)
    desk = await world.start(DELAYED)
    others = [limited_to(300 + more, "loosening_delay_s = 600") for more in range(3)]
    for text in others:
        await desk.propose(text=text, name="ann", reason=WHY)
    assert len(readers) == 3
    for _ in range(3):
        await desk.look()
    assert len(readers) == 6
    path = world.directory / "policy" / "pending" / f"{policy_digest(others[0])}.json"
    path.write_bytes(path.read_bytes().replace(b"calmer", b"wilder"))
    await desk.look()
    assert len(readers) == 7 and threading.get_ident() not in readers
    assert "wilder markets" in [each.proposal.reason for each in desk.pending()]


async def test_a_policy_the_disk_does_not_take_is_told_once_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    desk = await world.start(DELAYED)
    await desk.propose(text=DELAYED_WIDE, name="ann", reason=WHY)
    world.clock += timedelta(seconds=601)
    world.told.clear()
    with monkeypatch.context() as full:
        full.setattr(Shelf, "activate", no_room)
        for _ in range(50):
            await desk.look()
            world.clock += timedelta(seconds=2)
    digest = policy_digest(DELAYED_WIDE)
    assert desk.policy.version == policy_digest(DELAYED)
    told = f"policy.in_force {digest} by ann"
    assert world.told.count(told) == 1 and len(world.told) <= 3
    words = f"the policy {digest} is due and cannot be kept: No space left on device"
    assert [record.getMessage() for record in caplog.records].count(words) == 2
    world.clock += timedelta(seconds=60)
    await desk.look()
    assert world.in_force(DELAYED_WIDE) and world.told.count(told) == 1


async def test_a_policy_the_disk_does_not_take_is_refused_with_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.start(WIDE)
    monkeypatch.setattr(Shelf, "activate", no_room)
    said = await refused(desk.propose(text=NARROW, name="ann", reason=WHY))
    assert said == "the disk does not take the policy: No space left on device"
    assert world.in_force(WIDE)


async def started(world: World, text: str) -> str:
    """What the disk did not take at a start, of which the warden begins again."""
    with pytest.raises(NotKept) as trouble:
        await world.start(text)
    await world.desk.begin()
    return str(trouble.value.strerror)


async def test_a_file_that_the_disk_does_not_take_at_a_start_leaves_what_was_active(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.start(WIDE)
    world.told.clear()
    with monkeypatch.context() as full:
        no_room_for_a_text(full)
        assert await started(world, NARROW) == "No space left on device"
        await world.desk.begin()
    told = f"policy.in_force {policy_digest(NARROW)} by warden"
    assert world.in_force(WIDE) and world.told.count(told) == 1
    in_force = [each for each in world.told if each.startswith("policy.in_force")]
    assert in_force == [told, f"policy.in_force {policy_digest(WIDE)} by warden"], "the last word is what holds"
    await world.start()
    assert world.in_force(NARROW), "the next start tries again"
    assert world.edits() == [], "and takes what is active for nobody's edit"


async def test_a_policy_the_disk_does_not_take_is_nobody_s_edit_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.start(WIDE)
    with monkeypatch.context() as full:
        no_room_for_a_text(full)
        await refused(desk.propose(text=NARROW, name="ann", reason=WHY))
    await world.start()
    assert world.in_force(WIDE) and world.edits() == []


async def test_a_first_file_that_was_not_kept_is_nobody_s_edit_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        no_room_for_a_text(full)
        with pytest.raises(NotKept):
            await world.start(WIDE)
    await world.start()
    assert world.in_force(WIDE) and world.edits() == []


async def test_a_first_file_that_the_disk_does_not_take_is_told_once_and_not_in_force(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = f"policy.in_force {policy_digest(WIDE)} by warden"
    with monkeypatch.context() as full:
        full.setattr(Shelf, "activate", no_room)
        with pytest.raises(NotKept):
            await world.start(WIDE)
        for _ in range(20):
            with pytest.raises(NotKept):
                await world.desk.begin()
        assert world.published is None and world.told == [f"policy:{policy_digest(WIDE)}", told]
    await world.desk.begin()
    assert world.in_force(WIDE) and world.told == [f"policy:{policy_digest(WIDE)}", told]


async def test_a_looser_file_that_the_disk_does_not_take_is_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.start(NARROW)
    with monkeypatch.context() as full:
        full.setattr(Shelf, "keep", no_room)
        assert await started(world, WIDE) == "No space left on device"
    told = f"policy.proposed {policy_digest(WIDE)} by warden"
    assert world.in_force(NARROW) and world.waiting() == [] and world.told.count(told) == 1
    await world.start()
    assert world.waiting() == [(policy_digest(WIDE), "")], "the next start finds it again"


async def test_what_waits_and_cannot_be_dropped_keeps_no_guard_from_starting(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await world.start(MIDDLE)
    await desk.propose(text=WIDE, name="ann", reason=WHY)
    monkeypatch.setattr(Shelf, "drop", no_room)
    await world.start(NARROW)
    told = f"policy.superseded {policy_digest(WIDE)} by warden"
    assert world.in_force(NARROW) and world.told.count(told) == 1
    assert "a superseded policy cannot be removed: No space left on device" in caplog.text


# The file of the active policy


async def test_an_active_policy_edited_while_stopped_is_taken_and_told_once(world: World, caplog: Any) -> None:
    """Looser, and nobody was asked: who may write there may do that, but not unseen."""
    await world.start(NARROW)
    await world.start(WIDE)
    assert world.in_force(NARROW) and world.edits() == []
    world.active.write_text(WIDE)
    for _ in range(2):
        await world.start()
        assert world.in_force(WIDE)
        assert world.edits() == [f"policy.edited {policy_digest(WIDE)} by warden"]
    assert f"found at start: {policy_digest(WIDE)}, not {policy_digest(NARROW)}" in caplog.text


async def test_an_edit_that_a_tighter_file_replaces_at_once_is_told_with_its_text(world: World) -> None:
    await world.start(NARROW)
    world.active.write_text(WIDE)
    await world.start()
    assert world.in_force(NARROW)
    assert world.edits() == [f"policy.edited {policy_digest(WIDE)} by warden"]
    assert f"policy:{policy_digest(WIDE)}" in world.told
    await world.desk.look()
    await world.start()
    assert len(world.edits()) == 1


async def test_an_edit_is_told_although_the_store_was_away_first(world: World) -> None:
    await world.start(WIDE)
    world.active.write_text(NARROW)
    world.store_gone = True
    with pytest.raises(TimeoutError):
        await world.start()
    assert world.edits() == []
    world.store_gone = False
    await world.desk.begin()
    assert len(world.edits()) == 1


async def test_an_active_policy_edited_while_running_changes_nothing_and_is_told_once(
    world: World, caplog: Any
) -> None:
    desk = await world.start(NARROW)
    for told, text in enumerate((WIDE, "not a policy"), 1):
        world.active.write_text(text)
        for _ in range(2):
            await desk.look()
        assert desk.policy.version == policy_digest(NARROW) == (world.published or ("",))[0]
        assert world.edits()[told - 1 :] == [f"policy.edited {policy_digest(text)} by warden"]
        assert f"found while running: {policy_digest(text)}, not {policy_digest(NARROW)}" in caplog.text
    assert [each.levelno for each in caplog.records if "found while running" in each.message] == [logging.WARNING] * 2


async def test_a_removed_active_policy_is_told_while_running_and_at_start(world: World, caplog: Any) -> None:
    desk = await world.start(NARROW)
    world.active.unlink()
    await desk.look()
    await world.start(WIDE)
    assert world.in_force(WIDE)
    assert world.edits() == ["policy.edited  by warden"] * 2
    assert f"found at start: nothing, not {policy_digest(NARROW)}" in caplog.text


async def test_what_the_guard_writes_itself_is_no_edit(world: World) -> None:
    desk = await world.start(WIDE)
    await desk.look()
    lines = NARROW.replace("\n", "\r\n")
    await desk.propose(text=lines, name="ann", reason=WHY)
    await desk.look()
    await world.start(lines)
    await world.desk.look()
    assert world.in_force(lines) and world.edits() == []


# The store


@pytest.mark.parametrize("published", [None, ("broken", "[desk")])
async def test_a_store_that_lost_the_policy_gets_it_again(world: World, published: tuple[str, str] | None) -> None:
    await world.start(WIDE)
    world.published = published
    await world.desk.look()
    assert world.in_force(WIDE)


def test_a_digest_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sixteen"):
        Shelf(tmp_path).drop("../../kill/desk")


@pytest.mark.parametrize("became", ["disabled", "demoted"])
async def test_what_somebody_proposed_who_may_not_any_more_waits_until_they_may(
    world: World, became: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_people(world.directory)
    register = a_register(world.directory, lambda: world.clock)
    desk = await world.start(DELAYED)
    await desk.propose(text=DELAYED_WIDE, name="Ben", reason=WHY)
    if became == "disabled":
        register.set_disabled("Ben", disabled=True, by="a test")
    else:
        register.set_role("Ben", Role.TRADER, by="a test")
    with caplog.at_level(logging.WARNING):
        await pass_time(world, seconds=600)
        await pass_time(world, seconds=1)
    assert world.in_force(DELAYED)
    assert caplog.text.count("is due and waits: Ben, who proposed it, may not now") == 1
    if became == "disabled":
        register.set_disabled("Ben", disabled=False, by="a test")
    else:
        register.set_role("Ben", Role.RISK, by="a test")
    await pass_time(world, seconds=1)
    assert world.in_force(DELAYED_WIDE)


async def left_behind(world: World) -> PolicyDesk:
    """A policy that waits for its delay, whose proposer was disabled since."""
    write_people(world.directory)
    desk = await world.start(DELAYED)
    await desk.propose(text=DELAYED_WIDE, name="Ben", reason=WHY)
    a_register(world.directory, lambda: world.clock).set_disabled("Ben", disabled=True, by="a test")
    return desk


async def test_somebody_else_may_stand_for_it_and_another_s_does_not_wait_behind_it(world: World) -> None:
    desk = await left_behind(world)
    await pass_time(world, seconds=600)
    other = limited_to(200, "loosening_delay_s = 600")
    await desk.propose(text=other, name="Ann", reason=WHY)
    await pass_time(world, seconds=600)
    assert world.in_force(other)


async def test_a_second_person_may_approve_what_somebody_left_behind(world: World) -> None:
    desk = await left_behind(world)
    await desk.approve(digest=policy_digest(DELAYED_WIDE), name="Ann", reason=WHY)
    assert world.in_force(DELAYED_WIDE)


async def test_a_name_that_a_machine_gave_and_nobody_has_is_as_good_as_it_was(world: World) -> None:
    write_people(world.directory)
    desk = await world.start(DELAYED)
    await desk.propose(text=DELAYED_WIDE, name="release robot", reason=WHY)
    await pass_time(world, seconds=600)
    assert world.in_force(DELAYED_WIDE)
