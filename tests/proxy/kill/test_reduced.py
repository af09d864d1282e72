"""An account that something made reduce-only stays so until it is re-armed, whatever becomes of the store."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.kill import reduced
from proxy.kill.desk import KillDesk
from proxy.kill.rearm import write_down
from proxy.kill.roster import Roster
from proxy.store.fence import Fence, Scope
from proxy.store.warden_store import WardenStore
from rules.kill.settings import Flatten
from rules.model import TradingState
from tests.proxy.kill.simulated_store import SimulatedStore

MAIN = Scope("main")


class House:
    """One account, its desk, and the store, which may be wiped. ``again`` is what a restarted warden makes of it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.store = SimulatedStore(random.Random(1), delay_s=0)
        self.audit: list[tuple[str, str, str]] = []
        Fence.initialise(data_dir)
        self.desk = self._made()

    def _made(self) -> KillDesk:
        async def record(what: str, by: str, detail: dict[str, Any]) -> None:
            self.audit.append((what, by, str(detail.get("reason", ""))))

        async def nothing(*_: Any) -> None:
            """No certificate."""

        return KillDesk(
            data_dir=self.data_dir,
            roster=Roster(
                hands={"main": cast("Any", None)},
                venues={"main": "binanceusdm"},
                traders=lambda: [("grid", "main")],
                bot_hands=cast("Callable[..., Any]", None),
            ),
            store=cast(WardenStore, self.store),
            record=record,
            certify=nothing,
            changed=lambda scope: None,
            flatten=Flatten,
        )

    def again(self) -> None:
        self.desk = self._made()

    async def look(self) -> TradingState:
        """One turn of the mirror; the account's state then, as gates read it."""

        async def found(*_: Any) -> None:
            """Nobody hears of it."""

        async with self.desk.truths.lock:
            await self.desk.truths.compare(lambda scope: False, found)
        return self.state

    @property
    def state(self) -> TradingState:
        return TradingState(self.store.fields.get("account:main", "ACTIVE"))

    @property
    def file(self) -> Path:
        return self.data_dir / "kill" / "accounts" / "main.json"

    async def reduce(self) -> bool:
        return await self.desk.reduce("main", "ann", "the news at two")

    async def rearm(self) -> None:
        await self.desk.rearm(MAIN, "ann", "the news is out", "account:main")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_store_that_comes_back_empty_is_told_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    assert await house.reduce()
    assert house.audit == [("reducing", "ann", "the news at two")]
    assert not await house.reduce(), "it is that already"
    for _ in range(2):
        house.store.wipe()
        assert await house.look() is TradingState.REDUCING
        house.again()
    assert caplog.text.count("the store had forgotten that account:main is reduce-only") == 2
    assert "the news at two" in house.file.read_text()


async def test_a_re_arm_lifts_it_for_good(house: House) -> None:
    await house.reduce()
    await house.rearm()
    for _ in range(2):
        assert await house.look() is TradingState.ACTIVE
        house.store.wipe()
        house.again()
    assert not house.file.exists()
    assert await house.reduce(), "and it can be reduced once more"


async def test_what_the_store_alone_knows_as_of_an_older_guard_is_written_down(house: House) -> None:
    house.store.fields["account:main"] = "REDUCING"
    assert not await house.reduce(), "it is that already"
    assert await house.look() is TradingState.REDUCING
    house.store.wipe()
    house.again()
    assert await house.look() is TradingState.REDUCING
    await house.rearm()
    assert await house.look() is TradingState.ACTIVE


async def test_a_kill_of_the_account_says_more_and_its_re_arm_lifts_both(house: House) -> None:
    await house.reduce()
    house.desk.truths.stop(MAIN)
    assert await house.look() is TradingState.HALTED
    house.store.wipe()
    assert await house.look() is TradingState.HALTED
    assert not await house.reduce(), "it is stopped"
    await house.rearm()
    assert await house.look() is TradingState.ACTIVE
    assert not house.file.exists()


