"""``python -m bench.kill_fence``: what a gate's last look before the first byte costs, and what a press takes.

The look: the epoch by one ``pread``, and four sentinels that are not there. The press: sentinel, directory and epoch,
each on the platter.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.machine import machine, percentile, today
from proxy.practice.ending import ends_in_order
from proxy.store.fence import DESK, Fence

LOOKS: Final = 100_000
PRESSES: Final = 200


def measure(look: Callable[[], object], looks: int = LOOKS) -> list[float]:
    """Microseconds of each look; reading the clock is in it."""
    micros = []
    for _ in range(looks):
        began = time.perf_counter_ns()
        look()
        micros.append((time.perf_counter_ns() - began) / 1000)
    return micros


def row(name: str, times: Sequence[float]) -> str:
    """A table's: percentiles of single looks, not of means of many, which hide the slow ones."""
    cells = [f"{percentile(times, percent):.1f}" for percent in (50, 99, 99.9)]
    return f"| {name} | {' | '.join(cells)} | {max(times):.1f} |"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        fence = Fence.initialise(Path(directory))
        looks: dict[str, Callable[[], object]] = {
            "epoch alone": fence.generation,
            "desk and account": lambda: fence.engaged("main"),
            "desk, venue, account, bot": lambda: fence.engaged("main", "binanceusdm", "grid"),
        }
        print("| look | p50 µs | p99 µs | p99.9 µs | max µs |\n|---|---|---|---|---|")
        for name, look in looks.items():
            print(row(name, measure(look)))
        presses = []
        for _ in range(PRESSES):
            began = time.perf_counter()
            fence.engage(DESK)
            presses.append((time.perf_counter() - began) * 1000)
            fence.release(DESK)
        print("\n| press, on this disk | p50 ms | p99 ms | p99.9 ms | max ms |\n|---|---|---|---|---|")
        print(row(f"{PRESSES} times", presses))
    print(f"\n{machine()}; {today()}")


if __name__ == "__main__":
    ends_in_order()
    main()
