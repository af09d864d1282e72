"""The warden works the reserve out of what is open, and the gates hear of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from proxy.accounts.budget_keeper import BudgetKeeper, Spent, VenueTime
from proxy.budget.meter import Meter, Payer
from proxy.budget.published import LIMITS_DEFAULT, Counter, Limit
from proxy.budget.silence import BANNED, LONGEST_S, THROTTLED, Silence, Way
from proxy.exchange.troubles import VenueUnavailable
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.warden_store import WardenStore
from proxy.venues.binance.usage import KILL_PRICES
from rules.account import Account
from rules.kill.budget import Spend
from rules.kill.settings import Reserve
from tests.rules.builders import an_account, an_instrument

NOW = datetime(2026, 11, 27, 12, 0, 5, tzinfo=UTC)
WEIGHT = Counter(Limit.WEIGHT_1M, "")
LIMITS = {Limit.WEIGHT_1M.value: 6_000, Limit.ORDERS_10S.value: 300, Limit.ORDERS_1M.value: 1_200}


class Kept:
    """A keeper of some accounts, over a real store."""

    def __init__(self, server: EmbeddedStore, desk: str) -> None:
        self.accounts: list[Account] = []
        self.addresses: dict[str, Sequence[str]] = {}
        self.settings = Reserve()
        self.limits: dict[str, int] | None = dict(LIMITS)
        self.store = WardenStore(server.url, desk)
        self.gate = GateStore(server.url, desk, timeout_s=2.0)
        self.meter = Meter(lambda: NOW)
        self.keeper = BudgetKeeper(
            venue="binanceusdm",
            meter=self.meter,
            store=self.store,
            limits=self._ask,
            accounts=lambda: self.accounts,
            instruments=lambda: {"BTCUSDT": an_instrument("BTCUSDT", market_quantity_max=Decimal(10))},
            addresses=lambda account: self.addresses.get(account, ("",)),
            settings=lambda: self.settings,
        )

    def has(self, *names: str, quantity: str) -> None:
        account = an_account().long("BTCUSDT", quantity).account
        assert account is not None
        self.accounts = [replace(account, name=name) for name in names]

    async def _ask(self) -> dict[str, int]:
        if self.limits is None:
            raise VenueUnavailable("away")
        return self.limits


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path) as started:
        yield started


@pytest.fixture
async def raw(server: EmbeddedStore) -> AsyncIterator[Redis]:
    client = Redis.from_url(server.url, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
async def kept(server: EmbeddedStore) -> AsyncIterator[Kept]:
    made = Kept(server, "desk")
    yield made
    await made.gate.aclose()
    await made.store.aclose()


def test_the_reserve_follows_what_is_open(kept: Kept) -> None:
    kept.has("main", quantity="45")
    budget = kept.keeper.budget()
    surveys, slices = 4 + 5, 5
    each = KILL_PRICES.depth + 2 * KILL_PRICES.close
    weight = KILL_PRICES.listing + surveys * KILL_PRICES.survey + slices * each + KILL_PRICES.fees
    assert (weight, budget.reserve(WEIGHT)) == (845, 1_268)
    assert budget.reserve(Counter(Limit.ORDERS_10S, "main")) == 60
    kept.has("main", quantity="500")
    assert kept.keeper.budget().reserve(Counter(Limit.ORDERS_10S, "main")) == 150


def test_accounts_that_share_an_address_share_its_reserve(kept: Kept) -> None:
    kept.has("one", quantity="1")
    assert kept.keeper.budget().reserve(WEIGHT) == 698
    kept.has("one", "two", quantity="1")
    assert kept.keeper.budget().reserve(WEIGHT) == 1_395
    kept.addresses = {"two": ("127.0.0.3", "127.0.0.2")}
    budget = kept.keeper.budget()
    assert {budget.reserve(Counter(Limit.WEIGHT_1M, each)) for each in ("", "127.0.0.2", "127.0.0.3")} == {698}


def test_what_does_not_fit_is_said_once(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.has(*(f"a{number}" for number in range(10)), quantity="1")
    with caplog.at_level(logging.WARNING):
        assert kept.keeper.budget().reserve(WEIGHT) == 1_920
        kept.keeper.budget()
    (record,) = caplog.records
    assert "weight-1m: than may be kept; give accounts their own egress" in record.getMessage()


def test_what_is_used_stands_beside_what_is_granted_and_kept(kept: Kept) -> None:
    kept.has("main", quantity="1")
    kept.meter.budget = replace(kept.keeper.budget(), version=1)
    kept.meter.told({WEIGHT.field: (int(NOW.timestamp()) // 60, 70)})
    standings = {(each.limit, each.whose): each for each in kept.keeper.standings()}
    assert set(standings) == {("weight-1m", ""), ("orders-10s", "main"), ("orders-1m", "main")}
    weight = standings["weight-1m", ""]
    assert (weight.used, weight.granted) == (70, 2_400)
    assert weight.reserve == kept.meter.budget.reserve(WEIGHT) > 0


def test_of_what_is_spent_it_is_known_what_kills_have_spent(kept: Kept) -> None:
    free = kept.meter.budget.limit(WEIGHT) - kept.meter.budget.reserve(WEIGHT)
    kept.meter.begin(Payer("main"), Spend(weight=300))
    kept.meter.by_kill(Payer("main"), Spend(weight=100))
    assert kept.keeper.spent() == Spent(300 / free, by_kills=100 / free)


async def test_gates_hear_the_venues_limits_and_the_reserve(kept: Kept) -> None:
    kept.has("main", quantity="1")
    running = asyncio.create_task(kept.keeper.run())
    try:
        async with asyncio.timeout(10):
            while True:
                budget, _ = await kept.gate.share_budget("binanceusdm", {})
                if budget is not None and budget.limits == LIMITS:
                    break
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
    assert budget.reserve(WEIGHT) == 1_200
    assert (await kept.gate.share_budget("binanceusdm", {}))[0] is None, "it is no new one"


async def test_a_venue_that_does_not_say_its_limits_has_the_usual_ones(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    kept.limits = None
    running = asyncio.create_task(kept.keeper.run())
    try:
        async with asyncio.timeout(10):
            while (await kept.gate.share_budget("binanceusdm", {}))[0] is None:
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
    assert kept.meter.budget.limits == LIMITS_DEFAULT
    assert kept.meter.budget.reserve(WEIGHT) == 480
    assert "the limits of binanceusdm cannot be read" in caplog.text


async def test_the_next_warden_begins_with_the_limits_and_the_use_of_the_last(
    server: EmbeddedStore, kept: Kept
) -> None:
    """Its first reads would be held back for up to a minute, and prices grow old, where the venue grants more."""
    kept.has("main", quantity="1")
    kept.meter.budget = replace(kept.keeper.budget(), limits=LIMITS, version=7)
    await kept.store.publish_budget("binanceusdm", kept.meter.budget)
    await kept.store.share_budget("binanceusdm", "7", {WEIGHT.field: (int(NOW.timestamp()) // 60, 2_000)})
    following = Kept(server, "desk")
    surveys = Spend(weight=40)
    assert following.meter.kept(Payer(), surveys) is None
    await following.keeper.take_up()
    assert following.meter.budget == kept.meter.budget
    assert following.meter.used(WEIGHT) == 2_000 > LIMITS_DEFAULT[Limit.WEIGHT_1M] - 480
    assert following.meter.kept(Payer(), surveys) is None
    following.accounts, following.limits = kept.accounts, None
    assert following.keeper.budget().limits == LIMITS, "the venue has not been asked yet"
    await following.store.aclose()
    await following.gate.aclose()


@pytest.mark.parametrize("body", ["{}", "[", '{"limits": 3}', '{"version": "x"}'])
async def test_a_budget_of_another_version_is_none_and_the_counters_are_read(kept: Kept, raw: Redis, body: str) -> None:
    await raw.hset(Keys("desk").budget("binanceusdm"), mapping={"version": "9", "body": body})
    await kept.store.share_budget("binanceusdm", "", {WEIGHT.field: (int(NOW.timestamp()) // 60, 70)})
    before = kept.meter.budget
    await kept.keeper.take_up()
    assert kept.meter.budget.limits == before.limits
    assert kept.meter.used(WEIGHT) == 70


async def test_the_newest_window_and_the_highest_count_stand(kept: Kept) -> None:
    async def share(venue: str, seen: dict[str, tuple[int, ...]]) -> Mapping[str, tuple[int, ...]]:
        return (await kept.store.share_budget(venue, "", seen))[1]

    assert await share("v", {"weight-1m:": (7, 100)}) == {"weight-1m:": (7, 100)}
    assert await share("v", {"weight-1m:": (7, 90), "orders-10s:main": (42, 3)}) == {
        "weight-1m:": (7, 100),
        "orders-10s:main": (42, 3),
    }
    assert (await share("v", {"weight-1m:": (8, 5)}))["weight-1m:"] == (8, 5)
    assert (await share("v", {"weight-1m:": (7, 2_000)}))["weight-1m:"] == (8, 5)


async def test_a_silence_that_one_process_was_told_is_kept_by_the_next_warden_and_stands_in_its_metrics(
    server: EmbeddedStore, kept: Kept
) -> None:
    gate = Meter(lambda: NOW)
    gate.silenced(Way("fapi", "127.0.0.2"), BANNED, 3_600)
    gate.silenced(Way("sapi", ""), BANNED, 300)
    assert kept.keeper.silences() == {}
    await kept.gate.share_budget("binanceusdm", gate.seen())
    await kept.keeper.take_up()
    assert kept.meter.silence(Way("sapi", "")) is not None
    assert kept.keeper.silences() == {"127.0.0.2": 3_600}
    assert set(kept.meter.seen()) == set(gate.seen()), "and kept in the store, however long it is"


async def told(kept: Kept, meter: Meter) -> None:
    """As gates and warden do, four times a second."""
    meter.told((await kept.gate.share_budget("binanceusdm", meter.seen()))[1])


async def test_the_store_keeps_the_end_of_a_silence_by_its_own_clock(kept: Kept) -> None:
    """Whatever the processes that tell it take for the time."""
    teller, hearer = Meter(lambda: NOW - timedelta(days=2)), Meter(lambda: NOW + timedelta(minutes=30))
    way = Way("fapi", "")
    teller.silenced(way, THROTTLED, 2)
    await told(kept, teller)
    await asyncio.sleep(1.1)
    await told(kept, hearer)
    assert hearer.silence(way) == Silence(THROTTLED, 1)
    assert (await kept.gate.share_budget("binanceusdm", {}))[1].keys() == teller.seen().keys()
    await asyncio.sleep(1.0)
    assert (await kept.gate.share_budget("binanceusdm", {}))[1] == {}


async def test_the_later_end_stands_in_the_store(kept: Kept) -> None:
    long, short = Meter(lambda: NOW), Meter(lambda: NOW)
    way = Way("fapi", "")
    long.silenced(way, BANNED, 300)
    short.silenced(way, BANNED, 120)
    for each in (long, short, long):
        await told(kept, each)
        silence = each.silence(way)
        assert silence is not None and silence.left_s == 300


async def test_an_answer_of_the_exchange_ends_a_silence_for_all_and_one_demanded_since_stands(kept: Kept) -> None:
    gate, warden, late = (Meter(lambda: NOW) for _ in range(3))
    way = Way("fapi", "")
    before_s = time.monotonic()
    gate.silenced(way, BANNED, 300)
    for each in (gate, warden, late):
        await told(kept, each)
    assert warden.answered(way, time.monotonic())
    for each in (warden, gate):
        await told(kept, each)
        assert each.silence(way) is None
    gate.silenced(way, BANNED, 600)
    await told(kept, gate)
    await told(kept, late)
    silence = late.silence(way)
    assert silence is not None and silence.left_s == 600
    await kept.gate.share_budget("binanceusdm", {way.field(""): (0, 0, int((time.monotonic() - before_s) * 1000))})
    await told(kept, gate)
    assert gate.silence(way) is not None, "that was asked before it was demanded"


@pytest.mark.parametrize(("ago_s", "taken_up"), [(9, True), (11, False)])
async def test_a_silence_that_nobody_keeps_any_more_is_forgotten(
    kept: Kept, raw: Redis, ago_s: int, taken_up: bool
) -> None:
    """So who stops gates and warden for ten seconds starts them without it."""
    way = Way("fapi", "")
    now_ms = int((await raw.time())[0]) * 1000
    entry = f"{now_ms + 3_600_000}:418:{now_ms - 60_000}:{now_ms - ago_s * 1000}"
    await raw.hset(Keys("desk").silences("binanceusdm"), way.field(""), entry)
    await kept.keeper.take_up()
    assert (kept.meter.silence(way) is not None) is taken_up
    await told(kept, kept.meter)
    kept_ms = [int(each.split(":")[3]) for each in await raw.hvals(Keys("desk").silences("binanceusdm"))]
    assert len(kept_ms) == taken_up and all(each >= now_ms for each in kept_ms)


async def forgotten_by_the_store(raw: Redis) -> None:
    """It could not be asked for more than ten seconds."""
    name = Keys("desk").silences("binanceusdm")
    now_ms = int((await raw.time())[0]) * 1000
    for field, entry in (await raw.hgetall(name)).items():
        ends, status, heard, _ = entry.split(":")
        await raw.hset(name, field, f"{ends}:{status}:{heard}:{now_ms - 11_000}")


async def test_a_store_that_was_away_hears_of_a_silence_again_from_whoever_keeps_it(kept: Kept, raw: Redis) -> None:
    gate, warden, late, way = Meter(lambda: NOW), Meter(lambda: NOW), Meter(lambda: NOW), Way("fapi", "")
    gate.silenced(way, BANNED, 259_200)
    for each in (gate, warden):
        await told(kept, each)
    await forgotten_by_the_store(raw)
    for each in (gate, warden) * 2:
        await told(kept, each)
    await told(kept, late)
    silence = late.silence(way)
    assert silence is not None and silence.left_s > 259_190
    assert warden.answered(way, time.monotonic())
    for each in (warden, gate, late):
        await told(kept, each)
    assert [each.silence(way) for each in (warden, gate, late)] == [None] * 3


async def test_whoever_was_cut_off_for_hours_hears_that_a_ban_was_over(kept: Kept, raw: Redis) -> None:
    steady_s, name, way = [0.0], Keys("desk").silences("binanceusdm"), Way("fapi", "")
    gate, cut_off = Meter(lambda: NOW), Meter(lambda: NOW, steady_s=lambda: steady_s[0])
    gate.silenced(way, BANNED, LONGEST_S[BANNED])
    for each in (gate, cut_off):
        await told(kept, each)
    assert gate.answered(way, time.monotonic())
    await told(kept, gate)
    assert await raw.ttl(name) == LONGEST_S[BANNED]
    hours_ms = (LONGEST_S[BANNED] - 3_600) * 1000
    for field, entry in (await raw.hgetall(name)).items():
        _, _, begun, known = map(int, entry.split(":"))
        await raw.hset(name, field, f"0:0:{begun - hours_ms}:{known - hours_ms}")
    steady_s[0] = hours_ms / 1000 + 60
    for each in (cut_off, gate, cut_off, gate):
        await told(kept, each)
    assert [each.silence(way) for each in (cut_off, gate)] == [None, None]


@pytest.mark.parametrize(
    "order", ["proof, kept, demand", "kept, proof, demand", "kept, demand, proof, kept"], ids=lambda order: order
)
async def test_what_a_store_that_was_away_hears_late_crosses_nothing_newer(kept: Kept, raw: Redis, order: str) -> None:
    gate, warden, way = Meter(lambda: NOW), Meter(lambda: NOW), Way("fapi", "")
    gate.silenced(way, BANNED, 300)
    for each in (gate, warden):
        await told(kept, each)
    await asyncio.sleep(0.05)
    asked_s = time.monotonic()
    await asyncio.sleep(0.05)
    await forgotten_by_the_store(raw)
    newer = Meter(lambda: NOW)
    newer.silenced(way, BANNED, 600)
    assert warden.answered(way, asked_s)
    for what in order.split(", "):
        await told(kept, warden if what == "proof" else gate)
    assert gate.silence(way) is None, "the exchange answered after it was demanded"
    for each in (newer, warden, gate):
        await told(kept, each)
    silence = gate.silence(way)
    assert silence is not None and silence.left_s > 590, "demanded after that was asked"


async def test_a_clock_of_the_store_that_is_put_back_makes_no_silence_longer(kept: Kept, raw: Redis) -> None:
    way = Way("fapi", "")
    now_ms = int((await raw.time())[0]) * 1000
    entry = f"{now_ms + 7_200_000}:418:{now_ms + 3_600_000}:{now_ms + 3_600_000}"
    await raw.hset(Keys("desk").silences("binanceusdm"), way.field(""), entry)
    kept.meter.silenced(way, BANNED, 120)
    await told(kept, kept.meter)
    silence = kept.meter.silence(way)
    assert silence is not None and silence.left_s == 120


def test_the_venues_time_is_the_hosts_until_it_was_measured() -> None:
    time = VenueTime(lambda: NOW)
    assert time.now() == NOW
    time.adjust(-1_500)
    assert (NOW - time.now()).total_seconds() == 1.5
