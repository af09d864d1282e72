"""Hourly bars from files: strict, bounded, and never half a bar."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from proxy.exchange.market_payloads import MarkCandle
from proxy.signals.bars import HOUR_S, Bar, BarsRead, BarsUnreadable, bars_of, moment, read_bars

HEAD = "symbol,ts,open,high,low,close,volume\n"


def a_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bars.csv"
    path.write_text(text)
    return path


def test_each_symbol_has_its_bars_in_order_of_time_and_none_twice(tmp_path):
    rows = "A,3600,1,2,0.5,1.5,9\nB,3600,5,5,5,5,0\nA,7200,1.5,2,1,1,9\nA,7200,9,9,9,9,9\nA,3600,9,9,9,9,9\n"
    found = read_bars([a_file(tmp_path, HEAD + rows)])
    assert found == {
        "A": (Bar(7200, 1.0, 2.0, 0.5, 1.5), Bar(10_800, 1.5, 2.0, 1.0, 1.0)),
        "B": (Bar(7200, 5.0, 5.0, 5.0, 5.0),),
    }
    assert found["A"][0].number == 2


@pytest.mark.parametrize(
    "text", ["1700000000", "1700000000000", "1700000000000000", "2023-11-14T22:13:20", "2023-11-14 23:13:20+01:00"]
)
def test_a_moment_is_read_as_archives_write_it(text):
    assert moment(text) == 1_700_000_000


@pytest.mark.parametrize("text", ["1700000000000000000", "1e17", "-1e17", "inf", "nan"])
def test_what_lies_beyond_microseconds_is_no_moment(text):
    with pytest.raises(ValueError, match="no moment"):
        moment(text)


@pytest.mark.parametrize(
    "text",
    [
        "symbol,ts,open,high,low\nA,3600,1,1,1\n",
        HEAD + "A,3601,1,1,1,1,0\n",
        HEAD + "A,3600,1,1,1,nan,0\n",
        HEAD + "A,3600,1,1,1,-1,0\n",
        HEAD + "A,3600,1,0.9,0.5,0.7,0\n",
        HEAD + "A,3600,1,2,1.5,1.6,0\n",
        HEAD + "A,3600,1\n",
        HEAD + "A,yesterday,1,1,1,1,0\n",
        HEAD + "A,1699999200000000000,1,1,1,1,0\n",
    ],
)
def test_what_is_no_bar_is_refused_with_its_line(tmp_path, text):
    with pytest.raises(BarsUnreadable, match=r"bars\.csv"):
        read_bars([a_file(tmp_path, text)])


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BarsUnreadable, match=r"nowhere\.csv"):
        read_bars([tmp_path / "nowhere.csv"])


def a_candle(hour: int, *prices: str, off_ms: int = 0) -> MarkCandle:
    open_, high, low, close = map(Decimal, prices or ("2", "3", "1", "2"))
    return MarkCandle(hour * HOUR_S * 1_000 + off_ms, open_, high, low, close)


def bars(*candles: MarkCandle) -> BarsRead:
    return bars_of(candles, since=10 * HOUR_S, until=20 * HOUR_S)


@pytest.mark.parametrize(
    ("prices", "high", "low"),
    [
        (("3.01", "3", "1", "2"), 3.01, 1.0),
        (("2", "3", "1", "3.01"), 3.01, 1.0),
        (("0.99", "3", "1", "2"), 3.0, 0.99),
        (("2", "1", "3", "2"), 3.0, 1.0),
    ],
)
def test_a_high_or_low_that_the_other_prices_contradict_is_put_right(prices, high, low):
    assert bars(a_candle(10, *prices)) == BarsRead(
        (Bar(11 * HOUR_S, float(prices[0]), high, low, float(prices[3])),), left_out=0
    )


@pytest.mark.parametrize(
    "odd",
    [
        a_candle(11, off_ms=1),
        a_candle(11, off_ms=1_800_000),
        a_candle(21),
        a_candle(10**30),
        a_candle(11, "2", "1e400", "1", "2"),
        a_candle(11, "2", "3", "1e-400", "2"),
        a_candle(11, "2", "3", "1e-300", "2"),
        a_candle(-1, off_ms=1),
    ],
)
def test_a_candle_that_is_no_hour_is_a_gap(odd):
    found = bars(a_candle(10), odd, a_candle(12))
    assert ([bar.number for bar in found.bars], found.left_out) == ([11, 13], 1)


def test_what_was_not_asked_for_or_goes_back_in_time_is_passed_over():
    found = bars(a_candle(9), a_candle(12), a_candle(11), a_candle(12), a_candle(13))
    assert ([bar.number for bar in found.bars], found.left_out) == ([13, 14], 0)
