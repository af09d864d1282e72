"""F30: a quiet month without a single press, and the same configuration presses in every incident that is seeded.

The month is 30 days of the practice exchange's calm weather in ticks of 100 seconds, at each of which the triggers look
as often as they need to confirm what they see (``PERPGUARD_PROOF`` of 100: 15 seconds, and three seeds). Incidents run
in ticks of a second behind a quiet day.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.decoding import build
from proxy.policy.reading import load_policy
from rules.kill.evidence import Evidence
from rules.kill.settings import Triggers
from rules.kill.triggers import Ruling, Tally, judge
from sandbox.engine.model import Side
from sandbox.engine.scenario import Scenario
from tests.proxy.kill.practice_month import PracticeMonth

PROOF = int(os.environ.get("PERPGUARD_PROOF", "1"))
POLICIES = Path(__file__).parents[3] / "configs" / "policies"
PRESETS = ("solo", pytest.param("desk", marks=pytest.mark.full))
DAYS = 30
MONTH_TICK_S, SEEDS = (15.0, 3) if PROOF >= 100 else (100.0, 1)
Incident = Callable[[PracticeMonth], Awaitable[None]]


def triggers_of(preset: str) -> Triggers:
    return load_policy(POLICIES / f"{preset}.toml").kill.triggers


async def quiet(world: PracticeMonth, lasting: timedelta) -> None:
    """The bot trades modestly; now and then the private stream is lost for a minute or two, as happens every day."""
    until = world.now + lasting
    away_until = world.now
    while world.now < until and not world.stopped:
        if not world.feed_away and world.chance.random() < world.tick_s / 21_600:
            away_until = world.now + timedelta(seconds=min(world.tick_s, 60))
        world.feed_away = world.now < away_until
        if not world.feed_away:
            world.trade_modestly()
        await world.tick()
    world.feed_away = False


@pytest.mark.full
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("preset", PRESETS)
def test_f30_no_false_kill_in_a_quiet_month_proof(preset: str, seed: int) -> None:
    world = PracticeMonth(triggers_of(preset), seed=seed, tick_s=MONTH_TICK_S)
    asyncio.run(quiet(world, timedelta(days=DAYS)))
    assert (world.pressed.killed, world.pressed.reduced) == ([], [])
    assert world.now >= world.began + timedelta(days=DAYS)
    assert len(world.customer.fills) > 100, "an account that never traded proves nothing"
    assert any(world.customer.legs()) and not world.liquidated


async def flash_crash(world: PracticeMonth) -> None:
    """10 October 2025: everything falls by 30 % in ten minutes, and the account is long."""
    world.trade("BTCUSDT", Side.BUY, Decimal(9_000))
    world.trade("SOLUSDT", Side.BUY, Decimal(4_000))
    world.begin(Scenario.CRASH)
    await until_stopped(world, timedelta(minutes=15))


async def runaway_bot(world: PracticeMonth) -> None:
    """A loop that sends what the rules mostly refuse, twenty times a second, six times its usual size."""

    def loop() -> None:
        for _ in range(20):
            world.conduct(Decimal(9_000), refused=True)

    await until_stopped(world, timedelta(minutes=5), each_tick=loop)


async def faulty_gate(world: PracticeMonth) -> None:
    """Knight Capital: orders go out with the guard's own mark that no intent stands behind."""
    sides = [Side.BUY, Side.SELL] * 300

    def send() -> None:
        world.trade("BTCUSDT", sides.pop(), Decimal(1_000), recorded=False)

    await until_stopped(world, timedelta(minutes=5), each_tick=send)


async def leaked_key(world: PracticeMonth) -> None:
    """Somebody else trades with the exchange key, an order every ten seconds."""
    sides, ticks = [Side.BUY, Side.SELL] * 300, iter(range(10_000))

    def send() -> None:
        if next(ticks) % 10 == 0:
            world.trade("ETHUSDT", sides.pop(), Decimal(1_500), recorded=False, own=False)

    await until_stopped(world, timedelta(minutes=10), each_tick=send)


