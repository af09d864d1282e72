"""An order of unknown fate has arrived when the venue shows that very one, and not an older one of its name."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy import under_way
from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.unresolved import CLOCKS_APART_MAX_MS, MISSES_MIN, MISSES_SPAN_US, QUESTIONS_MAX, Answer, Unresolved
from proxy.exchange.payloads import PlacedOrder
from proxy.exchange.troubles import VenueRefused
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.settling_again import UNTOLD_KEPT_S
from proxy.store.warden_store import WardenStore
from rules.account import UnreportedOrder
from rules.model import PositionSide, Side
from tests.proxy.accounts.builders import a_resting_order
from tests.proxy.store.builders import a_held_order, a_request
from tests.rules.builders import NOW, an_account

VENUE_MS = 7_000_000
"""The venue's clock when it is asked: nothing like the store's."""

HELD_S = 60
"""How long before that the order was held."""


class Venue:
    """Answers with one order, whatever it is asked about."""

    name = "demo"

    def __init__(self, found: PlacedOrder | None) -> None:
        self.found = found
        self.venue_ms = VENUE_MS

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        return self.found

    async def order_by_id(self, symbol: str, order_id: str) -> PlacedOrder | None:
        raise AssertionError("nothing is asked by number here")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
async def lost(server: EmbeddedStore, request: pytest.FixtureRequest) -> AsyncIterator[tuple[WardenStore, int]]:
    """A store with a buy of one, held ``HELD_S`` ago, whose answer was lost; and its time of now."""
    desk = request.node.name
    gate, warden = GateStore(server.url, desk, timeout_s=2.0), WardenStore(server.url, desk)
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "UNKNOWN", [])
    yield warden, await warden.now_us() + HELD_S * 1_000_000
    await gate.aclose()
    await warden.aclose()


def placed(quantity: str = "1", at_ms: int = VENUE_MS - HELD_S * 1_000, filled: str = "0", **terms: Any) -> PlacedOrder:
    held = a_held_order()
    order = a_resting_order(held.client_order_id, held.side, "0", filled, symbol=held.symbol)
    return PlacedOrder(order=replace(order, **terms), quantity=Decimal(quantity), placed_ms=at_ms)


@pytest.mark.parametrize("filled", ["0", "1"])
@pytest.mark.parametrize("early_ms", [0, CLOCKS_APART_MAX_MS // 2])
async def test_the_order_itself_proves_that_it_arrived(
    lost: tuple[WardenStore, int], filled: str, early_ms: int
) -> None:
    warden, now_us = lost
    found = placed(filled=filled, at_ms=VENUE_MS - HELD_S * 1_000 - early_ms)
    answer = await Unresolved(Venue(found), warden).ask("demo", now_us)
    assert (answer.resolved, answer.absent) == (("h1",), ())


@pytest.mark.parametrize(
    "old",
    [
        placed(at_ms=VENUE_MS - HELD_S * 1_000 - 2 * CLOCKS_APART_MAX_MS),
        placed("0.3"),
        placed(side=Side.SELL),
        placed(position_side=PositionSide.LONG),
    ],
    ids=["before", "quantity", "side", "leg"],
)
async def test_an_old_order_of_its_name_proves_nothing(lost: tuple[WardenStore, int], old: PlacedOrder) -> None:
    warden, now_us = lost
    venue = Venue(old)
    unresolved = Unresolved(venue, warden)
    for _ in range(MISSES_MIN - 1):
        assert (await unresolved.ask("demo", now_us)).resolved == ()
    venue.venue_ms += MISSES_SPAN_US // 1_000
    answer = await unresolved.ask("demo", now_us + MISSES_SPAN_US)
    assert (answer.resolved, [hold_id for hold_id, _ in answer.absent]) == (("h1",), ["h1"])


LAG_MS = 5 * CLOCKS_APART_MAX_MS


def on_a_store_that_lags(venue: Venue, warden: WardenStore, monkeypatch: pytest.MonkeyPatch) -> AccountKeeper:
    """A keeper that surveys the account anew as after a failover, to a store whose clock is ``LAG_MS`` behind."""
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0)
    nothing: Any = None
    hands: Any = venue
    return AccountKeeper(
        desk="desk",
        hands=hands,
        store=warden,
        now=nothing,
        survey_every_s=15,
        books=cast(Any, SimpleNamespace(forget=lambda: None, stale=False)),
        record=nothing,
        streams=False,
    )


async def asked_until_over(unresolved: Unresolved, venue: Venue, now_us: int) -> Answer:
    """What is said of the hold in the end; every question comes a while after the one before."""
    for _ in range(MISSES_MIN + 1):
        answer = await unresolved.ask("demo", now_us)
        if answer.resolved:
            break
        venue.venue_ms += MISSES_SPAN_US // 1_000
        now_us += MISSES_SPAN_US
    return answer


@pytest.mark.parametrize(
    ("found", "arrived"),
    [
        (placed(filled="1"), True),
        (placed("0.3", filled="0.3"), False),
        (placed(filled="1", side=Side.SELL), False),
        (placed(filled="1", position_side=PositionSide.LONG), False),
    ],
    ids=["it", "quantity", "side", "leg"],
)
async def test_after_a_failover_to_a_clock_that_lags_a_filled_order_still_arrived(
    lost: tuple[WardenStore, int], monkeypatch: pytest.MonkeyPatch, found: PlacedOrder, arrived: bool
) -> None:
    warden, now_us = lost
    venue = Venue(found)
    keeper = on_a_store_that_lags(venue, warden, monkeypatch)
    await keeper.loss.refill()
    answer = await asked_until_over(keeper._held._unresolved, venue, now_us - LAG_MS * 1_000)
    assert answer.resolved == ("h1",)
    assert [hold_id for hold_id, _ in answer.absent] == ([] if arrived else ["h1"])


async def test_what_is_held_after_a_failover_is_timed_by_the_new_clock(
    lost: tuple[WardenStore, int],
    server: EmbeddedStore,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warden, now_us = lost
    venue = Venue(placed(filled="1", at_ms=VENUE_MS - HELD_S * 1_000 - 2 * CLOCKS_APART_MAX_MS))
    keeper = on_a_store_that_lags(venue, warden, monkeypatch)
    await keeper.loss.refill()
    gate = GateStore(server.url, request.node.name, timeout_s=2.0)
    await gate.hold(a_request("h2"))
    await gate.settle("demo", "h2", "UNKNOWN", [])
    await gate.aclose()
    assert (await keeper._held._unresolved.ask("demo", now_us)).resolved == ("h1",)


async def test_misses_of_before_a_failover_prove_nothing_after_it(
    lost: tuple[WardenStore, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    warden, now_us = lost
    venue = Venue(None)
    keeper = on_a_store_that_lags(venue, warden, monkeypatch)
    for _ in range(MISSES_MIN - 1):
        await keeper._held._unresolved.ask("demo", now_us)
    await keeper.loss.refill()
    assert (await keeper._held._unresolved.ask("demo", now_us + MISSES_SPAN_US)).resolved == ()


class SlowVenue(Venue):
    """Answers after a moment, in which its clock goes on."""

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        self.venue_ms += 150
        return self.found


async def test_orders_are_found_however_long_the_venue_takes_over_those_before_them(
    lost: tuple[WardenStore, int], server: EmbeddedStore, request: pytest.FixtureRequest
) -> None:
    warden, now_us = lost
    gate = GateStore(server.url, request.node.name, timeout_s=2.0)
    names = [f"h{number}" for number in range(1, QUESTIONS_MAX + 1)]
    for name in names[1:]:
        await gate.hold(a_request(name))
        await gate.settle("demo", name, "UNKNOWN", [])
    await gate.aclose()
    answer = await Unresolved(SlowVenue(placed(filled="1")), warden).ask("demo", now_us)
    assert (sorted(answer.resolved), answer.absent) == (sorted(names), ())


async def test_an_open_order_of_its_name_is_the_order_whenever_the_hold_says_it_was_made(
    lost: tuple[WardenStore, int],
) -> None:
    """A gate of an older version wrote down when it gave up waiting for the answer; and no name is open twice."""
    warden, now_us = lost
    standing = placed(at_ms=VENUE_MS - HELD_S * 1_000 - 2 * CLOCKS_APART_MAX_MS, leaves_quantity=Decimal(1))
    answer = await Unresolved(Venue(standing), warden).ask("demo", now_us)
    assert (answer.resolved, answer.absent) == (("h1",), ())


LAGS_S = pytest.mark.parametrize("lag_s", [0, 600])
"""How far the clock of the server that took over is behind that of the one that made the holds."""


@LAGS_S
async def test_a_warden_that_is_started_anew_after_a_failover_doubts_the_times_too(
    lost: tuple[WardenStore, int], monkeypatch: pytest.MonkeyPatch, lag_s: int
) -> None:
    warden, now_us = lost
    venue = Venue(placed(filled="1"))
    await on_a_store_that_lags(venue, warden, monkeypatch).loss.refill()
    answer = await asked_until_over(Unresolved(venue, warden), venue, now_us - lag_s * 1_000_000)
    assert (answer.resolved, answer.absent) == (("h1",), ())


@LAGS_S
async def test_the_order_of_a_gate_that_died_before_a_failover_is_asked_about_at_once_after_it(
    server: EmbeddedStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, lag_s: int
) -> None:
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    await gate.hold(a_request("h1"))
    venue = Venue(placed(filled="1"))
    keeper = on_a_store_that_lags(venue, warden, monkeypatch)
    await keeper.loss.refill()
    answer = await keeper._held._unresolved.ask("demo", await warden.now_us() - lag_s * 1_000_000)
    assert (answer.resolved, answer.absent) == (("h1",), ())
    await gate.aclose()
    await warden.aclose()


@LAGS_S
async def test_an_order_that_was_taken_before_a_failover_is_released_by_the_first_survey_after_it(
    server: EmbeddedStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, lag_s: int
) -> None:
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    await gate.hold(a_request("h1"))
    await gate.settle("demo", "h1", "ACCEPTED", [])
    await on_a_store_that_lags(Venue(None), warden, monkeypatch).loss.refill()
    began_us = await warden.now_us() - lag_s * 1_000_000
    account = replace(an_account().account, version=5)
    await warden.publish_account(account, began_us=began_us, symbols=None, resolved=(), desk=request.node.name)
    assert await warden.holds(account.name) == ()
    await gate.aclose()
    await warden.aclose()


async def test_what_is_held_while_a_failover_is_waited_out_is_timed_by_the_new_clock(
    lost: tuple[WardenStore, int],
    server: EmbeddedStore,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exits pass meanwhile: of one that is under way still, an older order of its name tells nothing."""
    warden, _ = lost
    keeper = on_a_store_that_lags(Venue(None), warden, monkeypatch)
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.2)
    refilling = asyncio.create_task(keeper.loss.refill())
    await asyncio.sleep(0.1)
    gate = GateStore(server.url, request.node.name, timeout_s=2.0)
    await gate.hold(a_request("h2"))
    await refilling
    await gate.aclose()
    assert [aged.at_us > 0 for aged in await warden.holds("demo")] == [False, True]


