"""Charge funding at 00:00, 08:00 and 16:00 UTC of engine time: longs pay shorts when the rate is positive."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.events import Cause
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import FundingFixing, Market
from sandbox.engine.model import IncomeKind

FUNDING_INTERVAL_MS = 8 * 3600 * 1000
INTEREST_RATE = Decimal("0.0001")
FUNDING_CAP = Decimal("0.02")
_DAMPER = Decimal("0.0005")


def next_funding_ms(now_ms: int) -> int:
    """The next moment funding is charged, strictly after `now_ms`."""
    return now_ms - now_ms % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS


def funding_rate(market: Market) -> Decimal:
    """The rate that would be charged now: premium + clamp(interest - premium, +-0.05 %), within +-2 %.

    Premium is mark over index; the venue averages it over the interval, this takes the instant.
    Formula: Binance support page "introduction to Binance futures funding rates".
    """
    premium = (market.mark_price - market.index_price) / market.index_price
    rate = premium + max(-_DAMPER, min(_DAMPER, INTEREST_RATE - premium))
    return max(-FUNDING_CAP, min(FUNDING_CAP, rate)).quantize(Decimal("1e-8"))


def charge_funding(exchange: Exchange, since_ms: int) -> None:
    """Charge every position if a funding time lies in (`since_ms`, now]."""
    due_ms = next_funding_ms(since_ms)
    if due_ms > exchange.now_ms:
        return
    for market in exchange.markets.values():
        market.fixings.append(FundingFixing(due_ms, funding_rate(market), market.mark_price))
    for account in exchange.accounts.values():
        for leg in account.legs():
            market = exchange.market(leg.symbol)
            payment = -leg.quantity * market.mark_price * funding_rate(market)
            booked = exchange.pay(account, IncomeKind.FUNDING, leg.symbol, payment)
            changed = []
            if account.isolated(leg.symbol):
                leg.isolated_wallet += booked
                changed = [leg]
            exchange.events.account_changed(exchange.now_ms, account, Cause.FUNDING, *changed, change=booked)
