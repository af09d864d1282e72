"""Every forecast comes to the scoreboard once, and its outcome is what the hours after it say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.signals.barrier import BarrierForecaster
from proxy.signals.bars import HOUR_S, Bar
from proxy.signals.joint import JointHistory
from proxy.signals.outcomes import DISTANCES, TAUS, OwnedLeg, due_horizons, has_held, resolve, statements
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.scoreboard.card import Card
from proxy.signals.scoreboard.stated import Stated
from proxy.signals.symbol_forecast import SymbolForecast
from tests.proxy.signals.books import Learner, a_leg, some_bars

UNTIL = 480_000 * HOUR_S
"""An hour at which every horizon is stated."""


class Board:
    def __init__(self) -> None:
        self.stated: list[Stated] = []
        self.outcomes: dict[tuple[str, str, float], float] = {}

    def state(self, stated) -> None:
        self.stated += stated

    def due(self, now: int) -> list[Stated]:
        return [each for each in self.stated if each.until <= now]

    def resolve(self, stated: Stated, outcome: float) -> None:
        self.stated.remove(stated)
        self.outcomes[stated.signal, stated.key, stated.horizon_h] = outcome

    def card(self, signal: str, symbol: str, horizon_h: float) -> Card:
        return Card(signal=signal, symbol=symbol, horizon_h=horizon_h)


def a_symbol(hours: int = 1_000) -> tuple[SymbolForecast, JointHistory]:
    history = JointHistory()
    found = SymbolForecast("A", Learner(), history)
    for bar in some_bars(hours, until=UNTIL):
        found.feed(bar)
    return found, history


def stated_of(found: SymbolForecast, history: JointHistory, *legs: OwnedLeg) -> Board:
    board = Board()
    past = {horizon: history.common(["A"]).extremes(horizon) for horizon in due_horizons(found)}
    board.state(statements(found, legs, past))
    return board


def test_at_a_full_hour_everything_is_stated_with_what_the_past_would_have_said():
    board = stated_of(*a_symbol())
    keys = {(each.signal, each.key) for each in board.stated if each.horizon_h == 24}
    assert len(keys) == 2 * len(DISTANCES) + len(TAUS) + 1
    assert ("barrier", "down:0.05") in keys and ("quantile", "tau:0.99") in keys
    assert all(each.as_of == UNTIL and each.until == UNTIL + each.horizon_h * HOUR_S for each in board.stated)
    assert all(each.reference is not None for each in board.stated)
    near, far = (
        next(each for each in board.stated if each.key == key and each.horizon_h == 24)
        for key in ("down:0.01", "down:0.1")
    )
    assert near.value > far.value and near.reference is not None and near.reference > (far.reference or 0)


def test_a_day_is_stated_every_six_hours_and_an_hour_every_hour():
    found, _ = a_symbol(30)
    assert due_horizons(found) == (1, 8, 24)
    due = []
    for n in range(1, 7):
        found.feed(Bar(UNTIL + n * HOUR_S, 100.0, 101.0, 99.0, 100.0))
        due.append(due_horizons(found))
    assert due == [(1,), (1, 8), (1,), (1, 8), (1,), (1, 8, 24)]
    assert due_horizons(SymbolForecast("A", Learner(), JointHistory())) == ()


@pytest.mark.parametrize("hours", [1, 2, 8, 9, 23, 24, 25, 100])
def test_with_a_short_past_there_is_no_reference(hours: int):
    """A contract that was listed an hour ago is stated like any other: it once ended the warden, every sixth hour."""
    stated = stated_of(*a_symbol(hours)).stated
    assert {each.horizon_h for each in stated} == {1, 8, 24}
    assert all(each.reference is None for each in stated)


def test_a_leg_is_stated_as_its_price_is_seen_from_the_close():
    found, history = a_symbol()
    long, short = a_leg("A", 1.0, 0.05, mark=101.0), a_leg("A", -1.0, 0.05, mark=101.0)
    passed, none = a_leg("A", 1.0, 0.0, mark=120.0), a_leg("A", 1.0, None)
    board = stated_of(found, history, *(OwnedLeg("main", leg) for leg in (long, short, passed, none)))
    keys = {each.key for each in board.stated if each.signal == "liquidation"}
    assert found.last is not None and found.last.close == 100.0
    assert keys == {"main:BOTH:down:0.0405", "main:BOTH:up:0.0605"}


@pytest.mark.parametrize(
    ("low", "high", "down", "up"), [(0.951, 1.001, 0, 0), (0.949, 1.001, 1, 0), (0.99, 1.051, 0, 1)]
)
def test_what_was_reached_on_the_way_is_an_outcome(low, high, down, up):
    found, history = a_symbol()
    board = stated_of(found, history)
    close = 100.0
    found.feed(Bar(UNTIL + HOUR_S, close, close * max(1.0, high), close * low, close * 0.995))
    resolve(board, history, UNTIL + HOUR_S)
    assert board.outcomes["barrier", "down:0.05", 1.0] == down
    assert board.outcomes["barrier", "up:0.05", 1.0] == up
    assert board.outcomes["quantile", "tau:0.5", 1.0] == pytest.approx(-0.005013, abs=1e-5)
    assert all(horizon == 1.0 for _, _, horizon in board.outcomes)


def test_a_day_of_calm_is_not_wild_and_a_day_of_jumps_is():
    for move, wild in ((0.001, 0.0), (0.05, 1.0)):
        found, history = a_symbol()
        board = stated_of(found, history)
        for n in range(1, 25):
            found.feed(Bar(UNTIL + n * HOUR_S, 100.0, 100.0 * (1 + move), 100.0 / (1 + move), 100.0))
        resolve(board, history, UNTIL + 24 * HOUR_S)
        (outcome,) = [value for (signal, _, _), value in board.outcomes.items() if signal == "regime"]
        assert outcome == wild
        assert not board.stated


def test_a_market_that_hardly_moves_is_measured_as_its_usual_was():
    """The usual has a floor of a basis point an hour; without it a day above it would have been called calm."""
    history = JointHistory()
    found = SymbolForecast("A", BarrierForecaster(1), history)
    for bar in some_bars(1_000, until=UNTIL, sigma=5e-5):
        found.feed(bar)
    board = stated_of(found, history)
    for bar in some_bars(24, until=UNTIL + 24 * HOUR_S, sigma=7e-5, seed=3):
        found.feed(bar)
    resolve(board, history, UNTIL + 24 * HOUR_S)
    (outcome,) = [value for (signal, _, _), value in board.outcomes.items() if signal == "regime"]
    log_variance, threshold = found.model.log_variance(24), found.regime.threshold
    assert log_variance is not None and threshold is not None and log_variance > threshold
    assert outcome == 1.0


def test_what_lies_in_a_gap_has_no_outcome():
    found, history = a_symbol()
    board = stated_of(found, history)
    found.feed(Bar(UNTIL + 2 * HOUR_S, 100.0, 200.0, 50.0, 100.0))
    resolve(board, history, UNTIL + 2 * HOUR_S)
    assert not board.outcomes


def test_the_real_scoreboard_takes_all_of_it(tmp_path: Path):
    at = UNTIL
    board = Scoreboard(tmp_path, lambda: datetime.fromtimestamp(at, UTC))
    found, history = a_symbol()
    stated = stated_of(found, history, OwnedLeg("main", a_leg("A", 1.0, 0.05))).stated
    board.state(stated)
    for n in range(1, 25):
        found.feed(Bar(UNTIL + n * HOUR_S, 100.0, 101.0, 99.0, 100.0))
    at = UNTIL + 24 * HOUR_S
    resolve(board, history, at)
    assert board.due(at) == []
    board.flush()
    assert board.card("barrier", "A", 1.0).n == 2 * len(DISTANCES)
    assert not has_held(board, "A", 1), "eight outcomes prove nothing"
    assert {card.signal for card in board.cards()} == {"barrier", "liquidation", "quantile", "regime"}
    board.close()
