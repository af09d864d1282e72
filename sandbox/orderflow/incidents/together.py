"""Several accounts strange at once, each only a little: the common library, or the common venue, has gone wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from sandbox.orderflow.incidents.strange import Strange
from sandbox.orderflow.incidents.usual import Usual

LASTS_MAX_S: Final = 600.0
ACCOUNTS: Final = (4, 7)


def together(usuals: Mapping[str, Usual], at: float, rng: random.Random) -> dict[str, Strange]:
    """From `at` on, for 4 to 10 minutes, what 4 to 7 accounts send is answered 2 to 4 times as slowly and refused 15 to
    35 times in a hundred, and each sends 1.5 to 3 times as much as before, at least one order in 20 seconds."""
    begun = sorted(account for account, usual in usuals.items() if usual.has_placed(at))
    chosen = rng.sample(begun, min(rng.randint(*ACCOUNTS), len(begun)))
    lasts = rng.uniform(240, LASTS_MAX_S)
    return {account: _one(usuals[account], at + rng.uniform(0, 30), lasts, rng, len(chosen)) for account in chosen}


def _one(usual: Usual, at: float, lasts: float, rng: random.Random, accounts: int) -> Strange:
    slower, refused, busier = rng.uniform(2, 4), rng.uniform(0.15, 0.35), rng.uniform(1.5, 3)
    changed: dict[int, dict[str, Any]] = {}
    for place in range(usual.next(at), usual.next(at + lasts)):
        changed[place] = {
            "round_trip_ms": round(float(usual.rows["round_trip_ms"][place]) * slower, 1),
            "rejected": bool(usual.rows["rejected"][place]) or rng.random() < refused,
        }
    added = []
    for _ in range(max(round(len(changed) * (busier - 1)), round(lasts / 20))):
        record = usual.template(at, rng)
        record["ts"] = at + lasts * rng.random()
        record["round_trip_ms"] *= slower
        record["rejected"] = rng.random() < refused
        added.append(tuple(record.values()))
    about = f"one of {accounts} accounts, {busier:.1f} times as busy, {slower:.1f} times slower, {refused:.0%} refused"
    return Strange(kind="together", mild=True, about=about, added=added, changed=changed)
