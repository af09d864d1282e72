"""The invented market moves as markets do; a recorded one is read as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandbox.orderflow.bar_file import BarFileError, read_market
from sandbox.orderflow.market import SYMBOLS, Market, generated_market

DAYS = 8
A_YEAR = np.sqrt(525_600)


@pytest.fixture(scope="module")
def market() -> Market:
    return generated_market(1, DAYS)


@pytest.fixture(scope="module")
def returns(market: Market) -> np.ndarray:
    return np.array([np.diff(np.log(tape.marks)) for tape in market.tapes.values()])


def test_the_same_seed_is_the_same_market() -> None:
    one, same, other = (generated_market(seed, 1) for seed in (1, 1, 2))
    assert one == same
    assert one.tapes["BTCUSDT"].marks != other.tapes["BTCUSDT"].marks


def test_volatility_is_of_the_size_seen_on_perpetuals(returns: np.ndarray) -> None:
    assert np.all((returns.std(axis=1) * A_YEAR > 0.25) & (returns.std(axis=1) * A_YEAR < 2.5))
    assert np.abs(returns).max() < 0.35


def test_volatility_clusters_and_tails_are_fat(returns: np.ndarray) -> None:
    hourly = np.abs(returns[0][: len(returns[0]) // 60 * 60]).reshape(-1, 60).mean(axis=1)
    assert np.corrcoef(hourly[1:], hourly[:-1])[0, 1] > 0.3
    standard = (returns[0] - returns[0].mean()) / returns[0].std()
    assert (standard**4).mean() > 5


def test_symbols_move_together(returns: np.ndarray) -> None:
    correlations = np.corrcoef(returns)[np.triu_indices(len(returns), 1)]
    assert 0.35 < np.median(correlations) < 0.8


def test_the_afternoon_is_busier_than_the_night(market: Market, returns: np.ndarray) -> None:
    hour = np.arange(returns.shape[1]) // 60 % 24
    size = np.abs(returns).mean(axis=0)
    assert size[(hour >= 13) & (hour < 18)].mean() > 1.2 * size[(hour >= 1) & (hour < 6)].mean()


def test_unrest_knows_nothing_of_its_own_minute(market: Market) -> None:
    tape = market.tapes["BTCUSDT"]
    largest = int(np.abs(np.diff(np.log(tape.marks))).argmax()) + 1
    assert tape.unrest[largest + 1] > 1.2 * tape.unrest[largest]


def test_every_symbol_has_a_mark_a_minute(market: Market) -> None:
    assert tuple(market.tapes) == SYMBOLS
    assert {len(tape.marks) for tape in market.tapes.values()} == {market.minutes} == {1440 * DAYS}
    assert market.start % 86_400 == 0


# Recorded bars

MIDNIGHT = 1_700_006_400


def a_file(
    path: Path, *, symbols: int = 6, minutes: int = 1441, first: int = MIDNIGHT, without: tuple[int, ...] = ()
) -> Path:
    lines = ["symbol,ts,open,high,low,close,volume"]
    lines += [
        f"S{number}USDT,{first + 60 * minute},1,1,1,{100 + number + minute / 1000},5"
        for minute in range(minutes)
        if minute not in without
        for number in range(symbols)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_recorded_closes_are_the_marks(tmp_path: Path) -> None:
    market = read_market(a_file(tmp_path / "bars.csv"), 1)
    assert market.start == MIDNIGHT
    assert market.minutes == 1440
    assert market.tapes["S2USDT"].marks[:2] == pytest.approx([102.001, 102.002])


def test_a_minute_without_a_bar_keeps_the_mark_before_it(tmp_path: Path) -> None:
    market = read_market(a_file(tmp_path / "bars.csv", without=(3,)), 1)
    assert market.tapes["S0USDT"].marks[1:4] == pytest.approx([100.002, 100.002, 100.004])


def test_it_begins_on_the_first_whole_day(tmp_path: Path) -> None:
    market = read_market(a_file(tmp_path / "bars.csv", first=MIDNIGHT - 7200, minutes=1600), 1)
    assert market.start == MIDNIGHT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("symbol,ts\n", "no column close"),
        ("symbol,ts,close\nBTCUSDT,60,x\n", ":2: ts and close must be numbers"),
        ("symbol,ts,close\nBTCUSDT,60\n", ":2: ts and close must be numbers"),
        ("symbol,ts,close\nBTCUSDT,61,5\n", ":2: a minute's close must end on a minute"),
        ("symbol,ts,close\nBTCUSDT,60,nan\n", "above zero"),
        ("symbol,ts,close\nBTCUSDT,60,0\n", "above zero"),
        ("symbol,ts,close\nBTCUSDT,60,1e999\n", "above zero"),
        ("symbol,ts,close\nBTCUSDT,1e999,1\n", "must be numbers"),
        (f"symbol,ts,close\n{'B' * 17},60,1\n", "1 to 16 letters"),
        ("symbol,ts,close\nBTCUSDT,60,5\n", "1 symbols"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BarFileError, match=why):
        read_market(path, 1)


def test_a_file_of_other_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"symbol,ts,close\n\xff,60,1\n")
    with pytest.raises(BarFileError, match="decode"):
        read_market(tmp_path / "bars.csv", 1)


def test_too_few_days_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BarFileError, match="fewer than 2 whole days"):
        read_market(a_file(tmp_path / "bars.csv"), 2)