def test_a_request_may_wait_for_a_connection_then_for_its_answer_and_be_executed_after_that() -> None:
    waits = (under_way.POOL_TIMEOUT_S, under_way.CONNECT_TIMEOUT_S, under_way.REPLY_TIMEOUT_S, under_way.LATE_S)
    assert sum(waits) == under_way.UNDER_WAY_MAX_S == 19


@pytest.mark.parametrize("status", ["PENDING", "UNKNOWN", "ACCEPTED", ""])
async def test_no_hold_is_untimed_while_its_request_may_be_under_way(
    server: EmbeddedStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """An older order of its name would pass for the one on the wire, and the hold be let go. Nor is anything published
    while one may be whose hold was lost with the store, whatever is there still."""
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    if status:
        await gate.hold(a_request("h1"))
    if status not in ("", "PENDING"):
        await gate.settle("demo", "h1", status, [])
    keeper = on_a_store_that_lags(Venue(None), warden, monkeypatch)
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.4)
    began = time.monotonic()
    await keeper.loss.refill()
    assert 0.4 <= time.monotonic() - began < 2.0
    assert [aged.at_us for aged in await warden.holds("demo")] == [0] * bool(status)
    await gate.aclose()
    await warden.aclose()


async def test_who_asks_meanwhile_may_find_the_hold_gone(lost: tuple[WardenStore, int]) -> None:
    """Another survey, or one that begins anew after a failover, forgets it while the store is told."""
    warden, now_us = lost
    unresolved = Unresolved(Venue(None), cast(Any, SlowToForget(warden, lambda: unresolved.forget(("h1",)))))
    for _ in range(MISSES_MIN - 1):
        await unresolved.ask("demo", now_us)
    answer = await unresolved.ask("demo", now_us + MISSES_SPAN_US)
    assert (answer.resolved, answer.absent) == (("h1",), (("h1", now_us),))


