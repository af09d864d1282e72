"""``python -m bench.scoreboard``: what the scoreboard costs the warden's loop, and how often it marks, and wrongly.

The marks: a forecaster states every hour, for ninety days, the chance of a jump that it knows exactly (the rate of
jumps wanders), and the 95 % and 99 % quantiles of a return of which it knows the volatility. Then the same forecaster
states a third of those chances, then two thirds of those widths. This is no market: what is measured is the test.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from proxy.practice.ending import ends_in_order
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.scoreboard.card import Row, card_of
from proxy.signals.scoreboard.stated import Stated, Subject
from proxy.signals.scoreboard.verdict import judged

BEGIN: Final = 1_767_225_600
HOUR: Final = 3600
ROWS: Final = 300
HOURS: Final = 240
FORECASTERS: Final = 50
_NORMAL: Final = {0.95: 1.6449, 0.99: 2.3263}


def main() -> None:
    """Measure and print."""
    _costs()
    _marks()


def _costs() -> None:
    """``ROWS`` forecasts an hour, of twenty symbols, on this disk. CPU time of the caller."""
    clock = [BEGIN]
    took: dict[str, list[float]] = {"state": [], "due": [], "resolve": [], "cards": [], "flush (in a thread)": []}

    def timed(name: str, call: Callable[[], object]) -> object:
        began = time.thread_time()
        result = call()
        took[name].append((time.thread_time() - began) * 1000)
        return result

    with tempfile.TemporaryDirectory() as directory:
        board = Scoreboard(Path(directory), lambda: datetime.fromtimestamp(clock[0], UTC))
        for hour in range(HOURS):
            stated = _hour_of(hour)
            timed("state", partial(board.state, stated))
            clock[0] += HOUR
            due = board.due(clock[0])
            timed("due", lambda: board.due(clock[0]))
            timed("resolve", partial(_resolve, board, due))
            timed("flush (in a thread)", board.flush)
            timed("cards", board.cards)
        board.close()
    for name, times in took.items():
        high = statistics.quantiles(times, n=100)[98]
        print(f"{name}, {ROWS} rows: {statistics.median(times):.2f} ms median, {high:.2f} ms p99")


def _resolve(board: Scoreboard, due: list[Stated]) -> None:
    for each in due:
        board.resolve(each, 0.0)


def _hour_of(hour: int) -> list[Stated]:
    as_of = BEGIN + hour * HOUR
    return [
        Stated(
            signal="barrier",
            symbol=f"S{number % 20}USDT",
            horizon_h=1.0,
            as_of=as_of,
            until=as_of + HOUR,
            key=f"down:{0.01 + number // 20 / 100:.2f}",
            kind="probability",
            value=0.01,
            reference=0.02,
            method="bench",
        )
        for number in range(ROWS)
    ]


def _marks() -> None:
    for horizon_h in (1, 8, 24):
        worlds = [_rows(seed, horizon_h) for seed in range(FORECASTERS)]
        honest, rarer, narrower = (
            sum(_is_marked(rows, horizon_h, chance, width) for rows in worlds) / FORECASTERS
            for chance, width in ((1.0, 1.0), (1 / 3, 1.0), (1.0, 2 / 3))
        )
        print(
            f"{horizon_h} h, of {FORECASTERS} marked: {honest:.0%} honest, {rarer:.0%} that state a third of the "
            f"chances, {narrower:.0%} that state two thirds of the widths"
        )


def _is_marked(rows: list[Row], horizon_h: int, chance: float, width: float) -> bool:
    stated = [row._replace(value=row.value * (chance if row.kind == "probability" else width)) for row in rows]
    card = judged(card_of(Subject("bench", "", horizon_h), stated), None, BEGIN)
    return card.status == "unreliable"


def _rows(seed: int, horizon_h: int, days: int = 90) -> list[Row]:
    rng = np.random.default_rng(seed)
    hours = days * 24 + horizon_h
    wander = np.exp(np.convolve(rng.standard_normal(hours + 48), np.ones(48) / 9, mode="valid")[:hours])
    rate, volatility = np.minimum(0.003 * wander, 0.2), 0.005 * wander
    jumps, returns = rng.random(hours) < rate, rng.standard_normal(hours) * volatility
    found = []
    for at in range(days * 24):
        within = slice(at, at + horizon_h)
        begin, end = BEGIN + at * HOUR, BEGIN + (at + horizon_h) * HOUR
        chance, came = float(1 - np.prod(1 - rate[within])), float(jumps[within].any())
        found.append(Row("down:0.1", "probability", begin, end, chance, None, came))
        width, realised = float(np.sqrt(np.sum(volatility[within] ** 2))), float(np.sum(returns[within]))
        found += [Row(f"tau:{tau}", "quantile", begin, end, z * width, None, realised) for tau, z in _NORMAL.items()]
    return found


if __name__ == "__main__":
    ends_in_order()
    main()
