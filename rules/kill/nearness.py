"""How far each open leg is from its liquidation by the guard's own arithmetic, independent of what the venue shows.

Cross legs are moved against the account all together, by one fraction, and legs of the other direction are no credit:
see ``rules.margin``. What cannot be worked out is ``None``, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from rules.instrument import Instrument, MarginTier
from rules.margin.known import MarginUnknown
from rules.margin.moves import Moving, distance_to_liquidation
from rules.model import MarginMode
from rules.snapshot import Account, Market, Position

ZERO: Final = Decimal(0)


def revalued(account: Account, markets: Mapping[str, Market]) -> Account:
    """The account at the newest marks; a leg whose symbol has none keeps its own."""
    legs, gained = [], ZERO
    for leg in account.positions:
        market = markets.get(leg.symbol)
        mark = market.mark_price if market is not None else leg.mark_price
        gained += leg.quantity * (mark - leg.mark_price)
        legs.append(replace(leg, mark_price=mark))
    return replace(account, margin_balance=account.margin_balance + gained, positions=tuple(legs))


def distance_of(leg: Position, account: Account, instruments: Mapping[str, Instrument]) -> Decimal | None:
    """The fraction of its mark by which the market must move against ``leg``; ``None`` when something is not known."""
    try:
        if leg.margin_mode is MarginMode.ISOLATED:
            return _isolated(leg, instruments)
        return _cross(leg, account, instruments)
    except MarginUnknown:
        return None


def notional(leg: Position) -> Decimal:
    """The leg's absolute value at its mark, in quote currency."""
    return abs(leg.quantity) * leg.mark_price


def _isolated(leg: Position, instruments: Mapping[str, Instrument]) -> Decimal:
    value = notional(leg)
    return distance_to_liquidation(
        _isolated_backing(leg), [Moving(value, (value,), leg.quantity < 0, _tiers(leg, instruments))]
    )


def _cross(leg: Position, account: Account, instruments: Mapping[str, Instrument]) -> Decimal:
    """Every cross leg of the same direction loses with it; the maintenance margin of all of them must be kept."""
    rising, backing, moving = leg.quantity < 0, account.margin_balance, []
    for each in account.positions:
        if each.margin_mode is MarginMode.ISOLATED:
            backing -= max(ZERO, _isolated_backing(each))
        else:
            value = notional(each)
            loses = (each.quantity < 0) is rising
            moving.append(Moving(value if loses else ZERO, (value,), rising, _tiers(each, instruments)))
    return distance_to_liquidation(backing, moving)


def _isolated_backing(leg: Position) -> Decimal:
    if leg.isolated_margin is None:
        raise MarginUnknown(f"the margin of the isolated {leg.symbol} leg")
    return leg.isolated_margin + leg.quantity * (leg.mark_price - leg.entry_price)


def _tiers(leg: Position, instruments: Mapping[str, Instrument]) -> tuple[MarginTier, ...]:
    instrument = instruments.get(leg.symbol)
    if instrument is None or not instrument.tiers:
        raise MarginUnknown(f"the margin tiers of {leg.symbol}")
    return instrument.tiers
