"""F05, F11, F25: a kill that has ended is not forgotten while its scope is stopped. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import proxy.kill.job
from proxy.exchange.troubles import OutcomeUnknown, VenueRefused, VenueThrottled, VenueUnavailable
from proxy.kill.hands import AccountHands, Reading
from proxy.kill.jobs import job_history
from proxy.kill.pursuit import (
    CLOSED_EVERY_S,
    CLOSED_PAUSE_MAX_S,
    CLOSED_WHOLE_EVERY,
    FLATTENED_AGAIN_MAX,
    GAP_EVERY_MAX_S,
    HINTED_EVERY_S,
    READ_EVERY_S,
    Pursuit,
)
from proxy.kill.readings import FeedShows
from proxy.kill.runner import Clock
from proxy.kill.tries import PURSUER
from proxy.store.fence import DESK, Fence, Scope
from proxy.venues.binance import client_ids
from proxy.venues.binance.usage import KILL_PRICES
from rules.kill.events import CancelStep, Cause, CloseStep, Phase
from rules.kill.legs import RestingOrder
from rules.kill.machine import replay
from rules.kill.settings import SHARE_LEAST
from rules.model import PositionSide
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill

SOON_S = 5.0
DUST = Decimal("0.04")
RESERVE_LEAST = 2_400 * SHARE_LEAST
"""What any policy keeps for kills of an address's minute at Binance."""


class Venue(SimulatedVenue):
    """One that may be closed for maintenance, and counts what reaches it."""

    down_until = 0.0
    calls = 0

    @property
    def feed(self) -> FeedShows:
        """What its stream would have told."""
        legs = {f"{symbol}/{side}": quantity for (symbol, side), quantity in self.positions.items() if quantity}
        conditionals = (order.order_id for order in self.conditionals)
        return FeedShows(frozenset((*self.plain, *conditionals, *self.algos)), legs)

    async def _arrive(self, *, reading: bool) -> None:
        self.calls += 1
        if self.loop.time() < self.down_until:
            await asyncio.sleep(0.01)
            raise VenueUnavailable("status 503, code -1008")
        await super()._arrive(reading=reading)


class Stops(Venue):
    """One where a bot of the guard's keeps stops in place, which its gate lets through."""

    def __init__(self, *seed: int, **options: Any) -> None:
        super().__init__(*seed, **options)
        self.stops: tuple[RestingOrder, ...] = ()
        self.sent_stops = 0

    @property
    def feed(self) -> FeedShows:
        told = super().feed
        return replace(told, orders=told.orders | {stop.order_id for stop in self.stops})

    def send_stop(self, client_order_id: str, symbol: str = "BTCUSDT") -> None:
        self.sent_stops += 1
        stop = RestingOrder(symbol=symbol, order_id=f"s{self.sent_stops}", client_order_id=client_order_id)
        self.stops = (*self.stops, stop)

    async def survey(self, *, orders: bool = True) -> Reading:
        reading = await super().survey(orders=orders)
        shown = (*reading.conditional_orders, *self.stops) if orders else ()
        return replace(reading, conditional_orders=shown, exits=frozenset(self.stops))

    async def cancel(self, step: CancelStep) -> None:
        await super().cancel(step)
        self.stops = tuple(stop for stop in self.stops if stop.symbol != step.symbol)


class Desk:
    """The kill desk's part in a pursuit, over one data directory and one account."""

    def __init__(self, data_dir: Path, venue: SimulatedVenue) -> None:
        self.data_dir = data_dir
        self.venue = venue
        self.fence = Fence.initialise(data_dir)
        self.events: Counter[str] = Counter()
        self.details: dict[str, dict[str, Any]] = {}

    def engaged(self) -> Iterable[Scope]:
        return self.fence.scopes()

    def hand(self, scope: Scope, account: str) -> AccountHands | None:
        return self.venue

    def busy(self, account: str) -> bool:
        return False

    async def again(self, scope: Scope, account: str, by: str, reason: str) -> bool:
        await kill(self.data_dir, scope, [self.venue], by, reason)
        return True

    async def record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.events[what] += 1
        self.details[what] = detail

    def phases(self) -> list[Phase]:
        """How each job ended, the oldest first."""
        states = [replay(journal.events) for journal in job_history(self.data_dir, "main")]
        return [state.phase for state in reversed(states) if state is not None]