async def test_what_a_gate_says_late_of_an_order_that_never_was_stops_no_bot(
    lost: tuple[WardenStore, int], server: EmbeddedStore, request: pytest.FixtureRequest
) -> None:
    """It could not tell the store for a while that nobody knew of the order; meanwhile the venue has said."""
    warden, now_us = lost
    unresolved = Unresolved(Venue(None), warden)
    for _ in range(MISSES_MIN - 1):
        await unresolved.ask("demo", now_us)
    proven_us = now_us + MISSES_SPAN_US
    assert (await unresolved.ask("demo", proven_us)).resolved == ("h1",)
    gate = GateStore(server.url, request.node.name, timeout_s=2.0)
    left = []
    for later_s in (2.0, UNTOLD_KEPT_S + 1):
        await gate.settle("demo", "h1", "RELEASE", [])
        late = UnreportedOrder(bot="demo-bot", hold_id="h1", at=NOW, order=a_held_order())
        await gate.settle("demo", "h1", "UNKNOWN", [], None, [late])
        await unresolved.ask("demo", proven_us + int(later_s * 1e6))
        left.append(len(await gate.unreported("demo")))
    assert left == [0, 1], "for as long as gates tell again"
    await gate.aclose()


class SlowToForget:
    """A store that takes so long to forget an order that something else happens."""

    def __init__(self, warden: WardenStore, meanwhile: Callable[[], None]) -> None:
        self.all_holds = warden.all_holds
        self._meanwhile = meanwhile

    async def forget_unreported(self, account: str, hold_id: str, names: frozenset[str]) -> None:
        self._meanwhile()


