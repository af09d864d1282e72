"""Small order flows of plain bots, seeded: days of usual business to learn from, and single events to add."""

from __future__ import annotations

import math
import random
from typing import Any

START = 1_795_478_400.0
"""A midnight, UTC."""

DAY = 86_400.0


def an_event(ts: float, **changes: Any) -> dict[str, Any]:
    """A usual buy of 1,000 USDT just inside the spread."""
    return {
        "ts": ts,
        "type": "new",
        "symbol": "BTCUSDT",
        "side": "buy",
        "notional": 1_000.0,
        "distance_bps": -2.0,
        "round_trip_ms": 40.0,
        "rejected": False,
    } | changes


def a_trader(seed: int = 1, *, days: float = 14, a_day: float = 150, hours: tuple[int, int] = (7, 19)) -> list[dict]:
    """Single orders at random moments of the same hours each day, sizes within half and double, few rejections."""
    dice = random.Random(seed)
    events, ts = [], START
    while (ts := ts + dice.expovariate(a_day / DAY * 24 / (hours[1] - hours[0]))) < START + days * DAY:
        if hours[0] <= (ts - START) % DAY // 3600 < hours[1]:
            events.append(
                an_event(
                    ts,
                    symbol=dice.choice(("BTCUSDT", "ETHUSDT")),
                    side=dice.choice(("buy", "sell")),
                    notional=1_000 * 2 ** dice.uniform(-1, 1),
                    distance_bps=dice.uniform(-20, 3),
                    round_trip_ms=40 * math.exp(dice.gauss(0, 0.3)),
                    rejected=dice.random() < 0.005,
                )
            )
    return events


def a_quoter(seed: int = 1, *, days: float = 14, a_day: float = 700) -> list[dict]:
    """A pair of quotes at a time, the old ones cancelled before, around the clock, faster in some hours than others."""
    dice = random.Random(seed)
    events, ts = [], START
    while (ts := ts + dice.expovariate(a_day / DAY * (1.6 if (ts // 3600) % 3 == 0 else 0.7))) < START + days * DAY:
        for number, side in enumerate(("buy", "sell")):
            common = {"side": side, "round_trip_ms": 25 * math.exp(dice.gauss(0, 0.25))}
            events.append(an_event(ts + 0.1 * number, type="cancel", notional=None, distance_bps=None, **common))
            quote = {"notional": 2_000 * math.exp(dice.gauss(0, 0.1)), "distance_bps": -dice.uniform(3, 9)}
            events.append(an_event(ts + 0.3 + 0.1 * number, rejected=dice.random() < 0.004, **quote, **common))
    return sorted(events, key=lambda event: event["ts"])


def a_saver(seed: int = 1, *, days: float = 30) -> list[dict]:
    """Four buys a day at fixed times, now and then half as large again."""
    dice = random.Random(seed)
    return [
        an_event(
            START + day * DAY + hour * 3600 + dice.uniform(0, 90),
            notional=500 * dice.choice((1.0, 1.0, 1.0, 1.5)) * dice.uniform(0.98, 1.02),
            distance_bps=dice.uniform(0, 2),
            round_trip_ms=60 * math.exp(dice.gauss(0, 0.3)),
        )
        for day in range(int(days))
        for hour in (2, 8, 14, 20)
    ]
