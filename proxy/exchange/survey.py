"""What a survey found: the account as the venue's REST answers show it, with the venue's own times of change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rules.account import Account
from rules.model import LegKey

OrderKey = tuple[str, str, bool]
"""Symbol, the venue's order id, and whether it is a conditional order, which have ids of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One reading of an account. ``symbols`` is what was read of orders and positions, ``None`` for everything.

    ``wallets`` are the wallet balances by asset, ``unrealised`` what the balance has of unrealised PnL, of all symbols
    however few were read (``None`` where that is not told); ``leg_ms`` and ``order_ms`` say when a listed leg or order
    last changed, in the venue's milliseconds. The account's ``version`` and ``as_of`` are given by whoever publishes.
    """

    account: Account
    symbols: frozenset[str] | None
    wallets: Mapping[str, Decimal] = field(default_factory=dict)
    unrealised: Decimal | None = None
    leg_ms: Mapping[LegKey, int] = field(default_factory=dict)
    order_ms: Mapping[OrderKey, int] = field(default_factory=dict)

    def covers(self, symbol: str) -> bool:
        """Whether the symbol's orders and positions were read."""
        return self.symbols is None or symbol in self.symbols
