"""Hourly bars from files: strict, bounded, and never half a bar."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.signals.bars import Bar, BarsUnreadable, moment, read_bars

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
    ],
)
def test_what_is_no_bar_is_refused_with_its_line(tmp_path, text):
    with pytest.raises(BarsUnreadable, match=r"bars\.csv"):
        read_bars([a_file(tmp_path, text)])


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BarsUnreadable, match=r"nowhere\.csv"):
        read_bars([tmp_path / "nowhere.csv"])
