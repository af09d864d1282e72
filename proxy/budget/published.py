"""What the warden publishes of a venue's budget: its limits, and how much of each is kept for the kill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from rules.kill.settings import SHARE_LEAST


class Limit(StrEnum):
    """What a venue counts, and over which window. Windows begin on the venue's own full minutes and tens of seconds."""

    WEIGHT_1M = "weight-1m"
    ORDERS_10S = "orders-10s"
    ORDERS_1M = "orders-1m"

    @property
    def period_ms(self) -> int:
        """How long its window is."""
        return 10_000 if self is Limit.ORDERS_10S else 60_000


class Counter(NamedTuple):
    """One counter of the venue: of weight by source address (empty: the host's usual one), of orders by account."""

    limit: Limit
    whose: str

    @property
    def field(self) -> str:
        """Its name in the store and in the published budget."""
        return f"{self.limit}:{self.whose}"


LIMITS_DEFAULT: Final[Mapping[str, int]] = {Limit.WEIGHT_1M: 2_400, Limit.ORDERS_10S: 300, Limit.ORDERS_1M: 1_200}
"""Binance USD-M, ``rateLimits`` of exchangeInfo, seen 2026-11. They stand in until the venue has been asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """``limits`` by limit, ``reserves`` by the name of the counter; a counter that is not named keeps ``share_min``."""

    version: int = 0
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS_DEFAULT)
    reserves: Mapping[str, int] = field(default_factory=dict)
    share_min: Decimal = SHARE_LEAST

    def limit(self, counter: Counter) -> int:
        """How much the venue grants in one window."""
        return self.limits.get(counter.limit, LIMITS_DEFAULT[counter.limit])

    def reserve(self, counter: Counter) -> int:
        """How much of it bots may not spend."""
        kept = self.reserves.get(counter.field)
        if kept is not None:
            return kept
        return int((self.limit(counter) * self.share_min).to_integral_value(ROUND_UP))
