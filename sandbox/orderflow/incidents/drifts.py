"""The account's own orders, changed: slower answers, sizes that grow.

The functions have the shape of those in `odd_orders`.
"""

from __future__ import annotations

import random
from typing import Any, Final

from sandbox.orderflow.habits import log_uniform
from sandbox.orderflow.incidents.strange import Strange
from sandbox.orderflow.incidents.usual import Usual

SLOW_ORDERS_MIN: Final = 4
_SLOW_WITHIN_S: Final = 1200.0
_ROUND_TRIP_MAX_MS: Final = 60_000.0
_CREEP_MAX_S: Final = 12 * 3600.0
_CREEP_MIN_S: Final = 300.0


def latency_shock(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """Round trips 8 to 60 times as long (mild: 4 to 8 times) for 1 to 15 minutes, at a time when the account sends at
    least four messages meanwhile."""
    rows, first = usual.rows, usual.next(at)
    fourth = SLOW_ORDERS_MIN - 1
    while first + fourth < len(rows) and usual.ts[first + fourth] - usual.ts[first] > _SLOW_WITHIN_S:
        first += 1
    if first + fourth >= len(rows) or usual.ts[first + fourth] > until - 1200:
        return None
    lasts = max(rng.uniform(60, 900), float(usual.ts[first + fourth] - usual.ts[first]) + 0.001)
    times = rng.uniform(4, 8) if mild else log_uniform(rng, 8, 60)
    changed: dict[int, dict[str, Any]] = {}
    for place in range(first, usual.next(float(usual.ts[first]) + lasts)):
        took = min(float(rows["round_trip_ms"][place]) * times * rng.uniform(0.7, 1.4), _ROUND_TRIP_MAX_MS)
        changed[place] = {"round_trip_ms": round(took, 1)}
    about = f"{times:.0f} times slower for {lasts / 60:.0f} minutes"
    return Strange(kind="latency shock", mild=mild, about=about, changed=changed)


def size_creep(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """Each order a little larger than the one before, until a usual order has become 2 to 6 times the account's largest
    (mild: 1.2 to 1.5 times): 15 to 60 orders (mild: 40 to 120), or 5 minutes and more where the account is fast."""
    first = usual.next_placed(at)
    if first is None:
        return None
    placed = usual.placed[usual.placed >= first]
    count = rng.randint(40, 120) if mild else rng.randint(15, 60)
    count = max(count, usual.next(float(usual.ts[first]) + _CREEP_MIN_S * rng.uniform(1, 4)) - first)
    if count > len(placed) or usual.ts[placed[count - 1]] > min(until, usual.ts[first] + _CREEP_MAX_S):
        return None
    over = rng.uniform(1.2, 1.5) if mild else log_uniform(rng, 2, 6)
    times = over * usual.largest(at) / usual.typical(at)
    growth = times ** (1 / count)
    changed: dict[int, dict[str, Any]] = {}
    factor = 1.0
    for place in range(first, int(placed[count - 1]) + 1):
        if usual.rows["type"][place] == "new":
            factor *= growth
        changed[place] = {"notional": round(float(usual.rows["notional"][place]) * factor, 2)}
    about = f"{100 * (growth - 1):.1f} % an order, to {times:.1f} times the usual"
    return Strange(kind="size creep", mild=mild, about=about, changed=changed)
