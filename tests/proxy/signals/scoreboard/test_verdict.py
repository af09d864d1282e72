"""When a card is marked: a large error that chance cannot have made, and not before; and no flicker on the limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from proxy.signals.scoreboard.card import Card, Row, card_of
from proxy.signals.scoreboard.stated import Subject
from proxy.signals.scoreboard.verdict import COLD_BELOW, judged
from tests.support.signals import BEGIN, HOUR, a_card, some_rows

SUBJECT = Subject("barrier", "BTCUSDT", 24.0)


def status_of(rows: list[Row], marked_since: int | None = None) -> tuple[str, str]:
    card = judged(card_of(SUBJECT, rows), marked_since, BEGIN)
    return card.status, card.why


def honest_rows(seed: int, horizon_h: int, days: int = 90) -> list[Row]:
    """Stated every hour with the probability that is true; outcomes overlap as those of a drifting price do."""
    rng = np.random.default_rng(seed)
    hours = days * 24
    rate = 0.004 * np.exp(0.8 * rng.standard_normal(hours + horizon_h))
    jumps = rng.random(hours + horizon_h) < rate
    rows = []
    for at in range(hours):
        within = slice(at, at + horizon_h)
        stated = float(1 - np.prod(1 - rate[within]))
        begin = BEGIN + at * HOUR
        end = begin + horizon_h * HOUR
        rows.append(Row("down:0.05", "probability", begin, end, stated, None, float(jumps[within].any())))
    return rows


def quantile_rows(n: int, outside: int, tau: float = 0.99, every_h: int = 1, horizon_h: int = 1) -> list[Row]:
    return [
        Row(
            f"tau:{tau}",
            "quantile",
            BEGIN + at * every_h * HOUR,
            BEGIN + (at * every_h + horizon_h) * HOUR,
            0.0,
            None,
            1.0 if at < outside else -1.0,
        )
        for at in range(n)
    ]


def test_with_few_outcomes_nothing_is_said() -> None:
    assert status_of(some_rows(COLD_BELOW - 1, 0.1, 100)) == ("cold", "199 of 200 forecasts scored")
    assert status_of([])[0] == "cold"
    assert status_of(some_rows(COLD_BELOW, 0.1, 20))[0] == "reliable"


def test_a_large_calibration_error_marks() -> None:
    status, why = status_of(some_rows(400, 0.1, 100))
    assert status == "unreliable"
    assert why == "calibration error 0.150, above 0.05"


def test_the_same_error_over_overlapping_days_may_be_chance() -> None:
    hourly = some_rows(400, 0.1, 60)
    assert status_of([row._replace(until=row.as_of + 24 * HOUR) for row in some_rows(400, 0.1, 100)])[0] == "reliable"
    assert status_of(hourly)[0] == "reliable", "five points are the limit"


@pytest.mark.parametrize(("hits", "status"), [(5, "reliable"), (12, "unreliable")])
def test_rare_events_that_come_too_often_mark(hits: int, status: str) -> None:
    rows = some_rows(1_000, 0.002, 0)
    for at in range(hits):
        rows[at * 80] = rows[at * 80]._replace(outcome=1.0)
    found, why = status_of(rows)
    assert found == status
    assert ("rare events came 6.0 times as often as stated, above 3" in why) is (status == "unreliable")


def test_one_crash_is_one_event_however_often_it_was_forecast() -> None:
    rows = [row._replace(until=row.as_of + 24 * HOUR) for row in some_rows(2_000, 0.0005, 0)]
    rows[500:524] = [row._replace(outcome=1.0) for row in rows[500:524]]
    assert card_of(SUBJECT, rows).probabilities.rare.ratio == pytest.approx(24.0)  # type: ignore[union-attr]
    assert status_of(rows)[0] == "reliable"


@pytest.mark.parametrize(("outside", "status"), [(10, "reliable"), (19, "reliable"), (40, "unreliable")])
def test_a_quantile_that_is_broken_too_often_marks(outside: int, status: str) -> None:
    found, why = status_of(quantile_rows(1_000, outside))
    assert found == status
    assert ("too narrow" in why) is (status == "unreliable")


def test_a_quantile_that_is_never_reached_marks_too() -> None:
    assert status_of(quantile_rows(1_000, 0))[1].endswith("0.00% of outcomes lie outside, 1.00% should; too wide")
    assert status_of(quantile_rows(300, 0))[0] == "reliable", "three were to be expected"


def test_outcomes_that_overlap_count_once() -> None:
    assert status_of(quantile_rows(1_000, 60, horizon_h=24, every_h=24))[0] == "unreliable"
    assert status_of(quantile_rows(1_000, 60, horizon_h=24))[0] == "reliable"


def test_a_lower_quantile_is_broken_downwards() -> None:
    rows = [row._replace(outcome=-row.outcome) for row in quantile_rows(1_000, 40, tau=0.01)]
    assert "4.00% of outcomes lie outside, 1.00% should; too narrow" in status_of(rows)[1]


def test_what_is_marked_is_cleared_only_well_inside_the_limit() -> None:
    between = some_rows(4_000, 0.1, 580)
    assert status_of(between)[0] == "reliable"
    assert status_of(between, marked_since=5)[0] == "unreliable"
    assert status_of(some_rows(4_000, 0.1, 500), marked_since=5)[0] == "reliable"


def test_the_mark_keeps_its_date_and_too_few_outcomes_do_not_clear_it() -> None:
    card = a_card(some_rows(400, 0.1, 300), at=77)
    assert card.since == 77
    assert judged(card, 77, 99).since == 77
    assert judged(replace(card, n=10), 77, 99).since == 77
    assert judged(Card(**SUBJECT._asdict()), None, 99).since is None


@pytest.mark.parametrize("horizon_h", [1, 8, 24])
def test_an_honest_forecaster_is_not_marked(horizon_h: int) -> None:
    marked = [seed for seed in range(12) if status_of(honest_rows(seed, horizon_h))[0] == "unreliable"]
    assert marked == []


@pytest.mark.parametrize("horizon_h", [1, 8, 24])
def test_one_that_states_a_tenth_of_the_odds_is(horizon_h: int) -> None:
    marked = 0
    for seed in range(6):
        rows = [row._replace(value=row.value / 10) for row in honest_rows(seed, horizon_h)]
        marked += status_of(rows)[0] == "unreliable"
    assert marked >= 5


@pytest.mark.parametrize(("above", "status"), [(50, "reliable"), (400, "reliable"), (900, "unreliable")])
def test_outcomes_that_are_the_stated_value_itself_count_for_the_forecaster(above: int, status: str) -> None:
    """The median of minutes in which mostly nothing moves is nothing; where most do move it is not."""
    rows = [row._replace(outcome=max(row.outcome, 0.0)) for row in quantile_rows(1_000, above, tau=0.5)]
    assert status_of(rows)[0] == status