@contextlib.asynccontextmanager
async def pursued(desk: Desk, clock: Any, *, feed: bool = True) -> AsyncIterator[Pursuit]:
    pursuit = Pursuit(
        data_dir=desk.data_dir,
        desk=desk,
        record=desk.record,
        shows=lambda account, bot: desk.venue.feed if feed else FeedShows(),
        tags=lambda account: client_ids.tags(account, ("grid", "trend")),
        now=clock.now,
    )
    running = asyncio.create_task(pursuit.run())
    try:
        yield pursuit
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job reads the clock of its loop: virtual time passes between jobs, the wall's does not."""
    clocks: dict[asyncio.AbstractEventLoop, Clock] = {}
    monkeypatch.setattr(proxy.kill.job, "Clock", lambda: clocks.setdefault(asyncio.get_running_loop(), Clock()))


def test_what_one_accounts_look_raises_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, survey = Desk(tmp_path, venue), venue.survey
        await kill(tmp_path, DESK, [venue], "ann", "stop")

        async def broken() -> Any:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

        async with pursued(desk, Clock()):
            venue.survey = broken  # type: ignore[method-assign]
            venue.enter("BTCUSDT")
            await asyncio.sleep(5)
            venue.survey = survey  # type: ignore[method-assign]
            await asyncio.sleep(60)
        assert venue.flat, "the pursuit had ended"

    in_virtual_time(one())
    assert "main could not be looked at after its kill" in caplog.text


async def until_flat(venue: SimulatedVenue, at: float) -> None:
    """Come back when the venue is flat, which must be soon after ``at``."""
    while not venue.flat:
        assert venue.loop.time() < at + SOON_S, f"not flat {SOON_S} s after"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("ban_s", [10.0, 300.0])
def test_f05_nothing_is_asked_during_a_ban_and_it_is_flat_soon_after(tmp_path: Path, ban_s: float) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.banned_until = venue.loop.time() + ban_s
        await kill(tmp_path, DESK, [venue], "ann", "banned")
        async with pursued(desk, clock):
            await asyncio.sleep(max(0.0, venue.banned_until - venue.loop.time()))
            assert venue.called_while_banned == 1, "asked during the ban"
            await until_flat(venue, venue.banned_until)
            assert Fence(tmp_path).engaged("main")
        assert desk.phases()[0] is (Phase.FLAT if ban_s < 60 else Phase.DEGRADED)

    in_virtual_time(one())


