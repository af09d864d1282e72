"""Whose hours are asked for: until a forecast has met its outcome its symbol is followed, whoever holds it then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.signals.bars import HOUR_S, Bar
from proxy.signals.hours import HourFeed
from proxy.signals.outcomes import OwnedLeg
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.service import FOLLOWED_MAX, SignalService
from proxy.signals.shelf import Shelf
from proxy.signals.symbol_forecast import SymbolForecast
from tests.proxy.signals.books import Learner, a_leg, some_bars
from tests.support.signals import a_statement

UNTIL = 480_000 * HOUR_S
"""An hour at which every horizon is stated."""

NOBODY: Any = None


class House:
    """Two symbols with their hours and a position in one of them, which the venue liquidates."""

    def __init__(self, data_dir: Path) -> None:
        self.now = UNTIL
        self.board = Scoreboard(data_dir, self.at)
        self.legs = [OwnedLeg("demo", a_leg("ALTUSDT", 1.0, 0.05))]
        self.measured = {"ALTUSDT": NOBODY, "BTCUSDT": NOBODY}
        self.feed = HourFeed(
            reads=NOBODY,
            shelf=Shelf(data_dir, "venue"),
            warm=(),
            make=cast("Any", Learner),
            remake=cast("Any", Learner.of),
            now=self.at,
            clock_offset_ms=lambda: 0,
        )
        for symbol in self.measured:
            found = self.feed.known[symbol] = SymbolForecast(symbol, cast("Any", Learner()), self.feed.history)
            for bar in some_bars(700, until=UNTIL):
                found.feed(bar)
        self.service = SignalService(
            venue="venue",
            feed=self.feed,
            odds=cast("Any", self),
            slippage=NOBODY,
            conditions=cast("Any", SimpleNamespace(measuring=SimpleNamespace(facts=self.measured))),
            accounts=lambda: (),
            board=self.board,
            store=NOBODY,
            now=self.at,
        )

    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def legs_of(self, symbol: str) -> list[OwnedLeg]:
        return [each for each in self.legs if each.leg.symbol == symbol]

    def liquidate(self) -> None:
        self.legs.clear()
        del self.measured["ALTUSDT"]

    async def hour(self, number: int) -> None:
        """What ``read_next`` does when an hour of each followed symbol has closed."""
        self.now = UNTIL + number * HOUR_S + 10
        await self.feed.follow(self.service.followed())
        for found in tuple(self.feed.known.values()):
            fallen = found.symbol == "ALTUSDT" and number == 1
            found.feed(Bar(UNTIL + number * HOUR_S, 100.0, 100.1, 60.0 if fallen else 99.9, 100.0))
            await self.service.score(found)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    house.board.close()


async def test_the_odds_of_a_position_that_was_liquidated_meet_their_outcome(house: House) -> None:
    for found in house.feed.known.values():
        await house.service.score(found)
    house.board.flush()
    house.now += 600
    house.liquidate()
    for number in range(1, 25):
        await house.hour(number)
    house.board.flush()
    for horizon in (1.0, 8.0, 24.0):
        card = house.board.card("liquidation", "ALTUSDT", horizon)
        assert (card.n, card.unknown) == (1, 0)
        assert card.probabilities is not None and card.probabilities.observed == 1.0
    assert house.board.card("barrier", "ALTUSDT", 1.0).n == 8, "of what is only waited for nothing more is stated"
    await house.hour(25)
    assert "ALTUSDT" not in house.feed.known, "nothing is waited for any more"


def test_what_is_measured_comes_first_then_positions_and_all_of_it_is_bounded(house: House) -> None:
    when = {"as_of": UNTIL, "until": UNTIL + HOUR_S, "horizon_h": 1.0}
    house.board.state(a_statement(symbol=f"S{n:02}", **when) for n in range(FOLLOWED_MAX))
    house.board.state([a_statement(symbol="HELD", signal="liquidation", **when)])
    house.board.state([a_statement(symbol="OTHER", signal="slippage", **when)])
    followed = house.service.followed()
    assert followed[:4] == ("ALTUSDT", "BTCUSDT", "HELD", "S00")
    assert len(followed) == FOLLOWED_MAX and "OTHER" not in followed