async def stuck_feed(world: PracticeMonth) -> None:
    """The guard hears nothing of its account any more; the venue is well."""
    world.trade("BTCUSDT", Side.BUY, Decimal(5_000))
    await world.tick()
    world.feed_away = True
    await until_stopped(world, timedelta(minutes=20))


async def bleed(world: PracticeMonth) -> None:
    """Never a tenth in a day, and a quarter in a week: 0.18 % an hour against a position of the whole account."""
    world.tick_s = 120.0
    world.trade("BTCUSDT", Side.BUY, Decimal(9_500))
    world.drift_per_hour = Decimal("-0.0018")
    await until_stopped(world, timedelta(days=10))


async def near_liquidation(world: PracticeMonth) -> None:
    """A leg with a small margin of its own: the account loses little, and the venue is about to close the leg."""
    world.isolate("ETHUSDT", 20)
    world.trade("ETHUSDT", Side.BUY, Decimal(6_000))
    world.drift_per_hour = Decimal("-0.03")
    await until_stopped(world, timedelta(hours=3))


async def until_stopped(
    world: PracticeMonth, within: timedelta, each_tick: Callable[[], object] = lambda: None
) -> None:
    """Ticks until the button is pressed, or the time is up."""
    until = world.now + within
    while world.now < until and not world.stopped:
        each_tick()
        await world.tick()


def seeded(preset: str, incident: Incident, *, venue_away: bool = False) -> PracticeMonth:
    """A quiet day, and then the incident. Nothing was pressed before it."""
    world = PracticeMonth(triggers_of(preset), seed=7, tick_s=60.0)

    async def play() -> None:
        await quiet(world, timedelta(days=1))
        assert (world.pressed.killed, world.pressed.reduced) == ([], [])
        for leg in list(world.customer.legs()):
            value = abs(leg.quantity) * world.exchange.market(leg.symbol).mark_price
            world.trade(leg.symbol, Side.SELL if leg.quantity > 0 else Side.BUY, value + 1)
        world.tick_s, world.venue_away = 1.0, venue_away
        await world.tick()
        world.began = world.now
        await incident(world)

    asyncio.run(play())
    return world


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("incident", "trigger"),
    [
        (flash_crash, "daily_loss"),
        (faulty_gate, "unrecorded_orders"),
        (leaked_key, "outside_orders"),
        (stuck_feed, "unread"),
        pytest.param(bleed, "drawdown", marks=pytest.mark.full),
        (near_liquidation, "liquidation"),
    ],
)
def test_f30_the_same_configuration_kills_in_every_incident(preset: str, incident: Incident, trigger: str) -> None:
    world = seeded(preset, incident)
    assert [reason.split(":")[0] for _, reason in world.pressed.killed] == [trigger], world.pressed
    assert not world.liquidated, "the venue was faster"
    check_replayed(world)


@pytest.mark.parametrize("preset", PRESETS)
def test_f30_a_bot_unlike_itself_is_reduced_and_not_killed(preset: str) -> None:
    world = seeded(preset, runaway_bot)
    assert [reason.split(":")[0] for _, reason in world.pressed.reduced] == ["anomaly"], world.pressed
    assert not world.stopped
    check_replayed(world)


@pytest.mark.parametrize("preset", PRESETS)
def test_f30_stale_data_alone_reduces_and_never_kills(preset: str) -> None:
    world = seeded(preset, stuck_feed, venue_away=True)
    assert [reason.split(":")[0] for _, reason in world.pressed.reduced] == ["unread"], world.pressed
    assert not world.stopped
    check_replayed(world)


def check_replayed(world: PracticeMonth) -> None:
    """Every firing is in the audit with all that it was judged on, and is judged the same again."""
    assert world.audit
    for what, detail in world.audit:
        ruling = build(detail["ruling"], Ruling)
        tally, evidence = build(detail["tally"], Tally), build(detail["evidence"], Evidence)
        assert judge(tally, evidence, build(detail["settings"], Triggers))[1] == ruling
        assert what == f"trigger.{ruling.action}" and ruling.reason
