"""What the console is told of the signals: the newest statements, the cards, the scores, and nothing made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.signals.glance import SignalsGlance
from proxy.signals.plane import CarryView
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.signals_state import SignalsState
from rules.account import Position
from rules.facts import AccountRecord, Condition, Forecast, Score
from rules.model import PositionSide
from tests.proxy.signals.scoreboard.conftest import HandClock
from tests.rules.builders import an_account
from tests.support.signals import BEGIN, HOUR, a_quantile, a_statement

SHORT = Position(
    symbol="BTCUSDT",
    position_side=PositionSide.BOTH,
    quantity=Decimal("-0.2"),
    entry_price=Decimal(49_000),
    mark_price=Decimal(50_000),
)


class Watch:
    """The scores of one bot and the levels above it."""

    def levels(self) -> dict[str, Score]:
        return {"account:main": Score(value=0.2, why="grid: order rate"), "desk": Score()}

    def score(self, bot: str) -> Score:
        return Score(value=0.7, why="order size") if bot == "grid" else Score()


class Conditions:
    """Two symbols, one of which has not been measured yet."""

    symbols = ("BTCUSDT", "ETHUSDT", "NEWUSDT")

    def __init__(self, clock: HandClock) -> None:
        self._at = clock()

    def condition(self, symbol: str) -> Condition | None:
        if symbol == "NEWUSDT":
            return None
        warm = Decimal("0.71") if symbol == "BTCUSDT" else None
        funding = Decimal("0.0003") if symbol == "BTCUSDT" else None
        as_of = self._at - timedelta(seconds=30)
        return Condition(symbol=symbol, as_of=as_of, temperature=warm, funding_a_day=funding)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def board(tmp_path: Path, clock: HandClock) -> Iterator[Scoreboard]:
    board = Scoreboard(tmp_path, clock)
    yield board
    board.close()


@pytest.fixture
def glance(board: Scoreboard, clock: HandClock) -> SignalsGlance:
    told = Forecast(name="liquidation", as_of=clock(), probability=0.01, horizon_s=3600, reliable=False)
    record = AccountRecord(account="main", version=1, as_of=clock(), forecasts=(told,))
    pieces: dict[str, Any] = {
        "watch": Watch(),
        "records": {"main": SimpleNamespace(record=record), "new": SimpleNamespace(record=None)},
        "conditions": [Conditions(clock)],
        "accounts": lambda: [replace(an_account().account, name="main", positions=(SHORT,))],
        "states": lambda: [SignalsState(venue="binanceusdm", at=clock())],
    }
    return SignalsGlance(board=board, bots=lambda: ["quiet", "grid", "grid"], now=clock, **pieces)


async def test_a_forecast_stands_beside_its_record_and_what_a_jump_would_do(
    glance: SignalsGlance, board: Scoreboard, clock: HandClock
) -> None:
    board.state([a_statement(key="down:0.25")])
    clock.seconds += HOUR
    (found,) = (await glance.signals()).forecasts
    assert (found.value, found.reference, found.age_s, found.method) == (0.02, 0.03, 3600.0, "har-fhs 1")
    assert (found.status, found.n, found.skill) == ("cold", 0, None)
    assert found.why == "no forecast has been scored yet"
    assert [(each.move, each.reached) for each in found.stress] == [(-0.2, False), (-0.4, True), (-0.66, True)]
    assert (found.as_of, found.until) == ("2026-11-24T09:00:00Z", "2026-11-25T09:00:00Z")


@pytest.mark.parametrize(
    ("key", "moves"),
    [
        ("main:SHORT:up:0.3", [0.2, 0.4, 0.66]),
        ("down:0.2", [-0.2, -0.4, -0.66]),
        ("variance_above:-8.1", []),
        ("down:far", []),
        ("calm", []),
    ],
)
async def test_a_jump_goes_where_the_barrier_is(
    glance: SignalsGlance, board: Scoreboard, key: str, moves: list[float]
) -> None:
    board.state([a_statement(key=key)])
    (found,) = (await glance.signals()).forecasts
    assert [each.move for each in found.stress] == moves


async def test_the_skill_is_that_of_the_quantile_itself(
    glance: SignalsGlance, board: Scoreboard, clock: HandClock
) -> None:
    stated = [a_quantile(key="tau:0.5", value=0.0, reference=1.0), a_quantile(value=1.0, reference=1.0)]
    stated.append(a_statement(signal="quantile", horizon_h=1, until=BEGIN + HOUR))
    board.state(stated)
    clock.seconds += HOUR
    for each in board.due(clock.seconds):
        board.resolve(each, 0)
    clock.seconds += 600
    board.state(replace(each, as_of=clock.seconds, until=clock.seconds + HOUR) for each in stated)
    board.flush()
    skills = {each.key: each.skill for each in (await glance.signals()).forecasts}
    assert skills["tau:0.5"] == 1.0 and skills["tau:0.99"] == 0.0
    assert skills["down:0.05"] == pytest.approx(1 - 0.02**2 / 0.03**2)


async def test_scores_temperatures_and_what_rules_are_told(glance: SignalsGlance, clock: HandClock) -> None:
    clock.seconds += 12
    view = await glance.signals()
    assert [(each.level, each.name, each.value, each.why) for each in view.anomalies] == [
        ("account", "main", 0.2, "grid: order rate"),
        ("desk", "desk", 0.0, ""),
        ("bot", "grid", 0.7, "order size"),
        ("bot", "quiet", 0.0, ""),
    ]
    assert [(each.symbol, each.value, each.age_s) for each in view.temperatures] == [
        ("BTCUSDT", pytest.approx(71.0), 42.0),
        ("ETHUSDT", None, 42.0),
    ]
    assert [(each.funding_a_day, each.carry) for each in view.temperatures] == [
        (0.0003, (CarryView(account="main", position_side="BOTH", notional=-10_000.0, a_day=3.0),)),
        (None, ()),
    ]
    (told,) = view.told
    assert (told.account, told.name, told.probability, told.age_s, told.reliable) == (
        "main",
        "liquidation",
        0.01,
        12.0,
        False,
    )
