"""What the forecasts of a symbol cost: ``python -m bench.signals``. CPU time, on a generated market."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from proxy.signals.barrier import BarrierForecaster
from proxy.signals.regime import VolatilityRegime
from tests.support.markets import clustered_bars

HORIZONS = (1.0, 8.0, 24.0)
DISTANCES = (0.01, 0.02, 0.03, 0.045, 0.095, 0.19)
TAUS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PROBABILITIES = len(HORIZONS) * len(DISTANCES) * 2


def timed(work: Callable[[], object], times: int) -> float:
    """Microseconds of CPU a call."""
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times * 1e6


def main() -> None:
    """Measure and print."""
    hourly = iter(clustered_bars(6000, seed=1))
    minutely = iter(clustered_bars(80, seed=2, bars_an_hour=60))
    by_hour, by_minute, regime = BarrierForecaster(1), BarrierForecaster(1 / 60), VolatilityRegime()
    timed(lambda: by_hour.update(*next(hourly)), 500)
    print(f"update, a bar of an hour        {timed(lambda: by_hour.update(*next(hourly)), 3000):7.0f} µs")
    print(f"update, a bar of a minute       {timed(lambda: by_minute.update(*next(minutely)), 4500):7.1f} µs (mean)")

    def ask(forecaster: BarrierForecaster) -> None:
        forecaster.predict(HORIZONS, DISTANCES, DISTANCES, TAUS)

    def update_and_ask() -> None:
        by_hour.update(*next(hourly))
        ask(by_hour)

    def update_and_observe() -> None:
        by_hour.update(*next(hourly))
        regime.observe(by_hour)

    update = timed(lambda: by_hour.update(*next(hourly)), 500)
    first = timed(update_and_ask, 500) - update
    print(f"a probability, first of an hour {first / PROBABILITIES:7.1f} µs ({PROBABILITIES} at once)")
    print(f"a probability, asked again      {timed(lambda: ask(by_hour), 500) / PROBABILITIES:7.1f} µs")
    timed(update_and_observe, 700)
    print(f"regime, an hour                 {timed(update_and_observe, 500) - update:7.0f} µs")
    print(f"state as JSON                   {len(json.dumps(by_hour.state())) / 1000:7.0f} kB")


if __name__ == "__main__":
    main()
