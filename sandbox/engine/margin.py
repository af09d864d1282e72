"""Margin arithmetic: what positions and orders require, what is available, and where a position dies.

Formulas: Binance support pages on USD-M futures ("how to calculate cost required to open
a position", "how to calculate liquidation price of USD-M futures contracts"), written down from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.model import ZERO, Order, Position, PositionSide, Side


@dataclass(frozen=True, slots=True)
class LegExposure:
    """Signed position notional of one leg and the notionals of the orders that would open more of it, both positive."""

    position: Decimal = ZERO
    bids: Decimal = ZERO
    asks: Decimal = ZERO

    @property
    def worst(self) -> Decimal:
        """The largest absolute notional the leg can reach if every order on one side fills."""
        return max(abs(self.position + self.bids), abs(self.position - self.asks), abs(self.position))

    def with_order(self, side: Side, notional: Decimal) -> LegExposure:
        """The exposure with one more opening order."""
        if side is Side.BUY:
            return LegExposure(self.position, self.bids + notional, self.asks)
        return LegExposure(self.position, self.bids, self.asks + notional)


def exposure(
    exchange: Exchange, account: Account, symbol: str, position_side: PositionSide, without: Order | None = None
) -> LegExposure:
    """One leg's exposure: position at mark, orders at their price; reducing orders and `without` are left out."""
    position = account.positions.get((symbol, position_side))
    quantity = position.quantity if position else ZERO
    bids = asks = ZERO
    for order in account.orders_on(symbol):
        if order.position_side is position_side and not order.reduce_only and order is not without:
            notional = order.leaves_quantity * order.price
            if order.side is Side.BUY:
                bids += notional
            else:
                asks += notional
    return LegExposure(quantity * exchange.market(symbol).mark_price, bids, asks)


def legs_of(account: Account) -> tuple[PositionSide, ...]:
    """The legs an account trades in its present mode."""
    return (PositionSide.LONG, PositionSide.SHORT) if account.hedge_mode else (PositionSide.BOTH,)


@dataclass(frozen=True, slots=True)
class InitialMargin:
    """Initial margin of one symbol or account, in quote currency."""

    positions: Decimal = ZERO
    orders: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Positions and orders together."""
        return self.positions + self.orders


def initial_margin(exchange: Exchange, account: Account, symbol: str, leg: PositionSide | None = None) -> InitialMargin:
    """Initial margin of a symbol (or one leg): worst notional / leverage, split into positions and orders."""
    leverage = account.on(symbol).leverage
    positions = orders = ZERO
    for position_side in (leg,) if leg else legs_of(account):
        held = exposure(exchange, account, symbol, position_side)
        positions += abs(held.position) / leverage
        orders += (held.worst - abs(held.position)) / leverage
    return InitialMargin(positions, orders)


def maintenance_margin(exchange: Exchange, position: Position) -> Decimal:
    """Maintenance margin of one leg at the mark price, in quote currency."""
    market = exchange.market(position.symbol)
    return market.instrument.maintenance_margin(abs(position.quantity * market.mark_price))


def unrealised(exchange: Exchange, position: Position) -> Decimal:
    """Unrealised profit of one leg at the mark price."""
    return position.unrealised(exchange.market(position.symbol).mark_price)


def backing(exchange: Exchange, account: Account, position: Position) -> Decimal:
    """What stands behind a leg at the mark price: its own margin when isolated, else all of the cross balance."""
    if account.isolated(position.symbol):
        return position.isolated_wallet + unrealised(exchange, position)
    return cross_state(exchange, account).balance


def bankruptcy_price(exchange: Exchange, account: Account, position: Position) -> Decimal:
    """Where closing the leg would leave nothing of what stands behind it, on the tick that favours the customer.

    Cross legs share the account's balance in proportion to their maintenance margins.
    """
    market = exchange.market(position.symbol)
    stake = backing(exchange, account, position)
    if not account.isolated(position.symbol):
        stake *= maintenance_margin(exchange, position) / cross_state(exchange, account).maintenance
    price = market.mark_price - stake / position.quantity
    tick = market.instrument.tick
    rounding = ROUND_CEILING if position.quantity > 0 else ROUND_FLOOR
    return max(tick, (price / tick).to_integral_value(rounding) * tick)


@dataclass(frozen=True, slots=True)
class CrossState:
    """What backs an account's cross positions, and what they need. Quote currency."""

    wallet: Decimal
    unrealised: Decimal
    maintenance: Decimal

    @property
    def balance(self) -> Decimal:
        """Cross margin balance."""
        return self.wallet + self.unrealised


def cross_state(exchange: Exchange, account: Account) -> CrossState:
    """Sum up the cross side of an account."""
    legs = [leg for leg in account.legs() if not account.isolated(leg.symbol)]
    return CrossState(
        wallet=account.cross_wallet,
        unrealised=sum((unrealised(exchange, leg) for leg in legs), ZERO),
        maintenance=sum((maintenance_margin(exchange, leg) for leg in legs), ZERO),
    )


def available_balance(exchange: Exchange, account: Account) -> Decimal:
    """What new orders may use: cross balance less the margin of cross positions and of all orders; never negative."""
    used = ZERO
    for symbol in sorted({order.symbol for order in account.open_orders.values()} | {x.symbol for x in account.legs()}):
        margin = initial_margin(exchange, account, symbol)
        # An isolated position's margin has already left the cross wallet.
        used += margin.orders if account.isolated(symbol) else margin.total
    return max(ZERO, cross_state(exchange, account).balance - used)


def spare_wallet(exchange: Exchange, account: Account) -> Decimal:
    """What can be set aside for an isolated position: no more than is available, nor than the cross wallet holds.

    Open profit backs cross positions, but it is not in the wallet yet.
    """
    return max(ZERO, min(available_balance(exchange, account), account.cross_wallet))


def liquidation_price(exchange: Exchange, account: Account, position: Position) -> Decimal:
    """The mark price at which the leg's margin equals its maintenance margin, zero when there is none above zero.

    Solves wallet + other profits - other maintenance + sum(q x (P - entry)) = sum(|q| x P x rate - deduction) for P,
    over the legs that share the wallet on this symbol (one when isolated, both hedge legs when cross). The tier of
    each leg is the one it is in at P, so P is solved for again until the tiers are those it was solved with.
    """
    instrument = exchange.market(position.symbol).instrument
    if account.isolated(position.symbol):
        legs, backing = [position], position.isolated_wallet
    else:
        legs = list(account.legs(position.symbol))
        others = [x for x in account.legs() if x.symbol != position.symbol and not account.isolated(x.symbol)]
        backing = account.cross_wallet + sum(
            (unrealised(exchange, x) - maintenance_margin(exchange, x) for x in others), ZERO
        )
    price, solved_with = exchange.market(position.symbol).mark_price, None
    # Each round comes nearer by a tier of a leg at least, or there is no such price, as for a hedge that is bankrupt.
    for _ in range(len(legs) * len(instrument.tiers) + 1):
        tiers = [instrument.tier_for(abs(leg.quantity) * price) for leg in legs]
        if tiers == solved_with:
            return price
        numerator, denominator = backing, ZERO
        for leg, tier in zip(legs, tiers, strict=True):
            numerator += tier.deduction - leg.quantity * leg.entry_price
            denominator += abs(leg.quantity) * tier.maintenance_rate - leg.quantity
        if not denominator:
            return ZERO
        price, solved_with = max(ZERO, numerator / denominator), tiers
    return ZERO
