"""A copy of a live book: read, never written to. What a practice exchange needs to stand where the account stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Final

from proxy.exchange.calls import together
from proxy.exchange.market_payloads import Depth
from proxy.exchange.payloads import SymbolConfig
from proxy.exchange.venue_account import VenueAccount
from rules.account import Account, OpenOrder, Position
from rules.instrument import Instrument

DEPTH_BAND: Final = Decimal("0.0055")
"""How far out the practice exchange quotes, as a fraction of the price."""

_WITHOUT_A_BOOK: Final = "BTCUSDT"
"""What the load trades where the account holds nothing."""

DEPTH_LEVELS_WORTH: Final = 115
"""All of its levels together hold this many times its ``depth_quantity`` on a side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedSymbol:
    """One contract of the book: its terms, its mark price, and base units that stand within the band on a side."""

    instrument: Instrument
    mark_price: Decimal
    depth: Decimal

    def table(self) -> Mapping[str, str]:
        """As the practice exchange's settings want it."""
        step = self.instrument.step_size
        level = (self.depth / DEPTH_LEVELS_WORTH / step).to_integral_value(ROUND_DOWN) * step
        numbers = {
            "start_price": self.mark_price,
            "tick": self.instrument.tick_size,
            "lot_step": step,
            "quantity_max": self.instrument.quantity_max,
            "market_quantity_max": self.instrument.market_quantity_max,
            "notional_min": self.instrument.notional_min,
            "depth_quantity": max(step, level),
        }
        names = {"symbol": self.instrument.symbol, "base": self.instrument.base_asset}
        return names | {name: f"{number:f}" for name, number in numbers.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedBook:
    """One account's positions, orders and mode, and the contracts they are in."""

    account: Account
    symbols: tuple[CopiedSymbol, ...]

    @property
    def wallet(self) -> Decimal:
        """What the account would hold without its open profits and losses; at least what trading needs to begin."""
        unrealised = sum(
            ((leg.mark_price - leg.entry_price) * leg.quantity for leg in self.account.positions), Decimal(0)
        )
        return max(Decimal(1), self.account.margin_balance - unrealised)


async def read_book(venue: VenueAccount, now: datetime) -> CopiedBook:
    """Read an account as it stands. Raises a ``VenueTrouble``."""
    survey, instruments, markets, configs = await together(
        venue.survey(now), venue.instruments(), venue.markets(now), venue.symbol_configs()
    )
    account: Account = survey.account
    legs_and_orders: tuple[Position | OpenOrder, ...] = (*account.positions, *account.open_orders)
    held = {each.symbol for each in legs_and_orders} or {_WITHOUT_A_BOOK}
    symbols = sorted(symbol for symbol in held if symbol in instruments and symbol in markets)
    found = await together(*(venue.public.depth(symbol) for symbol in symbols))
    depths = dict(zip(symbols, found, strict=True))
    return CopiedBook(
        account=_with_configs(account, configs),
        symbols=tuple(
            CopiedSymbol(
                instrument=instruments[symbol],
                mark_price=markets[symbol].mark_price,
                depth=_depth(depths[symbol], markets[symbol].mark_price),
            )
            for symbol in symbols
        ),
    )


def _depth(depth: Depth, mark: Decimal) -> Decimal:
    """Base units on the thinner side within the band."""
    bids, asks = depth.within(DEPTH_BAND)
    return min(bids, asks) / mark


def _with_configs(account: Account, configs: Mapping[str, SymbolConfig]) -> Account:
    """The positions with the leverage and margin mode that the account has set for their symbols."""
    positions = tuple(
        replace(leg, leverage=configs[leg.symbol].leverage, margin_mode=configs[leg.symbol].margin_mode)
        if leg.symbol in configs
        else leg
        for leg in account.positions
    )
    return replace(account, positions=positions)
