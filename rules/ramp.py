"""Limits that grow back after a re-arm: which ones do, and what is left of a rule meanwhile.

Only limits of size are among them: one order, one position, the whole book. What says how fresh, how often or how
unusual something may be means the same before and after a stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from rules.order.max_order_value import MaxOrderValue
from rules.order.max_order_volume import MaxOrderVolume
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.portfolio.exposure_limits import ExposureLimits
from rules.portfolio.margin_budget import MarginBudget
from rules.position.position_limit import PositionLimit
from rules.rule import Rule

WHOLE: Final = Decimal(1)

RAMPED: Final[Mapping[type[Rule], tuple[str, ...]]] = {
    MaxOrderValue: ("limit",),
    MaxOrderVolume: ("limit_quantity", "limit_daily_volume"),
    PositionLimit: (
        "limit_quantity",
        "limit_notional",
        "limit_long_notional",
        "limit_short_notional",
        "limit_net_notional",
        "limit_open_interest",
        "limit_daily_volume",
    ),
    ExposureLimits: (
        "gross_notional",
        "gross_equity",
        "same_direction_notional",
        "same_direction_equity",
        "net_notional",
        "net_equity",
    ),
    CorrelatedExposure: ("limit_notional", "limit_equity", "cluster_notional", "cluster_limits"),
    MarginBudget: ("limit",),
}
"""The settings that shrink. In all of them a smaller number lets less through, and zero would let nothing."""


def ramped(rule: Rule, share: Decimal) -> Rule:
    """The rule with ``share`` of its limits, 0 (while only what reduces passes) to 1; itself if none of them grows."""
    settings = {name: getattr(rule, name) for name in RAMPED.get(type(rule), ())}
    shrunk: dict[str, Any] = {name: _shrunk(value, share) for name, value in settings.items() if value is not None}
    return replace(rule, **shrunk) if shrunk else rule


def _shrunk(limit: Decimal | Mapping[str, Decimal], share: Decimal) -> Decimal | Mapping[str, Decimal]:
    if isinstance(limit, Decimal):
        return limit * share
    return {name: value * share for name, value in limit.items()}
