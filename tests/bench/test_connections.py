"""The bench of a gate's memory: its report, and in its short form that a connection by either door stays cheap."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, cast

import pytest

from bench.connections import BenchFailed, Memory, _wait_until_taken, measure, report
from bench.path.orders import Terms

MIB = 2**20
CONNECTIONS = 600
BYTES_EACH = 20_000
"""On average of both doors, with a third to spare. With a 256 KiB buffer made for every read by TLS it was 25 kB."""


def test_the_report_names_the_most_and_what_was_not_accepted() -> None:
    memory = Memory(idle=70 * MIB, connected=100 * MIB, rounds=[110 * MIB, 105 * MIB], refused=3)
    printed = report(memory, 2_000)
    assert memory.most == 110 * MIB
    assert "| idle | 70.0 |" in printed
    assert "| 2000 connections, half of them by TLS | 100.0 |" in printed
    assert "| 4000 orders later | 105.0 |" in printed
    assert "3 orders were not accepted" in printed


@pytest.mark.full
def test_a_connection_costs_little_memory() -> None:
    memory = measure(CONNECTIONS, rounds=0)
    assert 0 < memory.connected - memory.idle < CONNECTIONS * BYTES_EACH


def test_what_was_said_to_refused_orders_is_printed() -> None:
    reasons = Counter({'400 {"code":-4400}': 2, "503 no store": 1})
    printed = report(Memory(idle=MIB, connected=MIB, rounds=[MIB], refused=3, reasons=reasons), 1)
    assert '2 x 400 {"code":-4400}\n1 x 503 no store' in printed


class Bot:
    """Whose first orders the guard refuses, because it has just begun."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.pings = refusals, 0

    def signed_order(self, **parameters: str) -> bytes:
        return b"order"

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        if request != b"order":
            self.pings += 1
            return 200, b""
        self.refusals -= 1
        return (503, b"MARKET_STALE") if self.refusals >= 0 else (200, b"")


def test_orders_begin_when_the_guard_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.connections._ASK_EVERY_S", 0)
    terms = Terms("BTCUSDT", Decimal(80_000), Decimal("0.1"), Decimal("0.002"))
    first, other = Bot(2), Bot(0)
    with ThreadPoolExecutor(2) as threads:
        _wait_until_taken(threads, cast(Any, [first, other]), terms)
        assert (first.refusals, other.pings) == (-1, 2)
        monkeypatch.setattr("bench.connections._TAKES_WITHIN_S", 0)
        with pytest.raises(BenchFailed, match="takes no order: 503 MARKET_STALE"):
            _wait_until_taken(threads, cast(Any, [Bot(9)]), terms)
