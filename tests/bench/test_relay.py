"""The relay's benchmark itself: that it runs, loses nothing, and prints what docs/bench.md shows."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import relay
from bench.relay import BenchFailed, Bot, Result, report

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
        # Somebody's settings, which are not the bench's.
        env=os.environ | {"PERPGUARD_VENUES__BINANCEUSDM__URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^30 messages to 8 bots at \d+/s over 1 upstream connection", ran.stdout, re.MULTILINE)


def a_bot(end: socket.socket) -> Bot:
    """One that was let in, whose connection this is."""
    bot = Bot.__new__(Bot)
    end.setblocking(False)
    bot.socket, bot.ages_us, bot._rest = end, [], b""
    return bot


def test_a_bot_that_is_cut_off_ends_the_run() -> None:
    ours, gates = socket.socketpair()
    drained, drained_gates = socket.socketpair()
    with ours, drained, drained_gates:
        gates.close()
        began = time.monotonic()
        with pytest.raises(BenchFailed, match="cut off"):
            relay._read_all([a_bot(drained)], [a_bot(ours)], [], 10)
        assert time.monotonic() - began < 5


def test_a_low_rate_does_not_last_longer_before_the_clock_starts() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.relay", "--bots", "5", "--rate", "1", "--seconds", "0.1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "1 messages to 5 bots" in ran.stdout
