"""What single orders of a bot would score, as bounds that a rule can compare with: ``rules.usual.UsualOrders``."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from proxy.signals.anomaly import AnomalyScorer
from proxy.signals.published import published
from rules.model import Side
from rules.usual import UsualOrders, UsualSizes

SCORES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
"""The scores that bounds are told of; an order has the highest whose bound it reaches."""

BPS: Final = 10_000.0
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
NOTIONAL_MAX: Final = 1e12
LEAST: Final = 1e-9
DIGITS: Final = 6


def usual_orders(bot: str, scorer: AnomalyScorer, at: float) -> UsualOrders:
    """The bounds of one bot as of ``at`` (seconds since 1970)."""
    sizes = [scorer.size_bounds(score) for score in SCORES]
    distances = [scorer.distance_bounds(score) for score in SCORES]
    return UsualOrders(
        bot=bot,
        version=round(at * 1_000),
        as_of=datetime.fromtimestamp(at, UTC),
        scores=tuple(round(published(score), 4) for score in SCORES),
        sizes=tuple(
            UsualSizes(symbol=symbol, side=SIDES[side], bounds=_decimals([each[symbol, side] for each in sizes]))
            for symbol, side in sizes[0]
            if side in SIDES
        ),
        any_size=_decimals([each["", ""] for each in sizes]),
        through=_decimals([each[0] / BPS for each in distances]),
        away=_decimals([each[1] / BPS for each in distances]),
        symbols=scorer.symbols(),
        new_symbol=round(published(scorer.new_symbol_score()), 4),
    )


def _decimals(values: list[float]) -> tuple[Decimal, ...]:
    """The bounds up to the first that no order reaches, rounded up so that none is met early."""
    found = []
    for value in values:
        if not value < NOTIONAL_MAX:
            break
        step = Decimal(10) ** (math.floor(math.log10(max(value, LEAST))) - DIGITS + 1)
        found.append(Decimal(f"{math.ceil(Decimal(value) / step) * step:f}"))
    return tuple(found)
