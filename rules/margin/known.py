"""What the arithmetic needs to know of an account and of its symbols. What is missing is named, not guessed."""

from __future__ import annotations

from decimal import Decimal

from rules.account import Account, Position
from rules.instrument import MarginTier
from rules.model import MarginMode
from rules.snapshot import Snapshot


class MarginUnknown(Exception):
    """The guard does not know something that the arithmetic needs; the message names it."""


def account_of(snapshot: Snapshot) -> Account:
    """The account. Raises ``MarginUnknown``, as all of these do."""
    if snapshot.account is None:
        raise MarginUnknown("the account")
    return snapshot.account


def isolated_margin_of(leg: Position) -> Decimal:
    """An isolated leg's own margin, without its profit."""
    if leg.isolated_margin is None:
        raise MarginUnknown(f"the margin of the isolated {leg.symbol} leg")
    return leg.isolated_margin


def mode_of(symbol: str, account: Account) -> MarginMode:
    """An open leg says in which mode it is; the venue does not change it under a position."""
    found = account.found(_modes).get(symbol)
    if found is not None:
        return found
    mode = account.margin_mode_of(symbol)
    if mode is None:
        raise MarginUnknown(f"the margin mode of {symbol}")
    return mode


def _modes(account: Account) -> dict[str, MarginMode]:
    return {leg.symbol: leg.margin_mode for leg in reversed(account.positions)}


def leverage_of(symbol: str, account: Account) -> Decimal:
    """What the venue has set for the symbol."""
    settings = account.settings_of(symbol)
    if settings is None:
        raise MarginUnknown(f"the leverage set for {symbol}")
    return settings.leverage


def mark_of(symbol: str, snapshot: Snapshot) -> Decimal:
    """The mark price, in quote currency."""
    market = snapshot.markets.get(symbol)
    if market is None:
        raise MarginUnknown(f"the mark price of {symbol}")
    return market.mark_price


def tiers_of(symbol: str, snapshot: Snapshot) -> tuple[MarginTier, ...]:
    """The tiers, by rising notional; at least one."""
    instrument = snapshot.instruments.get(symbol)
    if instrument is None or not instrument.tiers:
        raise MarginUnknown(f"the margin tiers of {symbol}")
    return instrument.tiers
