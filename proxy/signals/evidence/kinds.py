"""The kinds of evidence, and how much of the account's one false alarm a day each of them may spend. No behaviour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SILENT: Final = -math.inf
"""A kind of evidence that has nothing to say about an event."""


class Kind(IntEnum):
    """One kind of evidence each. Its number is its place in every list of evidence."""

    BURST_1S = 0
    BURST_10S = 1
    BURST_60S = 2
    SAME_SIDE = 3
    REPEATED = 4
    FLIPS = 5
    SHARP_FLIPS = 6
    CHURN = 7
    TURNOVER = 8
    SIZE_UNUSUAL = 9
    SIZE_LARGEST = 10
    SIZE_ACCOUNT = 11
    CREEP = 12
    AGGRESSIVE = 13
    PASSIVE = 14
    LATENCY = 15
    ALL_SLOW = 16
    REJECTS = 17
    HOUR = 18
    SYMBOL = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """How one kind is weighed.

    ``budget`` is its share of the false alarms of an account. ``scale_min`` is the least e-folding of its tail: an
    account that always does the same has no scale of its own. ``cold_at`` is the evidence that is once a day for an
    account about which nothing is known yet, on purpose far out; infinite where only an account's own past can tell.
    ``rest`` is the evidence of ten minutes in which nothing of the kind happened, ``None`` where that is nothing.
    ``new_normal`` is how many blocks within about three days are held out as incidents before they are learned from.
    """

    budget: float
    scale_min: float
    cold_at: float = math.inf
    rest: float | None = 0.0
    new_normal: float = 15.0


WEIGHINGS: Final[dict[Kind, Weighing]] = {
    Kind.BURST_1S: Weighing(budget=0.04, scale_min=0.35, cold_at=math.log(30)),
    Kind.BURST_10S: Weighing(budget=0.04, scale_min=0.35, cold_at=math.log(80)),
    Kind.BURST_60S: Weighing(budget=0.04, scale_min=0.3, cold_at=math.log(240)),
    Kind.SAME_SIDE: Weighing(budget=0.04, scale_min=0.3, cold_at=math.log(25)),
    Kind.REPEATED: Weighing(budget=0.06, scale_min=0.3, cold_at=math.log(12)),
    Kind.FLIPS: Weighing(budget=0.03, scale_min=0.15),
    Kind.SHARP_FLIPS: Weighing(budget=0.06, scale_min=0.2, cold_at=math.log(12)),
    Kind.CHURN: Weighing(budget=0.03, scale_min=0.3, cold_at=math.log(30)),
    Kind.TURNOVER: Weighing(budget=0.02, scale_min=0.25, rest=None),
    Kind.SIZE_UNUSUAL: Weighing(budget=0.06, scale_min=0.4, cold_at=14.0, rest=None),
    Kind.SIZE_LARGEST: Weighing(budget=0.08, scale_min=0.15, cold_at=math.log(20), rest=None),
    Kind.SIZE_ACCOUNT: Weighing(budget=0.05, scale_min=0.15, rest=None),
    Kind.CREEP: Weighing(budget=0.07, scale_min=0.25),
    Kind.AGGRESSIVE: Weighing(budget=0.05, scale_min=0.35, cold_at=math.asinh(500 / 25)),
    Kind.PASSIVE: Weighing(budget=0.05, scale_min=0.35, cold_at=math.asinh(3000 / 25)),
    Kind.LATENCY: Weighing(budget=0.04, scale_min=0.25, cold_at=math.log1p(30)),
    Kind.ALL_SLOW: Weighing(budget=0.05, scale_min=0.2, cold_at=math.log(20)),
    Kind.REJECTS: Weighing(budget=0.05, scale_min=0.3, cold_at=math.log(5)),
    Kind.HOUR: Weighing(budget=0.06, scale_min=0.3),
    Kind.SYMBOL: Weighing(budget=0.08, scale_min=0.1, new_normal=5.0),
}
"""The budgets sum to one false alarm a day. Chosen, not fitted: what is told by one order has a little more."""

KINDS: Final = tuple(Kind)