def test_f11_an_hour_of_maintenance_is_waited_for_and_it_is_flat_soon_after(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.down_until = 3600.0
        await kill(tmp_path, DESK, [venue], "ann", "maintenance")
        async with pursued(desk, clock):
            await asyncio.sleep(venue.down_until - venue.loop.time())
            assert desk.phases() == [Phase.DEGRADED], "a job was begun at a closed door"
            assert venue.calls < 3600, "hammered at a closed door"
            await until_flat(venue, venue.down_until)

    in_virtual_time(one())


@pytest.mark.parametrize("hedge", [Decimal(0), Decimal(-600)])
def test_f11_what_does_not_trade_and_its_hedge_are_asked_about_seldom_and_closed_soon_after_it_does(
    tmp_path: Path, hedge: Decimal
) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = Decimal(600)
        venue.positions["BTCUSDT", PositionSide.BOTH] = hedge
        venue.halted = {"ETHUSDT"}
        report = (await kill(tmp_path, DESK, [venue], "ann", "stop")).accounts[0]
        assert report.cause is Cause.CLOSED
        reads, generation = dict(venue.reads), desk.fence.generation()
        async with pursued(desk, clock):
            await asyncio.sleep(600)
            assert desk.phases() == [Phase.DEGRADED] and desk.fence.generation() == generation, "a job was begun"
            whole, positions = (venue.reads[orders] - reads[orders] for orders in (True, False))
            assert whole <= 10 and positions <= 50, "hammered at what does not trade"
            venue.plain["p1"] = "BTCUSDT"
            await asyncio.sleep(CLOSED_EVERY_S * CLOSED_WHOLE_EVERY + SOON_S)
            assert not venue.plain, "an order that shows beside it was left"
            venue.halted = set()
            await until_flat(venue, venue.loop.time() + 2 * CLOSED_EVERY_S + SOON_S)

    in_virtual_time(one())


def test_f11_a_hedge_is_closed_soon_after_what_it_hedged_is_gone(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = Decimal(600)
        venue.positions["BTCUSDT", PositionSide.BOTH] = Decimal(-600)
        venue.halted = {"ETHUSDT"}
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            await asyncio.sleep(60)
            del venue.positions["ETHUSDT", PositionSide.BOTH]
            await until_flat(venue, venue.loop.time() + CLOSED_EVERY_S + 15)

    in_virtual_time(one())


def test_f11_what_is_listed_as_trading_and_takes_no_orders_is_tried_with_growing_pauses(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = Decimal(6)

        def closed(step: CloseStep) -> None:
            raise VenueRefused(-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading.")

        venue.on_close = closed
        assert (await kill(tmp_path, DESK, [venue], "ann", "stop")).accounts[0].cause is Cause.CLOSED
        async with pursued(desk, clock):
            await asyncio.sleep(600)
            jobs = len(desk.phases())
            assert 4 <= jobs <= 8, "job after job"
            await asyncio.sleep(3600)
            assert 12 <= len(desk.phases()) - jobs <= 15
            venue.on_close = lambda _: None
            await until_flat(venue, venue.loop.time() + CLOSED_PAUSE_MAX_S + SOON_S)

    in_virtual_time(one())


@pytest.mark.parametrize(("until_s", "refused"), [(65.0, False), (10.0, True), (30.0, True)])
def test_f11_what_trades_beside_what_does_not_is_closed_soon_after_it_can_be(
    tmp_path: Path, until_s: float, refused: bool
) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = venue.positions["BTCUSDT", PositionSide.BOTH] = Decimal(6)
        venue.halted = {"ETHUSDT"}

        def fails(step: CloseStep) -> None:
            if venue.loop.time() < until_s and step.leg.symbol == "BTCUSDT":
                raise VenueRefused(-4000, "no") if refused else OutcomeUnknown("503")

        venue.on_close = fails
        assert (await kill(tmp_path, DESK, [venue], "ann", "stop")).accounts[0].cause is Cause.CLOSED
        async with pursued(desk, clock):
            while venue.positions["BTCUSDT", PositionSide.BOTH]:
                assert venue.loop.time() < until_s + SOON_S, "held back by what does not trade"
                await asyncio.sleep(0.05)
            jobs = len(desk.phases())
            await asyncio.sleep(300)
            assert len(desk.phases()) <= jobs + 1, "a job was begun for what does not trade"

    in_virtual_time(one())


def test_f11_what_is_refused_for_good_beside_what_does_not_trade_begins_no_job_after_job(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = venue.positions["BTCUSDT", PositionSide.BOTH] = Decimal(6)
        venue.positions["SOLUSDT", PositionSide.BOTH] = DUST
        venue.halted = {"ETHUSDT"}

        def fails(step: CloseStep) -> None:
            if step.leg.symbol == "BTCUSDT":
                raise VenueRefused(-4000, "no")

        venue.on_close = fails
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            await asyncio.sleep(600)
        assert len(desk.phases()) <= 20, "job after job"

    in_virtual_time(one())


@pytest.mark.parametrize("presses", [1, 6])
def test_f11_presses_while_it_does_not_trade_make_nothing_slower_when_it_does(tmp_path: Path, presses: int) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = Decimal(6)
        venue.halted = {"ETHUSDT"}
        async with pursued(desk, clock):
            for _ in range(presses):
                await kill(tmp_path, DESK, [venue], "ann", "again")
                await asyncio.sleep(2)
            await asyncio.sleep(15)
            venue.halted = set()
            await until_flat(venue, venue.loop.time() + CLOSED_EVERY_S)

    in_virtual_time(one())


def test_f11_what_is_entered_again_and_again_beside_what_does_not_trade_is_closed_at_once(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = Decimal(6)
        venue.halted = {"ETHUSDT"}
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            for _ in range(6):
                await asyncio.sleep(5)
                entered_at = venue.loop.time()
                venue.positions["BTCUSDT", PositionSide.BOTH] = Decimal(5)
                while venue.positions["BTCUSDT", PositionSide.BOTH]:
                    assert venue.loop.time() < entered_at + 3, "the job before it made it wait"
                    await asyncio.sleep(0.05)

    in_virtual_time(one())


@pytest.mark.parametrize("away_s", [1.0, 3.0, 5.0])
def test_f11_orders_that_the_job_could_not_read_are_cancelled_soon_after_they_can_be(
    tmp_path: Path, away_s: float
) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = Decimal(6)
        venue.halted, venue.away, venue.plain["entry"] = {"ETHUSDT"}, {"orders"}, "BTCUSDT"
        venue.loop.call_later(away_s, venue.away.clear)
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock, feed=False):
            while venue.plain:
                assert venue.loop.time() < away_s + 3, "an order rests that nobody has read"
                await asyncio.sleep(0.05)

    in_virtual_time(one())


def test_f11_an_order_that_the_feed_shows_beside_what_does_not_trade_is_cancelled_at_once(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=False)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["ETHUSDT", PositionSide.BOTH] = Decimal(6)
        venue.halted = {"ETHUSDT"}
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            for wait_s in (1, 30):
                await asyncio.sleep(wait_s)
                venue.plain["late"] = "BTCUSDT"
                await asyncio.sleep(3)
                assert not venue.plain

    in_virtual_time(one())


def test_f25_what_shows_after_flat_is_flattened_three_times_and_then_called_an_external_trader(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        assert venue.flat
        async with pursued(desk, clock) as pursuit:
            for _ in range(FLATTENED_AGAIN_MAX):
                await asyncio.sleep(60)
                venue.enter("BTCUSDT")
                await asyncio.sleep(0)
                await until_flat(venue, venue.loop.time())
            assert pursuit.outsiders == frozenset()
            await asyncio.sleep(60)
            venue.enter("BTCUSDT")
            await asyncio.sleep(10 * READ_EVERY_S)
            assert not venue.flat, "hammered on after the third time"
            assert pursuit.outsiders == {"main"}
        assert desk.events == {"kill.shown_again": FLATTENED_AGAIN_MAX, "kill.external_trader": 1}
        assert desk.phases() == [Phase.FLAT] * (1 + FLATTENED_AGAIN_MAX)
        assert Fence(tmp_path).engaged("main"), "it did not stay stopped"

    in_virtual_time(one())


def test_a_stop_of_our_own_bot_after_flat_is_no_external_trader(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def one() -> None:
        venue = Stops(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        reads, own = venue.reads[True], client_ids.tag("main", "grid")
        async with pursued(desk, clock) as pursuit:
            for number in range(300):
                venue.send_stop(f"{own}keep-{number}")
                await asyncio.sleep(1)
            assert venue.reads[True] - reads <= 300 / READ_EVERY_S + 2, "it costs more than any flat account"
            await asyncio.sleep(READ_EVERY_S + SOON_S)
            assert not venue.stops, "the guard stopped cleaning"
            assert desk.phases() == [Phase.FLAT] and pursuit.outsiders == frozenset()
            assert desk.events == {"kill.exits_cancelled": 1}
            venue.enter("BTCUSDT")
            venue.send_stop(f"{own}beside")
            await asyncio.sleep(2 * READ_EVERY_S)
            assert venue.flat and not venue.stops and desk.events["kill.shown_again"] == 1
        assert Fence(tmp_path).engaged("main"), "it did not stay stopped"

    in_virtual_time(one())
    assert caplog.text.count("grid keeps sending exits to main after its kill") == 1


def test_a_stop_of_nobodys_after_flat_is_an_external_traders(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Stops(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock) as pursuit:
            for _ in range(FLATTENED_AGAIN_MAX + 1):
                venue.send_stop("web_1")
                await asyncio.sleep(60)
            assert venue.stops and pursuit.outsiders == {"main"}
        assert desk.events == {"kill.shown_again": FLATTENED_AGAIN_MAX, "kill.external_trader": 1}

    in_virtual_time(one())


def test_what_a_killed_bots_part_does_not_show_is_neither_told_nor_cancelled(tmp_path: Path) -> None:
    class Part(Stops):
        @property
        def feed(self) -> FeedShows:
            return FeedShows()

        async def survey(self, *, orders: bool = True) -> Reading:
            reading = await super().survey(orders=orders)
            others = frozenset(reading.conditional_orders)
            return replace(reading, conditional_orders=(), exits=others)

    async def one() -> None:
        part = Part(3, fault_share=0)
        desk, clock = Desk(tmp_path, part), proxy.kill.job.Clock()
        await kill(tmp_path, Scope(bot="trend"), [part], "ann", "stop")
        reads = part.reads[True]
        async with pursued(desk, clock):
            part.send_stop(f"{client_ids.tag('main', 'grid')}keep")
            await asyncio.sleep(READ_EVERY_S - 1)
            assert part.reads[True] == reads, "what others have open is no news"
            await asyncio.sleep(3 * READ_EVERY_S)
        assert part.stops and desk.events == {}

    in_virtual_time(one())


def test_a_bots_stop_stays_while_the_positions_are_not_read(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Stops(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            venue.away.add("positions")
            venue.send_stop(f"{client_ids.tag('main', 'grid')}keep")
            await asyncio.sleep(4 * READ_EVERY_S)
            assert venue.stops, "what may protect a position was cancelled"
            venue.away.clear()
            await asyncio.sleep(READ_EVERY_S + SOON_S)
            assert not venue.stops and desk.phases() == [Phase.FLAT]

    in_virtual_time(one())


@pytest.mark.parametrize(
    ("scope", "dust"), [(DESK, False), (DESK, True), (Scope("main"), True), (Scope(bot="grid"), False)], ids=str
)
def test_a_bots_stop_stays_while_the_feed_shows_a_position_that_an_old_list_does_not(
    tmp_path: Path, scope: Scope, dust: bool
) -> None:
    class OldList(Stops):
        old_until = 0.0

        async def survey(self, *, orders: bool = True) -> Reading:
            reading = await super().survey(orders=orders)
            old = tuple(leg for leg in reading.positions if leg.symbol != "BTCUSDT")
            return replace(reading, positions=old) if self.loop.time() < self.old_until else reading

    async def one() -> None:
        venue = OldList(3, fault_share=0, quiet=True, hedged=True)
        if dust:
            venue.positions["SOLUSDT", PositionSide.LONG] = DUST
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        report = await kill(tmp_path, scope, [venue], "ann", "stop")
        assert report.phase is (Phase.FLAT_EXCEPT_DUST if dust else Phase.FLAT)
        async with pursued(desk, clock):
            await asyncio.sleep(15)
            venue.old_until = venue.loop.time() + 12
            venue.enter("BTCUSDT")
            venue.send_stop(f"{client_ids.tag('main', 'grid')}protects")
            await asyncio.sleep(11)
            assert venue.stops and venue.positions["BTCUSDT", PositionSide.LONG], "the stop of a position was cancelled"
            await asyncio.sleep(1 + SOON_S)
        assert not venue.stops and not venue.positions["BTCUSDT", PositionSide.LONG]
        assert desk.events == {"kill.shown_again": 1}

    in_virtual_time(one())


def test_a_bots_stop_is_cancelled_beside_dust_that_list_and_feed_show_alike(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Stops(3, fault_share=0, quiet=True, hedged=True)
        venue.positions["SOLUSDT", PositionSide.LONG] = DUST
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            venue.send_stop(f"{client_ids.tag('main', 'grid')}keep")
            await asyncio.sleep(READ_EVERY_S + SOON_S)
        assert not venue.stops and desk.events == {"kill.exits_cancelled": 1}

    in_virtual_time(one())


def test_a_position_is_news_at_once_though_a_bots_stop_was_just_cancelled(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Stops(3, fault_share=0, quiet=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            await asyncio.sleep(15)
            venue.send_stop(f"{client_ids.tag('main', 'grid')}keep")
            await asyncio.sleep(HINTED_EVERY_S + 2)
            assert not venue.stops
            venue.enter("BTCUSDT")
            await until_flat(venue, venue.loop.time())

    in_virtual_time(one())


def test_a_bots_stop_is_not_cancelled_once_its_scope_was_let_go_on(tmp_path: Path) -> None:
    class LetGo(Stops):
        let_go = staticmethod(lambda: None)

        async def cancel(self, step: CancelStep) -> None:
            await super().cancel(step)
            self.let_go()

    async def one() -> None:
        venue = LetGo(3, fault_share=0, quiet=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        venue.let_go = lambda: desk.fence.release(DESK)  # type: ignore[method-assign, assignment]
        for symbol in ("BTCUSDT", "ETHUSDT"):
            venue.send_stop(f"{client_ids.tag('main', 'grid')}{symbol}", symbol)
        async with pursued(desk, clock):
            await asyncio.sleep(2 * READ_EVERY_S)
        assert [stop.symbol for stop in venue.stops] == ["ETHUSDT"]
        assert desk.events == {"kill.exits_cancelled": 1}

    in_virtual_time(one())


def test_a_cancel_of_a_bots_stop_is_told_when_the_exchange_has_taken_it(tmp_path: Path) -> None:
    class Deaf(Stops):
        deaf = True

        async def cancel(self, step: CancelStep) -> None:
            if self.deaf:
                raise VenueUnavailable("status 503, code -1008")
            await super().cancel(step)

    async def one() -> None:
        venue = Deaf(3, fault_share=0, quiet=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            venue.send_stop(f"{client_ids.tag('main', 'grid')}keep")
            await asyncio.sleep(3 * READ_EVERY_S)
            assert venue.stops and desk.events == {}, "what failed was told as done"
            venue.deaf = False
            await asyncio.sleep(READ_EVERY_S + SOON_S)
        assert not venue.stops and desk.events == {"kill.exits_cancelled": 1}

    in_virtual_time(one())


def test_a_cancel_of_a_bots_stop_that_is_refused_keeps_no_other_and_is_told_once(tmp_path: Path) -> None:
    class Delivering(Stops):
        async def cancel(self, step: CancelStep) -> None:
            if step.symbol == "BTCUSDT":
                raise VenueRefused(-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading.")
            await super().cancel(step)

    async def one() -> None:
        venue = Delivering(3, fault_share=0, quiet=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            for bot, symbol in (("grid", "BTCUSDT"), ("trend", "ETHUSDT"), ("grid", "SOLUSDT")):
                venue.send_stop(f"{client_ids.tag('main', bot)}{symbol}", symbol)
            await asyncio.sleep(5 * READ_EVERY_S)
        assert [stop.symbol for stop in venue.stops] == ["BTCUSDT"]
        assert desk.events == {"kill.exits_cancelled": 2, "kill.exits_refused": 1}
        assert desk.details["kill.exits_refused"]["bot"] == "grid"
        assert desk.details["kill.exits_refused"]["not_cancelled"] == ["BTCUSDT s1"]

    in_virtual_time(one())


def test_no_further_exit_is_cancelled_once_the_exchange_demands_silence(tmp_path: Path) -> None:
    class Throttling(Stops):
        asked: tuple[str, ...] = ()

        async def cancel(self, step: CancelStep) -> None:
            self.asked = (*self.asked, step.symbol)
            if len(self.asked) == 1:
                raise VenueThrottled(429, 300)
            await super().cancel(step)

    async def one() -> None:
        venue = Throttling(3, fault_share=0, quiet=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            for symbol in ("BTCUSDT", "ETHUSDT"):
                venue.send_stop(f"{client_ids.tag('main', 'grid')}{symbol}", symbol)
            await asyncio.sleep(300)
            assert venue.asked == ("BTCUSDT",) and desk.events == {}
            await asyncio.sleep(READ_EVERY_S + SOON_S)
        assert not venue.stops and desk.events == {"kill.exits_cancelled": 1}

    in_virtual_time(one())


def test_f25_a_restart_does_not_begin_the_count_anew_and_a_press_does(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        for number in range(FLATTENED_AGAIN_MAX + 1):
            async with pursued(desk, clock) as pursuit:
                await asyncio.sleep(2)
                venue.enter("BTCUSDT")
                await asyncio.sleep(60)
                assert venue.flat is (number < FLATTENED_AGAIN_MAX)
                assert bool(pursuit.outsiders) is (number == FLATTENED_AGAIN_MAX)
        await kill(tmp_path, DESK, [venue], "bob", "again")
        async with pursued(desk, clock) as pursuit:
            await asyncio.sleep(2)
            venue.enter("BTCUSDT")
            await asyncio.sleep(60)
            assert venue.flat and not pursuit.outsiders

    in_virtual_time(one())


def test_what_is_let_go_on_is_pursued_no_more(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        desk.fence.release(DESK)
        calls = venue.calls
        async with pursued(desk, clock):
            venue.enter("BTCUSDT")
            await asyncio.sleep(10 * READ_EVERY_S)
        assert (venue.calls, venue.flat) == (calls, False)

    in_virtual_time(one())


def test_a_flat_account_is_read_seldom_even_while_its_feed_shows_what_cannot_be_closed(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        venue.positions[next(iter(venue.positions))] = Decimal("0.05")  # Below the smallest order.
        calls = venue.calls
        async with pursued(desk, clock):
            await asyncio.sleep(20 * READ_EVERY_S)
        assert 15 <= venue.calls - calls <= 22
        assert PURSUER not in {journal.job.by for journal in job_history(tmp_path, "main")}

    in_virtual_time(one())


def test_f25_what_shows_anew_beside_dust_is_read_at_once(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["SOLUSDT", PositionSide.LONG] = DUST
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            await asyncio.sleep(15)
            venue.enter("BTCUSDT")
            await asyncio.sleep(2)
            assert not venue.positions["BTCUSDT", PositionSide.LONG]

    in_virtual_time(one())


def test_what_the_feed_shows_and_the_exchange_does_not_is_not_read_each_time(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["SOLUSDT", PositionSide.LONG] = DUST
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        calls = venue.calls
        pursuit = Pursuit(
            data_dir=tmp_path,
            desk=desk,
            record=desk.record,
            shows=lambda account, bot: FeedShows(orders=frozenset({f"an order of {venue.loop.time()}"})),
            now=clock.now,
        )
        running = asyncio.create_task(pursuit.run())
        await asyncio.sleep(10 * HINTED_EVERY_S)
        running.cancel()
        assert venue.calls - calls <= 11

    in_virtual_time(one())


def test_the_feed_of_a_killed_bots_part_is_asked_for_and_no_more(tmp_path: Path) -> None:
    async def one() -> None:
        part = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, part), proxy.kill.job.Clock()
        await kill(tmp_path, Scope(bot="grid"), [part], "ann", "stop")
        assert part.flat
        calls = part.calls
        others = FeedShows(frozenset({"another's"}), {"BTCUSDT/BOTH": Decimal(1)})
        pursuit = Pursuit(
            data_dir=tmp_path,
            desk=desk,
            record=desk.record,
            shows=lambda account, bot: FeedShows() if bot == "grid" else others,
            now=clock.now,
        )
        running = asyncio.create_task(pursuit.run())
        await asyncio.sleep(10 * READ_EVERY_S)
        assert desk.events == {}, "a bot's part was compared with the whole account"
        assert 8 <= part.calls - calls <= 12
        part.enter("BTCUSDT")
        await asyncio.sleep(READ_EVERY_S + SOON_S)
        running.cancel()
        assert part.flat, "what the bot's part shows again was left"

    in_virtual_time(one())


def test_a_list_that_is_away_begins_no_job_after_job_and_is_flat_soon_after_it_is_read(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.away = {"conditional orders"}
        report = await kill(tmp_path, DESK, [venue], "ann", "stop")
        assert report.phase is Phase.DEGRADED and not any(venue.positions.values())
        async with pursued(desk, clock):
            await asyncio.sleep(120)
            assert len(desk.phases()) == 1, "a job was begun that could not end"
            asked = venue.reads[True]
            await asyncio.sleep(60)
            assert (venue.reads[True] - asked) * KILL_PRICES.survey < RESERVE_LEAST, "the address's minute is used up"
            venue.away = set()
            await until_flat(venue, venue.loop.time() + GAP_EVERY_MAX_S)

    in_virtual_time(one())


def test_what_lacks_a_list_and_shows_no_more_than_dust_begins_no_job(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0, quiet=True, hedged=True)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.positions["SOLUSDT", PositionSide.LONG] = DUST
        venue.away = {"algo orders"}
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        async with pursued(desk, clock):
            await asyncio.sleep(300)
            assert desk.phases() == [Phase.DEGRADED]
            venue.away = set()
            await asyncio.sleep(GAP_EVERY_MAX_S + 10)
        assert desk.phases() == [Phase.DEGRADED, Phase.FLAT_EXCEPT_DUST]

    in_virtual_time(one())


def test_a_list_that_is_away_is_not_called_an_old_one(tmp_path: Path) -> None:
    async def one() -> None:
        venue = Venue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        assert (await kill(tmp_path, DESK, [venue], "ann", "stop")).flat
        venue.away = {"positions"}
        venue.enter("BTCUSDT")
        async with pursued(desk, clock):
            await asyncio.sleep(300)
            assert desk.events == {}
            venue.away = set()
            await until_flat(venue, venue.loop.time() + READ_EVERY_S)

    in_virtual_time(one())


class StaleVenue(Venue):
    """Its list of positions is one of long ago: empty."""

    stale_until = 0.0

    async def survey(self, *, orders: bool = True) -> Reading:
        reading = await super().survey(orders=orders)
        return replace(reading, positions=()) if self.loop.time() < self.stale_until else reading


def test_f26_a_list_older_than_our_own_fills_is_not_believed_for_long(tmp_path: Path) -> None:
    async def one() -> None:
        venue = StaleVenue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.stale_until = 15.0
        report = await kill(tmp_path, DESK, [venue], "ann", "stop")
        assert report.flat and not venue.flat, "the list was not stale"
        async with pursued(desk, clock):
            await asyncio.sleep(venue.stale_until - venue.loop.time())
            await until_flat(venue, venue.stale_until)
        assert desk.events["kill.disagreement"] == 0

    in_virtual_time(one())


def test_f26_a_list_that_stays_old_is_called_out(tmp_path: Path) -> None:
    async def one() -> None:
        venue = StaleVenue(3, fault_share=0)
        desk, clock = Desk(tmp_path, venue), proxy.kill.job.Clock()
        venue.stale_until = 3600.0
        await kill(tmp_path, DESK, [venue], "ann", "stop")
        calls = venue.calls
        async with pursued(desk, clock):
            await asyncio.sleep(300)
        assert desk.events == {"kill.disagreement": 1}
        assert venue.calls - calls < 20, "hammered"

    in_virtual_time(one())
