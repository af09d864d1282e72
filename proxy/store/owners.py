"""Whose an order or a trade is, by the venue's number for it: for rows that carry no client order id.

The warden writes it from the private stream, gates read it when a bot asks for its fills. Numbers count per symbol.
"""

from __future__ import annotations

from typing import Final

OWNERS_MAX: Final = 100_000
"""Orders and trades of one account that are remembered; the oldest go first."""


def order_field(symbol: str, order_id: str) -> str:
    """Where an order stands in the hash."""
    return f"{symbol}|order|{order_id}"


def trade_field(symbol: str, trade_id: str) -> str:
    """Where a trade stands in the hash."""
    return f"{symbol}|trade|{trade_id}"
