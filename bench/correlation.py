"""How good the correlation forecast is: every day the next 24 hours of all pairs, walked forward over a file of bars.

A day's error is the root of the mean square over its pairs; the first figure is its mean over days, the second the root
of the mean square over days and pairs. Worst days are the 3 % with the lowest mean return of all symbols, known only
afterwards. Intervals are 90 %, resampling whole days.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from bench.ohlcv import Table, add_file, read
from proxy.signals.comovement import DAY_H, HALF_LIVES_H, comovements, realised
from proxy.signals.correlation import METHOD, forecast
from proxy.signals.scores import Floats, day_block_interval

HISTORY_D: Final = 150
"""What the forecast is given; it looks at less."""

WORST: Final = 0.03
STRESS_FLOOR: Final = 0.9
WEEK: Final = HALF_LIVES_H.index(168.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.correlation", description=__doc__.partition("\n")[0])
    add_file(parser, "hourly")
    parser.add_argument("--from", dest="since", default="2021-05-01", help="first day forecast (default %(default)s)")
    parser.add_argument("--chosen-until", default="2023-07-01", help="parameters were chosen before (%(default)s)")
    parser.add_argument("--history-days", type=int, default=HISTORY_D, help="days it is given (default %(default)s)")
    args = parser.parse_args(arguments)
    hours, returns = _returns(read(args.ohlcv, 3_600))
    found = measure(hours, returns, _day(args.since), args.history_days)
    if not found.days.size:
        print("bench.correlation: no day with a day after it", file=sys.stderr)
        return 1
    print(report(found, _day(args.chosen_until)))
    return 0


class Found:
    """Rows are days, columns pairs; NaN where a pair was not realised."""

    def __init__(self) -> None:
        self.days: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.stated = self.lower = self.upper = self.plain = self.came = np.empty((0, 0))
        self.market: Floats = np.empty(0)
        self.millis: list[float] = []


def measure(hours: NDArray[np.int64], returns: Table, since: int, history_d: int) -> Found:
    """Forecast at midnight UTC of every day from ``since`` (days since 1970) on that is whole in the file."""
    found = Found()
    above = np.triu_indices(returns.shape[1], 1)
    begins = [n for n, hour in enumerate(hours) if hour % DAY_H == 0 and hour // DAY_H >= since and n >= 7 * DAY_H]
    begins = [n for n in begins if n + DAY_H <= len(returns)]
    rows: list[tuple[Table, ...]] = []
    for begin in begins:
        past = returns[max(0, begin - history_d * DAY_H) : begin]
        began = time.perf_counter()
        made = forecast(past, DAY_H)
        found.millis.append((time.perf_counter() - began) * 1_000)
        plain = comovements(past)[-1].averages[WEEK]
        after = realised(returns[begin : begin + DAY_H])
        rows.append(tuple(each[above] for each in (made.matrix, made.lower95, made.upper95, plain, after)))
    if rows:
        found.days = hours[begins] // DAY_H
        found.stated, found.lower, found.upper, found.plain, found.came = (
            np.array(each) for each in zip(*rows, strict=True)
        )
        found.market = np.array([np.nanmean(returns[n : n + DAY_H], axis=1).sum() for n in begins])
    return found


def report(found: Found, chosen_until: int) -> str:
    """A Markdown table, the method, the machine and the date."""
    later = found.days >= chosen_until
    everything = np.ones(len(found.days), dtype=bool)
    worst = found.market <= np.quantile(found.market, WORST)
    lines = [
        "| days | n | RMSE, mean of days | RMSE, pooled | EWMA 7 d alone, mean of days | above the band | "
        "above the band or 0.90 | below the band |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, chosen in (
        ("all", everything),
        ("before, chosen on", ~later),
        ("after", later),
        (f"worst {WORST:.0%}", worst),
    ):
        if chosen.any():
            lines.append(_row(name, found, chosen))
    cost = f"{np.median(found.millis):.0f} ms a forecast of {found.stated.shape[1]} pairs"
    return "\n".join((*lines, "", METHOD, cost, f"{machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))


def _row(name: str, found: Found, chosen: NDArray[np.bool_]) -> str:
    came = found.came[chosen]
    squares = (found.stated[chosen] - came) ** 2
    plain = np.sqrt(np.nanmean((found.plain[chosen] - came) ** 2, axis=1))
    cells = [
        name,
        str(int(chosen.sum())),
        _mean(found.days[chosen], np.sqrt(np.nanmean(squares, axis=1)), "{:.4f}"),
        f"{np.sqrt(np.nanmean(squares)):.4f}",
        f"{plain.mean():.4f}",
        _share(found.days[chosen], came > found.upper[chosen], came),
        _share(found.days[chosen], came > np.maximum(found.upper[chosen], STRESS_FLOOR), came),
        _share(found.days[chosen], came < found.lower[chosen], came),
    ]
    return f"| {' | '.join(cells)} |"


def _share(days: NDArray[np.int64], outside: NDArray[np.bool_], came: Table) -> str:
    known = np.isfinite(came).sum(axis=1)
    return _mean(days, outside.sum(axis=1) / np.maximum(known, 1), "{:.1%}")


def _mean(days: NDArray[np.int64], daily: Floats, shown: str) -> str:
    interval = day_block_interval(days, np.stack([daily, np.ones(len(daily))], axis=1), _ratio)
    said = shown.format(daily.mean())
    return said if interval is None else f"{said} ({shown.format(interval.low)} to {shown.format(interval.high)})"


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[:, 0] / sums[:, 1])


def _returns(bars: dict[str, tuple[NDArray[np.int64], Table]]) -> tuple[NDArray[np.int64], Table]:
    """Hourly log returns of closes, a column a symbol in order of names, NaN where an hour is missing."""
    first = min(int(hours[0]) for hours, _ in bars.values())
    last = max(int(hours[-1]) for hours, _ in bars.values())
    closes = np.full((last - first + 1, len(bars)), np.nan)
    for column, (hours, table) in enumerate(bars[symbol] for symbol in sorted(bars)):
        closes[hours - first, column] = table[:, 3]
    return np.arange(first + 1, last + 1), np.diff(np.log(closes), axis=0)


def _day(said: str) -> int:
    return (datetime.fromisoformat(said).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(days=1)


if __name__ == "__main__":
    sys.exit(main())
