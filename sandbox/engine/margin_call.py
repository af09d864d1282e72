"""Warn an account, once per approach, before its cross margin is liquidated."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.exchange import Exchange
from sandbox.engine.margin import cross_state

# Maintenance margin over margin balance; 1 is liquidation. Binance warns at 80 % (support page "margin call", [G]).
WARNING_RATIO = Decimal("0.8")


def call_margin(exchange: Exchange) -> None:
    """Tell every account whose cross margin ratio has just reached `WARNING_RATIO`; one below it may be told again."""
    for account in exchange.accounts.values():
        legs = [leg for leg in account.legs() if not account.isolated(leg.symbol)]
        if not legs:
            account.margin_called = False
            continue
        state = cross_state(exchange, account)
        near = state.maintenance >= state.balance * WARNING_RATIO
        if near and not account.margin_called:
            exchange.events.margin_called(exchange.now_ms, account, legs)
        account.margin_called = near
