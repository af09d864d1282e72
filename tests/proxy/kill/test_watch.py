"""The trigger watch: when it reads the venue, what it does when store or venue are away, and that it presses once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.accounts.findings import Activity, Finding
from proxy.accounts.outside_watch import Found
from proxy.exchange.troubles import VenueThrottled, VenueUnavailable
from proxy.kill.watch import Response, Sources, TriggerWatch
from proxy.kill.witness import evidence_of, found_orders, reading_seen
from rules.account import Account, Position
from rules.facts import AccountRecord, Condition, Forecast, Performance
from rules.kill.evidence import Evidence, ForecastSeen
from rules.kill.settings import Triggers
from rules.kill.signs import Action, Trigger, signs
from rules.kill.triggers import Tally, judge
from rules.model import PositionSide
from tests.rules.builders import an_account
from tests.rules.position.margin_worlds import TIERS, cross

START = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SETTINGS = Triggers(daily_loss_reduce=Decimal("0.05"), daily_loss_kill=Decimal("0.10"), unrecorded_orders_kill=2)


@dataclass
class World:
    """One account that has lost a fifth of 10,000, a watch on it, and what it did."""

    settings: Triggers = SETTINGS
    now: datetime = START
    lost: str = "2000"
    venue: Callable[[], None] = lambda: None
    store: Callable[[], None] = lambda: None
    orders: list[datetime] = field(default_factory=list)
    stopped: bool = False
    reduce_fails: bool = False
    readings: int = 0
    done: list[tuple[str, str]] = field(default_factory=list)
    audit: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = TriggerWatch(
            account="main",
            sources=Sources(
                evidence=self._evidence,
                unrecorded=lambda: self.orders,
                outside=tuple,
                read=self._read,
                ask_store=self._ask_store,
            ),
            settings=lambda: self.settings,
            response=Doubled(self),
            record=self._record,
            now=lambda: self.now,
        )

    def respond(self, desk: Response) -> None:
        """From now on ``desk`` does what is to be done."""
        self.watch._response = desk

    async def look(self, times: int = 1, every_s: float = 2.5) -> None:
        for _ in range(times):
            self.now += timedelta(seconds=every_s)
            await self.watch.look()

    def account(self) -> Account:
        return Account(
            name="main",
            version=1,
            as_of=self.now,
            margin_balance=10_000 - Decimal(self.lost),
            available_balance=Decimal(0),
            hedged=False,
            positions=(
                Position(
                    symbol="BTCUSDT",
                    position_side=PositionSide.BOTH,
                    quantity=Decimal("0.1"),
                    entry_price=Decimal(50_000),
                    mark_price=Decimal(50_000),
                    liquidation_price=Decimal(40_000),
                ),
            ),
        )

    def _evidence(self, now: datetime) -> Evidence:
        lost = -Decimal(self.lost)
        made = Performance(
            day_pnl=lost,
            day_funding=Decimal(0),
            rolling_pnl=lost,
            rolling_funding=Decimal(0),
            day_peak=Decimal(0),
            equity=10_000 + lost,
            equity_peak=Decimal(10_000),
        )
        return evidence_of(
            "main",
            account=self.account(),
            record=AccountRecord(account="main", version=1, as_of=now, performance=made),
            markets={},
            instruments=cross().instruments,
            condition_of=lambda symbol: None,
            anomaly=0.0,
            now=now,
        )

    async def _read(self) -> Account:
        self.readings += 1
        self.venue()
        return self.account()

    async def _ask_store(self) -> None:
        self.store()

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.audit.append((what, detail))


@dataclass
class Doubled:
    """The kill desk as the world wants it."""

    world: World

    async def reduce(self, account: str, by: str, reason: str) -> bool:
        if self.world.reduce_fails:
            raise StoreGone
        self.world.done.append(("reduce", reason))
        return True

    async def close(self, account: str, by: str, reason: str) -> bool:
        self.world.done.append(("kill", reason))
        return True

    def stopped(self, account: str) -> bool:
        return self.world.stopped


def fails(trouble: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise trouble

    return fail


async def test_a_quiet_account_costs_the_venue_nothing() -> None:
    world = World(lost="10")
    await world.look(20)
    assert (world.readings, world.done, world.audit) == (0, [], [])


async def test_a_loss_is_read_again_and_killed_for() -> None:
    world = World()
    await world.look(4)
    assert [what for what, _ in world.done] == ["reduce", "kill"]
    assert world.readings == 3
    assert [what for what, _ in world.audit] == ["trigger.reduce", "trigger.kill"]


async def test_the_venue_is_read_at_most_every_two_seconds() -> None:
    world = World()
    await world.look(10, every_s=0.5)
    assert world.readings == 3


async def test_a_venue_that_does_not_answer_confirms_nothing() -> None:
    world = World(venue=fails(VenueUnavailable("away")))
    await world.look(20)
    assert [what for what, _ in world.done] == ["reduce"]


async def test_a_throttled_venue_is_left_alone_for_as_long_as_it_asks() -> None:
    world = World(venue=fails(VenueThrottled("slow down", retry_after=30.0)))
    await world.look(12)
    assert world.readings == 1


async def test_a_reduction_the_store_did_not_take_is_tried_until_it_does() -> None:
    world = World(lost="600", reduce_fails=True)
    await world.look(6)
    assert world.done == []
    world.reduce_fails = False
    await world.look(6)
    assert [what for what, _ in world.done] == ["reduce"]
    assert len(world.audit) == 1, "it is told once"


async def test_a_stopped_account_is_left_alone_and_forgotten() -> None:
    world = World()
    await world.look(2)
    world.stopped = True
    await world.look(5)
    world.stopped = False
    await world.look(2)
    assert world.done == [], "what was seen before the kill counted after it"


@pytest.mark.parametrize("minutes", [0, 10])
async def test_orders_found_after_a_start_or_without_a_store_are_not_held_against_anybody(minutes: int) -> None:
    world = World(lost="0")
    await world.look(minutes * 24)
    if minutes:
        world.store = fails(StoreGone())
        await world.look(2)
        world.store = lambda: None
    world.orders = [world.now, world.now + timedelta(seconds=20)]
    await world.look(20)
    assert world.done == []
    world.orders = [world.now, world.now]
    await world.look(1)
    assert [what for what, _ in world.done] == ["kill"]


def test_orders_are_told_apart_by_the_mark_they_bear() -> None:
    def found(activity: Activity, name: str, second: int) -> Found:
        finding = Finding(activity=activity, subject="BTCUSDT", detail="", client_order_id=name)
        return Found(at=START + timedelta(seconds=second), finding=finding)

    everything = [
        found(Activity.ORDER, "gABCone", 1),
        found(Activity.ORDER, "web_two", 2),
        found(Activity.FILL, "", 3),
        found(Activity.LEVERAGE, "", 4),
    ]
    marked, foreign = found_orders(everything, lambda name: "grid" if name.startswith("gABC") else "")
    assert (marked, foreign) == ([START + timedelta(seconds=1)], [START + timedelta(seconds=2)])


@pytest.mark.parametrize(("quote", "at_par"), [("USDT", True), ("BTC", False)])
def test_a_leg_is_seen_by_whether_its_contract_is_quoted_in_dollars(quote: str, at_par: bool) -> None:
    world = an_account().listing("BTCUSDT", quote_asset=quote).long("BTCUSDT", "1").long("ETHUSDT", "1")
    unlisted = world.unlisted("ETHUSDT")
    assert unlisted.account is not None
    evidence = evidence_of(
        "main",
        account=unlisted.account,
        record=None,
        markets=world.markets,
        instruments=unlisted.instruments,
        condition_of=lambda symbol: None,
        anomaly=0,
        now=unlisted.account.as_of,
    )
    assert evidence.book is not None
    assert {leg.symbol: leg.at_par for leg in evidence.book.legs} == {"BTCUSDT": at_par, "ETHUSDT": True}


def test_the_venues_distance_is_of_its_own_price_and_unknown_without_one() -> None:
    account = World().account()
    leg = account.positions[0]
    assert reading_seen(account).legs[0].distance == Decimal("0.2")
    for quantity, price, expected in (("-1", "60000", "0.2"), ("-1", "40000", "-0.2"), ("1", "0", None)):
        changed = Position(
            symbol=leg.symbol,
            position_side=leg.position_side,
            quantity=Decimal(quantity),
            entry_price=leg.entry_price,
            mark_price=leg.mark_price,
            liquidation_price=Decimal(price),
        )
        seen = reading_seen(Account(**{**vars_of(account), "positions": (changed,)}))
        assert seen.legs[0].distance == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("long", "short", "price", "expected"),
    [("2", "1", "10000", (Decimal("0.8"), None)), ("1", "2", "90000", (None, Decimal("0.8")))],
)
def test_to_the_hedge_leg_that_the_other_carries_the_venue_shows_no_price_of_its_own(
    long: str, short: str, price: str, expected: tuple[Decimal | None, ...]
) -> None:
    account = an_account().hedged().worth("40000").long("BTCUSDT", long).short("BTCUSDT", short).snapshot.account
    assert account is not None
    priced = tuple(replace(leg, liquidation_price=Decimal(price)) for leg in account.positions)
    reading = reading_seen(replace(account, positions=priced))
    assert tuple(leg.distance for leg in reading.legs) == expected
    forecast = ForecastSeen(as_of=reading.as_of, probability=Decimal("0.999999"), symbol="BTCUSDT")
    evidence = Evidence(at=reading.as_of, account="demo", book=reading, reading=reading, forecast=forecast)
    (sign,) = signs(evidence, Triggers(liquidation_probability_kill=Decimal("0.3")))
    assert (sign.trigger, sign.met) == (Trigger.LIQUIDATION, False)


@pytest.mark.parametrize(("short", "met"), [("9.9", False), ("1", True)], ids=["all but even", "one that leans"])
def test_a_healthy_hedge_is_not_reduced_for_what_one_leg_would_lose_alone(short: str, met: bool) -> None:
    world = cross(hedged=True).worth("20000").long("BTCUSDT", "10").short("BTCUSDT", short).snapshot
    assert world.account is not None
    at = world.account.as_of
    evidence = evidence_of(
        "main",
        account=world.account,
        record=None,
        markets=world.markets,
        instruments=world.instruments,
        condition_of=lambda symbol: Condition(symbol=symbol, as_of=at, volatility=Decimal("0.008")),
        anomaly=0,
        now=at,
    )
    (sign,) = signs(evidence, Triggers(liquidation_sigmas_reduce=Decimal(5)))
    assert (sign.trigger, sign.met) == (Trigger.LIQUIDATION, met)


@pytest.mark.parametrize(("price", "action"), [("49500", Action.KILL), ("30000", Action.NONE), (None, Action.NONE)])
def test_a_cross_leg_of_another_asset_is_as_near_as_the_venue_says_whatever_usdt_there_is(
    price: str | None, action: Action
) -> None:
    world = cross().worth("250000").with_assets(False).marked("BTCUSDC", "50000")
    snapshot = world.listing("BTCUSDC", quote_asset="USDC", tiers=TIERS).long("BTCUSDC", "0.4").snapshot
    assert snapshot.account is not None
    (leg,) = snapshot.account.positions
    leg = replace(leg, liquidation_price=None if price is None else Decimal(price))
    account, tally, ruling = replace(snapshot.account, positions=(leg,)), Tally(), None
    settings = Triggers(liquidation_sigmas_reduce=Decimal(4), liquidation_sigmas_kill=Decimal(2))
    for look in range(3):
        at = account.as_of + timedelta(seconds=3 * look)
        account = replace(account, as_of=at)
        evidence = evidence_of(
            "main",
            account=account,
            record=None,
            markets=snapshot.markets,
            instruments=snapshot.instruments,
            condition_of=lambda symbol: Condition(symbol=symbol, as_of=START, volatility=Decimal("0.01")),
            anomaly=0,
            now=at,
        )
        tally, ruling = judge(tally, replace(evidence, reading=reading_seen(account)), settings)
    assert ruling is not None and ruling.action is action


def test_an_isolated_leg_of_another_asset_takes_nothing_from_what_is_behind_the_others() -> None:
    world = cross().worth("10000").with_assets(False).marked("BTCUSDC", "50000").long("BTCUSDT", "0.04")
    world = world.listing("BTCUSDC", quote_asset="USDC", tiers=TIERS).isolating("BTCUSDC", "0.4", margin="12000")
    snapshot = world.snapshot
    assert snapshot.account is not None
    condition = Condition(symbol="", as_of=START, volatility=Decimal("0.01"))
    evidence = evidence_of(
        "main",
        account=snapshot.account,
        record=None,
        markets=snapshot.markets,
        instruments=snapshot.instruments,
        condition_of=lambda symbol: condition,
        anomaly=0,
        now=snapshot.account.as_of,
    )
    (sign,) = signs(evidence, Triggers(liquidation_sigmas_reduce=Decimal(4)))
    assert (sign.trigger, sign.met) == (Trigger.LIQUIDATION, False)


def vars_of(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in ("name", "version", "as_of", "hedged")} | {
        "margin_balance": account.margin_balance,
        "available_balance": account.available_balance,
    }


def test_the_evidence_has_the_forecast_the_volatility_and_the_score() -> None:
    world = cross().worth("20000").long("BTCUSDT", "1").snapshot
    stated = Forecast(name="liquidation", as_of=START, probability=0.07, horizon_s=3600)
    other = Forecast(name="slippage", as_of=START, probability=0.9, horizon_s=60)
    evidence = evidence_of(
        "main",
        account=world.account,
        record=AccountRecord(account="main", version=1, as_of=START, forecasts=(other, stated)),
        markets=world.markets,
        instruments=world.instruments,
        condition_of=lambda symbol: Condition(symbol=symbol, as_of=START, volatility=Decimal("0.01")),
        anomaly=0.95,
        now=START + timedelta(minutes=15),
    )
    assert evidence.forecast is not None and evidence.forecast.probability == Decimal("0.07")
    assert evidence.anomaly == Decimal("0.95") and evidence.results is None
    assert evidence.book is not None and evidence.book.legs[0].volatility == Decimal("0.01")
    assert evidence.book.legs[0].distance is not None
