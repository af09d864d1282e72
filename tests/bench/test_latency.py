"""The benchmark itself: that it runs, and prints what docs/bench.md shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.latency import Target, report
from bench.nginx import find_nginx
from bench.wire import Connection

ROOT = Path(__file__).resolve().parents[2]
HEADINGS = ["way", "orders", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs"]


def a_target(name: str, *micros: float) -> Target:
    """A way with these times. No connection is made."""
    return Target(name, Connection.__new__(Connection), list(micros))


def rows(table: str) -> dict[str, list[str]]:
    """The cells of a Markdown table by the first cell of each row."""
    lines = [line for line in table.splitlines() if line.startswith("|") and not line.startswith("|-")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_the_report_counts_what_each_way_adds_in_units_of_nginx() -> None:
    table = rows(report([a_target("direct", 100, 100), a_target("nginx", 150, 150), a_target("guard", 600, 600)]))
    assert table["nginx"] == ["2", "150", "150", "50", "50", "1.0", "1.0", "1.0"]
    assert table["guard"] == ["2", "600", "600", "500", "500", "10.0", "4.0", "4.0"]


def test_the_report_does_without_nginx() -> None:
    table = rows(report([a_target("direct", 100), a_target("guard", 600)]))
    assert table["guard"] == ["1", "600", "600", "500", "500", "-", "-", "-"]


def test_p99_is_the_nearest_rank() -> None:
    assert a_target("direct", *range(1, 101)).p99 == 99
    assert a_target("direct", 7).p99 == 7


@pytest.mark.full
def test_a_tiny_run_prints_every_way_the_machine_and_the_date() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.latency", "--orders", "6", "--rounds", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    table = rows(ran.stdout)
    assert table["way"][: len(HEADINGS) - 1] == HEADINGS[1:]
    ways = ["direct", "nginx", "guard"] if find_nginx() is not None else ["direct", "guard"]
    assert [name for name in table if name != "way"] == ways
    for way in ways:
        orders, median, p99 = table[way][:3]
        assert (orders, float(median) > 0, float(p99) >= float(median)) == ("6", True, True)
    assert "Python" in ran.stdout and "UTC" in ran.stdout
    if find_nginx() is None:
        assert "nginx is not installed" in ran.stderr
