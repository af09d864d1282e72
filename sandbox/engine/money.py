"""Where the money is: what customers, street, insurance fund and exchange own always sums to what was paid in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.engine.exchange import Exchange
from sandbox.engine.model import ZERO


@dataclass(frozen=True, slots=True)
class Money:
    """Everything owned, at mark prices and in quote currency; `treasury` is the exchange's own."""

    accounts: Decimal
    street: Decimal
    insurance_fund: Decimal
    treasury: Decimal

    @property
    def total(self) -> Decimal:
        """The sum. It equals `Exchange.deposited` but for the rounding of entry prices (1e-10 each) and payments."""
        return self.accounts + self.street + self.insurance_fund + self.treasury


def take_stock(exchange: Exchange) -> Money:
    """Count all money at the current mark prices."""
    marks = {symbol: market.mark_price for symbol, market in exchange.markets.items()}
    accounts = ZERO
    for account in exchange.accounts.values():
        accounts += account.wallet + sum((leg.unrealised(marks[leg.symbol]) for leg in account.legs()), ZERO)
    return Money(
        accounts=accounts,
        street=exchange.street.equity(marks),
        insurance_fund=exchange.insurance_fund,
        treasury=exchange.treasury,
    )
