"""Orders that should not be there: far from the market, far too large, at the wrong time, on the wrong symbol.

Each function has the same shape: what is usual for the account, the moment from which the incident may begin, the
moment before which it must be over, random numbers, and whether it is to be mild. None means that it makes no sense
for this account then.
"""

from __future__ import annotations

import random
from typing import Any, Final

from sandbox.orderflow.habits import log_uniform
from sandbox.orderflow.incidents.strange import Strange
from sandbox.orderflow.incidents.usual import Usual

NEVER_LISTED: Final = ("PEPEUSDT", "WIFUSDT", "HYPEUSDT", "ENAUSDT", "JUPUSDT", "ONDOUSDT", "TAOUSDT", "WLDUSDT")
"""Symbols that no account trades by itself."""


def far_price(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """One order 3 to 30 times as far from the mark as any on its side was before, at least 3 % (mild: 1.5 to 3 times,
    at least 1 %). Seven in ten on the side that loses money at once; some are amends, where the account amends."""
    record = usual.template(at, rng)
    aggressive = rng.random() < 0.7
    usually = usual.farthest_bps(at, 1 if aggressive else -1)
    times, at_least = (rng.uniform(1.5, 3), 100.0) if mild else (log_uniform(rng, 3, 30), 300.0)
    distance = min(max(usually * times, at_least * rng.uniform(1, 2)), 5_000.0)
    record["distance_bps"] = distance if aggressive else -distance
    record["type"] = "amend" if usual.amends and rng.random() < 0.25 else "new"
    record["ts"] = at
    about = f"{record['distance_bps']:.0f} bps; the farthest on that side was {usually:.0f}"
    return Strange(kind="far price", mild=mild, about=about, added=[_tuple(record)])


def fat_finger(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """One order 5 to 50 times as large as the account's largest before, on any symbol (mild: 3 to 5 times)."""
    record = usual.template(at, rng)
    times = rng.uniform(3, 5) if mild else log_uniform(rng, 5, 50)
    record["notional"] = usual.largest(at) * times
    record["ts"] = at
    return Strange(kind="fat finger", mild=mild, about=f"{times:.1f} times the largest before", added=[_tuple(record)])


def new_symbol(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """3 to 40 usual orders on a symbol that the account never trades (mild: one or two)."""
    own = set(usual.rows["symbol"].tolist())
    symbol = rng.choice([name for name in (*usual.symbols, *NEVER_LISTED) if name not in own])
    count = rng.randint(1, 2) if mild else round(log_uniform(rng, 3, 40))
    gap = log_uniform(rng, 0.5, 30)
    added = []
    for number in range(count):
        record = usual.template(at, rng)
        record.update(symbol=symbol, ts=at + number * gap * rng.uniform(0.9, 1.1))
        added.append(_tuple(record))
    return Strange(kind="new symbol", mild=mild, about=f"{count} orders on {symbol}", added=added)


def off_hours(usual: Usual, at: float, until: float, rng: random.Random, mild: bool) -> Strange | None:
    """5 to 30 usual orders within an hour, at a time of the day when the account is silent (mild: two to four)."""
    begins = [
        begin
        for begin in range(int(at // 3600 + 1) * 3600, int(until) - 7200, 3600)
        if {begin // 3600 % 24, (begin // 3600 + 1) % 24} <= usual.quiet
    ]
    if not begins:
        return None
    first = rng.choice(begins) + rng.uniform(0, 3000)
    count = rng.randint(2, 4) if mild else round(log_uniform(rng, 5, 30))
    lasts = rng.uniform(60, 600) if mild else rng.uniform(300, 3600)
    added = []
    for number in range(count):
        record = usual.template(at, rng)
        record["ts"] = first + (lasts * rng.random() if number else 0.0)
        added.append(_tuple(record))
    about = f"{count} orders within {lasts / 60:.0f} minutes at {int(first // 3600 % 24)} h UTC"
    return Strange(kind="off-hours", mild=mild, about=about, added=added)


def _tuple(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record.values())
