"""What of the warden's slower facts a rule may rely on now, and what follows when it may not. Pure.

A fact that is too old is no fact.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from rules.ages import seconds
from rules.facts import AccountRecord, Condition
from rules.snapshot import Snapshot


class WithoutFacts(StrEnum):
    """What a rule that only adds to other limits does with an entry when it does not know what it would need."""

    PASS = "pass"  # noqa: S105 - no password: the entry passes
    REFUSE = "refuse"


def is_fresh(as_of: datetime, snapshot: Snapshot, age_max_s: int) -> bool:
    """Whether ``as_of`` is at most so many seconds away. A time ahead of the guard's clock counts as its distance."""
    return abs(snapshot.now - as_of) <= seconds(age_max_s)


def fresh_condition(symbol: str, snapshot: Snapshot, age_max_s: int) -> Condition | None:
    """What was measured of the symbol's market, ``None`` when nothing was or it is too old."""
    if snapshot.conditions is None:
        return None
    condition = snapshot.conditions.symbols.get(symbol)
    # ``is_fresh``, written out here and below: every order asks for these twenty times.
    if condition is None or abs(snapshot.now - condition.as_of) > seconds(age_max_s):
        return None
    return condition


def fresh_record(snapshot: Snapshot, age_max_s: int) -> AccountRecord | None:
    """The warden's memory of the account, ``None`` when there is none or it is too old."""
    record = snapshot.record
    if record is None:
        return None
    try:  # In a place of its own, as in ``held_order``.
        age = snapshot.record_age
    except AttributeError:
        age = abs(snapshot.now - record.as_of)
        object.__setattr__(snapshot, "record_age", age)
    return record if age <= seconds(age_max_s) else None
