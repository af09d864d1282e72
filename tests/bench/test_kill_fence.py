"""The bench of the last look: a slow one is seen, however many quick ones there are."""

from __future__ import annotations

import time
from itertools import count

from bench.kill_fence import measure, row


def test_every_look_is_timed_for_itself() -> None:
    looks = count()
    times = measure(lambda: time.sleep(0.02 if next(looks) == 10 else 0), 1_000)
    assert len(times) == 1_000
    assert max(times) > 20_000 > sorted(times)[-2]


def test_the_row_has_the_tail_and_the_worst() -> None:
    assert row("look", [1.0] * 980 + [5.0] * 15 + [9.0] * 4 + [70.0]) == "| look | 1.0 | 5.0 | 9.0 | 70.0 |"
