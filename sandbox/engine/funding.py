"""Charge funding at 00:00, 08:00 and 16:00 UTC of engine time, or when the record that is played back says so.

Longs pay shorts when the rate is positive; the street is on the other side of whatever the accounts pay in sum.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """The next moment funding is charged by the clock, strictly after `now_ms`."""
    return now_ms - now_ms % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS


def next_charge_ms(market: Market, now_ms: int) -> int:
    """The next moment this market charges funding: the record's next entry, or else the clock's."""
    return market.recorded_fundings[0].time_ms if market.recorded_fundings else next_funding_ms(now_ms)


def funding_rate(market: Market) -> Decimal:
    """The rate that would be charged now: the record's, or premium + clamp(interest - premium, +-0.05 %) within +-2 %.

    Premium is mark over index; the venue averages it over the interval, this takes the instant.
    Formula: Binance support page "introduction to Binance futures funding rates".
    """
    if market.recorded_fundings:
        return market.recorded_fundings[0].rate
    premium = (market.mark_price - market.index_price) / market.index_price
    rate = premium + max(-_DAMPER, min(_DAMPER, INTEREST_RATE - premium))
    return max(-FUNDING_CAP, min(FUNDING_CAP, rate)).quantize(Decimal("1e-8"))


def charge_funding(exchange: Exchange, since_ms: int) -> None:
    """Charge every position for the funding times that lie in (`since_ms`, now]."""
    for market in exchange.markets.values():
        if not market.trading:
            continue
        for fixing in _due(market, since_ms, exchange.now_ms):
            market.fixings.append(fixing)
            _charge(exchange, market, fixing)


def _due(market: Market, since_ms: int, now_ms: int) -> Iterator[FundingFixing]:
    if not market.recorded_fundings:
        due_ms = next_funding_ms(since_ms)
        while due_ms <= now_ms:
            yield FundingFixing(due_ms, funding_rate(market), market.mark_price)
            due_ms += FUNDING_INTERVAL_MS
        return
    while market.recorded_fundings and market.recorded_fundings[0].time_ms <= now_ms:
        recorded = market.recorded_fundings.popleft()
        yield FundingFixing(recorded.time_ms, recorded.rate, market.mark_price)


def _charge(exchange: Exchange, market: Market, fixing: FundingFixing) -> None:
    symbol = market.instrument.symbol
    for account in exchange.accounts.values():
        for leg in account.legs(symbol):
            payment = -leg.quantity * fixing.mark_price * fixing.rate
            booked = exchange.pay(account, IncomeKind.FUNDING, symbol, payment)
            exchange.street.cash -= booked
            changed = []
            if account.isolated(symbol):
                leg.isolated_wallet += booked
                changed = [leg]
            exchange.events.account_changed(exchange.now_ms, account, Cause.FUNDING, *changed, change=booked)
