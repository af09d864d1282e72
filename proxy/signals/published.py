"""The anomaly score as policies know it: from 0 (as usual) to 1, rising with the score and never falling.

    value = 1 - cbrt(false alarms a day / 10),  false alarms a day = 10 ** -score

0 is what happens ten times a day, 0.54 once a day, 0.78 once in ten days, 0.9 once in a hundred, 0.95 once in two
years. At the cap of the score the value is 1.
"""

from __future__ import annotations

import math
from typing import Final

from proxy.signals.evidence.tail import CAP

USUAL: Final = -1.0
"""The score of what happens ten times a day: the value is 0 from here down."""


def published(score: float) -> float:
    """The value, 0 to 1, of a score."""
    if score >= CAP:
        return 1.0
    return max(0.0, 1.0 - math.pow(10.0, (USUAL - score) / 3.0))


def score_of(value: float) -> float:
    """The score of a value; of 0, the highest that has it."""
    if value >= 1.0:
        return CAP
    return min(CAP, USUAL - 3.0 * math.log10(1.0 - max(0.0, value)))
