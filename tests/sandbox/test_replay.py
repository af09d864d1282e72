"""Playing back recorded markets: files that are read, files that are refused, and the prices that come of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import httpx
import polars
import pytest

from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import FUNDING_INTERVAL_MS
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.model import IncomeKind, Side
from sandbox.engine.playback import Bar, Playback
from sandbox.engine.scenario import STEP_MS, Scenario
from sandbox.engine.stepping import start_playback, step
from sandbox.engine.trading import place
from sandbox.replay import FUNDING_COLUMNS, KLINE_COLUMNS, ReplayError, read_recordings
from tests.sandbox.builders import BTC, market
from tests.sandbox.practice import ROOT, start, stop

D = Decimal
MINUTE = 60_000
STEPS = MINUTE // STEP_MS
# 2025-05-12T00:00:00Z, a funding time.
FIRST_MS = 1_747_008_000_000
LISTED = {instrument.symbol for instrument in DEFAULT_INSTRUMENTS}
UP, DOWN = ("95000", "95600", "94900", "95300"), ("95300", "95900", "94000", "94500")


def kline(minute: int, prices: tuple[str, str, str, str] = UP, volume: str = "24.000") -> str:
    open_ms = FIRST_MS + minute * MINUTE
    return f"{open_ms},{','.join(prices)},{volume},{open_ms + MINUTE - 1},0,0,0,0,0"


def written(folder: Path, name: str, rows: Iterable[str], header: tuple[str, ...] | None = KLINE_COLUMNS) -> Path:
    path = folder / name
    path.write_text("\n".join([*([",".join(header)] if header else []), *rows]) + "\n")
    return path


def playback(prices: list[Path], marks: Iterable[Path] = (), fundings: Iterable[Path] = ()) -> Playback:
    read = read_recordings(LISTED, prices, marks, fundings)
    assert read is not None
    return read


def playing(recorded: Playback) -> Exchange:
    exchange = Exchange(DEFAULT_INSTRUMENTS, seed=1, scenario=Scenario.FLAT, now_ms=0)
    exchange.open_account("alice", D(10_000))
    start_playback(exchange, recorded)
    return exchange


def advance(exchange: Exchange, steps: int) -> None:
    for _ in range(steps):
        step(exchange)


@pytest.mark.parametrize(("prices", "first", "second"), [(UP, "94900", "95600"), (DOWN, "95900", "94000")])
def test_a_bar_is_walked_from_open_over_both_extremes_to_its_close(
    prices: tuple[str, str, str, str], first: str, second: str
) -> None:
    opening, high, low, close = map(D, prices)
    bar = Bar(open_ms=0, interval_ms=MINUTE, open=opening, high=high, low=low, close=close, volume=D(1))
    at = [bar.price_at(moment) for moment in (0, MINUTE // 3, 2 * MINUTE // 3, MINUTE, 10 * MINUTE)]
    assert at == [opening, D(first), D(second), close, close]
    walked = [bar.price_at(moment) for moment in range(0, MINUTE + 1, STEP_MS)]
    assert (max(walked), min(walked)) == (high, low)


def test_the_shortest_bar_meets_its_extremes_too() -> None:
    bar = Bar(open_ms=0, interval_ms=1_000, open=D(5), high=D(9), low=D(1), close=D(6), volume=D(1))
    assert [bar.price_at(moment) for moment in range(0, 1_001, STEP_MS)] == [5, 1, 9, D("7.5"), 6]


@pytest.mark.parametrize("header", [KLINE_COLUMNS, None])
def test_time_and_prices_follow_the_file_with_or_without_header(tmp_path: Path, header: tuple[str, ...] | None) -> None:
    path = written(tmp_path, "BTCUSDT-1m-2025-05.csv", [kline(0), kline(1, DOWN)], header)
    exchange = playing(playback([path]))
    book = exchange.market(BTC)
    assert (exchange.now_ms, book.index_price) == (FIRST_MS, D(95_000))
    advance(exchange, STEPS)
    assert book.index_price == D(95_300)
    advance(exchange, STEPS)
    assert book.index_price == D(94_500)
    minute = book.index_candles.minutes[1]
    assert (minute.high, minute.low) == (D(95_900), D(94_000))
    advance(exchange, 1_000)
    assert book.index_price == D(94_500)
    assert exchange.market("ETHUSDT").index_price == D(3_000)


def test_the_tape_carries_the_recorded_volume(tmp_path: Path) -> None:
    exchange = playing(playback([written(tmp_path, "BTCUSDT-1m-x.csv", [kline(0)])]))
    advance(exchange, STEPS)
    assert sum(trade.quantity for trade in exchange.market(BTC).tape) == D(24)
    advance(exchange, STEPS)
    assert sum(trade.quantity for trade in exchange.market(BTC).tape) == D(24)


def test_in_thin_minutes_the_last_price_follows_the_record_and_the_tape_is_complete(tmp_path: Path) -> None:
    rows = [kline(0, volume="0.003"), kline(1, DOWN, volume="0.002")]
    exchange = playing(playback([written(tmp_path, "BTCUSDT-1m-x.csv", rows)]))
    book = exchange.market(BTC)
    for _ in range(2 * STEPS):
        advance(exchange, 1)
        assert abs(book.last_price / book.index_price - 1) < D("0.001")
    assert sum(trade.quantity for trade in book.tape) in (D("0.004"), D("0.005"))
    minute = book.candles.minutes[1]
    assert (round(minute.high, -2), round(minute.low, -2)) == (D(95_900), D(94_000))


def test_a_gap_between_bars_holds_the_last_price(tmp_path: Path) -> None:
    exchange = playing(playback([written(tmp_path, "BTCUSDT-1m-x.csv", [kline(0), kline(3, DOWN)])]))
    advance(exchange, 2 * STEPS)
    assert exchange.market(BTC).index_price == D(95_300)
    advance(exchange, 2 * STEPS)
    assert exchange.market(BTC).index_price == D(94_500)


def test_months_are_joined_in_order_of_time_and_symbols_kept_apart(tmp_path: Path) -> None:
    june = written(tmp_path, "BTCUSDT-1m-2025-06.csv", [kline(1, DOWN)])
    may = written(tmp_path, "BTCUSDT-1m-2025-05.csv", [kline(0)])
    ether = written(tmp_path, "ETHUSDT-1m-2025-05.csv", [kline(0, ("2500", "2510", "2490", "2505"))])
    exchange = playing(playback([june, may, ether]))
    advance(exchange, 2 * STEPS)
    assert exchange.market(BTC).index_price == D(94_500)
    assert exchange.market("ETHUSDT").index_price == D(2_505)


def test_microseconds_are_told_by_their_size(tmp_path: Path) -> None:
    fine = (
        kline(0)
        .replace(str(FIRST_MS), f"{FIRST_MS}000")
        .replace(str(FIRST_MS + MINUTE - 1), f"{FIRST_MS + MINUTE - 1}999")
    )
    assert playback([written(tmp_path, "BTCUSDT-1m-x.csv", [fine])]).start_ms == FIRST_MS


def test_a_recorded_mark_is_the_mark(tmp_path: Path) -> None:
    prices = written(tmp_path, "BTCUSDT-1m-p.csv", [kline(0)])
    marks = written(tmp_path, "BTCUSDT-1m-m.csv", [kline(0, ("95001", "95601", "94901", "95301"), "0")])
    exchange = playing(playback([prices], [marks]))
    assert exchange.market(BTC).mark_price == D(95_001)
    advance(exchange, STEPS)
    assert exchange.market(BTC).mark_price == D(95_301)


def test_recorded_funding_is_charged_at_its_own_time_and_rate(tmp_path: Path) -> None:
    prices = written(tmp_path, "BTCUSDT-1m-p.csv", [kline(minute) for minute in range(3)])
    rows = [f"{FIRST_MS + 7},8,0.0002", f"{FIRST_MS + MINUTE + 5},4,-0.00100000"]
    fundings = written(tmp_path, "BTCUSDT-fundingRate-2025-05.csv", rows, FUNDING_COLUMNS)
    exchange = playing(playback([prices], (), [fundings]))
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "0.1"))
    advance(exchange, 2 * STEPS)
    paid = [income.amount for income in alice.incomes if income.kind is IncomeKind.FUNDING]
    assert len(paid) == 2
    assert paid[0] < 0 < paid[1]
    assert [fixing.rate for fixing in exchange.market(BTC).fixings] == [D("0.0002"), D("-0.001")]
    # When the record has no more, the clock and the formula take over.
    exchange.now_ms = exchange.funded_ms = FIRST_MS + FUNDING_INTERVAL_MS - STEP_MS
    advance(exchange, 1)
    assert len(exchange.market(BTC).fixings) == 3


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([kline(0), kline(0)], ":3: open_time lies before"),
        ([kline(0), kline(1).replace("95600", "94950")], ":3: open and close must lie between"),
        ([kline(0), kline(1).replace("95600", "NaN")], ":3: high is not a number"),
        ([kline(0), kline(1).replace("94900", "-1")], ":3: low is not a price"),
        ([kline(0), kline(1).replace("24.000", "-24")], ":3: volume is below zero"),
        ([kline(0), kline(1) + ",7"], ":3: 13 columns instead of 12"),
        ([kline(0), "soon" + kline(1)[13:]], ":3: open_time is not a time"),
        ([kline(0).replace(str(FIRST_MS + MINUTE - 1), str(FIRST_MS + 1))], ":2: close_time must end"),
        ([], "no rows"),
    ],
)
def test_a_malformed_file_names_the_line(tmp_path: Path, rows: list[str], complaint: str) -> None:
    path = written(tmp_path, "BTCUSDT-1m-x.csv", rows)
    with pytest.raises(ReplayError) as caught:
        playback([path])
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    prices = written(tmp_path, "BTCUSDT-1m-p.csv", [kline(0)])
    other = written(tmp_path, "BTCUSDT-1m-q.csv", [kline(0)])
    columns = written(tmp_path, "BTCUSDT-1m-r.csv", [kline(0)], ("time", *KLINE_COLUMNS[1:]))
    unlisted = written(tmp_path, "PEPEUSDT-1m-p.csv", [kline(0)])
    packed = written(tmp_path, "BTCUSDT-1m-p.zip", [kline(0)])
    funding = written(tmp_path, "ETHUSDT-fundingRate-x.csv", [f"{FIRST_MS},8,0.0001"], FUNDING_COLUMNS)
    rate = written(tmp_path, "BTCUSDT-fundingRate-x.csv", [f"{FIRST_MS},8,5"], FUNDING_COLUMNS)
    for files, complaint in (
        (([prices, other], [], []), "overlaps another file of BTCUSDT"),
        (([columns], [], []), ":1: the columns must be open_time"),
        (([unlisted], [], []), "must begin with a listed symbol"),
        (([packed], [], []), "archives must be unpacked"),
        (([tmp_path / "BTCUSDT-none.csv"], [], []), "No such file"),
        (([prices], [], [funding]), "ETHUSDT: marks or fundings to replay, but no prices"),
        (([prices], [], [rate]), ":2: last_funding_rate is a fraction"),
    ):
        with pytest.raises(ReplayError, match=complaint):
            read_recordings(LISTED, *files)


def test_nothing_to_replay_is_no_playback() -> None:
    assert read_recordings(LISTED, [], [], []) is None


def test_what_is_not_parquet_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m-x.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ReplayError, match="cannot be read as Parquet"):
        playback([path])


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    rows = [kline(0).split(","), kline(1, DOWN).split(",")]
    columns = {
        name: [int(row[place]) if "time" in name else float(row[place]) for row in rows]
        for place, name in enumerate(KLINE_COLUMNS)
    }
    path = tmp_path / "BTCUSDT-1m-x.parquet"
    polars.DataFrame(columns).write_parquet(path)
    text = written(tmp_path, "BTCUSDT-1m-x.csv", [kline(0), kline(1, DOWN)])
    assert playback([path]).symbols[BTC].prices.bars == playback([text]).symbols[BTC].prices.bars


def test_a_replay_from_the_command_line_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path, "BTCUSDT-1m-2025-05.csv", [kline(0), kline(1, DOWN)])
    process, venue = start("--scenario", "flat", "--speed", "0", "--replay", str(path))
    try:
        status = venue.control.get("/status").json()
        assert (status["time_ms"], Decimal(status["prices"][BTC]["index"])) == (FIRST_MS, D(95_000))
        assert status["replay"] == {
            "symbols": [BTC],
            "start_ms": FIRST_MS,
            "end_ms": FIRST_MS + 2 * MINUTE,
            "finished": False,
        }
        # A client that asks for history finds some that leads up to the first bar.
        candles = httpx.get(f"{venue.url}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=3").json()
        assert float(candles[-1][4]) == 95_000
        venue.step(2 * STEPS)
        status = venue.control.get("/status").json()
        assert status["replay"]["finished"]
        assert Decimal(status["prices"][BTC]["index"]) == D(94_500)
    finally:
        stop(process)


def test_a_replay_from_a_settings_file_is_found_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "BTCUSDT-1m-2025-05.csv", [kline(0)])
    config = tmp_path / "sandbox.toml"
    config.write_text('speed = 0.0\nreplay = ["BTCUSDT-1m-2025-05.csv"]\n')
    process, venue = start("--config", str(config))
    assert venue.control.get("/status").json()["time_ms"] == FIRST_MS
    stop(process)


@pytest.mark.parametrize(
    ("rows", "options", "complaint"),
    [
        ([kline(0), kline(0)], [], "BTCUSDT-1m-x.csv:3: open_time"),
        ([kline(0)], ["--start-time", "2026-11-24T00:00:00+00:00"], "start_time"),
        ([kline(0)], ["--insurance-fund", "-1"], "insurance_fund"),
        ([kline(0)], ["--insurance-fund", "much"], "not a number"),
    ],
)
def test_a_replay_that_cannot_be_played_stops_the_start(
    tmp_path: Path, rows: list[str], options: list[str], complaint: str
) -> None:
    path = written(tmp_path, "BTCUSDT-1m-x.csv", rows)
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--replay", str(path), *options]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert "Traceback" not in refused.stderr
