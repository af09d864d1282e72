"""When an account is surveyed, on a clock that is moved by hand."""

from __future__ import annotations

import asyncio

import pytest

from proxy.accounts.survey_plan import (
    DOUBT_PAUSE_S,
    DOUBT_SURVEYS_PER_MINUTE,
    SETTLE_LAG_S,
    SYMBOL_SURVEYS_PER_MINUTE,
    SurveyPlan,
)

EVERY_S = 30.0


class Clock:
    """Monotonic seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A plan, its clock, and how long it said that each wait may last."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pauses: list[float] = []
        self.plan = SurveyPlan(EVERY_S, self.pauses.append, self.clock)

    def survey(self) -> None:
        self.plan.begin_whole()
        self.plan.whole_done()

    async def pause(self) -> float:
        """How long the plan would wait now."""
        waiting = asyncio.ensure_future(self.plan.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return self.pauses[-1]


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_survey_is_due_at_once_and_the_next_in_its_time(world: World) -> None:
    assert world.plan.whole_is_due
    world.survey()
    assert not world.plan.whole_is_due
    world.clock.now += EVERY_S
    assert world.plan.whole_is_due


def test_whoever_asks_during_a_survey_gets_another(world: World) -> None:
    world.plan.begin_whole()
    world.plan.soon()
    world.clock.now += 1
    world.plan.whole_done()
    assert world.plan.whole_is_due, "what was asked about may have happened after it was read"
    world.survey()
    assert not world.plan.whole_is_due


def test_a_survey_that_fails_stays_due(world: World) -> None:
    world.plan.begin_whole()
    assert world.plan.whole_is_due


def test_doubts_are_looked_into_at_once_until_their_budget_is_spent(world: World) -> None:
    for _ in range(DOUBT_SURVEYS_PER_MINUTE):
        world.survey()
        world.plan.in_doubt()
        assert world.plan.whole_is_due
    world.survey()
    world.plan.in_doubt()
    assert not world.plan.whole_is_due
    world.clock.now += DOUBT_PAUSE_S
    assert world.plan.whole_is_due


def test_a_doubt_during_a_survey_without_a_budget_waits_for_its_pause(world: World) -> None:
    for _ in range(DOUBT_SURVEYS_PER_MINUTE):
        world.plan.in_doubt()
    world.plan.begin_whole()
    world.plan.in_doubt()
    world.plan.whole_done()
    assert not world.plan.whole_is_due
    world.clock.now += DOUBT_PAUSE_S
    assert world.plan.whole_is_due


def test_symbols_that_moved_are_read_back_once_the_venue_has_caught_up(world: World) -> None:
    world.survey()
    world.plan.moved({"BTCUSDT", "ETHUSDT"})
    assert world.plan.begin_symbols() == frozenset()
    world.clock.now += SETTLE_LAG_S
    world.plan.moved({"ETHUSDT"})
    assert world.plan.begin_symbols() == {"BTCUSDT"}, "the other moved again"
    assert world.plan.begin_symbols() == frozenset()
    world.clock.now += SETTLE_LAG_S
    assert world.plan.begin_symbols() == {"ETHUSDT"}


def test_a_survey_of_the_whole_covers_what_moved_long_enough_ago(world: World) -> None:
    world.plan.moved({"BTCUSDT"})
    world.clock.now += SETTLE_LAG_S
    world.plan.moved({"ETHUSDT"})
    world.survey()
    world.clock.now += SETTLE_LAG_S
    assert world.plan.begin_symbols() == {"ETHUSDT"}


def test_symbols_wait_while_their_budget_is_spent(world: World) -> None:
    read = -1
    while world.clock.now < 1060:
        read += 1
        world.plan.moved({"BTCUSDT"})
        world.clock.now += SETTLE_LAG_S
        if not world.plan.begin_symbols():
            break
    assert SYMBOL_SURVEYS_PER_MINUTE <= read < 2 * SYMBOL_SURVEYS_PER_MINUTE
    world.clock.now += 60 / SYMBOL_SURVEYS_PER_MINUTE
    assert world.plan.begin_symbols() == {"BTCUSDT"}


async def test_it_waits_for_whatever_is_due_first(world: World) -> None:
    world.survey()
    assert await world.pause() == EVERY_S
    world.plan.moved({"BTCUSDT"})
    assert await world.pause() == SETTLE_LAG_S


async def test_whoever_asks_ends_the_wait(world: World) -> None:
    world.survey()
    for ask in (world.plan.soon, world.plan.in_doubt, lambda: world.plan.moved({"BTCUSDT"})):
        waiting = asyncio.ensure_future(world.plan.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        ask()
        await asyncio.wait_for(waiting, 5)
        world.survey()
