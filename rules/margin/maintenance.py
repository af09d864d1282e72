"""What the venue requires to keep a leg, and all that the account's balance bears, by the tiers of its notional."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rules.instrument import MarginTier, moves_balance
from rules.margin.known import MarginUnknown, account_of, mark_of, tiers_of
from rules.model import ZERO
from rules.snapshot import Snapshot


def maintenance_margin(notional: Decimal, tiers: Sequence[MarginTier]) -> Decimal:
    """What the venue requires to keep a leg of this absolute notional, in quote currency.

    Raises ``MarginUnknown`` without tiers.
    """
    tier = tiers[tier_place(notional, tiers)]
    return max(ZERO, notional * tier.maintenance_rate - tier.maintenance_amount)


def account_maintenance(snapshot: Snapshot) -> Decimal:
    """Maintenance margin of all open legs at their marks, cross and isolated, that the account's balance stands behind.

    Raises ``MarginUnknown``.
    """
    return snapshot.standing("maintenance_margin", _account_maintenance)


def _account_maintenance(snapshot: Snapshot) -> Decimal:
    account = account_of(snapshot)
    return sum(
        (
            maintenance_margin(abs(leg.quantity) * mark_of(leg.symbol, snapshot), tiers_of(leg.symbol, snapshot))
            for leg in account.positions
            if moves_balance(leg.symbol, account.multi_assets)
        ),
        ZERO,
    )


def tier_place(notional: Decimal, tiers: Sequence[MarginTier]) -> int:
    """The place of a notional's tier; above the last cap the last one, below the first floor the first.

    Raises ``MarginUnknown`` without tiers.
    """
    if not tiers:
        raise MarginUnknown("the margin tiers")
    place, last = 0, len(tiers) - 1
    while place < last and tiers[place + 1].notional_floor <= notional:
        place += 1
    return place
