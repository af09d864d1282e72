"""The measurements of the signals: that they read both kinds of file, and print what docs/signals.md shows."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench import correlation, slippage

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
HEAD = ("symbol", "ts", "open", "high", "low", "close", "volume")


def rows(symbols: int, bars: int, step: timedelta) -> list[tuple[object, ...]]:
    source = np.random.default_rng(4)
    common = 0.001 * source.standard_normal(bars)
    found: list[tuple[object, ...]] = []
    for symbol in range(symbols):
        closes = 100 * np.exp(np.cumsum(common + 0.0005 * source.standard_normal(bars)))
        for n, close in enumerate(closes):
            begun = closes[n - 1] if n else close
            high, low = max(begun, close) * 1.0003, min(begun, close) * 0.9997
            found.append((f"S{symbol}USDT", BEGIN + n * step, begun, high, low, close, 1.0))
    return found


def test_correlations_are_scored_from_a_csv_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "hours.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for symbol, at, *prices in rows(4, 24 * 20, timedelta(hours=1)):
            assert isinstance(at, datetime)
            writer.writerow((symbol, int(at.timestamp()), *prices))
    assert correlation.main(["--ohlcv", str(path), "--from", "2024-01-01", "--chosen-until", "2024-01-15"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    assert names == ["days", "---", "all", "before, chosen on", "after", "worst 3%"]
    # Twenty days less the first eight: seven of history, and the first bar has no return.
    assert lines[2].split("|")[2].strip() == "12"
    assert "6 pairs" in lines[-2]


def test_a_file_without_a_day_to_forecast_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "hours.parquet"
    pl.DataFrame(rows(2, 30, timedelta(hours=1)), schema=list(HEAD), orient="row").write_parquet(path)
    assert correlation.main(["--ohlcv", str(path)]) == 1
    assert "no day" in capsys.readouterr().err


def test_adverse_moves_are_scored_from_a_parquet_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "minutes.parquet"
    pl.DataFrame(rows(1, 1_440 * 8 + 60, timedelta(minutes=1)), schema=list(HEAD), orient="row").write_parquet(path)
    assert slippage.main(["--ohlcv", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:6]] == ["50.0%", "90.0%", "99.0%", "99.9%"]
    assert lines[2].split("|")[2].strip() == str(2 * (1_440 + 59))


def test_too_few_minutes_are_said_to_be_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "minutes.parquet"
    pl.DataFrame(rows(1, 100, timedelta(minutes=1)), schema=list(HEAD), orient="row").write_parquet(path)
    assert slippage.main(["--ohlcv", str(path)]) == 1
    assert "eight days" in capsys.readouterr().err
