"""Files of bars: every way that time is written, and the file, row and column of what will not do."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from proxy.signals.backtest.reader import BarsUnreadable, read_bars

HEADER = "symbol,ts,open,high,low,close,volume"
GOOD = [
    "BTCUSDT,2024-01-01T00:00:00Z,100,110,90,105,7",
    "BTCUSDT,2024-01-01T01:00:00Z,105,106,104,104,8",
    "BTCUSDT,2024-01-01T02:00:00Z,104,105,103,104,9",
]
NEW_YEAR = 1_704_067_200


def written(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "bars.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_bar_closes_one_length_after_it_opened(tmp_path: Path):
    (bars,) = read_bars([written(tmp_path, GOOD)])
    assert (bars.symbol, bars.bar_hours) == ("BTCUSDT", 1.0)
    assert bars.ts.tolist() == [NEW_YEAR + 3600, NEW_YEAR + 7200, NEW_YEAR + 10_800]
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]) == (100, 110, 90, 105, 7)


@pytest.mark.parametrize(
    "form",
    ["{0}", "{0}000", "{0}000000", "{0}000000000", "{1}", "{1}+00:00"],
    ids=["seconds", "milliseconds", "microseconds", "nanoseconds", "without a zone", "with a zone"],
)
def test_time_in_every_unit_is_the_same_time(tmp_path: Path, form: str):
    rows = [f"X,{form.format(NEW_YEAR + 3600 * n, f'2024-01-01 0{n}:00:00')},1,1,1,1,1" for n in range(3)]
    (bars,) = read_bars([written(tmp_path, rows)])
    assert bars.ts[0] == NEW_YEAR + 3600


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_parquet_reads_as_csv_does(tmp_path: Path, unit: str):
    table = pl.DataFrame({
        "symbol": ["A", "A"], "ts": [NEW_YEAR, NEW_YEAR + 60], "open": [1.0, 1.0], "high": [1.0, 2.0],
        "low": [1.0, 1.0], "close": [1.0, 2.0], "volume": [1, 2], "trades": [3, 4],
    }).with_columns(pl.from_epoch("ts", time_unit="s").cast(pl.Datetime(unit, "UTC")))  # fmt: skip
    table.write_parquet(tmp_path / "bars.parquet")
    (bars,) = read_bars([tmp_path / "bars.parquet"])
    assert bars.bar_hours == pytest.approx(1 / 60)
    assert bars.ts.tolist() == [NEW_YEAR + 60, NEW_YEAR + 120]


def test_rows_in_any_order_and_symbols_in_order_of_name(tmp_path: Path):
    rows = [*reversed(GOOD), *(row.replace("BTC", "ADA") for row in GOOD)]
    assert [bars.symbol for bars in read_bars([written(tmp_path, rows)])] == ["ADAUSDT", "BTCUSDT"]


@pytest.mark.parametrize(
    ("row", "column", "text"),
    [
        (2, "close", "BTCUSDT,2024-01-01T01:00:00Z,105,106,104,abc,8"),
        (2, "open", "BTCUSDT,2024-01-01T01:00:00Z,,106,104,104,8"),
        (2, "low", "BTCUSDT,2024-01-01T01:00:00Z,105,106,0,104,8"),
        (2, "high", "BTCUSDT,2024-01-01T01:00:00Z,105,104.5,104,104,8"),
        (2, "volume", "BTCUSDT,2024-01-01T01:00:00Z,105,106,104,104,-1"),
        (2, "volume", "BTCUSDT,2024-01-01T01:00:00Z,105,106,104,104,nan"),
        (2, "ts", "BTCUSDT,yesterday,105,106,104,104,8"),
        (2, "symbol", ",2024-01-01T01:00:00Z,105,106,104,104,8"),
        (2, "ts", "BTCUSDT,2024-01-01T00:00:00Z,105,106,104,104,8"),
    ],
)
def test_what_will_not_do_is_named(tmp_path: Path, row: int, column: str, text: str):
    path = written(tmp_path, [GOOD[0], text, GOOD[2]])
    with pytest.raises(BarsUnreadable) as told:
        read_bars([path])
    assert f"{path}: row {row}, column {column}" in str(told.value)


def test_missing_columns_are_named(tmp_path: Path):
    with pytest.raises(BarsUnreadable, match="no column close, volume"):
        read_bars([written(tmp_path, ["A,1,1,1,1"], header="symbol,ts,open,high,low")])


def test_bars_of_a_day_or_of_two_lengths_are_refused(tmp_path: Path):
    daily = [f"A,{NEW_YEAR + 86_400 * n},1,1,1,1,1" for n in range(5)]
    mixed = [f"A,{NEW_YEAR + at},1,1,1,1,1" for at in (0, 3600, 7200, 9000, 10_800)]
    for rows in (daily, mixed):
        with pytest.raises(BarsUnreadable, match="apart"):
            read_bars([written(tmp_path, rows)])


def test_files_that_are_none(tmp_path: Path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    text = tmp_path / "bars.txt"
    text.write_text(HEADER)
    for path in (broken, text, tmp_path / "missing.csv"):
        with pytest.raises(BarsUnreadable, match=path.name):
            read_bars([path])


def test_a_symbol_asked_for_must_be_there_and_in_one_file_only(tmp_path: Path):
    path = written(tmp_path, GOOD)
    with pytest.raises(BarsUnreadable, match="no bars of ETHUSDT"):
        read_bars([path], frozenset({"BTCUSDT", "ETHUSDT"}))
    (tmp_path / "other").mkdir()
    with pytest.raises(BarsUnreadable, match="too"):
        read_bars([path, written(tmp_path / "other", GOOD)])
