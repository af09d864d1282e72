"""The bench of the bots' door: that it runs against the gate's own protocol as it is."""

from __future__ import annotations

import asyncio

from bench.door import measure


def test_both_protocols_answer_a_signed_order() -> None:
    spent = asyncio.run(measure(rounds=1, requests=3))
    assert set(spent) == {"uvicorn's protocol, raw ASGI", "the gate's protocol"}
    assert all(len(each) == 1 and each[0] > 0 for each in spent.values())
