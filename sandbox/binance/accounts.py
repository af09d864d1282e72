"""Handlers that read an account: balances, positions, settings, fills, incomes."""

from __future__ import annotations

import hashlib

from sandbox.binance.account_replies import (
    account_position_reply,
    account_totals_reply,
    active_legs,
    asset_reply,
    leg,
    listed_legs,
    position_risk_reply,
    totals,
)
from sandbox.binance.call import AccountCall, Json, money, plain
from sandbox.binance.order_replies import fill_reply
from sandbox.engine.model import IncomeKind, MarginMode

_INCOME_TYPES = {IncomeKind.FUNDING: "FUNDING_FEE"}


def balances(call: AccountCall) -> list[Json]:
    """GET /fapi/v2/balance and /fapi/v3/balance."""
    sums = totals(call.exchange, call.account)
    return [
        {
            "accountAlias": hashlib.sha256(call.account.name.encode()).hexdigest()[:6],
            "asset": "USDT",
            "balance": money(sums.wallet),
            "crossWalletBalance": money(sums.cross_wallet),
            "crossUnPnl": money(sums.cross_unrealised),
            "availableBalance": money(sums.available),
            "maxWithdrawAmount": money(min(sums.available, sums.cross_wallet)),
            "marginAvailable": True,
            "updateTime": call.exchange.now_ms,
        }
    ]


def account_v2(call: AccountCall) -> Json:
    """GET /fapi/v2/account: every symbol, with leverage and entry price."""
    exchange, account = call.exchange, call.account
    sums = totals(exchange, account)
    positions = [
        account_position_reply(exchange, account, leg(account, symbol, side), old=True)
        for symbol in exchange.markets
        for side in listed_legs(account)
    ]
    config = {**_permissions(), "multiAssetsMargin": account.multi_assets, "tradeGroupId": -1}
    return config | account_totals_reply(sums) | {"assets": [asset_reply(exchange, sums)], "positions": positions}


def account_v3(call: AccountCall) -> Json:
    """GET /fapi/v3/account: only symbols with a position or an open order."""
    exchange, account = call.exchange, call.account
    sums = totals(exchange, account)
    positions = [
        account_position_reply(exchange, account, leg(account, symbol, side), old=False)
        for symbol in exchange.markets
        for side in active_legs(account, symbol)
    ]
    return account_totals_reply(sums) | {"assets": [asset_reply(exchange, sums)], "positions": positions}


def position_risk_v2(call: AccountCall) -> list[Json]:
    """GET /fapi/v2/positionRisk: every symbol."""
    return [
        position_risk_reply(call.exchange, call.account, leg(call.account, market.instrument.symbol, side), old=True)
        for market in call.markets()
        for side in listed_legs(call.account)
    ]


def position_risk_v3(call: AccountCall) -> list[Json]:
    """GET /fapi/v3/positionRisk: only symbols with a position or an open order."""
    return [
        position_risk_reply(call.exchange, call.account, leg(call.account, market.instrument.symbol, side), old=False)
        for market in call.markets()
        for side in active_legs(call.account, market.instrument.symbol)
    ]


def account_config(call: AccountCall) -> Json:
    """GET /fapi/v1/accountConfig."""
    return _permissions() | {
        "dualSidePosition": call.account.hedge_mode,
        "multiAssetsMargin": call.account.multi_assets,
        "tradeGroupId": -1,
    }


def symbol_config(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/symbolConfig, one symbol or all."""
    rows: list[Json] = []
    for market in call.markets():
        settings = call.account.on(market.instrument.symbol)
        rows.append(
            {
                "symbol": market.instrument.symbol,
                "marginType": "ISOLATED" if settings.margin_mode is MarginMode.ISOLATED else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": settings.leverage,
                "maxNotionalValue": plain(market.instrument.notional_cap(settings.leverage)),
            }
        )
    return rows


def leverage_brackets(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/leverageBracket, one symbol or all; here the venue sends numbers, not strings."""
    return [
        {
            "symbol": market.instrument.symbol,
            "notionalCoef": 1,
            "brackets": [
                {
                    "bracket": tier.number,
                    "initialLeverage": tier.leverage_max,
                    "notionalCap": tier.notional_cap,
                    "notionalFloor": tier.notional_floor,
                    "maintMarginRatio": tier.maintenance_rate,
                    "cum": tier.deduction,
                }
                for tier in market.instrument.tiers
            ],
        }
        for market in call.markets()
    ]


def commission_rate(call: AccountCall) -> Json:
    """GET /fapi/v1/commissionRate."""
    instrument = call.market().instrument
    return {
        "symbol": instrument.symbol,
        "makerCommissionRate": plain(instrument.maker_fee),
        "takerCommissionRate": plain(instrument.taker_fee),
    }


def user_trades(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/userTrades: the newest of one symbol, or those from an id or a time on, oldest first."""
    market = call.market()
    order_id = call.params.integer("orderId")
    from_id = call.params.integer("fromId") or 0
    since = call.params.integer("startTime") or 0
    until = call.params.integer("endTime")
    rows = [
        fill
        for fill in call.account.fills
        if fill.symbol == market.instrument.symbol
        and order_id in (None, fill.order_id)
        and fill.trade_id >= from_id
        and fill.time_ms >= since
        and (until is None or fill.time_ms <= until)
    ]
    limit = call.limit(500, 1000)
    return [fill_reply(market, fill) for fill in (rows[:limit] if from_id or since else rows[-limit:])]


def incomes(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/income: the newest, or those from a time on, oldest first."""
    symbol = call.params.text("symbol")
    kind = call.params.text("incomeType")
    since = call.params.integer("startTime") or 0
    until = call.params.integer("endTime")
    rows = [
        income
        for income in call.account.incomes
        if symbol in (None, income.symbol)
        and kind in (None, _INCOME_TYPES.get(income.kind, str(income.kind)))
        and income.time_ms >= since
        and (until is None or income.time_ms <= until)
    ]
    limit = call.limit(100, 1000)
    return [
        {
            "symbol": income.symbol,
            "incomeType": _INCOME_TYPES.get(income.kind, str(income.kind)),
            "income": money(income.amount),
            "asset": "USDT",
            "time": income.time_ms,
            "info": str(income.trade_id or _INCOME_TYPES.get(income.kind, str(income.kind))),
            "tranId": income.income_id,
            "tradeId": str(income.trade_id or ""),
        }
        for income in (rows[:limit] if since else rows[-limit:])
    ]


def order_rate_limits(call: AccountCall) -> list[Json]:
    """GET /fapi/v1/rateLimit/order."""
    limits = ((10, "SECOND", call.limits.orders_10s.listed),)
    minute = (1, "MINUTE", call.limits.orders_1m.listed)
    return [
        {"rateLimitType": "ORDERS", "interval": interval, "intervalNum": number, "limit": limit}
        for number, interval, limit in (*limits, minute)
    ]


def api_trading_status(call: AccountCall) -> Json:
    """GET /fapi/v1/apiTradingStatus: no indicator is ever triggered."""
    return {"indicators": {}, "updateTime": call.exchange.now_ms}


def _permissions() -> Json:
    return {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "feeBurn": False, "updateTime": 0}
