"""Recorded streams in files: JSON lines or CSV, all accounts in order of time; the labels as JSON beside them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from heapq import merge
from pathlib import Path
from typing import Any, Final, TextIO

from sandbox.orderflow.incidents.strange import Incident
from sandbox.orderflow.rows import FIELDS, events
from sandbox.orderflow.simulation import Stream

COLUMNS: Final = ("account", *FIELDS)
SUFFIXES: Final = (".jsonl", ".csv")
_NUMBERS: Final = ("ts", "notional", "distance_bps", "round_trip_ms")


def write_orders(path: Path, streams: Iterable[Stream]) -> int:
    """All orders of all streams, by time; how many. The suffix says how: `.jsonl` or `.csv`."""
    orders = merge(*(_of_account(stream) for stream in streams), key=lambda order: float(order["ts"]))
    with path.open("w", newline="", encoding="utf-8") as file:
        return _write_csv(file, orders) if path.suffix == ".csv" else _write_json_lines(file, orders)


def read_orders(path: Path) -> Iterator[dict[str, Any]]:
    """The orders of such a file, with their `account`. Errors: `OSError`, `ValueError` for another kind of file."""
    with path.open(newline="", encoding="utf-8") as file:
        if path.suffix != ".csv":
            for line in file:
                yield json.loads(line)
            return
        lines = csv.DictReader(file)
        if tuple(lines.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: the columns must be {','.join(COLUMNS)}")
        for cells in lines:
            order: dict[str, Any] = dict(cells)
            order.update({name: float(cells[name]) for name in _NUMBERS}, rejected=cells["rejected"] == "true")
            yield order


def write_labels(path: Path, streams: Iterable[Stream]) -> int:
    """The incidents of all streams, one JSON object a line; how many."""
    labels = sorted((label for stream in streams for label in stream.incidents), key=lambda label: label.start)
    path.write_text("".join(json.dumps(asdict(label)) + "\n" for label in labels), encoding="utf-8")
    return len(labels)


def read_labels(path: Path) -> list[Incident]:
    """The incidents of such a file. Errors: `OSError`, `ValueError`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Incident(**{**fields, "events": tuple(fields["events"])}) for fields in map(json.loads, lines)]


def _of_account(stream: Stream) -> Iterator[dict[str, Any]]:
    for event in events(stream.rows):
        yield {"account": stream.account, **event}


def _write_json_lines(file: TextIO, orders: Iterable[dict[str, Any]]) -> int:
    count = 0
    for count, order in enumerate(orders, start=1):  # noqa: B007  # The last number is the answer.
        file.write(json.dumps(order) + "\n")
    return count


def _write_csv(file: TextIO, orders: Iterable[dict[str, Any]]) -> int:
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    count = 0
    for count, order in enumerate(orders, start=1):  # noqa: B007  # The last number is the answer.
        writer.writerow({**order, "rejected": "true" if order["rejected"] else "false"})
    return count
