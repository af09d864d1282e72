"""What the venue says about a contract: its filters and its margin tiers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Final

PAR_ASSETS: Final = ("USDT", "USDC", "FDUSD", "BUSD")
"""Quote currencies that are taken for one dollar each, so that limits of money mean the same in all of them."""

MARGIN_ASSET: Final = "USDT"
"""In single-asset mode the venue's totals, and so the balance, are of this asset alone (Binance, "Account Information
V3", seen 2026-11): what other wallets hold margins nothing of them."""


def moves_balance(symbol: str, multi_assets: bool | None) -> bool:
    """Whether a contract's results are in the account's balance, and the balance is behind its cross legs.

    In single-asset mode not unless it is margined in ``MARGIN_ASSET``, which its name then ends with; a contract with a
    date has that behind it (``BTCUSDT_270326``).
    """
    return multi_assets is not False or symbol.partition("_")[0].endswith(MARGIN_ASSET)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTier:
    """One step of the venue's leverage bracket. Notionals in quote currency; ``notional_cap`` is exclusive.

    ``maintenance_amount`` is the constant that makes maintenance margin continuous across tiers (Binance: ``cum``):
    maintenance margin = notional * ``maintenance_rate`` - ``maintenance_amount``.
    """

    notional_floor: Decimal
    notional_cap: Decimal
    leverage_max: Decimal
    maintenance_rate: Decimal
    maintenance_amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A perpetual contract as the venue lists it. Missing limits are ``None`` and then not checked.

    ``delisted_at`` is when the venue has announced to settle and close the contract.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    trading: bool
    tick_size: Decimal
    step_size: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    market_step_size: Decimal
    market_quantity_min: Decimal
    market_quantity_max: Decimal
    notional_min: Decimal
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    contract_size: Decimal = Decimal(1)
    tiers: tuple[MarginTier, ...] = ()
    delisted_at: datetime | None = None

    @property
    def at_par(self) -> bool:
        """Whether its notionals are dollars. A quote currency that was not told is taken to be one."""
        return not self.quote_asset or self.quote_asset in PAR_ASSETS

    def floor_quantity(self, quantity: Decimal, *, market: bool) -> Decimal:
        """``quantity`` rounded down to the step that applies to market or to priced orders."""
        step = self.market_step_size if market else self.step_size
        return (quantity / step).to_integral_value(ROUND_DOWN) * step
