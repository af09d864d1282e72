"""The walk-forward: outcomes and climatology by hand, no look ahead, and a report that says what it measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proxy.cli import main
from proxy.signals.backtest.outcomes import ahead, hour_table, trailing_frequency
from proxy.signals.backtest.reader import Bars
from proxy.signals.backtest.report import lines, report
from proxy.signals.backtest.walk import Plan, walk
from tests.support.markets import START, Bar, clustered_bars

PLAN = Plan(history_days=30)


def as_bars(market: list[Bar], symbol: str = "TEST", bar_hours: float = 1.0) -> Bars:
    return Bars(symbol, bar_hours, *(np.array(column) for column in zip(*market, strict=True)))


def small(prices: list[tuple[float, float, float]], missing: int | None = None) -> Bars:
    """Hourly bars from (high, low, close), each opening at the last close."""
    opens = [prices[0][2], *(close for _, _, close in prices[:-1])]
    rows = [
        (START + 3600.0 * (n + 1), opened, *bar, 1.0)
        for n, (opened, bar) in enumerate(zip(opens, prices, strict=True))
        if n != missing
    ]
    return as_bars(rows)


PATH = [(100, 100, 100), (103, 99, 100), (101, 96, 97), (110, 97, 108)]


def test_outcomes_are_the_furthest_of_the_bars_after_the_origin():
    found = ahead(hour_table(small(PATH)), 2)
    assert found.down[0] == pytest.approx(np.log(100 / 96))
    assert found.up[0] == pytest.approx(np.log(103 / 100))
    assert found.end[0] == pytest.approx(np.log(97 / 100))
    assert found.up[1] == pytest.approx(np.log(110 / 100))
    assert np.isnan(found.end[2:]).all()


def test_over_a_missing_hour_nothing_is_known():
    found = ahead(hour_table(small(PATH, missing=2)), 1)
    assert np.isfinite(found.down).tolist() == [True, False, False, False]


def test_minutes_make_the_hours_that_hours_make():
    market = clustered_bars(30, seed=4, bars_an_hour=60)
    by_minute = hour_table(as_bars(market, bar_hours=1 / 60))
    assert by_minute.last_bar.tolist() == [60 * n + 59 for n in range(30)]
    assert by_minute.high[3] == pytest.approx(np.log(max(bar[2] for bar in market[180:240])))


def test_the_climatology_counts_only_what_was_over_by_then():
    hits = np.array([[1.0], [0.0], [1.0], [np.nan], [1.0]])
    at = np.array([0, 2, 4])
    assert trailing_frequency(hits, 2, 10, at).ravel() == pytest.approx([np.nan, 1.0, 2 / 3], nan_ok=True)
    assert trailing_frequency(hits, 2, 2, at)[2, 0] == pytest.approx(0.5)


MARKET = clustered_bars(24 * 45, seed=31)


def test_nothing_before_the_end_knows_the_end():
    whole = walk(as_bars(MARKET), PLAN)
    cut = walk(as_bars(MARKET[: 24 * 40]), PLAN)
    for hours, judged in cut.horizons.items():
        rows = len(judged.days)
        assert rows > 30
        for name in ("stated", "climatology", "hits", "quantiles", "climatology_quantiles", "ends"):
            assert np.array_equal(getattr(judged, name), getattr(whole.horizons[hours], name)[:rows]), name


def test_origins_are_where_the_plan_says():
    told = [len(walk(as_bars(MARKET), replace(PLAN, every_h=every)).horizons[1].days) for every in (6, 12)]
    assert told[0] == pytest.approx(2 * told[1], abs=1)


def test_the_report_is_json_and_has_what_it_promises():
    found = walk(as_bars(MARKET), PLAN)
    told = json.loads(json.dumps(report([replace(found, symbol=name) for name in ("A", "B")], PLAN)))
    for hours in ("1", "8", "24"):
        each = told["horizons"][hours]
        assert each["n"] == 2 * 12 * len(found.horizons[int(hours)].days)
        low, high = each["brier_skill_90"]
        assert low <= each["brier_skill"] <= high
        assert 0.8 < each["coverage_90"] < each["coverage_98"] <= 1
        assert each["brier_skill"] == pytest.approx(1 - each["brier"] / each["climatology_brier"])
        assert told["symbols"]["A"]["horizons"][hours]["n"] == each["n"] / 2
        assert set(each["pinball"]) == {"0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"}
    assert told["regime"]["n"] > 0
    assert all("unknown" not in line for line in list(lines(told))[:4])


def test_a_short_file_gives_a_third_to_history_and_a_long_one_180_days():
    assert Plan().history_of(as_bars(MARKET)) == 14
    year = np.arange(24 * 365) * 3600.0
    assert Plan().history_of(Bars("A", 1.0, year, *([year] * 5))) == 180
    assert PLAN.history_of(as_bars(MARKET)) == 30


def test_too_short_a_file_says_so_and_fails_nowhere():
    told = report([walk(as_bars(MARKET[:100]), PLAN)], PLAN)
    assert [each["n"] for each in told["horizons"].values()] == [0, 0, 0]
    assert told["regime"] == {"n": 0}
    assert "no outcomes" in list(lines(told))[1]


def test_the_command_walks_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "bars.csv"
    rows = [f"AUSDT,{bar[0] - 3600:.0f}," + ",".join(map(str, bar[1:])) for bar in MARKET[: 24 * 36]]
    path.write_text("symbol,ts,open,high,low,close,volume\n" + "\n".join(rows))
    assert main(["signals", "backtest", "--ohlcv", str(path), "--history-days", "30", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["horizons"]["8"]["n"] > 0
    assert main(["signals", "backtest", "--ohlcv", str(path), "--history-days", "30"]) == 0
    assert "Brier skill" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "bars.csv"
    path.write_text("symbol,ts,open\nA,1,1\n")
    assert main(["signals", "backtest", "--ohlcv", str(path)]) == 2
    assert "no column high, low, close, volume" in capsys.readouterr().err
