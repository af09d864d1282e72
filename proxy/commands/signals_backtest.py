"""``perpguard signals backtest``: the live forecasters over files of bars, scored against the trailing climatology.

Exit codes: 0 done, 2 a file or an option that will not do.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.terminal import complain, say, show_json

if TYPE_CHECKING:
    from proxy.commands.arguments import Arguments


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``backtest`` to the sub-commands of ``signals``."""
    parser = actions.add_parser("backtest", help="score the forecasts, walk-forward, on files of bars")
    parser.add_argument("--ohlcv", type=Path, nargs="+", required=True, metavar="FILE",
                        help="CSV or Parquet: symbol, ts (opening), open, high, low, close, volume")  # fmt: skip
    parser.add_argument("--symbols", help="only these, separated by commas")
    parser.add_argument("--since", type=dt.date.fromisoformat, metavar="DATE",
                        help="first day (UTC) to score; default: when the history is complete")  # fmt: skip
    parser.add_argument("--history-days", type=_days,
                        help="days of the climatology (default 180, of short files a third)")  # fmt: skip
    parser.add_argument("--every", type=int, choices=(1, 2, 3, 4, 6, 8, 12, 24), default=6, metavar="HOURS",
                        help="hours between forecasts (default 6)")  # fmt: skip
    parser.add_argument("--offset", type=int, choices=range(24), default=0, metavar="HOUR",
                        help="UTC hour of one of the forecasts (default 0)")  # fmt: skip
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.set_defaults(signals_run=run)


def run(args: Arguments) -> int:
    """Walk every symbol forward and print the scores."""
    # Polars and numpy: heavy, and only this command needs both.
    from proxy.signals.backtest.reader import BarsUnreadable, read_bars
    from proxy.signals.backtest.report import lines, report
    from proxy.signals.backtest.walk import Plan, walk

    given = vars(args)
    symbols = frozenset(given["symbols"].split(",")) if given["symbols"] else None
    since = given["since"]
    plan = Plan(
        every_h=given["every"],
        offset_h=given["offset"],
        history_days=given["history_days"],
        since=None if since is None else dt.datetime.combine(since, dt.time(), dt.UTC).timestamp(),
    )
    try:
        bars = read_bars(given["ohlcv"], symbols)
    except BarsUnreadable as error:
        complain("signals backtest", str(error))
        return USAGE_ERROR
    told = report([walk(each, plan) for each in bars], plan)
    if given.get("json", False):
        show_json(told)
    else:
        say(*lines(told))
    return OK


def _days(text: str) -> int:
    days = int(text)
    if days < 1:
        raise argparse.ArgumentTypeError("at least one day")
    return days