async def test_a_re_arm_of_the_desk_lets_no_account_go_that_was_reduced_by_itself(house: House) -> None:
    await house.reduce()
    house.desk.truths.stop(Scope())
    await house.look()
    await house.desk.rearm(Scope(), "ann", "the news is out", "desk")
    house.store.wipe()
    assert await house.look() is TradingState.REDUCING


async def test_a_re_arm_that_the_store_does_not_take_lifts_nothing(house: House) -> None:
    await house.reduce()
    house.store.away.add("warden")
    with pytest.raises(ConnectionError):
        await house.rearm()
    house.store.away.clear()
    assert await house.look() is not TradingState.ACTIVE
    assert house.file.exists()


async def test_a_warden_that_dies_before_the_file_is_gone_has_re_armed_it_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.reduce()

    def die(account: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(house.desk.truths.reduced, "lift", die)
    with pytest.raises(KeyboardInterrupt):
        await house.rearm()
    house.again()
    assert await house.look() is TradingState.ACTIVE
    assert not house.file.exists()


async def test_a_file_that_cannot_be_removed_is_over_by_the_re_arm(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await house.reduce()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as disk:
        disk.setattr(reduced, "remove_file", refuse)
        await house.rearm()
        assert house.audit[-1] == ("rearm", "ann", "the news is out")
        for _ in range(2):
            assert await house.look() is TradingState.ACTIVE
            assert await house.look() is TradingState.ACTIVE
            house.again()
    assert house.file.exists()
    assert caplog.text.count("account:main was re-armed, and its file in kill/accounts cannot be removed") == 2
    assert await house.look() is TradingState.ACTIVE
    assert not house.file.exists(), "it goes when it can"


async def test_a_file_that_nobody_can_read_keeps_it_reduce_only_after_a_re_arm_that_could_not_remove_it(
    house: House,
) -> None:
    await house.reduce()
    house.file.unlink()
    house.file.mkdir()
    await house.rearm()
    assert house.audit[-1][0] == "rearm"
    assert await house.look() is TradingState.REDUCING


@pytest.mark.parametrize("at", ["2999-01-01T00:00:00Z", "2020-01-01T00:00:00"], ids=["in the future", "of no zone"])
async def test_a_file_of_which_a_re_arm_cannot_be_told_to_be_later_keeps_it_reduce_only(house: House, at: str) -> None:
    await house.reduce()
    await house.rearm()
    house.file.write_text(f'{{"at":"{at}","by":"ann","reason":"the news at two"}}')
    assert await house.look() is TradingState.REDUCING


async def test_a_file_of_before_the_last_re_arm_that_comes_back_is_over_and_one_of_after_it_is_not(
    house: House,
) -> None:
    await house.reduce()
    kept = house.file.read_bytes()
    await house.rearm()
    house.file.write_bytes(kept)
    assert await house.look() is TradingState.ACTIVE
    assert not house.file.exists()
    assert await house.reduce()
    house.again()
    assert await house.look() is TradingState.REDUCING


async def test_a_re_arm_of_something_else_ends_nothing(house: House) -> None:
    await house.reduce()
    for scope in "desk", "account:other", "bot:main", "main":
        write_down(house.data_dir, scope, "ann", "the news is out")
    house.again()
    assert await house.look() is TradingState.REDUCING


async def test_a_clock_that_was_set_back_after_a_re_arm_ends_no_reduction_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.reduce()
    await house.rearm()
    monkeypatch.setattr(reduced, "utc_now", lambda: datetime.now(UTC) - timedelta(hours=1))
    assert await house.reduce()
    for _ in range(2):
        house.store.wipe()
        assert await house.look() is TradingState.REDUCING
        house.again()


async def test_a_second_warden_does_not_bring_back_what_the_first_re_armed(house: House) -> None:
    await house.reduce()
    first = house.desk
    house.again()
    await house.look()
    await first.rearm(MAIN, "ann", "the news is out", "account:main")
    assert await house.look() is TradingState.ACTIVE
    assert not house.file.exists()


async def test_a_re_arm_that_came_to_nothing_ends_nothing_after_a_restart_either(house: House) -> None:
    await house.reduce()
    house.again()
    house.store.away.add("warden")
    with pytest.raises(ConnectionError):
        await house.rearm()
    house.store.away.clear()
    house.again()
    await house.look()
    assert "the news at two" in house.file.read_text()


async def test_a_store_that_goes_away_meanwhile_is_told_when_it_is_back(house: House) -> None:
    tell = house.store.set_state

    async def goes_away(*_: Any, **__: Any) -> None:
        raise ConnectionError("warden")

    house.store.set_state = goes_away  # type: ignore[method-assign]
    assert await house.reduce()
    assert house.state is TradingState.ACTIVE
    assert house.audit == [("reducing", "ann", "the news at two")]
    house.store.set_state = tell  # type: ignore[method-assign]
    assert await house.look() is TradingState.REDUCING


async def test_a_store_that_is_away_before_it_is_asked_leaves_all_as_it_was(house: House) -> None:
    house.store.away.add("warden")
    with pytest.raises(ConnectionError):
        await house.reduce()
    house.store.away.clear()
    assert await house.look() is TradingState.ACTIVE
    assert not house.file.exists()


async def test_a_disk_that_does_not_take_it_is_tried_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = house.data_dir / "kill" / "accounts"
    in_the_way.touch()
    assert await house.reduce()
    assert house.state is TradingState.REDUCING, "the store has it all the same"
    house.store.wipe()
    assert await house.look() is TradingState.REDUCING, "and so does this process"
    for _ in range(3):
        await house.look()
    said = "that account:main is reduce-only is not on disk"
    assert caplog.text.count(said) == 1, "it is tried four times a second"
    in_the_way.unlink()
    await house.look()
    assert house.file.exists()
    house.file.unlink()
    house.file.parent.rmdir()
    in_the_way.touch()
    await house.look()
    assert caplog.text.count(said) == 2, "it had been on disk in between"


async def test_where_neither_disk_nor_store_takes_it_the_account_goes_on(house: House) -> None:
    in_the_way = house.data_dir / "kill" / "accounts"
    in_the_way.touch()

    async def goes_away(*_: Any, **__: Any) -> None:
        raise ConnectionError("warden")

    tell, house.store.set_state = house.store.set_state, goes_away  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await house.reduce()
    house.store.set_state = tell  # type: ignore[method-assign]
    assert await house.look() is TradingState.ACTIVE
    assert await house.reduce(), "who asks again is heard"


async def test_a_file_that_cannot_be_read_reduces_all_the_same(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.file.parent.mkdir()
    house.file.write_bytes(b'{"by"')
    (house.file.parent / "..main~").write_bytes(b"")
    (house.file.parent / "other.json.next").write_bytes(b"")
    assert await house.look() is TradingState.REDUCING
    assert caplog.text.count("the file of account:main cannot be read; it stays reduce-only") == 1
    assert {level for level in house.store.fields if level.startswith("account:")} == {"account:main"}


@pytest.mark.parametrize("account", ["main.next", "main.json", "main.json.next"])
def test_an_account_is_kept_under_whatever_name(tmp_path: Path, account: str) -> None:
    files = reduced.ReducedFiles(tmp_path)
    for name in account, "main":
        files.write(name, reduced.Reduced(by="ann", reason="the news at two", at=datetime.now(UTC)))
    assert files.read().keys() == {account, "main"}
    files.remove("main")
    assert files.read().keys() == {account}


async def test_a_file_that_somebody_takes_away_lifts_nothing(house: House) -> None:
    await house.reduce()
    house.file.unlink()
    house.store.wipe()
    assert await house.look() is TradingState.REDUCING
    assert "the news at two" in house.file.read_text()
