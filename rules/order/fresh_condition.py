"""What the warden has measured of a symbol's market, if it is recent enough to judge by."""

from __future__ import annotations

from rules.ages import seconds
from rules.facts import Condition
from rules.snapshot import Snapshot


def fresh_condition(symbol: str, snapshot: Snapshot, age_max_s: int) -> Condition | None:
    """The condition of ``symbol``, ``None`` when it is not known or more than ``age_max_s`` seconds away.

    A time ahead of the guard's clock counts as its distance.
    """
    condition = snapshot.conditions.symbols.get(symbol) if snapshot.conditions is not None else None
    if condition is None or abs(snapshot.now - condition.as_of) > seconds(age_max_s):
        return None
    return condition
