"""`python -m sandbox.orderflow`: write the orders of invented accounts into a file, and what is wrong with them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from sandbox.orderflow.bar_file import BarFileError, read_market
from sandbox.orderflow.recording import SUFFIXES, write_labels, write_orders
from sandbox.orderflow.simulation import DAYS, LEARNING_DAYS, Simulation

DAYS_MAX: Final = 120
EACH_MAX: Final = 20


def main(argv: list[str]) -> int:
    """Write both files; 0, or 2 when the arguments or a file cannot be used."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    files = [path.resolve() for path in (arguments.out, _labels_file(arguments), arguments.bars) if path is not None]
    if len(set(files)) < len(files):
        parser.error("--out, --labels and --bars must be different files")
    try:
        orders, incidents = _write(arguments)
    except (BarFileError, OSError) as trouble:
        sys.stderr.write(f"orderflow: {trouble}\n")
        return 2
    sys.stdout.write(f"{arguments.out}: {orders} orders\n{_labels_file(arguments)}: {incidents} incidents\n")
    return 0


def _write(arguments: argparse.Namespace) -> tuple[int, int]:
    days = arguments.days
    learning_days = min(max(1, round(days * LEARNING_DAYS / DAYS)), days - 1)
    market = read_market(arguments.bars, days) if arguments.bars else None
    simulation = Simulation(arguments.seed, days, learning_days, each=arguments.each, market=market)
    streams = simulation.without_incidents() if arguments.clean else simulation.with_incidents()
    return write_orders(arguments.out, streams), write_labels(_labels_file(arguments), streams)


def _labels_file(arguments: argparse.Namespace) -> Path:
    labels: Path = arguments.labels or arguments.out.with_suffix(".labels.jsonl")
    return labels


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox.orderflow", description="Order flow of invented accounts.")
    parser.add_argument("--seed", type=int, default=1, help="the same seed writes the same files (default 1)")
    parser.add_argument(
        "--days", type=_days, default=DAYS, help=f"of which the first 20 in 29 are for learning (default {DAYS})"
    )
    parser.add_argument("--each", type=_each, default=2, help="accounts of each of the six styles (default 2)")
    parser.add_argument("--out", type=_out, required=True, metavar="FILE", help="the orders, .jsonl or .csv")
    parser.add_argument("--labels", type=_in_a_folder, metavar="FILE", help="the incidents (default FILE.labels.jsonl)")
    parser.add_argument("--clean", action="store_true", help="nothing goes wrong: no incidents")
    parser.add_argument(
        "--bars",
        type=Path,
        metavar="CSV",
        help="one-minute bars instead of an invented market: symbol,ts,...,close,...",
    )
    return parser


def _days(text: str) -> int:
    return _between(text, 2, DAYS_MAX)


def _each(text: str) -> int:
    return _between(text, 1, EACH_MAX)


def _between(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise argparse.ArgumentTypeError(f"must be {low} to {high}: {text!r}")
    return int(text)


def _out(text: str) -> Path:
    path = _in_a_folder(text)
    if path.suffix not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"must end in {' or '.join(SUFFIXES)}: {text!r}")
    return path


def _in_a_folder(text: str) -> Path:
    """Looked at before minutes of work, not after them."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path
