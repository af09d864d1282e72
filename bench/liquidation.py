"""What the odds of liquidation of one account cost: what the warden's loop does itself, and what a thread does.

Generated hours, half a year of them; half the legs are short. `python -m bench.liquidation`
"""

from __future__ import annotations

import time

import numpy as np

from proxy.signals.barrier import BarrierForecaster
from proxy.signals.joint import HORIZONS_H, HOURS_KEPT, Hour, JointHistory
from proxy.signals.legs import Book, Leg, Tiers
from proxy.signals.liquidation import account_forecast, leg_forecast
from proxy.signals.marginals import law_of

SIZES = (1, 5, 10, 40)
ROUNDS = 5
TIERS = Tiers(np.array([0.0, 50_000.0, 250_000.0]), np.array([0.004, 0.005, 0.01]), np.array([0.0, 50.0, 1_300.0]))
SCALES = [0.01 * hours**0.5 for hours in HORIZONS_H]


def main() -> None:
    """Print a line for each number of symbols: milliseconds of CPU, the best of some rounds."""
    print(f"{'symbols':>8}{'loop ms':>10}{'thread ms':>11}")
    for symbols in SIZES:
        loop, thread = measured(symbols)
        print(f"{symbols:>8}{1_000 * loop:>10.2f}{1_000 * thread:>11.1f}")


def measured(symbols: int) -> tuple[float, float]:
    """Seconds of the loop's own work, and of the thread's."""
    names = [f"S{n:02}" for n in range(symbols)]
    history, book = a_history(names), a_book(names)
    models = {name: [BarrierForecaster(1.0)] for name in names}
    scales = dict.fromkeys(names, SCALES)
    loop = thread = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        legs = [leg_forecast(leg, book, models[leg.symbol], 3.0) for leg in book.legs]
        laws = {name: law_of(models[name]) for name in names}
        common = history.common(names)
        looped = time.thread_time()
        account_forecast(book, legs, common, scales, laws, 3.0)
        loop, thread = min(loop, looped - began), min(thread, time.thread_time() - looped)
    return loop, thread


def a_history(names: list[str]) -> JointHistory:
    """Hours of symbols that move together."""
    chance, history = np.random.default_rng(1), JointHistory()
    shared = chance.standard_normal(HOURS_KEPT)
    for name in names:
        closes = 0.008 * shared + 0.006 * chance.standard_normal(HOURS_KEPT)
        wicks = 0.005 * np.abs(chance.standard_normal((HOURS_KEPT, 2)))
        for number, (close, (below, above)) in enumerate(zip(closes, wicks, strict=True)):
            history.add(
                name, 480_000 + number, Hour(min(close, 0.0) - below, max(close, 0.0) + above, close, tuple(SCALES))
            )
    return history


def a_book(names: list[str]) -> Book:
    """A cross balance, and legs of 10,000 on it."""
    legs = tuple(
        Leg(
            symbol=name,
            position_side="BOTH",
            quantity=-100.0 if place % 2 else 100.0,
            mark=100.0,
            distance=0.08,
            together=0.05,
            isolated=False,
            backing=0.0,
            tiers=TIERS,
        )
        for place, name in enumerate(names)
    )
    return Book(account="main", balance=900.0 * len(names), legs=legs)


if __name__ == "__main__":
    main()
