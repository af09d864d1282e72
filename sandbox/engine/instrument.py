"""What can be traded and under which fixed terms: steps, limits, fees and margin tiers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sandbox.engine.model import ZERO


class InstrumentStatus(StrEnum):
    """Only `TRADING` instruments accept orders."""

    TRADING = "TRADING"
    SETTLING = "SETTLING"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTier:
    """One bracket of the margin table; notional bounds in quote currency, `deduction` makes it continuous."""

    number: int
    leverage_max: int
    notional_floor: Decimal
    notional_cap: Decimal
    maintenance_rate: Decimal
    deduction: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A linear perpetual. Fractions (`band`, fees) are of one; `depth_quantity` sizes the synthetic book."""

    symbol: str
    base: str
    quote: str
    start_price: Decimal
    tick: Decimal
    price_min: Decimal
    price_max: Decimal
    lot_step: Decimal
    quantity_max: Decimal
    market_quantity_max: Decimal
    notional_min: Decimal
    band: Decimal
    volatility_per_year: Decimal
    depth_quantity: Decimal
    tiers: tuple[MarginTier, ...]
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")
    liquidation_fee: Decimal = Decimal("0.0125")
    market_take_bound: Decimal = Decimal("0.05")
    trigger_protect: Decimal = Decimal("0.05")
    orders_max: int = 200
    status: InstrumentStatus = InstrumentStatus.TRADING

    @property
    def quantity_min(self) -> Decimal:
        """The smallest order: one lot step, as on the venue for all listed symbols."""
        return self.lot_step

    def tier_for(self, notional: Decimal) -> MarginTier:
        """The tier an absolute `notional` (quote currency) falls in; above the last cap the last tier applies."""
        for tier in self.tiers:
            if notional <= tier.notional_cap:
                return tier
        return self.tiers[-1]

    def maintenance_margin(self, notional: Decimal) -> Decimal:
        """Maintenance margin of an absolute `notional`: notional x rate - deduction of its tier.

        Source: Binance support page "leverage and margin of USD-M futures contracts".
        """
        tier = self.tier_for(notional)
        return max(ZERO, notional * tier.maintenance_rate - tier.deduction)

    def notional_cap(self, leverage: int) -> Decimal:
        """The largest position allowed at `leverage`: the highest cap among tiers that still offer it."""
        caps = [tier.notional_cap for tier in self.tiers if tier.leverage_max >= leverage]
        return max(caps, default=ZERO)


def tiers(*rows: tuple[int, int, str]) -> tuple[MarginTier, ...]:
    """Build a margin table from rows of (leverage_max, notional_cap, maintenance_rate), deriving the deductions.

    Each deduction continues the margin curve at its floor: previous deduction + floor x (rate - previous rate).
    """
    table: list[MarginTier] = []
    for number, (leverage_max, cap, rate_text) in enumerate(rows, start=1):
        rate = Decimal(rate_text)
        last = table[-1] if table else None
        floor = last.notional_cap if last else ZERO
        deduction = last.deduction + floor * (rate - last.maintenance_rate) if last else ZERO
        table.append(
            MarginTier(
                number=number,
                leverage_max=leverage_max,
                notional_floor=floor,
                notional_cap=Decimal(cap),
                maintenance_rate=rate,
                deduction=deduction.normalize() if deduction else ZERO,
            )
        )
    return tuple(table)
