"""The bench of a gate's memory: its report, and in its short form that a connection by either door stays cheap."""

from __future__ import annotations

import pytest

from bench.connections import Memory, measure, report

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
