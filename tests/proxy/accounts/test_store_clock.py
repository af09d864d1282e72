"""The store's clock is set back or forward, and no hold is let go, or asked about, by what it showed before."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy import under_way
from proxy.accounts import store_clock
from proxy.accounts.book import Book
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.survey_plan import SETTLE_LAG_S
from proxy.accounts.unresolved import MISSES_MIN, Answer
from proxy.clock import steady_s
from proxy.exchange.payloads import PlacedOrder
from proxy.exchange.survey import Survey
from proxy.store import warden_store
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.warden_store import WardenStore
from rules.account import HoldStatus
from tests.proxy.accounts.builders import a_resting_order
from tests.proxy.store.builders import a_held_order, a_request, an_account_of

OVER_S = 0.2
"""How long a request may be under way here."""

VENUE_MS = 7_000_000
"""The venue's clock when the test begins: nothing like the store's."""


class Clocks:
    """What a test does to the clocks. So much has ``passed_s`` by the steady clock, the venue's and the store's, which
    was ``set_s`` ahead besides; and the store takes long to answer before it looks at its clock, and after."""

    passed_s = 0.0
    set_s = 0.0
    before_s = 0.0
    after_s = 0.0

    def __init__(self, warden: WardenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        right = warden.now_us

        async def now_us() -> int:
            self.passed_s += self.before_s
            shown_us = await right() + round((self.passed_s + self.set_s) * 1e6)
            self.passed_s += self.after_s
            return shown_us

        monkeypatch.setattr(warden, "now_us", now_us)
        for reader in (store_clock, warden_store):
            monkeypatch.setattr(reader, "steady_s", lambda: steady_s() + self.passed_s)


class Hands:
    """An account with nothing in it, and the venue's answer about every order."""

    venue, name = "venue", "demo"

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self.placed: PlacedOrder | None = None
        self.asked = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    @property
    def venue_ms(self) -> int:
        return VENUE_MS + round(self._clocks.passed_s * 1000)

    async def survey(self, now: datetime) -> Survey:
        """Orders are read first; the other reads take a while."""
        found = Survey(account=an_account_of(0, as_of=now), symbols=None)
        if self.meanwhile is not None:
            await self.meanwhile()
        return found

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        self.asked += 1
        return self.placed


