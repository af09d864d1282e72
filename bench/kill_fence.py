"""``python -m bench.kill_fence``: what a gate's last look before the first byte costs, and what a press takes.

The look: the epoch by one ``pread``, and four sentinels that are not there. The press: sentinel, directory and epoch,
each on the platter.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from proxy.store.fence import DESK, Fence

ROUNDS: Final = 200
LOOKS: Final = 500
PRESSES: Final = 200


def measure(look: Callable[[], object]) -> tuple[float, float]:
    """Median and 99th percentile of the mean over ``LOOKS``, in microseconds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(LOOKS):
            look()
        rounds.append((time.perf_counter_ns() - began) / LOOKS / 1000)
    return statistics.median(rounds), statistics.quantiles(rounds, n=100)[98]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        fence = Fence.initialise(Path(directory))
        looks: dict[str, Callable[[], object]] = {
            "epoch alone": fence.generation,
            "desk and account": lambda: fence.engaged("main"),
            "desk, venue, account, bot": lambda: fence.engaged("main", "binanceusdm", "grid"),
        }
        for name, look in looks.items():
            median, high = measure(look)
            print(f"{name}: {median:.1f} us median, {high:.1f} us p99")
        presses = []
        for _ in range(PRESSES):
            began = time.perf_counter()
            fence.engage(DESK)
            presses.append((time.perf_counter() - began) * 1000)
            fence.release(DESK)
        high = statistics.quantiles(presses, n=100)[98]
        print(f"press on this disk: {statistics.median(presses):.1f} ms median, {high:.1f} ms p99")


if __name__ == "__main__":
    main()