async def test_nothing_is_asked_while_a_failover_is_waited_out(
    lost: tuple[WardenStore, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a question found then might be missed by the old times, and forgotten."""
    warden, _ = lost
    keeper = on_a_store_that_lags(Unasked(None), warden, monkeypatch)
    keeper.distrust_store()
    await keeper._ask()


class Unasked(Venue):
    """Must not be asked."""

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        raise AssertionError("asked")


class Delisted(Venue):
    """Knows one symbol no more, and of the others no order."""

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        if symbol == "GONEUSDT":
            raise VenueRefused(-1121, "Invalid symbol.")
        return self.found


async def test_holds_of_a_symbol_that_is_gone_keep_no_other_and_go_beside_a_survey_of_the_whole_account(
    server: EmbeddedStore, request: pytest.FixtureRequest
) -> None:
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    gone = {f"g{number}" for number in range(QUESTIONS_MAX)}
    for name in (*gone, "later"):
        await gate.hold(a_request(name, orders=(a_held_order("GONEUSDT" if name in gone else "BTCUSDT"),)))
        await gate.settle("demo", name, "UNKNOWN", [])
    unresolved, now_us = Unresolved(Delisted(None), warden), await warden.now_us()
    resolved: set[str] = set()
    absent: set[str] = set()
    by_whole: set[str] = set()
    for _ in range(3 * MISSES_MIN):
        answer = await unresolved.ask("demo", now_us)
        resolved |= {*answer.resolved}
        absent |= {hold_id for hold_id, _ in answer.absent}
        by_whole |= {*answer.by_whole}
        now_us += MISSES_SPAN_US
    assert (resolved, absent, by_whole) == ({"later"}, {"later"}, gone)
    await gate.aclose()
    await warden.aclose()


async def test_what_refuses_without_naming_the_symbol_proves_nothing(lost: tuple[WardenStore, int]) -> None:
    class Refusing(Venue):
        async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
            raise VenueRefused(-2015, "Invalid API-key, IP, or permissions for action.")

    warden, now_us = lost
    venue = Refusing(None)
    assert await asked_until_over(Unresolved(venue, warden), venue, now_us) == Answer()


async def test_a_hold_that_another_version_wrote_goes_once_its_request_must_be_over(
    lost: tuple[WardenStore, int],
) -> None:
    warden, now_us = lost
    await warden._redis.hset(warden._keys.holds("demo"), "odd", "1|PARTIAL|1|demo-bot|[]")
    unresolved = Unresolved(Venue(placed()), warden)
    waited_us = int(under_way.UNDER_WAY_MAX_S * 1e6)
    assert (await unresolved.ask("demo", now_us)).by_whole == ()
    assert (await unresolved.ask("demo", now_us + waited_us - 1)).by_whole == ()
    answer = await unresolved.ask("demo", now_us + waited_us)
    assert (answer.by_whole, answer.resolved, answer.absent) == (("odd",), ("h1",), ())
    unresolved.begin_anew()
    assert (await unresolved.ask("demo", now_us + waited_us)).by_whole == ()


def set_back(warden: WardenStore, monkeypatch: pytest.MonkeyPatch, *, back_s: int = 600) -> None:
    """From now on the store's clock shows what it showed ``back_s`` ago."""
    right = warden.now_us

    async def earlier() -> int:
        return await right() - back_s * 1_000_000

    monkeypatch.setattr(warden, "now_us", earlier)


@pytest.mark.parametrize("status", ["PENDING", "ACCEPTED"])
async def test_when_the_stores_clock_goes_back_holds_are_untimed_once_their_requests_are_over(
    server: EmbeddedStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    await gate.hold(a_request("h1"))
    if status != "PENDING":
        await gate.settle("demo", "h1", status, [])
    keeper = on_a_store_that_lags(Unasked(None), warden, monkeypatch)
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.2)
    await keeper._ask()
    set_back(warden, monkeypatch)
    await keeper._ask()
    assert [aged.at_us > 0 for aged in await warden.holds("demo")] == [True]
    await asyncio.sleep(0.2)
    await keeper._held.timed()
    assert [aged.at_us for aged in await warden.holds("demo")] == [0]
    await gate.aclose()
    await warden.aclose()


async def test_when_the_stores_clock_goes_back_a_filled_order_still_arrived(
    lost: tuple[WardenStore, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    warden, _ = lost
    venue = Venue(placed(filled="1"))
    keeper = on_a_store_that_lags(venue, warden, monkeypatch)
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.2)
    await asked(keeper)
    set_back(warden, monkeypatch)
    answers = [await asked(keeper) for _ in range(MISSES_MIN)]
    assert answers == [Answer()] * MISSES_MIN, "its time is doubted"
    await asyncio.sleep(0.2)
    answer = await asked(keeper)
    assert (answer.resolved, answer.absent) == (("h1",), ())


async def test_misses_of_before_the_stores_clock_went_back_prove_nothing_after_it(
    lost: tuple[WardenStore, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    warden, _ = lost
    keeper = on_a_store_that_lags(Venue(None), warden, monkeypatch)
    for _ in range(MISSES_MIN - 1):
        await asked(keeper)
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0)
    set_back(warden, monkeypatch)
    await asked(keeper)
    _, now_us = await keeper._held.timed()
    assert (await keeper._held.asked(now_us + MISSES_SPAN_US)).resolved == ()


async def asked(keeper: AccountKeeper) -> Answer:
    """As a survey asks."""
    _, now_us = await keeper._held.timed()
    return await keeper._held.asked(now_us)


@pytest.mark.parametrize("slow", ["all_holds", "order_by_client_id"])
async def test_a_question_that_was_asked_while_the_clock_went_back_counts_for_nothing(
    lost: tuple[WardenStore, int], monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """Its miss would lie ahead, and the hold stay for as long as the clock went back."""
    warden, _ = lost
    venue = Venue(None)
    over_us = int(under_way.UNDER_WAY_MAX_S * 1e6) + MISSES_SPAN_US
    await warden._redis.hset(warden._keys.holds("demo"), "odd", "1|PARTIAL|1|demo-bot|[]")
    keeper = on_a_store_that_lags(venue, warden, monkeypatch)
    _, now_us = await keeper._held.timed()
    waited_for: Any = warden if slow == "all_holds" else venue
    answer_of = getattr(waited_for, slow)

    async def meanwhile(*about: Any) -> Any:
        monkeypatch.setattr(waited_for, slow, answer_of)
        set_back(warden, monkeypatch)
        await keeper._held.timed()  # The other loop of the keeper.
        return await answer_of(*about)

    monkeypatch.setattr(waited_for, slow, meanwhile)
    assert await keeper._held.asked(now_us) == Answer()
    for _ in range(MISSES_MIN - 1):
        await asked(keeper)
    answer = await keeper._held.asked(await warden.now_us() + over_us)
    assert (answer.resolved, answer.by_whole) == (("h1",), ("odd",))


@pytest.mark.parametrize("status", ["PENDING", "ACCEPTED", "UNKNOWN"])
async def test_a_warden_that_is_started_anew_after_the_stores_clock_went_back_doubts_the_times_too(
    server: EmbeddedStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """The one that saw it may have ended before nothing of them was under way: the holds themselves tell."""
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    await gate.hold(a_request("h1"))
    if status != "PENDING":
        await gate.settle("demo", "h1", status, [])
    set_back(warden, monkeypatch)
    keeper = on_a_store_that_lags(Unasked(None), warden, monkeypatch)
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.2)
    await keeper._ask()
    assert [aged.at_us > 0 for aged in await warden.holds("demo")] == [True]
    await asyncio.sleep(0.1)
    await keeper._ask()
    await asyncio.sleep(0.1)
    await keeper._held.timed()
    assert [aged.at_us for aged in await warden.holds("demo")] == [0], "it is not waited for anew with every look"
    await gate.aclose()
    await warden.aclose()
