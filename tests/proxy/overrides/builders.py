"""Terms and requests with everything said that a test does not care about."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy.overrides.lifecycle import Requested
from proxy.overrides.terms import Terms
from rules.model import Side
from tests.rules.builders import NOW

TEXTS = {
    "bot": "demo-bot",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "rule": "max_order_value",
    "quantity_max": "2",
    "expires": "10m",
    "ticket": "RISK-17",
    "reason": "close the hedge of desk B",
}


def terms(**changes: Any) -> Terms:
    """Leave for the demo bot to buy two BTCUSDT past the limit of order value, for ten minutes."""
    default = Terms(
        bot="demo-bot",
        symbol="BTCUSDT",
        side=Side.BUY,
        rule_id="max_order_value",
        quantity_max=Decimal(2),
        lasts_s=600,
        ticket="RISK-17",
        reason="close the hedge of desk B",
    )
    return replace(default, **changes)


def requested(by: str = "Ann Lee", **changes: Any) -> Requested:
    """Ann asks, now."""
    return Requested(override_id="0123456789", terms=terms(**changes), by=by, at=NOW)
