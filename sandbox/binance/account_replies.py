"""Balances and positions in the venue's JSON shapes, the old (v2) and the new (v3)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.binance.call import Json, money, on_step, plain
from sandbox.engine.account import Account
from sandbox.engine.deleveraging import adl_quantile
from sandbox.engine.exchange import Exchange
from sandbox.engine.margin import (
    InitialMargin,
    available_balance,
    cross_state,
    exposure,
    initial_margin,
    liquidation_price,
    maintenance_margin,
    unrealised,
)
from sandbox.engine.model import ZERO, MarginMode, Position, PositionSide


@dataclass(frozen=True, slots=True)
class Totals:
    """An account's sums in quote currency, computed once per reply."""

    wallet: Decimal
    unrealised: Decimal
    cross_wallet: Decimal
    cross_unrealised: Decimal
    available: Decimal
    maintenance: Decimal
    initial: InitialMargin


def totals(exchange: Exchange, account: Account) -> Totals:
    """Sum up an account at the current mark prices."""
    cross = cross_state(exchange, account)
    symbols = {order.symbol for order in account.open_orders.values()} | {leg.symbol for leg in account.legs()}
    margins = [initial_margin(exchange, account, symbol) for symbol in sorted(symbols)]
    return Totals(
        wallet=account.wallet,
        unrealised=sum((unrealised(exchange, leg) for leg in account.legs()), ZERO),
        cross_wallet=cross.wallet,
        cross_unrealised=cross.unrealised,
        available=available_balance(exchange, account),
        maintenance=sum((maintenance_margin(exchange, leg) for leg in account.legs()), ZERO),
        initial=InitialMargin(
            sum((margin.positions for margin in margins), ZERO), sum((margin.orders for margin in margins), ZERO)
        ),
    )


def asset_reply(exchange: Exchange, sums: Totals) -> Json:
    """The USDT line of an account; the practice exchange knows no other asset."""
    return {
        "asset": "USDT",
        "walletBalance": money(sums.wallet),
        "unrealizedProfit": money(sums.unrealised),
        "marginBalance": money(sums.wallet + sums.unrealised),
        "maintMargin": money(sums.maintenance),
        "initialMargin": money(sums.initial.total),
        "positionInitialMargin": money(sums.initial.positions),
        "openOrderInitialMargin": money(sums.initial.orders),
        "crossWalletBalance": money(sums.cross_wallet),
        "crossUnPnl": money(sums.cross_unrealised),
        "availableBalance": money(sums.available),
        "maxWithdrawAmount": money(min(sums.available, max(ZERO, sums.cross_wallet))),
        "marginAvailable": True,
        # ccxt skips assets whose updateTime is 0 as uninitialised.
        "updateTime": exchange.now_ms,
    }


def account_totals_reply(sums: Totals) -> Json:
    """The totals every account reply carries."""
    return {
        "totalInitialMargin": money(sums.initial.total),
        "totalMaintMargin": money(sums.maintenance),
        "totalWalletBalance": money(sums.wallet),
        "totalUnrealizedProfit": money(sums.unrealised),
        "totalMarginBalance": money(sums.wallet + sums.unrealised),
        "totalPositionInitialMargin": money(sums.initial.positions),
        "totalOpenOrderInitialMargin": money(sums.initial.orders),
        "totalCrossWalletBalance": money(sums.cross_wallet),
        "totalCrossUnPnl": money(sums.cross_unrealised),
        "availableBalance": money(sums.available),
        "maxWithdrawAmount": money(min(sums.available, max(ZERO, sums.cross_wallet))),
    }


def listed_legs(account: Account) -> list[PositionSide]:
    """The legs the old replies list for every symbol, used or not."""
    return [PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT] if account.hedge_mode else [PositionSide.BOTH]


def active_legs(account: Account, symbol: str) -> list[PositionSide]:
    """The legs the new replies list: those with a position or an open order."""
    used = {leg.position_side for leg in account.legs(symbol)}
    used |= {order.position_side for order in account.orders_on(symbol)}
    return sorted(used)


