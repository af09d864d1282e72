"""The warden's own plane, as the control door asks it: a page of refusals says where the search went on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone
from redis.exceptions import TimeoutError as StoreSilent

from proxy.audit.place import ArchivePlace, archive_place
from proxy.console.progress import progress_of
from proxy.control.control import Control
from proxy.kill.in_flight import OVER_AFTER_S
from proxy.kill.jobs import job_history
from proxy.kill.report import AccountReport
from proxy.refused import ControlRefused
from proxy.store.fence import DESK
from proxy.store.ownership import DeskTaken
from rules.kill.events import Phase
from rules.snapshot import HoldStatus
from tests.proxy.audit.conftest import Desk
from tests.proxy.audit.damaging import cut_records, no_database
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_desk, a_hold
from tests.proxy.kill.test_line import a_report
from tests.proxy.kill.virtual_time import in_virtual_time


class _Nobody:
    """Stands where a page of refusals asks nobody."""

    def __getattr__(self, name: str) -> _Nobody:
        return self


@pytest.fixture
def control(tmp_path: Path) -> Control:
    nobody: Any = _Nobody()
    return Control(
        data_dir=tmp_path,
        glance=nobody,
        policies=nobody,
        kill=nobody,
        rearming=nobody,
        drills=nobody,
        signals=nobody,
        ledger=nobody,
        ahead=nobody,
        policy_shown=nobody,
        reasons=nobody,
        history=nobody,
        auditing=nobody,
        alerts=nobody,
        keys=nobody,
        overrides=nobody,
        now=nobody,
    )


@pytest.fixture
def archived(tmp_path: Path) -> None:
    """The oldest of three refusals is alpha's."""
    desk = Desk()
    desk.write(archive_place(tmp_path), [desk.decision(at, "3", bot) for at, bot in enumerate(("alpha", "b", "b"))])


async def asked(control: Control, before: str | None = None) -> tuple[list[str], str | None]:
    page = await control.blocked(bot="alpha", rule="max_order_value", account=None, limit=5, before=before)
    return [row["id"] for row in page["blocked"]], page["next"]


@pytest.mark.usefixtures("archived")
async def test_a_page_that_ended_early_is_gone_on_with(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.audit.judged.LOOKED_AT_MAX", 2)
    found, before = await asked(control)
    assert (found, before is None) == ([], False)
    assert await asked(control, before) == (["d-0"], None)


@pytest.mark.usefixtures("archived")
async def test_what_is_no_page_is_refused(control: Control) -> None:
    with pytest.raises(ControlRefused, match="no such page"):
        await asked(control, "yesterday")


async def test_without_an_archive_nothing_was_refused(control: Control) -> None:
    assert await asked(control) == ([], None)


@pytest.mark.usefixtures("archived")
@pytest.mark.parametrize("damaged", [no_database, lambda place: cut_records(place, "decision")], ids=["file", "record"])
async def test_an_archive_that_cannot_be_read_is_not_an_empty_one(
    control: Control, tmp_path: Path, damaged: Callable[[ArchivePlace], None]
) -> None:
    damaged(archive_place(tmp_path))
    with pytest.raises(ControlRefused, match="cannot be read; ask `perpguard audit verify`"):
        await asked(control)
    with pytest.raises(ControlRefused, match="cannot be read; ask `perpguard audit verify`"):
        await control.decision("d-0")


class _Reducing:
    """A desk of three accounts. Those of ``troubles`` cannot be made reduce-only, those of ``so`` are it."""

    def __init__(self, troubles: dict[str, Exception], so: tuple[str, ...] = ()) -> None:
        self.troubles, self.so, self.reduced, self.asked = troubles, so, list[str](), list[str]()
        self.roster = SimpleNamespace(accounts=lambda scope: ("a", "b", "c"), knows=lambda scope: True)

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
    control: Control, troubles: dict[str, Exception], so: tuple[str, ...], said: str
) -> None:
    kill: Any = _Reducing(troubles, so)
    control._kill = kill
    with pytest.raises(ControlRefused) as refused:
        await control.reduce(scope="desk", by="ann", reason="too hot")
    assert str(refused.value) == said
    assert kill.reduced == [each for each in "abc" if each not in troubles and each not in so]


