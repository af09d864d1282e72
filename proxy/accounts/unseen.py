"""Which of the venue's past orders filled what the shares do not have yet. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import groupby
from typing import Final

from proxy.exchange.payloads import PastOrder
from rules.model import LegKey

DATED_LATER_MAX_MS: Final = 1_000
"""By how much the venue's list may date an order later than the event that told of it."""


def unseen(
    past: Iterable[PastOrder],
    since_ms: int,
    slack_ms: int,
    counted: Callable[[str, str], Decimal],
    missing: Callable[[LegKey], Decimal],
) -> tuple[PastOrder, ...]:
    """Those that changed from ``since_ms`` on, up to which the shares have all there was, oldest first.

    ``counted`` says how much of an order they have, ``missing`` what a leg's position is more than they add up to.
    Those of the first ``slack_ms`` may have been told of by ``since_ms``, and whoever counted them then need not be who
    asks now: those that moved nothing are left out, and of the others as many of the oldest as makes the rest come to
    what is missing.
    """

    def moved(each: PastOrder) -> Decimal:
        more = each.order.filled_quantity - counted(each.order.symbol, each.order.order_id)
        return each.order.side.sign * max(Decimal(0), more)

    last_told_ms = since_ms + slack_ms
    later = [each for each in past if each.changed_ms >= since_ms and (each.changed_ms > last_told_ms or moved(each))]
    found: list[PastOrder] = []
    for leg, group in groupby(sorted(later, key=lambda each: (_leg(each), each.changed_ms)), key=_leg):
        orders = list(group)
        moves = [moved(each) for each in orders]
        doubtful = sum(each.changed_ms <= last_told_ms for each in orders)
        told = sum(each.changed_ms == since_ms for each in orders)
        wanted = missing(leg)
        fits = (first for first in range(doubtful + 1) if sum(moves[first:], Decimal(0)) == wanted)
        found += orders[next(fits, told) :]
    return tuple(sorted(found, key=lambda each: each.changed_ms))


def _leg(past: PastOrder) -> LegKey:
    return past.order.symbol, past.order.position_side
