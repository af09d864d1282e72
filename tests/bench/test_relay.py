"""The relay's benchmark itself: that it runs, loses nothing, and prints what docs/bench.md shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bench.relay import Result, report

ROOT = Path(__file__).resolve().parents[2]


def test_the_report_is_guard_minus_direct_and_cpu_a_message() -> None:
    printed = report(
        Result(
            direct=[10.0] * 99 + [50.0],
            guard=[110.0] * 98 + [450.0] * 2,
            messages=1000,
            bots=100,
            rate=999.6,
            gate_cpu_s=0.25,
            upstreams=1,
        )
    )
    assert "| direct | 10 | 10 | - | - |" in printed
    assert "| guard | 110 | 450 | 100 | 440 |" in printed
    assert "1000 messages to 100 bots at 1000/s over 1 upstream connection" in printed
    assert "CPU of the gate 250 µs a message, 2.50 µs a bot and message" in printed
    assert "Python" in printed and "UTC" in printed


def test_a_tiny_run_goes_through_a_real_gate() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.relay", "--bots", "8", "--rate", "100", "--seconds", "0.3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^30 messages to 8 bots at \d+/s over 1 upstream connection", ran.stdout, re.MULTILINE)
