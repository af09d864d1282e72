"""What a store that is another server than before is told, and what of it is held against no bot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from proxy import under_way
from proxy.policy.in_force import NotKept
from proxy.store.ownership import DeskTaken, TakenOver
from proxy.warden import claim as claim_module
from proxy.warden import filling as filling_module
from proxy.warden.claim import DeskClaim
from proxy.warden.filling import Filling
from rules.account import HoldStatus


def a_hold(status: HoldStatus) -> Any:
    return SimpleNamespace(hold=SimpleNamespace(status=status))


class Told:
    """Everything the warden tells, in order. ``servers`` are the run id that answers and the one that was filled."""

    def __init__(self, run_id: str, filled: str) -> None:
        self.run_id, self.filled = run_id, filled
        self.said: list[str] = []
        self.owner = ""
        self.left_by = ""
        self.found = TakenOver()
        self.traders: list[tuple[str, str]] = []
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.epoch = True
        self.is_empty = True
        self.untimed: list[tuple[Any, ...]] = []
        self.doubted = False
        self.held: tuple[Any, ...] = (a_hold(HoldStatus.UNKNOWN),)

    async def claim(self, where: str) -> None:
        assert where.endswith(":/nowhere")
        if self.owner not in ("", "ours"):
            raise DeskTaken(self.owner)
        self.owner = "ours"

    async def keep(self, where: str) -> None:
        if self.left_by not in ("", "ours"):
            raise DeskTaken(self.left_by)
        await self.claim(where)

    async def take_over(self, accounts: dict[str, str], traders: list[tuple[str, str]]) -> TakenOver:
        self.said.append("whose")
        self.traders = traders
        return self.found

    async def is_left_by_another(self) -> bool:
        return self.owner == "" and self.left_by not in ("", "ours")

    async def is_claimed(self) -> bool:
        return self.owner != ""

    async def event(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.taken.append((what, detail))

    async def server(self) -> tuple[str, str]:
        return self.run_id, self.filled

    async def fill(self, run_id: str) -> None:
        self.said.append("filled")
        self.filled = run_id

    async def distrust(self, accounts: list[str]) -> None:
        self.said.append("accounts")
        self.epoch = False

    async def forget_archived(self, accounts: list[str]) -> None:
        self.said += [f"archived {name}" for name in accounts]

    async def has_epoch(self) -> bool:
        return self.epoch

    async def begin_epoch(self) -> None:
        self.said.append("epoch")

    async def is_doubted(self, accounts: list[str]) -> bool:
        assert accounts == ["main"] or not accounts
        return self.doubted

    async def holds(self, account: str) -> tuple[Any, ...]:
        return self.held

    async def forget_times(self, account: str, holds: tuple[Any, ...]) -> None:
        self.said.append("untimed")
        self.untimed.append(holds)

    def store_was_away(self) -> None:
        self.said.append("leases")

    def teller(self, what: str) -> Any:
        async def tell() -> None:
            self.said.append(what)

        return tell


def a_filling(told: Told, **desk: Any) -> Filling:
    """Of a warden that has nothing but its store, a record, and what is given of its desk; accounts and venues none,
    where none are."""
    ground: Any = SimpleNamespace(
        store=told,
        scribe=told,
        settings=SimpleNamespace(data_dir="/nowhere", desk="desk"),
        vault=SimpleNamespace(accounts=list),
        traders=lambda: [("grid", "main"), ("calm", "other")],
        policies=SimpleNamespace(
            begin=told.teller("policy"),
            publish=told.teller("policy"),
            write_down=told.teller("policy"),
            policy=SimpleNamespace(version="active"),
        ),
    )
    pieces: Any = SimpleNamespace(
        **{
            "accounts": {},
            "venues": {},
            "leases": told,
            "overrides": SimpleNamespace(take_up=told.teller("overrides")),
            "rearming": SimpleNamespace(load=told.teller("word"), publish=told.teller("ramps")),
            "watch": SimpleNamespace(
                load=lambda at: told.teller("scores")(),
                decay=lambda at: told.teller("decay")(),
                publish_all=told.teller("scores"),
            ),
        }
        | desk
    )
    keys: Any = SimpleNamespace(publish=told.teller("keys"))
    return Filling(ground, pieces, keys)


def a_claim(told: Told) -> DeskClaim:
    """On a desk of the store that is told."""
    store: Any = told
    return DeskClaim(store, desk="desk", data_dir=Path("/nowhere"), record=told.event)


def a_venue(told: Told) -> Any:
    """One with instruments and a clock."""
    return SimpleNamespace(
        market=SimpleNamespace(publish_instruments_again=told.teller("instruments")),
        clock=SimpleNamespace(publish_again=told.teller("clock")),
        budget=SimpleNamespace(take_up=told.teller("budget")),
    )


def an_account(told: Told) -> Any:
    """One with its keeper and its dead-man timers."""
    return SimpleNamespace(
        keeper=SimpleNamespace(distrust_store=lambda: told.said.append("keeper")),
        timers=SimpleNamespace(store_was_away=lambda: told.said.append("timers")),
    )


async def watched(told: Told, known: str, accounts: Mapping[str, Any] = MappingProxyType({})) -> list[str]:
    """What is said in one look of a warden that filled the server of this run id."""
    filling = a_filling(told, accounts=accounts, venues={"": a_venue(told)})
    filling._filled = known
    watching = asyncio.create_task(filling.watch())
    await asyncio.sleep(0.1)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return told.said


async def test_another_server_knows_what_orders_are_judged_by_before_gates_ask_it_and_bots_have_time() -> None:
    told = Told("second", "first")
    said = await watched(told, "first", {"main": an_account(told)})
    assert {"keys", "policy", "instruments", "scores", "leases", "timers", "clock"} <= set(said)
    assert said.index("filled") == len(said) - 1


async def test_a_server_that_was_emptied_knows_it_before_gates_ask_it() -> None:
    assert await watched(Told("first", ""), "first") == ["keys", "instruments", "scores", "filled"]


async def test_the_same_server_is_told_nothing() -> None:
    assert await watched(Told("first", "first"), "first") == []


async def test_a_new_archive_is_told_all_that_decisions_name_by_version() -> None:
    told = Told("first", "first")
    await a_filling(told, accounts={"main": None}, venues={"": a_venue(told)}).tell_again()
    assert told.said == ["policy", "instruments", "archived main"]


async def test_policy_files_that_cannot_be_written_are_no_trouble_of_the_store(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(filling_module, "LOOK_EVERY_S", 0.01)
    told = Told("first", "first")
    filling = a_filling(told)
    begun = []

    async def begin() -> None:
        begun.append(1)
        if len(begun) == 1:
            raise NotKept(28, "No space left on device")

    monkeypatch.setattr(filling._policies, "begin", begin)
    async with asyncio.timeout(5):
        await filling.begin()
    assert [(what, detail) for what, detail in told.taken] == [("start", {"policy": "active"})]
    assert "the policy's files cannot be written: No space left on device" in caplog.text
    assert "waiting for the store" not in caplog.text


async def test_a_desk_that_another_guard_has_is_told_nothing_and_its_warden_ends() -> None:
    told = Told("second", "first")
    told.owner = "theirs"
    with pytest.raises(DeskTaken):
        await watched(told, "first")
    assert told.said == []


async def test_a_warden_that_was_away_while_another_guard_had_the_desk_ends_though_that_one_has_left() -> None:
    """Its successor takes over: what is there is not what this one knows, though the store is the same server."""
    told = Told("first", "first")
    told.left_by = "theirs"
    with pytest.raises(DeskTaken):
        await watched(told, "first")
    assert (told.said, told.owner) == ([], "")


async def test_a_desk_that_was_another_guards_has_its_bots_leases_run_on_and_its_accounts_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told("first", "first")
    told.found = TakenOver(from_another=True, dropped=("main",))
    await a_filling(told, accounts={"main": an_account(told)})._take_over()
    assert told.said == ["whose", "leases", "timers"]
    assert told.traders == [("grid", "main"), ("calm", "other")], (
        "the store forgets what they tried on dropped accounts"
    )
    assert "what the store had of main is of another guard's account of that name" in caplog.text


async def refused(told: Told) -> DeskClaim:
    """Of a guard that has found the desk taken, and has said so."""
    claim = a_claim(told)
    told.owner = "theirs"
    with pytest.raises(DeskTaken) as taken:
        await claim.take()
    await claim.say_taken(taken.value)
    return claim


async def test_it_is_said_whose_the_desk_is(caplog: pytest.LogCaptureFixture) -> None:
    told = Told("first", "")
    await refused(told)
    assert told.taken == [("desk.taken", {"desk": "desk", "guard": "theirs"})]
    assert "the desk desk of this store belongs to the guard at theirs" in caplog.text


async def test_who_found_it_taken_leaves_its_guard_the_time_to_claim_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(claim_module, "FREE_FOR_S", 0.2)
    told = Told("first", "")
    claim = await refused(told)
    told.owner = ""  # Its store came back empty.
    claiming = asyncio.create_task(claim.take())
    await asyncio.sleep(0.05)
    told.owner = "theirs"
    await asyncio.sleep(0.3)
    assert not claiming.done()
    told.owner = ""
    await asyncio.wait_for(claiming, 5)
    assert told.owner == "ours"


async def test_who_comes_first_after_an_outage_leaves_the_guard_that_had_the_desk_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claim_module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(claim_module, "FREE_FOR_S", 0.2)
    told = Told("first", "")
    told.left_by = "theirs"  # Its claim ran out while the store was away.
    claiming = asyncio.create_task(a_claim(told).take())
    await asyncio.sleep(0.05)
    told.owner = "theirs"
    with pytest.raises(DeskTaken):
        await asyncio.wait_for(claiming, 5)
    told.owner = ""
    await asyncio.wait_for(a_claim(told).take(), 5)
    assert told.owner == "ours", "who does not come back does not keep it"


@pytest.mark.parametrize(
    ("filled", "epoch", "marked", "doubted"),
    [
        ("first", True, False, True),
        ("second", False, False, True),
        ("second", True, True, True),
        ("second", True, False, False),
        ("", True, False, False),
    ],
    ids=[
        "another server",
        "filled by a warden that died before it was surveyed",
        "by one that died before every account's holds were gone through",
        "the same",
        "a new one",
    ],
)
async def test_holds_of_another_server_than_was_filled_were_timed_by_another_clock(
    monkeypatch: pytest.MonkeyPatch, filled: str, epoch: bool, marked: bool, doubted: bool
) -> None:
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0)
    told = Told("second", filled)
    told.epoch, told.doubted, told.is_empty = epoch, marked, False
    filling: Any = a_filling(told, accounts={"main": an_account(told)})
    filling._take_up = told.teller("taken up")
    await asyncio.wait_for(filling.begin(), 5)
    assert told.untimed == ([told.held] if doubted else [])
    assert not doubted or told.said.index("untimed") < told.said.index("epoch")
    assert ("timers" in told.said) is ("leases" in told.said) is (filled != "second")


@pytest.mark.parametrize(
    ("held", "is_empty", "wait_s"),
    [
        ((HoldStatus.ACCEPTED, HoldStatus.PENDING), False, 0.4),
        ((HoldStatus.UNKNOWN,), True, 0.4),
        ((HoldStatus.ACCEPTED,), True, 0.4),
        ((), False, 0.4),
        ((), True, 0.0),
    ],
    ids=["one may be under way", "and the archive is new", "taken", "lost with the store", "nothing was ever sent"],
)
async def test_what_may_be_under_way_is_waited_out_before_its_times_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, held: tuple[HoldStatus, ...], is_empty: bool, wait_s: float
) -> None:
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.4)
    told = Told("second", "")
    told.held, told.is_empty = tuple(map(a_hold, held)), is_empty
    filling = a_filling(told, accounts={"main": None})
    began = time.monotonic()
    await filling._outwait_requests()
    assert wait_s <= time.monotonic() - began < wait_s + 0.19
    assert told.untimed == [told.held]


async def test_no_account_s_keeper_waits_until_the_store_says_that_it_is_another() -> None:
    told = Told("second", "first")
    said = await watched(told, "first", {"main": an_account(told)})
    assert said.index("keeper") < said.index("accounts") < said.index("filled"), "none begins the epoch that goes"


async def test_scores_of_before_are_put_right_before_the_store_counts_as_filled() -> None:
    told = Told("first", "first")

    async def load(at: float) -> None:
        assert abs(at - time.time()) < 60
        told.said.append("scores")

    async def decay(at: float) -> None:
        assert abs(at - time.time()) < 60
        told.said.append("decayed")

    filling = a_filling(told, watch=SimpleNamespace(load=load, decay=decay))
    await asyncio.wait_for(filling.begin(), 5)
    assert told.said.index("scores") < told.said.index("decayed") < told.said.index("filled")
