"""The walk over the past: no look-ahead, references of the past alone, and files as archives have them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from proxy import cli
from proxy.signals.backtest.bar_file import Bars, FileUnreadable, read_files
from proxy.signals.backtest.futures import futures_of, past_of, share_before
from proxy.signals.backtest.hourly import Walked, walk
from proxy.signals.backtest.report import report_of
from tests.proxy.signals.books import SIGMA, Learner, Walk, some_bars

END = 480_000 * 3_600
HEAD = "symbol,ts,open,high,low,close,volume\n"


def as_bars(hours: int, *, seed: int = 2, sigma: float = SIGMA) -> Bars:
    table = np.array([list(bar) for bar in some_bars(hours, until=END, seed=seed, sigma=sigma)], dtype=float)
    ends, open_, high, low, close = table.T
    return Bars("A", 1.0, ends, open_, high, low, close, np.ones(hours))


class Honest(Walk):
    """Knows its market, and remembers what it was fed when it was asked."""

    METHOD = "honest 1"
    samples = 0

    def __init__(self, bar_hours: float) -> None:
        super().__init__()
        self.asked_after: list[float] = []
        self.last = 0.0

    def update(self, ts, open, high, low, close, volume) -> None:
        self.samples += 1
        self.last = ts

    def predict(self, horizons_h, dist_down, dist_up, taus):
        self.asked_after.append(self.last)
        found = super().predict(horizons_h, dist_down, dist_up, taus)
        normal = {0.01: -2.326, 0.05: -1.645, 0.1: -1.282, 0.2: -0.842, 0.3: -0.524, 0.5: 0.0}
        quantiles = {**normal, **{round(1 - tau, 2): -z for tau, z in normal.items()}}
        return {h: {**found[h], "quantiles": [quantiles[tau] * self.scale(h) for tau in taus]} for h in horizons_h}

    def prob_rv_above(self, hours, log_threshold) -> float:
        return 0.2

    def state(self):
        return {}


def test_an_honest_forecaster_scores_as_honest():
    walked = Walked()
    walk(as_bars(180 * 24 + 4_000), 0, Honest, walked)
    found = report_of(walked, ["A"])
    assert found["barrier"]["8h"]["ece"] < 0.03
    assert 0.3 < found["barrier"]["8h"]["rare_ratio"] < 1.5
    assert abs(found["barrier"]["8h"]["brier_skill"]) < 0.03, "the past of a market that never changes says as much"
    assert found["quantile"]["8h"]["coverage_90"] == pytest.approx(0.9, abs=0.03)
    assert found["barrier"]["1h"]["worst_symbol_ece"][1] == "A"
    assert walked.bars == 180 * 24 + 4_000


def test_what_comes_later_changes_nothing_that_was_stated():
    first, second = Walked(), Walked()
    bars = as_bars(180 * 24 + 400)
    cut = len(bars) - 100
    other = Bars(
        "A", 1.0, *(np.array(getattr(bars, name)) for name in ("ends", "open", "high", "low", "close", "volume"))
    )
    for name in ("open", "high", "low", "close"):
        getattr(other, name)[cut:] *= 3.0
    walk(bars, 0, lambda hours: Learner(), first)
    walk(other, 0, lambda hours: Learner(), second)
    one, two = (each.barriers[24].columns() for each in (first, second))
    before = one[0] < bars.ends[cut] // 86_400
    for column in (0, 1, 2, 3):
        assert np.array_equal(one[column][before], two[column][: before.sum()])
    assert not np.array_equal(one[3][~before], two[3][before.sum() :])


def test_the_climatology_knows_only_windows_that_were_over():
    bars = as_bars(900)
    future = futures_of(bars, 8)
    hits = np.where(np.isnan(future.low), np.nan, future.low <= math.log1p(-0.02))
    shares = share_before(hits, future, 1.0)
    assert math.isnan(shares[606]), "599 windows were over"
    assert shares[700] == pytest.approx(np.nanmean(hits[: 700 - 8 + 1]))
    assert len(past_of(future.close, future, 700, 1.0)) == 693
    assert future.close[10] == pytest.approx(math.log(bars.close[18] / bars.close[10]))


def test_over_a_gap_nothing_came_after():
    bars = as_bars(60)
    bars.ends[30:] += 3_600
    future = futures_of(bars, 8)
    assert np.isnan(future.low[22:30]).all() and not np.isnan(future.low[21]) and not np.isnan(future.low[30])


@pytest.mark.parametrize("kind", ["seconds", "milliseconds", "dates", "parquet"])
def test_files_are_read_as_archives_have_them(tmp_path: Path, kind: str):
    opened = [1_700_002_800 + 3_600 * n for n in range(3)]
    stamps = {
        "seconds": opened,
        "milliseconds": [each * 1_000 for each in opened],
        "dates": ["2023-11-14T23:00:00", "2023-11-15T00:00:00", "2023-11-15T01:00:00"],
        "parquet": [each * 1_000_000 for each in opened],
    }[kind]
    prices = {name: [1.0, 1.0, 1.0] for name in ("open", "high", "low", "close", "volume")}
    table = pl.DataFrame({"symbol": ["B"] * 3, "ts": stamps, **prices})
    path = tmp_path / ("bars.parquet" if kind == "parquet" else "bars.csv")
    if kind == "parquet":
        table.with_columns(pl.from_epoch("ts", time_unit="us")).write_parquet(path)
    else:
        table.write_csv(path)
    (bars,) = read_files([path])
    assert (bars.symbol, bars.hours) == ("B", 1.0)
    assert bars.ends.tolist() == [each + 3_600 for each in opened]


@pytest.mark.parametrize("text", ["symbol,ts,open\nA,1,1\n", HEAD + "A,3600,1,1,1,1,1\nA,7200,1,1,0,1,1\n"])
def test_what_cannot_be_walked_is_refused(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "bars.csv"
    path.write_text(text)
    with pytest.raises(FileUnreadable):
        read_files([path])
    assert cli.main(["--data-dir", str(tmp_path), "signals", "backtest", "--ohlcv", str(path)]) == 2
    assert "signals backtest:" in capsys.readouterr().err


def test_the_command_prints_the_scores_of_hours_and_of_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hours, minutes = tmp_path / "hours.csv", tmp_path / "minutes.csv"
    table = [
        f"A,{bar.end - 3_600},{bar.open},{bar.high},{bar.low},{bar.close},1" for bar in some_bars(5_000, until=END)
    ]
    hours.write_text(HEAD + "\n".join(table))
    rows = [
        f"M,{END + 60 * n},{bar.open},{bar.high},{bar.low},{bar.close},1"
        for n, bar in enumerate(some_bars(3_200, until=END, sigma=0.0005))
    ]
    minutes.write_text(HEAD + "\n".join(rows))
    assert (
        cli.main(["--data-dir", str(tmp_path), "signals", "backtest", "--ohlcv", str(hours), str(minutes), "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["symbols"] == ["A", "M"]
    assert found["barrier"]["24h"]["n"] > 1_000 and found["regime"]["flips_a_day"] >= 0
    assert found["slippage"]["q99"]["exceeded"] == pytest.approx(0.01, abs=0.02)
    assert cli.main(["--data-dir", str(tmp_path), "signals", "backtest", "--ohlcv", str(minutes)]) == 0
    assert "slippage q90: n=" in capsys.readouterr().out
