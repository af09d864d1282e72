"""The button as the control door asks it: nothing of a stop that went wrong is left out, nor called flat too early."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone
from redis.exceptions import TimeoutError as StoreSilent

from proxy.console.progress import progress_of
from proxy.control.button import Button
from proxy.kill.in_flight import OVER_AFTER_S
from proxy.kill.jobs import job_history
from proxy.kill.press_plane import Reduced
from proxy.kill.report import AccountReport
from proxy.refused import Refused
from proxy.store.fence import DESK, Scope
from proxy.store.ownership import DeskTaken
from rules.account import HoldStatus
from rules.kill.events import Phase
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk, a_hold
from tests.proxy.kill.test_line import a_report
from tests.proxy.kill.virtual_time import in_virtual_time


class _Reducing:
    """A desk of three accounts. Those of ``troubles`` cannot be made reduce-only, those of ``so`` are it."""

    def __init__(self, troubles: dict[str, Exception], so: tuple[str, ...] = ()) -> None:
        self.troubles, self.so, self.reduced, self.asked = troubles, so, list[str](), list[str]()
        self.roster = SimpleNamespace(accounts=lambda scope: ("a", "b", "c"), parsed=Scope.parse)

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        self.asked.append(account)
        if account in self.troubles:
            raise self.troubles[account]
        if account in self.so:
            return False
        self.reduced.append(account)
        return True


@pytest.mark.parametrize(
    ("troubles", "so", "said"),
    [
        (
            {"b": StoreGone()},
            (),
            "b goes on as it was (the store did not answer); reduce-only now: a, c",
        ),
        (
            {"b": StoreGone()},
            ("c",),
            "b goes on as it was (the store did not answer); reduce-only now: a; reduce-only or stopped before: c",
        ),
        (
            {"a": StoreGone(), "c": StoreGone()},
            ("b",),
            "a goes on as it was (the store did not answer); c goes on as it was (the store did not answer); "
            "reduce-only or stopped before: b",
        ),
        (
            dict.fromkeys("abc", StoreGone()),
            (),
            "desk goes on as it was: the store did not answer",
        ),
        (
            dict.fromkeys("abc", DeskTaken("there:/data")),
            (),
            "desk goes on as it was: this desk of the store is another guard's, at there:/data",
        ),
    ],
)
async def test_trouble_with_one_account_leaves_no_other_as_it_was_nor_untold(
    troubles: dict[str, Exception], so: tuple[str, ...], said: str
) -> None:
    kill: Any = _Reducing(troubles, so)
    with pytest.raises(Refused) as refused:
        await Button(kill).reduce(scope="desk", by="ann", reason="too hot")
    assert str(refused.value) == said
    assert kill.reduced == [each for each in "abc" if each not in troubles and each not in so]


@pytest.mark.parametrize("silence", [TimeoutError(), StoreSilent("Timeout reading from socket")])
async def test_a_store_that_is_silent_is_not_asked_for_one_account_after_another(
    silence: Exception,
) -> None:
    kill: Any = _Reducing(dict.fromkeys("bc", silence))
    with pytest.raises(Refused) as refused:
        await Button(kill).reduce(scope="desk", by="ann", reason="too hot")
    assert kill.asked == ["a", "b"], "whoever waits has given up by then"
    assert str(refused.value) == (
        "b goes on as it was (the store did not answer); c goes on as it was (the store did not answer); "
        "reduce-only now: a"
    )


async def test_accounts_that_were_reduce_only_before_are_not_said_to_be_so_now() -> None:
    kill: Any = _Reducing({}, ("b",))
    done = await Button(kill).reduce(scope="desk", by="ann", reason="too hot")
    assert done == Reduced(scope="desk", reduced=["a", "c"])


class _Kill:
    """Two accounts: main's kill of this morning did not end flat, the other's of now did."""

    def __init__(self, *unreadable: str, reports: bool = True) -> None:
        self.damaged, self.reports = unreadable, reports
        self.followed = frozenset[str]()

    def working(self, bot: str | None) -> frozenset[str]:
        return self.followed

    async def unreadable(self) -> tuple[str, ...]:
        return self.damaged

    async def progress(self) -> tuple[AccountReport, ...]:
        began = datetime(2026, 11, 29, 9, tzinfo=UTC)
        earlier = replace(a_report("1", Phase.DEGRADED), started_at=began)
        now = replace(a_report("2", Phase.FLAT), account="second", started_at=began + timedelta(minutes=5))
        return (earlier, now) if self.reports else ()

    def key_outcome(self, report: AccountReport) -> None:
        return None


async def test_an_account_that_an_earlier_kill_left_open_stays_in_sight() -> None:
    kill: Any = _Kill()
    progress = await Button(kill).progress()
    assert progress is not None
    assert (progress.flat, [each.name for each in progress.accounts]) == (True, ["second"])
    assert (list(progress.left_open), list(progress.unreadable)) == (["account:main"], [])


@pytest.mark.parametrize(
    ("followed", "shown"), [({"second"}, (True, False, None, ["second"])), ({"third"}, (False, True, 62.0, ["second"]))]
)
async def test_a_kill_is_not_flat_while_what_was_on_the_wire_is_followed(
    followed: set[str], shown: tuple[bool, bool, float | None, list[str]]
) -> None:
    class Kill(_Kill):
        async def progress(self) -> tuple[AccountReport, ...]:
            return tuple(replace(report, flat_ms=62.0) for report in await super().progress())

    kill: Any = Kill()
    kill.followed = frozenset(followed)
    told = await Button(kill).progress()
    assert told is not None
    names = [each.name for each in told.accounts]
    assert (told.running, told.flat, told.flat_ms, names) == shown


def test_an_account_that_is_not_killed_again_stays_beside_the_one_that_is(tmp_path: Path) -> None:
    async def one() -> None:
        store, names = SimulatedStore(random.Random(5)), ("main", "second")
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in names)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        for venue in (main, second):
            venue.plain["o1"] = "BTCUSDT"
        desk = a_desk(tmp_path, store, main, second)
        await desk.press(DESK, "ann", "stop")
        await asyncio.sleep(OVER_AFTER_S + 2)
        assert desk.working(None) == {"main", "second"} and len([*job_history(tmp_path, "main")]) == 2
        for running in (True, False):
            shown = await Button(desk).progress()
            assert shown is not None and (shown.running, shown.reason) == (running, "stop")
            assert [(each.account, each.cancelled) for each in shown.accounts] == [("main", 1), ("second", 1)]
            await desk.runs.join()

    in_virtual_time(one())


@pytest.mark.parametrize(("minutes", "left_open"), [(-1, []), (1, ["bot:grid"])])
async def test_a_bots_part_is_left_open_until_its_whole_account_is_killed(minutes: int, left_open: list[str]) -> None:
    class Kill(_Kill):
        async def progress(self) -> tuple[AccountReport, ...]:
            began = datetime(2026, 11, 29, 9, tzinfo=UTC)
            whole = replace(a_report("1", Phase.FLAT), started_at=began)
            part = replace(
                a_report("2", Phase.DEGRADED), scope="bot:grid", started_at=began + timedelta(minutes=minutes)
            )
            later = replace(a_report("3", Phase.FLAT), account="second", started_at=began + timedelta(minutes=9))
            return whole, part, later

    kill: Any = Kill()
    progress = await Button(kill).progress()
    assert progress is not None and progress.left_open == left_open


async def test_a_kill_whose_journal_cannot_be_read_is_not_no_kill() -> None:
    kill: Any = _Kill("main", reports=False)
    told = await Button(kill).progress()
    shown = progress_of(told, lambda _: False)
    assert shown is not None and shown.unreadable and shown.unknown == ("main",)
    kill = _Kill(reports=False)
    assert await Button(kill).progress() is None
