"""A bot caught in a loop: the same order over and over, retries of refused orders, buying and selling in turn.

The functions have the shape of those in `odd_orders`.
"""

from __future__ import annotations

import random
from typing import Any

from sandbox.orderflow.habits import log_uniform
from sandbox.orderflow.incidents.strange import Strange
from sandbox.orderflow.incidents.usual import Usual


def runaway_loop(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """The same order 30 to 300 times, every 20 to 150 ms (mild: 20 to 60 times, every 150 to 500 ms).

    Always more, and faster, than the account's busiest ten seconds before, by half. A quarter place and cancel in turn.
    """
    place = usual.next_placed(at)
    if place is None or usual.ts[place] > until - 300:
        return None
    busiest = usual.busiest_10s(at)
    count = round(log_uniform(rng, 20, 60) if mild else log_uniform(rng, 30, 300))
    count = max(count, round(1.5 * busiest) + 1)
    gap = min(log_uniform(rng, 0.15, 0.5) if mild else log_uniform(rng, 0.02, 0.15), 10 / (1.5 * busiest))
    churns = rng.random() < 0.25
    order = usual.record(place)
    added, ts = [], float(order["ts"])
    for number in range(count):
        ts += gap * rng.uniform(0.8, 1.2)
        took = usual.round_trip_ms(at) * rng.uniform(0.8, 1.5)
        what = "cancel" if churns and number % 2 else "new"
        added.append(_record(order, ts=ts, type=what, round_trip_ms=took, rejected=False))
    about = f"{count} times the same, {1 / gap:.0f} a second"
    return Strange(kind="runaway loop", mild=mild, about=about, added=added)


def reject_storm(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """A refused order retried 12 to 120 times every 0.2 to 1.5 s, each refused with a chance of 90 to 100 %, and
    whatever else the account places meanwhile (mild: 8 to 20 times every 1 to 8 s, 50 to 70 %). ``about`` says how many
    were refused."""
    place = usual.next_placed(at)
    if place is None or usual.ts[place] > until - 600:
        return None
    count = rng.randint(8, 20) if mild else round(log_uniform(rng, 12, 120))
    gap = log_uniform(rng, 1, 8) if mild else log_uniform(rng, 0.2, 1.5)
    share = rng.uniform(0.5, 0.7) if mild else rng.uniform(0.9, 1)
    order = usual.record(place)
    added, ts, refused = [], float(order["ts"]), [True]
    for _ in range(count):
        ts += gap * rng.uniform(0.7, 1.4)
        took = usual.round_trip_ms(at) * rng.uniform(0.7, 1.3)
        refused.append(rng.random() < share)
        added.append(_record(order, ts=ts, round_trip_ms=took, rejected=refused[-1]))
    changed: dict[int, dict[str, Any]] = {place: {"rejected": True}}
    for other in range(place + 1, usual.next(ts)):
        if usual.rows["type"][other] != "cancel":
            refused.append(rng.random() < share)
            changed[other] = {"rejected": refused[-1]}
    about = f"{sum(refused)} of {len(refused)} refused in {ts - float(order['ts']):.0f} s, {count} retries"
    return Strange(kind="reject storm", mild=mild, about=about, added=added, changed=changed)


def flip_flop(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """16 to 80 orders that cross the spread, buying and selling in turn, every 0.3 to 3 s (mild: 10 to 16 of them,
    every 3 to 10 s)."""
    place = usual.next_placed(at)
    if place is None or usual.ts[place] > until - 600:
        return None
    count = rng.randint(10, 16) if mild else round(log_uniform(rng, 16, 80))
    gap = log_uniform(rng, 3, 10) if mild else log_uniform(rng, 0.3, 3)
    order = usual.record(place)
    added, ts = [], float(order["ts"])
    for number in range(count):
        ts += gap * rng.uniform(0.8, 1.2)
        added.append(
            _record(
                order,
                ts=ts,
                side=("buy", "sell")[number % 2],
                notional=order["notional"] * rng.uniform(0.9, 1.1),
                distance_bps=rng.uniform(0.5, 6),
                round_trip_ms=usual.round_trip_ms(at) * rng.uniform(0.8, 1.3),
                rejected=False,
            )
        )
    about = f"{count} times to and fro, every {gap:.1f} s"
    return Strange(kind="flip-flop", mild=mild, about=about, added=added)


def _record(order: dict[str, Any], **values: Any) -> tuple[Any, ...]:
    return tuple({**order, **values}.values())