def leg(account: Account, symbol: str, position_side: PositionSide) -> Position:
    """The leg as it is, or an empty one that is not kept."""
    held = account.positions.get((symbol, position_side))
    return held or Position(symbol=symbol, position_side=position_side)


def account_position_reply(exchange: Exchange, account: Account, position: Position, *, old: bool) -> Json:
    """One entry of `positions` in /account."""
    market = exchange.market(position.symbol)
    margin = initial_margin(exchange, account, position.symbol, position.position_side)
    held = exposure(exchange, account, position.symbol, position.position_side)
    profit = unrealised(exchange, position)
    isolated = account.isolated(position.symbol)
    reply: Json = {
        "symbol": position.symbol,
        "positionSide": str(position.position_side),
        "positionAmt": on_step(market, position.quantity),
        "unrealizedProfit": money(profit),
        "isolatedMargin": money(position.isolated_wallet + profit) if isolated and position.quantity else "0",
        "notional": plain(position.quantity * market.mark_price),
        "isolatedWallet": money(position.isolated_wallet) if isolated else "0",
        "initialMargin": money(margin.total),
        "maintMargin": money(maintenance_margin(exchange, position)),
        "updateTime": position.updated_ms,
    }
    if old:
        settings = account.on(position.symbol)
        reply |= {
            "positionInitialMargin": money(margin.positions),
            "openOrderInitialMargin": money(margin.orders),
            "leverage": str(settings.leverage),
            "isolated": isolated,
            "entryPrice": plain(position.entry_price),
            "breakEvenPrice": plain(position.break_even_price.quantize(Decimal("1e-10"))),
            "maxNotional": plain(market.instrument.notional_cap(settings.leverage)),
            "bidNotional": plain(held.bids),
            "askNotional": plain(held.asks),
        }
    return reply


def position_risk_reply(exchange: Exchange, account: Account, position: Position, *, old: bool) -> Json:
    """One entry of /positionRisk."""
    market = exchange.market(position.symbol)
    settings = account.on(position.symbol)
    isolated = settings.margin_mode is MarginMode.ISOLATED
    profit = unrealised(exchange, position)
    margin = initial_margin(exchange, account, position.symbol, position.position_side)
    held = exposure(exchange, account, position.symbol, position.position_side)
    liquidation = liquidation_price(exchange, account, position) if position.quantity else ZERO
    reply: Json = {
        "symbol": position.symbol,
        "positionSide": str(position.position_side),
        "positionAmt": on_step(market, position.quantity),
        "entryPrice": plain(position.entry_price),
        "breakEvenPrice": plain(position.break_even_price.quantize(Decimal("1e-10"))),
        "markPrice": money(market.mark_price),
        "unRealizedProfit": money(profit),
        "liquidationPrice": plain(liquidation.quantize(Decimal("1e-8"))),
        # "0" is how ccxt tells cross from isolated in the new reply.
        "isolatedMargin": money(position.isolated_wallet + profit) if isolated and position.quantity else "0",
        "notional": plain(position.quantity * market.mark_price),
        "isolatedWallet": money(position.isolated_wallet) if isolated else "0",
        "updateTime": position.updated_ms,
    }
    if old:
        return reply | {
            "leverage": str(settings.leverage),
            "maxNotionalValue": plain(market.instrument.notional_cap(settings.leverage)),
            "marginType": "isolated" if isolated else "cross",
            "isAutoAddMargin": "false",
            "isolated": isolated,
            "adlQuantile": adl_quantile(exchange, position),
        }
    return reply | {
        "marginAsset": market.instrument.quote,
        "initialMargin": money(margin.total),
        "maintMargin": money(maintenance_margin(exchange, position)),
        "positionInitialMargin": money(margin.positions),
        "openOrderInitialMargin": money(margin.orders),
        "adl": adl_quantile(exchange, position),
        "bidNotional": plain(held.bids),
        "askNotional": plain(held.asks),
    }
