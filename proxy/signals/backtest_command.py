"""``perpguard signals backtest --ohlcv FILE...``: the signals walked forward over bars of the past, and their scores.

Hourly bars score first passage, quantiles and the regime; minute bars the adverse move of the next minute. The same
classes run live. Exit codes: 0 done, 2 the files cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from proxy.cli import Arguments

_OK, _UNREADABLE = 0, 2
_HOURS_MAX: Final = 0.5
"""Bars shorter than this are minutes."""


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``backtest`` to the sub-commands of ``signals``."""
    parser = actions.add_parser("backtest", help="walk the signals forward over bars of the past and score them")
    parser.add_argument(
        "--ohlcv", type=Path, nargs="+", required=True, metavar="FILE", help="CSV or Parquet, hourly or minute bars"
    )
    parser.add_argument("--symbols", default="", metavar="A,B,...", help="these alone")
    # Suppressed when not given: the default of the sub-command must not undo what stood before it.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.set_defaults(signals_run=run)


def run(args: Arguments) -> int:
    """Walk, and print the scores."""
    from proxy.signals.backtest.bar_file import FileUnreadable, read_files

    try:
        bars = read_files(args.ohlcv)
        found = _scored([each for each in bars if not args.symbols or each.symbol in args.symbols.split(",")])
    except (FileUnreadable, ValueError) as trouble:
        print(f"perpguard signals backtest: {trouble}", file=sys.stderr)  # noqa: T201 - a command's own output
        return _UNREADABLE
    if getattr(args, "json", False):
        print(json.dumps(found))  # noqa: T201
        return _OK
    for line in _lines(found):
        print(line)  # noqa: T201
    return _OK


def _scored(bars: list[Any]) -> dict[str, Any]:
    from proxy.signals.backtest.hourly import Table, walk_all
    from proxy.signals.backtest.minutely import walk_minutes
    from proxy.signals.backtest.report import report_of, slippage_report
    from proxy.signals.barrier import BarrierForecaster

    hourly = [each for each in bars if each.hours > _HOURS_MAX]
    minutely = [each for each in bars if each.hours <= _HOURS_MAX]
    found: dict[str, Any] = {"method": BarrierForecaster.METHOD, "symbols": [each.symbol for each in bars]}
    if hourly:
        walked, symbols = walk_all(hourly, BarrierForecaster, _tell)
        found |= report_of(walked, symbols)
    if minutely:
        table = Table()
        for each in minutely:
            _tell(each.symbol)
            walk_minutes(each, table)
        found["slippage"] = slippage_report(table)
    return found


def _tell(symbol: str) -> None:
    if sys.stderr.isatty():
        print(symbol, file=sys.stderr)  # noqa: T201


def _lines(found: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """One line for each group of scores."""
    plain = {key: value for key, value in found.items() if not isinstance(value, dict)}
    if plain:
        yield f"{name or 'walked'}: " + " ".join(f"{key}={_shown(value)}" for key, value in plain.items())
    for key, value in found.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{name} {key}".strip())


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{', '.join(_shown(each) for each in value)}]"
    return "not known" if value is None else str(value)
