"""Nothing is wrong with these accounts, and they differ as real ones do."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sandbox.orderflow.accounts import STYLES, account_names
from sandbox.orderflow.habits import poisson
from sandbox.orderflow.market import generated_market
from sandbox.orderflow.rows import Rows
from sandbox.orderflow.simulation import Simulation
from sandbox.orderflow.venue import Weather
from tests.sandbox.orderflow.conftest import DAYS, SEED

ACCOUNTS = account_names()


def of_style(simulation: Simulation, style: str) -> list[Rows]:
    return [rows for account, rows in simulation.clean.items() if account.startswith(style)]


def share(rows: Rows, what: str) -> float:
    return float((rows["type"] == what).mean())


def by_hour(rows: Rows) -> np.ndarray:
    return np.bincount((rows["ts"] % 86_400 // 3600).astype(int), minlength=24)


def test_there_are_two_of_every_style(simulation: Simulation) -> None:
    assert list(simulation.clean) == ACCOUNTS
    assert len(ACCOUNTS) == 12
    assert {account.rpartition("-")[0] for account in ACCOUNTS} == set(STYLES)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_orders_are_in_time_and_in_range(simulation: Simulation, account: str) -> None:
    rows = simulation.clean[account]
    assert np.all(np.diff(rows["ts"]) >= 0)
    assert rows["ts"][0] >= simulation.start
    assert rows["ts"][-1] < simulation.end
    assert np.all(rows["notional"] > 0)
    assert np.all(rows["round_trip_ms"] > 0)
    assert np.isfinite(rows["distance_bps"]).all()
    assert set(rows["type"].tolist()) <= {"new", "amend", "cancel"}
    assert set(rows["side"].tolist()) <= {"buy", "sell"}


@pytest.mark.parametrize(
    ("style", "least", "most"),
    [
        ("market-maker", 1_000, 40_000),
        ("grid", 80, 8_000),
        ("trend", 15, 800),
        ("funding", 20, 1_000),
        ("dca", 1, 120),
        ("scalper", 100, 20_000),
    ],
)
def test_how_much_each_style_sends_a_day(simulation: Simulation, style: str, least: int, most: int) -> None:
    for rows in of_style(simulation, style):
        assert least < len(rows) / DAYS < most


def test_rates_reach_from_a_few_a_day_to_several_a_second(simulation: Simulation) -> None:
    assert min(map(len, simulation.clean.values())) / DAYS < 60
    bursts = [
        int((np.searchsorted(rows["ts"], rows["ts"] + 1) - np.arange(len(rows))).max())
        for rows in of_style(simulation, "scalper")
    ]
    assert max(bursts) >= 4


def test_market_makers_move_quotes_and_others_mostly_place(simulation: Simulation) -> None:
    for rows in of_style(simulation, "market-maker"):
        assert share(rows, "amend") + share(rows, "cancel") > 0.3
        assert np.median(rows["distance_bps"]) < 0
    for rows in of_style(simulation, "grid"):
        assert share(rows, "new") > 0.7
    for rows in of_style(simulation, "scalper"):
        assert 0.02 < share(rows, "cancel") < 0.5
    for rows in of_style(simulation, "funding"):
        assert share(rows, "amend") > 0.2


def test_scalpers_sleep_and_market_makers_do_not(simulation: Simulation) -> None:
    for rows in of_style(simulation, "scalper"):
        assert (by_hour(rows) == 0).sum() >= 6
    for rows in of_style(simulation, "market-maker"):
        assert by_hour(rows).min() > 0


def test_funding_arbitrage_comes_around_the_funding_times(simulation: Simulation) -> None:
    for rows in of_style(simulation, "funding"):
        into = rows["ts"] % 28_800
        assert ((into > 28_800 - 3000) | (into < 1200)).mean() > 0.7


def test_bots_are_busier_when_the_market_is_restless(simulation: Simulation) -> None:
    lead = np.array(generated_market(SEED, DAYS).tapes["BTCUSDT"].unrest)
    for style in ("market-maker", "grid"):
        for rows in of_style(simulation, style):
            counts = np.bincount(((rows["ts"] - simulation.start) // 60).astype(int), minlength=len(lead))
            assert counts[lead > 1.5].mean() > 1.2 * counts[lead < 1].mean(), style


def test_market_makers_widen_when_the_market_is_restless(simulation: Simulation) -> None:
    lead = np.array(generated_market(SEED, DAYS).tapes["BTCUSDT"].unrest)
    for rows in of_style(simulation, "market-maker"):
        quotes = rows[(rows["distance_bps"] < 0) & (rows["type"] != "cancel")]
        unrest = lead[((quotes["ts"] - simulation.start) // 60).astype(int)]
        assert np.median(quotes["distance_bps"][unrest > 1.5]) < np.median(quotes["distance_bps"][unrest < 1])


def test_some_orders_are_refused_but_few(simulation: Simulation) -> None:
    refused = {account: float(rows["rejected"].mean()) for account, rows in simulation.clean.items()}
    assert max(refused.values()) < 0.06
    assert sum(each > 0 for each in refused.values()) >= 8


def test_the_venue_is_slow_for_everyone_at_once() -> None:
    weather = Weather(SEED, generated_market(SEED, DAYS))
    assert max(weather.slowness) > 1.5
    assert min(weather.slowness) >= 1
    assert np.median(weather.slowness) < 1.2
    assert max(weather.refusing) <= 0.15


def test_the_same_seed_sends_the_same_orders() -> None:
    one, same, other = (Simulation(seed, 2, 1, each=1) for seed in (7, 7, 8))
    for account in one.clean:
        assert np.array_equal(one.clean[account], same.clean[account])
        assert not np.array_equal(one.clean[account], other.clean[account])


@pytest.mark.parametrize("mean", [0.3, 4.0, 60.0])
def test_poisson_numbers_have_their_mean_and_variance(mean: float) -> None:

    rng = random.Random(1)
    drawn = np.array([poisson(rng, mean) for _ in range(4000)])
    assert drawn.mean() == pytest.approx(mean, rel=0.08)
    assert drawn.var() == pytest.approx(mean, rel=0.12)


def test_a_day_to_learn_and_a_day_to_test_are_needed() -> None:
    for days, learning_days in ((1, 1), (3, 3), (3, 0)):
        with pytest.raises(ValueError, match="a day to learn"):
            Simulation(1, days, learning_days)