@pytest.mark.parametrize("silence", [TimeoutError(), StoreSilent("Timeout reading from socket")])
async def test_a_store_that_is_silent_is_not_asked_for_one_account_after_another(
    control: Control, silence: Exception
) -> None:
    kill: Any = _Reducing(dict.fromkeys("bc", silence))
    control._kill = kill
    with pytest.raises(ControlRefused) as refused:
        await control.reduce(scope="desk", by="ann", reason="too hot")
    assert kill.asked == ["a", "b"], "whoever waits has given up by then"
    assert str(refused.value) == (
        "b goes on as it was (the store did not answer); c goes on as it was (the store did not answer); "
        "reduce-only now: a"
    )


async def test_accounts_that_were_reduce_only_before_are_not_said_to_be_so_now(control: Control) -> None:
    kill: Any = _Reducing({}, ("b",))
    control._kill = kill
    done = await control.reduce(scope="desk", by="ann", reason="too hot")
    assert done == {"scope": "desk", "reduced": ["a", "c"]}


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


async def test_an_account_that_an_earlier_kill_left_open_stays_in_sight(control: Control) -> None:
    kill: Any = _Kill()
    control._kill = kill
    progress = await control.kill_progress()
    assert progress is not None
    assert (progress["flat"], [each["name"] for each in progress["accounts"]]) == (True, ["second"])
    assert (list(progress["left_open"]), list(progress["unreadable"])) == (["account:main"], [])


@pytest.mark.parametrize(
    ("followed", "shown"), [({"second"}, (True, False, None, ["second"])), ({"third"}, (False, True, 62.0, ["second"]))]
)
async def test_a_kill_is_not_flat_while_what_was_on_the_wire_is_followed(
    control: Control, followed: set[str], shown: tuple[bool, bool, float | None, list[str]]
) -> None:
    class Kill(_Kill):
        async def progress(self) -> tuple[AccountReport, ...]:
            return tuple(replace(report, flat_ms=62.0) for report in await super().progress())

    kill: Any = Kill()
    kill.followed = frozenset(followed)
    control._kill = kill
    told = await control.kill_progress()
    assert told is not None
    names = [each["name"] for each in told["accounts"]]
    assert (told["running"], told["flat"], told["flat_ms"], names) == shown


def test_an_account_that_is_not_killed_again_stays_beside_the_one_that_is(control: Control, tmp_path: Path) -> None:
    async def one() -> None:
        store, names = SimulatedStore(random.Random(5)), ("main", "second")
        main, second = (SimulatedVenue(3, fault_share=0, quiet=True, name=name) for name in names)
        store.under_way["main"] = (a_hold("d1", HoldStatus.UNKNOWN),)
        for venue in (main, second):
            venue.plain["o1"] = "BTCUSDT"
        desk = control._kill = a_desk(tmp_path, store, main, second)
        await desk.press(DESK, "ann", "stop")
        await asyncio.sleep(OVER_AFTER_S + 2)
        assert desk.working(None) == {"main", "second"} and len([*job_history(tmp_path, "main")]) == 2
        for running in (True, False):
            shown = await control.kill_progress()
            assert shown is not None and (shown["running"], shown["reason"]) == (running, "stop")
            assert [(each["account"], each["cancelled"]) for each in shown["accounts"]] == [("main", 1), ("second", 1)]
            await desk.runs.join()

    in_virtual_time(one())


@pytest.mark.parametrize(("minutes", "left_open"), [(-1, []), (1, ["bot:grid"])])
async def test_a_bots_part_is_left_open_until_its_whole_account_is_killed(
    control: Control, minutes: int, left_open: list[str]
) -> None:
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
    control._kill = kill
    progress = await control.kill_progress()
    assert progress is not None and progress["left_open"] == left_open


async def test_a_kill_whose_journal_cannot_be_read_is_not_no_kill(control: Control) -> None:
    kill: Any = _Kill("main", reports=False)
    control._kill = kill
    told = await control.kill_progress()
    shown = progress_of(told, lambda _: False)
    assert shown is not None and shown.unreadable and shown.unknown == ("main",)
    kill = _Kill(reports=False)
    control._kill = kill
    assert await control.kill_progress() is None
