"""Without a warden: what was on the wire at the press is followed, by the store's word or by the clock."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from proxy.kill.bot_hands import BotHands
from proxy.kill.direct import PublishedShare
from proxy.kill.hands import AccountHands, Reading
from proxy.kill.in_flight import OVER_AFTER_S
from proxy.kill.job import Latch, kill
from proxy.kill.jobs import job_history
from proxy.kill.late import CalledOff, kill_followed
from proxy.kill.press import Press
from proxy.kill.report import AccountReport, KillReport, account_report
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.telling import ToldHolds
from proxy.store.warden_store import AgedHold, WardenStore
from rules.account import HoldStatus
from rules.kill.events import Phase
from rules.model import PositionSide
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_blocked import a_hold, slow_down
from tests.proxy.kill.test_bot_hands import GRID, published
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.certificates import a_job
from tests.support.scripted_venue import an_account


class World:
    """Two flat accounts; ``late_s`` after the press ``main`` gets what a bot had sent before."""

    def __init__(self, data_dir: Path) -> None:
        Fence.initialise(data_dir)
        self.data_dir = data_dir
        self.main, self.other = (
            SimulatedVenue(3, quiet=True, fault_share=0, name=name, hedged=False) for name in ("main", "other")
        )
        self.store = SimulatedStore(random.Random(5), delay_s=0.001)
        self.said: list[str] = []

    def holds(self, status: HoldStatus) -> None:
        self.store.under_way["main"] = (a_hold("h1", status),)

    async def arrives(self, late_s: float) -> None:
        await asyncio.sleep(late_s)
        self.main.positions["BTCUSDT", PositionSide.BOTH] = Decimal("0.3")
        self.store.under_way.clear()

    async def press(self, *, has_store: bool = True, bot: str | None = None) -> KillReport:
        async def once(press: Press, hands: Sequence[AccountHands], latch: Latch) -> KillReport:
            return await kill(self.data_dir, replace(press, scope=DESK), hands, latch=latch)

        async def latch(scope: Scope, generation: int | None) -> None:
            await self.store.controls()

        store = cast("WardenStore", self.store) if has_store else None
        press = Press(scope=DESK if bot is None else Scope(bot=bot), by="ann", reason="stop", whole=True)
        return await kill_followed(once, press, [self.main, self.other], latch=latch, store=store, say=self.said.append)

    def jobs(self, account: str) -> int:
        return len([*job_history(self.data_dir, account)])


@pytest.mark.parametrize("store", ["answers", "is away", "is none", "has lost it"])
def test_what_arrives_when_all_was_read_as_flat_is_closed(tmp_path: Path, store: str) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.holds(HoldStatus.UNKNOWN)
        if store == "is away":
            world.store.away.add("warden")
        if store == "has lost it":
            world.store.fail_over(filled=False)
        late = asyncio.create_task(world.arrives(11))
        report = await world.press(has_store=store != "is none")
        await late
        assert report.phase is Phase.FLAT and world.main.flat and world.other.flat
        asked_of = ["main"] if store == "answers" else ["main", "other"]
        assert [world.jobs(each) for each in ("main", "other")] == [2, len(asked_of)]
        assert report.in_flight is not None and report.in_flight.known is (store == "answers")
        waits, *again = world.said
        assert "read as flat; waiting at most" in waits
        assert again == [f"{each} is made flat once more: what was in flight is over" for each in asked_of]
        assert ("a request of " in waits) is (store == "answers")

    in_virtual_time(one())


@pytest.mark.parametrize("filled", [False, True])
def test_what_a_failover_lost_after_the_press_is_not_over(tmp_path: Path, filled: bool) -> None:
    """Nor where a warden has gone through all that the other server has since."""

    async def one() -> None:
        world = World(tmp_path)
        world.holds(HoldStatus.UNKNOWN)

        async def fails_over() -> None:
            await asyncio.sleep(1)
            world.store.fail_over(filled=filled)

        late, failing = asyncio.create_task(world.arrives(11)), asyncio.create_task(fails_over())
        report = await world.press()
        await asyncio.gather(late, failing)
        assert report.phase is Phase.FLAT and world.main.flat, "what came after the last reading stayed open"
        assert report.in_flight is not None
        assert [each.became for each in report.in_flight.sent] == ["its time has passed"]
        assert [world.jobs(each) for each in ("main", "other")] == [2, 1]

    in_virtual_time(one())


def test_what_the_store_calls_over_is_not_waited_for(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        report = await world.press()
        assert world.main.loop.time() < OVER_AFTER_S and world.said == []
        assert report.phase is Phase.FLAT and report.in_flight is not None and report.in_flight.known

    in_virtual_time(one())


@pytest.mark.parametrize(("bot", "waits"), [("trend", False), ("grid", True), (None, True)])
def test_the_kill_of_a_bot_waits_for_its_own_requests_alone(tmp_path: Path, bot: str | None, waits: bool) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.holds(HoldStatus.UNKNOWN)
        report = await world.press(bot=bot)
        assert (world.main.loop.time() > OVER_AFTER_S, world.jobs("main")) == ((True, 2) if waits else (False, 1))
        assert report.in_flight is not None and report.in_flight.known
        assert [each.bot for each in report.in_flight.sent] == (["grid"] if waits else [])

    in_virtual_time(one())


def test_where_nothing_is_flat_nothing_is_waited_for(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        for venue in (world.main, world.other):
            venue.banned_until = venue.loop.time() + 300
        report = await world.press(has_store=False)
        assert report.phase is Phase.DEGRADED and world.said == []
        assert world.main.loop.time() < 1

    in_virtual_time(one())


def test_while_one_account_is_open_the_others_wire_is_not_waited_for(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.other.positions["BTCUSDT", PositionSide.BOTH] = Decimal(3)
        world.other.halted.add("BTCUSDT")
        report = await world.press(has_store=False)
        assert world.main.loop.time() < OVER_AFTER_S / 2
        assert [each.phase for each in report.accounts] == [Phase.FLAT, Phase.DEGRADED]
        assert report.in_flight is not None and not report.in_flight.known
        assert len(world.said) == 1 and world.said[0].startswith("main read as flat and not all is, so there is no")

    in_virtual_time(one())


def test_what_was_over_before_another_account_was_read_may_have_come_after_the_last_reading(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.holds(HoldStatus.UNKNOWN)
        slow_down(world.other, 5)
        late = asyncio.create_task(world.arrives(8))
        report = await world.press()
        assert late.done() and report.phase is Phase.FLAT and world.main.flat
        assert [world.jobs(each) for each in ("main", "other")] == [2, 1]
        assert world.said == ["main is made flat once more: what was in flight is over"]

    in_virtual_time(one())


def test_a_list_of_positions_that_is_behind_the_fill_proves_nothing_flat(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.holds(HoldStatus.UNKNOWN)
        late = asyncio.create_task(world.arrives(9))
        survey = world.main.survey

        async def behind(*, orders: bool = True) -> Reading:
            reading = await survey(orders=orders)
            return reading if world.main.loop.time() > 10 else replace(reading, positions=())

        world.main.survey = behind  # type: ignore[method-assign]
        report = await world.press()
        assert late.done() and report.phase is Phase.FLAT and world.main.flat
        assert world.jobs("main") == 2

    in_virtual_time(one())


def test_an_account_that_was_read_after_the_end_of_its_wire_is_not_killed_again(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        world.store.under_way |= {each: (a_hold(each, HoldStatus.UNKNOWN),) for each in ("main", "other")}

        async def settled() -> None:
            await asyncio.sleep(1)
            del world.store.under_way["main"]

        settling = asyncio.create_task(settled())
        report = await world.press()
        assert settling.done() and report.phase is Phase.FLAT
        assert [world.jobs(each) for each in ("main", "other")] == [1, 2]

    in_virtual_time(one())


def test_an_interruption_after_an_account_was_read_as_open_is_no_proof_that_all_is_flat(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        late = asyncio.create_task(world.arrives(11))
        press = asyncio.create_task(world.press(has_store=False))
        while not press.done() and not any("once more:" in each for each in world.said):
            await asyncio.sleep(0.1)
        assert late.done() and not press.done() and not world.main.flat
        press.cancel()
        with pytest.raises(asyncio.CancelledError) as interrupted:
            await press
        assert not isinstance(interrupted.value, CalledOff)

    in_virtual_time(one())


GRID_ON_MAIN = a_hold("h1", HoldStatus.UNKNOWN)
MAKER_ON_MAIN = replace(GRID_ON_MAIN, hold=replace(GRID_ON_MAIN.hold, bot="maker"))


@pytest.mark.parametrize(("sent", "trusted"), [((GRID_ON_MAIN,), False), (None, False), ((MAKER_ON_MAIN,), True)])
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_share_that_nobody_reads_again_is_not_believed_once_something_of_the_bot_was_on_the_wire(
    tmp_path: Path, sent: tuple[AgedHold, ...] | None, trusted: bool, interrupted: bool
) -> None:
    """``sent`` is what the store says was on the wire; it says nothing where it is ``None``."""

    async def one() -> None:
        store = SimulatedStore(random.Random(5))
        share = PublishedShare("grid", published())
        hands = BotHands(an_account("http://127.0.0.1:9"), tag=GRID, share=share)
        kills: list[Decimal | None] = []

        async def once(press: Press, hands: Sequence[AccountHands], latch: Latch) -> KillReport:
            with contextlib.suppress(ConnectionError):
                await latch(DESK, 1)
            kills.append(share.quantity("BTCUSDT", PositionSide.BOTH))
            await asyncio.sleep(7)
            report = await kill(tmp_path, replace(press, scope=DESK), [])
            return replace(report, phase=Phase.FLAT, accounts=(read_as_flat(),))

        async def latch(scope: Scope, generation: int | None) -> None:
            await store.controls()
            if sent is None:
                store.away.add("warden")
            else:
                store.under_way["main"] = sent

        grid = Press(scope=Scope(bot="grid"), by="ann", reason="stop")
        press = asyncio.create_task(
            kill_followed(once, grid, [hands], latch=latch, store=cast("WardenStore", store), say=lambda _: None)
        )
        if interrupted:
            await asyncio.sleep(10)
        if interrupted and not press.done():
            press.cancel()
            with pytest.raises(asyncio.CancelledError) as called_off:
                await press
            assert not trusted and not isinstance(called_off.value, CalledOff)
        else:
            await press
            assert kills == [Decimal("0.3"), *([] if trusted else [None])]
        await hands.aclose()

    in_virtual_time(one())


def read_as_flat() -> AccountReport:
    """By readings that came after the end of any wire."""
    late = datetime.max.replace(tzinfo=UTC)
    return replace(account_report(a_job("main"), []), phase=Phase.FLAT, flat=True, read_backs=(late, late, late))


def test_what_is_called_off_is_the_waiting_alone(tmp_path: Path) -> None:
    async def one() -> None:
        world = World(tmp_path)
        press = asyncio.create_task(world.press(has_store=False))
        while not world.said:
            await asyncio.sleep(0.1)
        press.cancel()
        with pytest.raises(CalledOff) as called_off:
            await press
        report = called_off.value.report
        assert report.phase is Phase.FLAT and report.in_flight is not None and not report.in_flight.known
        assert world.main.loop.time() < OVER_AFTER_S / 2

    in_virtual_time(one())


def test_a_bug_in_the_following_loses_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def one() -> None:
        world = World(tmp_path)

        async def broken(accounts: Sequence[str]) -> ToldHolds:
            raise UnicodeError(accounts)

        monkeypatch.setattr(world.store, "told_holds", broken)
        report = await world.press()
        assert report.phase is Phase.FLAT and report.in_flight is not None and not report.in_flight.known

    in_virtual_time(one())