class World:
    """One account's keeper, that has looked once at the store, and the gate beside it."""

    def __init__(self, url: str, desk: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.warden = GateStore(url, desk, timeout_s=2.0), WardenStore(url, desk)
        self.clocks = Clocks(self.warden, monkeypatch)
        self.hands = Hands(self.clocks)
        hands: Any = self.hands
        self.keeper = AccountKeeper(
            desk=desk,
            hands=hands,
            store=self.warden,
            now=lambda: datetime.now(UTC),
            survey_every_s=15,
            books=Bookkeeper(book=Book("demo"), desk=desk, store=self.warden),
            record=self._record,
            streams=False,
        )

    async def begin(self) -> None:
        """The keeper's first look."""
        await self.warden.begin_epoch()
        await self.keeper.survey()

    async def held(self, status: str = "UNKNOWN") -> None:
        """A gate holds an order that is on its way, and hears so much of it."""
        await self.gate.hold(a_request("h1"))
        if status != "PENDING":
            await self.gate.settle("demo", "h1", status, [])

    async def asked(self) -> Answer:
        """What a look at the holds tells, as surveys have it."""
        _, now_us = await self.keeper._held.timed()
        return await self.keeper._held.asked(now_us)

    async def times(self) -> list[int]:
        """When the holds were made, as far as anybody knows."""
        return [aged.at_us for aged in await self.warden.holds("demo")]

    async def aclose(self) -> None:
        await self.gate.aclose()
        await self.warden.aclose()

    async def _record(self, *record: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
async def world(
    server: EmbeddedStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", OVER_S)
    built = World(server.url, request.node.name, monkeypatch)
    await built.begin()
    yield built
    await built.aclose()


@pytest.mark.parametrize(
    ("passed_s", "set_s"),
    [(0, -600), (0, -2), (6, -5), (15, -5), (600, -2), (0, 60), (0, 2), (15, 5), (600, 2)],
)
async def test_a_clock_that_was_set_is_doubted_however_long_ago_it_was_read(
    world: World, passed_s: float, set_s: float
) -> None:
    await world.held()
    world.clocks.passed_s, world.clocks.set_s = passed_s, set_s
    assert (await world.asked(), world.hands.asked) == (Answer(), 0)
    await asyncio.sleep(OVER_S)
    await world.asked()
    assert (await world.times(), world.hands.asked) == ([0], 1)


@pytest.mark.parametrize(
    ("passed_s", "set_s"),
    [(0, 0), (30, 0), (86_400, 0), (15, 0.5), (15, -0.5)],
    ids=["at once", "a loop stood still", "the host was suspended", "drift ahead", "drift behind"],
)
async def test_time_that_passes_unheeded_is_no_clock_that_was_set(world: World, passed_s: float, set_s: float) -> None:
    await world.held()
    world.clocks.passed_s, world.clocks.set_s = passed_s, set_s
    await world.asked()
    assert (world.hands.asked, 0 in await world.times()) == (1, False)


@pytest.mark.parametrize(("before_s", "after_s"), [(5, 0), (0, 5), (2, 2)])
async def test_a_store_that_takes_long_to_answer_is_asked_again_before_anything_is_judged_by_its_clock(
    world: World, before_s: float, after_s: float
) -> None:
    await world.held()
    world.clocks.before_s, world.clocks.after_s = before_s, after_s
    assert (await world.asked(), world.hands.asked) == (Answer(), 0)
    world.clocks.before_s = world.clocks.after_s = 0.0
    await world.asked()
    assert (world.hands.asked, 0 in await world.times()) == (1, False)


@pytest.mark.parametrize("set_s", [-4, 4])
async def test_no_step_hides_in_how_long_the_store_takes_to_answer(world: World, set_s: float) -> None:
    await world.held()
    world.clocks.before_s = world.clocks.after_s = 4.0
    world.clocks.set_s = set_s
    assert (await world.asked(), world.hands.asked) == (Answer(), 0)
    world.clocks.before_s = world.clocks.after_s = 0.0
    assert (await world.asked(), world.hands.asked) == (Answer(), 0)
    await asyncio.sleep(OVER_S)
    await world.asked()
    assert await world.times() == [0]


async def test_a_request_under_way_keeps_its_hold_when_the_clock_goes_forward(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue does not know the order yet. It may execute it still, and the bot may have its answer."""
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 19.0)
    await world.held("PENDING")
    world.clocks.set_s = 60
    for _ in range(MISSES_MIN + 1):
        await world.keeper.survey()
        world.clocks.passed_s += 2.5
    assert [aged.hold.status for aged in await world.warden.holds("demo")] == [HoldStatus.PENDING]
    assert (await world.gate.unreported("demo"), world.hands.asked) == ((), 0)


async def test_a_hold_that_is_made_while_the_clock_goes_forward_is_not_taken_for_an_old_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was none when the holds were read."""
    read = world.warden.holds

    async def meanwhile(account: str) -> Any:
        found = await read(account)
        monkeypatch.setattr(world.warden, "holds", read)
        await world.held("PENDING")
        world.clocks.set_s = 60
        return found

    monkeypatch.setattr(world.warden, "holds", meanwhile)
    assert (await world.asked(), world.hands.asked) == (Answer(), 0)


async def test_an_order_that_was_filled_arrived_also_where_the_clock_went_back_by_less_than_has_passed(
    world: World,
) -> None:
    await world.held()
    order = a_held_order()
    filled = a_resting_order(order.client_order_id, order.side, "0", "1", symbol=order.symbol)
    world.hands.placed = PlacedOrder(order=filled, quantity=Decimal(1), placed_ms=VENUE_MS)
    world.clocks.passed_s, world.clocks.set_s = 6, -5
    assert await world.asked() == Answer()
    await asyncio.sleep(OVER_S)
    for _ in range(MISSES_MIN + 1):
        answer = await world.asked()
        if answer.resolved:
            break
        world.clocks.passed_s += 2.5
    assert (answer.resolved, answer.absent) == (("h1",), ())


@pytest.mark.parametrize("back_s", [0, 3, 600])
async def test_a_survey_under_way_while_the_clock_goes_back_lets_go_no_hold_that_it_cannot_have_seen(
    world: World, back_s: float
) -> None:
    """The order rests at the venue since; the store's own clock is the right one, and was ahead before."""
    world.clocks.set_s = back_s
    await world.keeper.survey()

    async def meanwhile() -> None:
        world.clocks.set_s = 0
        await world.held("ACCEPTED")

    world.hands.meanwhile = meanwhile
    await world.keeper.survey()
    assert len(await world.times()) == 1
    world.hands.meanwhile = None
    await asyncio.sleep(SETTLE_LAG_S + 0.05)
    await world.keeper.survey()
    assert await world.times() == [], "the next one has seen the order"


async def test_a_failover_is_waited_out_once_however_far_behind_the_clock_of_the_new_server_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.0)
    await world.held()
    await world.asked()
    world.clocks.set_s = -600
    await fail_over(world)
    await world.keeper.loss.refill()
    asked = world.hands.asked
    await world.asked()
    assert world.hands.asked == asked + 1


@pytest.mark.parametrize("set_s", [-60, 60])
async def test_a_clock_that_is_set_while_a_failover_is_waited_out_is_doubted_after_it(
    world: World, set_s: float
) -> None:
    """Exits pass meanwhile, and may be under way still."""
    await fail_over(world)
    refilling = asyncio.create_task(world.keeper.loss.refill())
    await asyncio.sleep(OVER_S / 2)
    await world.held("PENDING")
    world.clocks.set_s = set_s
    await refilling
    assert (await world.asked(), world.hands.asked) == (Answer(), 0)


async def fail_over(world: World) -> None:
    """What the warden does when it finds another server."""
    world.keeper.distrust_store()
    await world.warden.distrust(["demo"])


async def test_a_clock_that_is_set_while_times_are_forgotten_is_doubted_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.held()
    world.clocks.set_s = 60
    await world.asked()
    await asyncio.sleep(OVER_S)
    forget = world.warden.forget_times

    async def meanwhile(*times: Any) -> None:
        monkeypatch.setattr(world.warden, "forget_times", forget)
        world.clocks.set_s = 120
        await world.keeper._held.timed()  # The other loop of the keeper.
        await forget(*times)

    monkeypatch.setattr(world.warden, "forget_times", meanwhile)
    assert (await world.asked(), world.hands.asked) == (Answer(), 0)
