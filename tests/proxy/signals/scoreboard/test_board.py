"""The scoreboard as the signals use it: nothing heard is lost, counts twice, or is scored before its time."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.signals import scores
from proxy.signals.scoreboard import board as board_module
from proxy.signals.scoreboard import waiting
from proxy.signals.scoreboard.board import RESCORE_EVERY_S, Scoreboard
from proxy.signals.scoreboard.card import Card
from proxy.signals.scoreboard.log import LogUnavailable, log_path
from proxy.signals.scoreboard.stated import Stated
from tests.proxy.signals.scoreboard.conftest import HandClock
from tests.support.signals import BEGIN, HOUR, a_quantile, a_statement

DAY = 86_400
OpenBoard = Callable[[], Scoreboard]


def hourly(n: int, **changes: float | str) -> list[Stated]:
    """Forecasts of one hour, stated every hour from ``BEGIN`` on."""
    return [
        a_statement(horizon_h=1.0, as_of=BEGIN + at * HOUR, until=BEGIN + (at + 1) * HOUR, **changes) for at in range(n)
    ]


def live(board: Scoreboard, clock: HandClock, stated: list[Stated], outcome: Callable[[Stated], float]) -> None:
    """State each at its time and resolve it at its end."""
    for each in sorted(stated, key=lambda each: each.as_of):
        clock.seconds = max(clock.seconds, each.as_of)
        board.state([each])
        clock.seconds = max(clock.seconds, each.until)
        for due in board.due(clock.seconds):
            board.resolve(due, outcome(due))
    clock.seconds += RESCORE_EVERY_S
    board.flush()


def barrier(board: Scoreboard) -> Card:
    return board.card("barrier", "BTCUSDT", 1)


def test_a_forecast_is_due_when_its_time_is_up_and_scored_when_its_outcome_is_told(
    open_board: OpenBoard, clock: HandClock
) -> None:
    board, (stated,) = open_board(), hourly(1)
    board.state([stated])
    assert board.due(stated.until - 1) == []
    assert board.due(stated.until) == [stated]
    clock.seconds = stated.until
    board.resolve(stated, 1)
    assert board.due(stated.until) == []
    board.flush()
    assert barrier(board).n == 1
    assert barrier(board).probabilities.brier == pytest.approx(0.98**2)  # type: ignore[union-attr]
    assert barrier(board).method == "har-fhs 1"


def test_what_is_not_known_is_cold(open_board: OpenBoard) -> None:
    card = open_board().card("barrier", "NOTHING", 8)
    assert (card.status, card.n, card.probabilities) == ("cold", 0, None)


def test_a_signal_that_does_not_hold_is_marked_and_says_so(
    open_board: OpenBoard, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    board = open_board()
    with caplog.at_level(logging.WARNING):
        live(board, clock, hourly(300, value=0.5), lambda _: 1)
    assert barrier(board).status == "unreliable"
    assert "the forecast barrier of BTCUSDT over 1 h is unreliable: calibration error 0.500" in caplog.text
    assert [card.subject for card in board.cards()] == [barrier(board).subject]


def test_a_mark_survives_a_restart_with_its_date(open_board: OpenBoard, clock: HandClock) -> None:
    board = open_board()
    live(board, clock, hourly(300, value=0.5), lambda _: 1)
    since = barrier(board).since
    board.close()
    clock.seconds += 2 * HOUR
    again = open_board()
    assert barrier(again).status == "cold", "until it has been scored nothing relies on it"
    again.flush()
    assert (barrier(again).status, barrier(again).since) == ("unreliable", since)


def test_the_first_statement_stands_and_so_does_the_first_outcome(open_board: OpenBoard, clock: HandClock) -> None:
    board, (stated,) = open_board(), hourly(1)
    board.state([stated, replace(stated, value=0.9)])
    board.state([replace(stated, value=0.9)])
    clock.seconds = stated.until
    assert board.due(stated.until) == [stated]
    board.resolve(stated, 1)
    board.resolve(stated, 0)
    board.state([stated])
    assert board.due(stated.until + DAY) == []
    board.flush()
    assert (barrier(board).n, barrier(board).probabilities.stated) == (1, pytest.approx(0.02))  # type: ignore[union-attr]


def test_nothing_is_heard_once_its_outcome_could_be_known(open_board: OpenBoard, clock: HandClock) -> None:
    board, (stated,) = open_board(), hourly(1)
    clock.seconds = stated.until
    board.state([stated])
    assert board.due(stated.until) == board.newest() == []


def test_nothing_is_heard_of_a_time_that_has_not_come(open_board: OpenBoard) -> None:
    board = open_board()
    board.state([a_statement(as_of=BEGIN + 2 * HOUR, until=BEGIN + 26 * HOUR)])
    assert board.newest() == []


def test_an_outcome_that_comes_early_counts_when_it_was_due(open_board: OpenBoard, clock: HandClock) -> None:
    """Else what comes true would be counted for hours before what does not."""
    board, (stated,) = open_board(), hourly(1)
    board.state([stated])
    board.resolve(stated, 1)
    board.flush()
    assert barrier(board).n == 0
    clock.seconds = stated.until + DAY
    board.flush()
    assert barrier(board).n == 1


def test_an_outcome_nobody_ever_learns_is_counted_as_such(open_board: OpenBoard, clock: HandClock) -> None:
    board, (known, lost) = open_board(), hourly(2)
    board.state([known, lost])
    clock.seconds = lost.until
    board.resolve(known, 0)
    clock.seconds = lost.until + 3 * DAY
    later = a_statement(horizon_h=1.0, as_of=clock.seconds, until=clock.seconds + HOUR)
    board.state([later])
    board.flush()
    assert (barrier(board).n, barrier(board).unknown) == (1, 1)
    assert board.due(clock.seconds + DAY) == [later], "it is waited for no more"


def test_an_outcome_that_is_told_late_counts(open_board: OpenBoard, clock: HandClock) -> None:
    board, (stated,) = open_board(), hourly(1)
    board.state([stated])
    board.close()
    clock.seconds = stated.until + DAY
    again = open_board()
    assert again.due(clock.seconds) == [stated]
    again.resolve(stated, 0)
    again.flush()
    assert barrier(again).n == 1


def test_a_process_that_ends_without_a_word_loses_its_last_second(open_board: OpenBoard, clock: HandClock) -> None:
    board, (first, second, third) = open_board(), hourly(3)
    board.state([first, second])
    clock.seconds = first.until
    board.flush()
    board.resolve(first, 1)
    board.state([third])
    again = open_board()
    assert again.due(third.until) == [first, second], "the outcome is asked for again, the last one was never stated"


def test_what_is_stated_now_is_what_was_stated_together_last(open_board: OpenBoard, clock: HandClock) -> None:
    board = open_board()
    first = [a_statement(key="down:0.05"), a_statement(key="down:0.1"), a_quantile()]
    board.state(first)
    assert {each.key for each in board.newest()} == {"down:0.05", "down:0.1", "tau:0.99"}
    clock.seconds = BEGIN + HOUR // 2
    later = a_statement(key="down:0.05", as_of=clock.seconds, until=clock.seconds + DAY)
    board.state([later])
    assert board.newest() == [later, first[2]]
    board.close()
    assert open_board().newest() == [later, first[2]]
    clock.seconds = BEGIN + HOUR
    assert board.newest() == [later], "the hour of the other one is over"
    clock.seconds = later.until
    assert board.newest() == []


def test_an_impossible_outcome_is_a_bug(open_board: OpenBoard) -> None:
    board, (stated,) = open_board(), hourly(1)
    board.state([stated])
    with pytest.raises(ValueError):
        board.resolve(stated, 0.5)
    assert board.due(stated.until) == [stated]


def test_a_damaged_log_is_set_aside_and_every_card_is_cold(
    open_board: OpenBoard, clock: HandClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board = open_board()
    live(board, clock, hourly(250, value=0.02), lambda _: 0)
    assert barrier(board).status == "reliable"
    board.close()
    log_path(tmp_path).write_bytes(b"no table at all" * 1000)
    again = open_board()
    again.flush()
    assert barrier(again).status == "cold" and again.cards() == []
    assert "every card begins anew" in caplog.text
    assert log_path(tmp_path).with_name("forecasts.damaged.db").read_bytes().startswith(b"no table at all")
    again.state([a_statement(as_of=clock.seconds, until=clock.seconds + HOUR)])
    again.flush()


def test_a_log_that_breaks_while_it_is_open_is_set_aside_too(
    open_board: OpenBoard, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = open_board()
    live(board, clock, hourly(250, value=0.02), lambda _: 0)

    def broken(*_: object) -> None:
        raise board_module.LogDamaged("database disk image is malformed")

    monkeypatch.setattr(board._log, "write", broken)
    stated = a_statement(as_of=clock.seconds, until=clock.seconds + 24 * HOUR)
    board.state([stated])
    board.flush()
    assert board.cards() == [] and log_path(tmp_path).with_name("forecasts.damaged.db").exists()
    board.state([stated])
    board.flush()
    board.close()
    assert open_board().due(stated.until) == [stated]


def test_a_log_of_another_version_is_set_aside(open_board: OpenBoard, tmp_path: Path) -> None:
    open_board().close()
    with sqlite3.connect(log_path(tmp_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    open_board().flush()
    assert log_path(tmp_path).with_name("forecasts.damaged.db").exists()


def test_while_the_disk_is_away_what_was_heard_waits(
    open_board: OpenBoard, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, (stated,) = open_board(), hourly(1)

    def full(*_: object) -> None:
        raise LogUnavailable("disk full")

    board.state([stated])
    clock.seconds = stated.until
    board.resolve(stated, 1)
    with monkeypatch.context() as away:
        away.setattr(board._log, "write", full)
        with pytest.raises(LogUnavailable):
            board.flush()
    board.flush()
    assert barrier(board).n == 1


def test_a_directory_that_cannot_be_written_stops_nothing_but_the_log(
    clock: HandClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "signals").write_text("a file where the directory should be")
    board = Scoreboard(tmp_path, clock)
    assert "forecasts are not kept" in caplog.text
    board.state(hourly(1))
    with pytest.raises(LogUnavailable):
        board.flush()
    (tmp_path / "signals").unlink()
    board.flush()
    board.close()
    again = Scoreboard(tmp_path, clock)
    assert again.due(BEGIN + HOUR) == hourly(1)
    again.close()


def test_what_waits_is_bounded(
    open_board: OpenBoard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "WAITING_MAX", 5)
    board = open_board()
    board.state([a_statement(key=f"down:0.{at + 1}") for at in range(9)])
    assert len(board.due(BEGIN + DAY)) == 5
    assert "forecasts are not kept: 5 wait" in caplog.text


def test_a_clock_that_runs_ahead_for_a_while_erases_nothing(open_board: OpenBoard, clock: HandClock) -> None:
    board = open_board()
    live(board, clock, hourly(250, value=0.02), lambda _: 0)
    before, at = barrier(board), clock.seconds
    clock.seconds += 400 * DAY
    board.flush()
    assert barrier(board).status == "cold", "nothing of the last ninety days is known"
    clock.seconds = at + RESCORE_EVERY_S
    board.flush()
    assert barrier(board) == before


def test_a_clock_that_steps_back_counts_nothing_twice(open_board: OpenBoard, clock: HandClock) -> None:
    board, stated = open_board(), hourly(30)
    live(board, clock, stated, lambda _: 0)
    clock.seconds = BEGIN
    board.state(stated)
    assert board.due(stated[-1].until) == []
    clock.seconds = stated[-1].until + RESCORE_EVERY_S
    board.flush()
    assert barrier(board).n == 30


def test_ninety_days_are_kept(open_board: OpenBoard, clock: HandClock) -> None:
    board = open_board()
    live(board, clock, hourly(48, value=0.02), lambda _: 0)
    clock.seconds = BEGIN + 91 * DAY
    late = a_statement(horizon_h=1.0, as_of=clock.seconds, until=clock.seconds + HOUR)
    live(board, clock, [late], lambda _: 0)
    clock.seconds += DAY
    board.flush()
    assert barrier(board).n == 1
    clock.seconds += 120 * DAY
    board.state([replace(late, symbol="ETHUSDT", as_of=clock.seconds, until=clock.seconds + HOUR)])
    board.flush()
    assert [card.symbol for card in board.cards()] == ["ETHUSDT"]


def test_rows_are_bounded_and_the_oldest_go(open_board: OpenBoard, clock: HandClock) -> None:
    board, stated = open_board(), hourly(50)
    live(board, clock, stated, lambda _: 0)
    assert board._log is not None
    board._log.forget(0, rows_max=20)
    kept = [each for each, _ in board._log.since(0)]
    assert kept == stated[-20:]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Stated, float | None]]:
    """Forecasts of several kinds with their outcomes, some never known, at times that overlap."""
    found = []
    for at in range(draw(st.integers(1, 40))):
        as_of = BEGIN + draw(st.integers(0, 100)) * HOUR
        span = {"as_of": as_of, "until": as_of + HOUR, "horizon_h": 1.0, "signal": "mixed"}
        reference = draw(st.none() | st.floats(0.001, 0.999))
        outcome: float | None
        if draw(st.booleans()):
            value = draw(st.sampled_from([0.004, 0.015, 0.1, 0.35, 0.999]))
            stated = a_statement(value=value, reference=reference, key=f"down:{at}", **span)
            outcome = draw(st.sampled_from([0.0, 1.0, None]))
        else:
            key = draw(st.sampled_from(["tau:0.05", "tau:0.95"]))
            stated = a_quantile(**(span | {"key": key, "value": draw(st.floats(-3, 3)), "reference": reference}))
            outcome = draw(st.none() | st.floats(-5, 5))
        found.append((stated, outcome))
    return list({each.identity: (each, outcome) for each, outcome in found}.values())


@given(histories(), st.lists(st.integers(0, 39), max_size=3))
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_card_is_one_pass_over_the_raw_log_and_a_restart_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[Stated, float | None]], restarts: list[int]
) -> None:
    clock = HandClock()
    directory = tmp_path_factory.mktemp("board")
    board = Scoreboard(directory, clock)
    outcomes = {each.identity: outcome for each, outcome in history}
    for at, (stated, _) in enumerate(sorted(history, key=lambda each: each[0].as_of)):
        clock.seconds = max(clock.seconds, stated.as_of)
        board.state([stated])
        if at in restarts:
            board.close()
            board = Scoreboard(directory, clock)
        for due in board.due(clock.seconds):
            outcome = outcomes[due.identity]
            if outcome is not None:
                board.resolve(due, outcome)
    clock.seconds += 2 * HOUR
    for due in board.due(clock.seconds):
        outcome = outcomes[due.identity]
        if outcome is not None:
            board.resolve(due, outcome)
    board.flush()
    board.close()
    clock.seconds += DAY  # Every card is scored anew.
    board = Scoreboard(directory, clock)
    board.flush()
    card = board.card("mixed", "BTCUSDT", 1)
    board.close()

    known = [(stated, outcome) for stated, outcome in history if outcome is not None]
    assert card.n == len(known)
    sure = [(stated, outcome) for stated, outcome in known if stated.kind == "probability"]
    assert (card.probabilities is not None) is bool(sure)
    if card.probabilities is not None:
        p, y = [stated.value for stated, _ in sure], [outcome for _, outcome in sure]
        assert card.probabilities.brier == pytest.approx(scores.brier(p, y))
        assert card.probabilities.log_loss == pytest.approx(scores.log_loss(p, y))
        assert card.probabilities.ece == pytest.approx(scores.ece(p, y))
        assert card.probabilities.rare.ratio == pytest.approx(scores.rare_ratio(p, y).ratio)
        referred = [(stated.value, stated.reference, outcome) for stated, outcome in sure if stated.reference]
        if referred:
            assert card.probabilities.brier_skill == pytest.approx(scores.brier_skill(*zip(*referred, strict=True)))
    for quantile in card.quantiles:
        pairs = [(stated.value, outcome) for stated, outcome in known if stated.key == quantile.key]
        q, y = [value for value, _ in pairs], [outcome for _, outcome in pairs]
        assert quantile.pinball == pytest.approx(scores.pinball(q, y, quantile.tau))
        assert quantile.exceedance == pytest.approx(scores.exceedance(q, y))
    assert all(math.isfinite(each.outside) for each in card.quantiles)
    both = {stated.as_of: stated for stated, _ in known if stated.key == "tau:0.05"}
    tops = [
        (both[stated.as_of], stated, outcome)
        for stated, outcome in known
        if stated.key == "tau:0.95" and stated.as_of in both
    ]
    if tops:
        low, high, y = zip(*((a.value, b.value, outcomes[a.identity]) for a, b, _ in tops), strict=True)
        assert card.bands[0].coverage == pytest.approx(scores.coverage(low, high, y))
    else:
        assert card.bands == ()


def test_the_clock_of_a_window_is_whole_days(open_board: OpenBoard, clock: HandClock) -> None:
    board, (stated,) = open_board(), hourly(1)
    live(board, clock, [stated], lambda _: 0)
    first_day = stated.until // DAY
    clock.seconds = (first_day + 89) * DAY
    board.flush()
    assert barrier(board).n == 1
    clock.seconds = (first_day + 90) * DAY
    board.flush()
    assert barrier(board).n == 0
