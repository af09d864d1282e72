"""The keeper against the real practice exchange and the real store: what is published is what rules are given."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.accounts.markets import MarketKeeper
from proxy.budget.pace import Pace
from proxy.exchange.troubles import VenueTrouble
from proxy.exchange.venue_account import VenueAccount
from proxy.signals import measuring
from proxy.signals.conditions import ConditionsKeeper
from proxy.store.embedded import EmbeddedStore
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import Secret
from rules.facts import PRICE_WINDOWS_S, Condition, Conditions, Latency
from rules.model import Side
from tests.sandbox.practice import ALICE, PracticeServer, start, stop
from tests.support.waiting import until

VENUE = "binanceusdm"
TRADING = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT"}


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
async def store(server: EmbeddedStore, request: pytest.FixtureRequest) -> AsyncIterator[WardenStore]:
    opened = WardenStore(server.url, request.node.name[:30])
    yield opened
    await opened.aclose()


@pytest.fixture
def exchange() -> Iterator[PracticeServer]:
    """A market that moves, and an hour of history."""
    process: subprocess.Popen[str]
    process, practice = start("--scenario", "calm")
    yield practice
    practice.control.close()
    stop(process)


class House:
    """A market keeper and a conditions keeper of one venue, stepped by hand."""

    def __init__(self, hands: VenueAccount, store: WardenStore) -> None:
        self.store = store
        self.held: set[str] = set()
        self.market = MarketKeeper(venue=VENUE, hands=hands, store=store, document=self._document, now=now, every_s=1)
        self.keeper = self.another_keeper(hands)

    def another_keeper(self, hands: VenueAccount) -> ConditionsKeeper:
        return ConditionsKeeper(
            venue=VENUE,
            reads=hands.public,
            prices=self.market,
            store=self.store,
            held=lambda: self.held,
            clock_offset_ms=lambda: 3,
            now=now,
        )

    def may_read_all_at_once(self) -> None:
        """What five new symbols and the busiest weigh is more than a minute has."""
        self.keeper.measuring._budget = Pace(5 * 27 + 40)

    async def listed(self) -> None:
        await self.market.publish_instruments()
        await self.market.read_quotes()
        await self.market.publish_markets()

    async def read_all(self) -> None:
        """Read until nothing is due or the budget is spent."""
        self.keeper.measuring.follow(self.keeper.symbols)
        while await self.keeper.measuring.read_next():
            self.keeper.measuring.follow(self.keeper.symbols)
        self.keeper.measuring.note_marks()

    async def published(self) -> Conditions:
        await self.keeper.correlate()
        await self.keeper.publish()
        found = await self.store.conditions(VENUE)
        assert found is not None
        return found

    async def _document(self, *_: Any) -> None:
        """The audit is no part of these tests."""


@pytest.fixture
async def house(exchange: PracticeServer, store: WardenStore) -> AsyncIterator[House]:
    hands = VenueAccount(
        name="alice",
        venue=VENUE,
        api_key=ALICE[0],
        secret=Secret(ALICE[1]),
        base_url=exchange.url,
        timeout=2,
    )
    yield House(hands, store)
    await hands.aclose()


def missing(condition: Condition) -> set[str]:
    parts = ("daily_volume", "open_interest", "volatility", "volatility_usual", "bid_depth", "ask_depth", "temperature")
    parts += ("adverse_move_q90", "adverse_move_q99", "adverse_move_as_of", "funding_a_day")
    gone = {part for part in parts if getattr(condition, part) is None}
    return gone | {f"range {window}" for window in PRICE_WINDOWS_S if condition.range_of(window) is None}


async def test_soon_everything_is_known_of_every_symbol_that_trades(house: House):
    began = now()
    house.may_read_all_at_once()
    await house.listed()
    await house.read_all()
    for minute in range(4):
        house.keeper.latency.read(time.monotonic() - 60 * (4 - minute), 8.0)
        house.keeper.latency.stream(time.monotonic() - 60 * (4 - minute), 5.0)
        house.keeper.latency.skew(time.monotonic() - 60 * (4 - minute), 3.0)
    house.keeper.latency.read(time.monotonic(), 9.0)
    found = await house.published()
    assert set(found.symbols) == TRADING
    assert {symbol: missing(condition) for symbol, condition in found.symbols.items()} == {
        symbol: set() for symbol in TRADING
    }
    assert len(found.correlations) == 10
    assert all(Decimal("0.1") < rho <= 1 for rho in found.correlations.values()), "its symbols have moved together"
    assert found.correlations_as_of is not None
    assert found.correlations_method
    assert set(found.correlation_bands) == set(found.correlations)
    assert all(low <= found.correlations[pair] <= high for pair, (low, high) in found.correlation_bands.items())
    assert all(began <= condition.as_of <= now() for condition in found.symbols.values())
    latency = found.latency
    assert latency is not None
    assert latency == Latency(
        as_of=found.as_of,
        round_trip_ms=Decimal("9.000"),
        round_trip_usual_ms=Decimal("8.000"),
        stream_lag_ms=Decimal("5.000"),
        stream_lag_usual_ms=Decimal("5.000"),
        clock_skew_ms=Decimal("3.000"),
        clock_skew_usual_ms=Decimal("3.000"),
        read_usual_ms=Decimal("8.000"),
    )


async def test_the_values_are_those_of_the_exchange(house: House):
    """Bitcoin there moves by a half in a year and has six thousand units open."""
    await house.listed()
    house.held = {"BTCUSDT"}
    await house.read_all()
    found = (await house.published()).symbols["BTCUSDT"]
    assert found.volatility is not None
    assert float(found.volatility) == pytest.approx(0.5 / (365 * 24) ** 0.5, rel=0.35)
    assert found.open_interest == 6_000
    assert found.daily_volume is not None
    assert found.daily_volume > 1_000
    minute, hour = found.range_of(60), found.range_of(3600)
    assert minute is not None
    assert hour is not None
    mark = house.market.markets["BTCUSDT"].mark_price
    assert hour.low <= minute.low <= mark <= minute.high <= hour.high
    assert hour.high / hour.low < Decimal("1.1")
    assert found.bid_depth is not None
    assert 100_000 < found.bid_depth < 10_000_000


async def test_what_an_order_would_cost_is_told_of_what_is_measured(house: House):
    await house.listed()
    house.held = {"BTCUSDT"}
    await house.read_all()
    small, large = (house.keeper.slippage("BTCUSDT", Side.BUY, Decimal(size)) for size in ("0.01", "10"))
    assert small is not None
    assert large is not None
    assert small.expected_bps is not None
    assert large.expected_bps is not None
    assert 0 < small.expected_bps < large.expected_bps < large.q90_bps < large.q99_bps
    assert house.keeper.slippage("NOSUCHUSDT", Side.BUY, Decimal(1)) is None
    assert {each.symbol for each in house.keeper.slippage_forecasts()} >= {"BTCUSDT"}


async def test_quotes_and_funding_stand_beside_the_marks(house: House):
    await house.listed()
    market = house.market.markets["BTCUSDT"]
    assert market.bid_price is not None
    assert market.ask_price is not None
    assert market.index_price is not None
    assert market.last_price is not None
    assert market.next_funding_at is not None
    assert market.bid_price < market.ask_price
    assert market.bid_quantity == market.ask_quantity == Decimal("0.6")
    assert abs(market.index_price / market.mark_price - 1) < Decimal("0.01")
    assert market.funding_rate == Decimal("0.0001")
    assert market.next_funding_at.minute == 0
    assert timedelta() < market.next_funding_at - now() <= timedelta(hours=8)


async def test_symbols_that_a_bot_invents_push_nobody_out(house: House):
    await house.listed()
    at = now().timestamp()
    house.keeper.attention.saw("XRPUSDT", at - 600)
    for n in range(250):
        house.keeper.attention.saw(f"X{n}USDT", at - n)
    assert house.keeper.symbols == ("XRPUSDT",)


async def test_held_and_ordered_symbols_are_followed_and_the_busiest_fill_what_room_there_is(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(measuring, "BUSIEST", 3)
    await house.listed()
    house.held = {"DOGEUSDT"}
    house.keeper.attention.saw("XRPUSDT", now().timestamp())
    house.keeper.attention.saw("NOSUCHUSDT", now().timestamp())
    await house.read_all()
    assert list(house.keeper.measuring.facts)[:2] == ["DOGEUSDT", "XRPUSDT"]
    assert len(house.keeper.measuring.facts) == 3
    assert "LUNCUSDT" not in house.keeper.measuring.facts, "it does not trade"


async def test_no_more_is_read_than_the_budget_has(house: House, exchange: PracticeServer):
    """Everything of five symbols would weigh 175; with the budget of a minute for it no more than that goes."""
    await house.listed()
    before = await weight(exchange)
    await house.read_all()
    await house.read_all()
    assert await weight(exchange) - before <= measuring.WEIGHT_PER_MINUTE * 1.5, "the exchange's depth weighs more"


async def weight(exchange: PracticeServer) -> int:
    answer = await asyncio.to_thread(exchange.control.get, f"{exchange.url}/fapi/v1/ping")
    return int(answer.headers["x-mbx-used-weight-1m"])


async def test_a_venue_in_trouble_leaves_what_was_known_with_its_age(house: House, exchange: PracticeServer):
    await house.listed()
    house.held = {"BTCUSDT"}
    await house.read_all()
    before = (await house.published()).symbols["BTCUSDT"]
    await asyncio.to_thread(exchange.faults, scope="reads", drop_reply=100)
    for facts in house.keeper.measuring.facts.values():
        facts._read.clear()
    with pytest.raises(VenueTrouble):
        await house.read_all()
    after = (await house.published()).symbols["BTCUSDT"]
    assert (after.as_of, after.open_interest) == (before.as_of, before.open_interest)


async def test_the_loops_survive_an_outage_and_go_on_after_it(
    house: House, exchange: PracticeServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("proxy.signals.conditions.TROUBLE_PAUSE_S", 0.05)
    monkeypatch.setattr("proxy.signals.measuring.RETRY_S", 0.05)
    monkeypatch.setattr("proxy.signals.conditions.PUBLISH_EVERY_S", 0.05)
    house.may_read_all_at_once()
    await house.listed()
    await asyncio.to_thread(exchange.faults, scope="reads", drop_reply=100)
    running = asyncio.create_task(house.keeper.run())
    try:
        await until(lambda: "cannot be measured" in caplog.text)
        await asyncio.to_thread(exchange.control.delete, "/faults")
        await until(lambda: known(house) == TRADING)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def known(house: House) -> set[str]:
    return set(house.keeper._conditions(now()))


async def test_versions_grow_and_correlations_are_confirmed_without_being_worked_out_again(house: House):
    await house.listed()
    house.held = {"BTCUSDT", "ETHUSDT"}
    await house.read_all()
    first = await house.published()
    computed = house.keeper.correlations
    second = await house.published()
    assert second.version > first.version
    assert house.keeper.correlations is computed
    assert first.correlations == second.correlations


async def test_what_was_usual_is_taken_over_from_an_earlier_warden(house: House, store: WardenStore):
    earlier = Conditions(version=1, as_of=now(), latency=Latency(as_of=now(), read_usual_ms=Decimal(42)))
    await store.publish_conditions(VENUE, earlier)
    await house.keeper._inherit()
    await house.keeper.publish()
    found = await store.conditions(VENUE)
    assert found is not None
    assert found.latency is not None
    assert found.latency.round_trip_usual_ms == 42


async def test_what_is_older_than_a_day_is_not_taken_over(house: House, store: WardenStore):
    then = now() - timedelta(days=1, minutes=1)
    stale = Conditions(version=1, as_of=then, latency=Latency(as_of=then, read_usual_ms=Decimal(42)))
    await store.publish_conditions(VENUE, stale)
    await house.keeper._inherit()
    assert house.keeper.latency.latency(time.monotonic(), now()).round_trip_usual_ms is None


async def test_what_another_version_wrote_is_passed_over(house: House, store: WardenStore):
    await store._publish_document(store._keys.conditions(VENUE), "1", {"of": "another version"})
    await house.keeper._inherit()
    assert replace(house.keeper.latency.latency(0, now()), as_of=now()).round_trip_usual_ms is None


def outcome(ago_s: float = 0, **fields: Any) -> dict[str, Any]:
    answered_at = now() - timedelta(seconds=ago_s)
    at = {"sent_at": (answered_at - timedelta(milliseconds=25)).isoformat(), "answered_at": answered_at.isoformat()}
    return {"kind": "outcome", "http_status": 200, **at, **fields}


async def test_round_trips_are_learnt_from_outcomes(house: House):
    for _ in range(3):
        house.keeper.hear_outcome(outcome())
    assert house.keeper.latency._orders.now(time.monotonic()) == 25


async def test_an_outcome_is_of_the_moment_it_was_answered_and_a_backlog_says_nothing_of_now(house: House):
    for ago_s in (61, 3_600, -61):
        house.keeper.hear_outcome(outcome(ago_s))
    assert house.keeper.latency._orders.count(time.monotonic()) == 0
    house.keeper.hear_outcome(outcome(50))
    assert house.keeper.latency._orders.count(time.monotonic()) == 1
    assert house.keeper.latency._orders.count(time.monotonic() + 11) == 0


@pytest.mark.parametrize(
    "fields",
    [{"http_status": None}, {"sent_at": None}, {"sent_at": "yesterday"}, {"answered_at": 5}],
)
async def test_an_outcome_without_an_answer_or_in_another_shape_teaches_nothing(house: House, fields: dict[str, Any]):
    house.keeper.hear_outcome(outcome(**fields))
    assert house.keeper.latency._orders.count(time.monotonic()) == 0


async def test_a_frame_tells_how_long_it_was_on_its_way_by_the_venues_clock(house: House):
    """The venue's clock is 3 ms ahead of ours."""
    house.keeper.hear_frame({"e": "ORDER_TRADE_UPDATE", "E": round(now().timestamp() * 1000) - 1_000})
    lag = house.keeper.latency._stream.now(time.monotonic())
    assert lag is not None
    assert 1_000 <= lag < 2_000


@pytest.mark.parametrize("frame", ["text", {"e": "x"}, {"E": "soon"}, None])
async def test_a_frame_without_a_time_teaches_nothing(house: House, frame: object):
    house.keeper.hear_frame(frame)
    assert house.keeper.latency._stream.count(time.monotonic()) == 0
