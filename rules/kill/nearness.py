"""How far each open leg is from its liquidation by the guard's own arithmetic, independent of what the venue shows.

Cross legs are moved against the account all together, by one fraction, and other symbols' legs of the other direction
are no credit: see ``rules.margin``. Both legs of one symbol have one price: what one loses there the other gains. What
cannot be worked out is ``None``, never a guess. In single-asset mode the balance is that of one asset alone: contracts
margined in another neither take from it nor have it behind them, and of their cross legs nothing can be worked out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from rules.account import Account, Position
from rules.instrument import Instrument, MarginTier, moves_balance
from rules.margin.known import MarginUnknown, isolated_margin_of
from rules.margin.moves import Moving, distance_of_all, distance_to_liquidation
from rules.model import MarginMode
from rules.snapshot import Market

ZERO: Final = Decimal(0)


def revalued(account: Account, markets: Mapping[str, Market]) -> Account:
    """The account at the newest marks; a leg whose symbol has none keeps its own."""
    legs, gained = [], ZERO
    for leg in account.positions:
        market = markets.get(leg.symbol)
        mark = market.mark_price if market is not None else leg.mark_price
        if moves_balance(leg.symbol, account.multi_assets):
            gained += leg.quantity * (mark - leg.mark_price)
        legs.append(replace(leg, mark_price=mark))
    return replace(account, margin_balance=account.margin_balance + gained, positions=tuple(legs))


def distance_of(leg: Position, account: Account, instruments: Mapping[str, Instrument]) -> Decimal | None:
    """The fraction of its mark by which the market must move against ``leg``; infinite when nothing ends it, as of the
    leg of a hedge that the other one outweighs, ``None`` when something is not known, as of a cross leg that another
    asset than the balance's margins."""
    try:
        if leg.margin_mode is MarginMode.ISOLATED:
            return _isolated(leg, instruments)
        return _cross(leg, account, instruments)
    except MarginUnknown:
        return None


def is_carried(leg: Position, account: Account) -> bool:
    """Whether the opposite leg of its symbol carries a cross leg past the venue's liquidation price.

    Both cross legs of a symbol bear one price, at which their net ends: for one of them it lies where that leg gains.
    There it means *already past* only for the leg that outweighs the other.
    """
    price = leg.liquidation_price
    if leg.margin_mode is MarginMode.ISOLATED or not price or (price - leg.mark_price) * leg.quantity <= ZERO:
        return False
    both = [each for each in account.legs(leg.symbol) if each.margin_mode is not MarginMode.ISOLATED]
    if all(each.quantity * leg.quantity >= ZERO for each in both):
        return False
    net = sum((each.quantity for each in both), ZERO)
    if net * leg.quantity <= ZERO:
        return True
    if not moves_balance(leg.symbol, account.multi_assets):
        # What is behind it is never known. A long that is past its price is closed at once; one that a rise ends stays.
        return net > ZERO
    try:
        backing = _cross_backing(leg.symbol, account)
    except MarginUnknown:
        return False
    # Where little is left of the net, a rise ends a net long too: the margin required grows faster than the profit. A
    # price above the mark is then no sign of being past it, unless less is behind the net than it is worth.
    return net > ZERO and backing >= net * leg.mark_price


def notional(leg: Position) -> Decimal:
    """The leg's absolute value at its mark, in quote currency."""
    return abs(leg.quantity) * leg.mark_price


def _isolated(leg: Position, instruments: Mapping[str, Instrument]) -> Decimal:
    value = notional(leg)
    return distance_to_liquidation(
        _isolated_backing(leg), [Moving(value, (value,), leg.quantity < 0, _tiers(leg, instruments))]
    )


def _cross(leg: Position, account: Account, instruments: Mapping[str, Instrument]) -> Decimal:
    """What loses with it are the other symbols that lose on balance, and its own; the maintenance margin of every leg
    must be kept."""
    backing = _cross_backing(leg.symbol, account)
    rising, carried, losing = leg.quantity < 0, [], dict[str, Decimal]()
    for each in _on_balance(account):
        if each.quantity and each.margin_mode is not MarginMode.ISOLATED:
            value = notional(each)
            carried.append((value, _tiers(each, instruments)))
            loses = (each.quantity < 0) is rising
            losing[each.symbol] = losing.get(each.symbol, ZERO) + (value if loses else -value)
    lost = sum((loss if symbol == leg.symbol else max(ZERO, loss) for symbol, loss in losing.items()), ZERO)
    return distance_of_all(backing, lost, carried, growing=rising)


def _cross_backing(symbol: str, account: Account) -> Decimal:
    """The balance behind the cross legs of ``symbol``: all of it less what stands behind isolated legs alone."""
    if not moves_balance(symbol, account.multi_assets):
        raise MarginUnknown(f"the balance behind {symbol}")
    isolated = [each for each in _on_balance(account) if each.margin_mode is MarginMode.ISOLATED]
    return account.margin_balance - sum((max(ZERO, _isolated_backing(each)) for each in isolated), ZERO)


def _on_balance(account: Account) -> list[Position]:
    return [each for each in account.positions if moves_balance(each.symbol, account.multi_assets)]


def _isolated_backing(leg: Position) -> Decimal:
    return isolated_margin_of(leg) + leg.quantity * (leg.mark_price - leg.entry_price)


def _tiers(leg: Position, instruments: Mapping[str, Instrument]) -> tuple[MarginTier, ...]:
    instrument = instruments.get(leg.symbol)
    if instrument is None or not instrument.tiers:
        raise MarginUnknown(f"the margin tiers of {leg.symbol}")
    return instrument.tiers
