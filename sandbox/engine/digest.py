"""A fingerprint of the whole state, so that two runs can be compared byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market


def digest(exchange: Exchange) -> str:
    """SHA-256 over every price, order, position, fill and income; equal for equal seeds and commands."""
    fingerprint = hashlib.sha256()
    for line in _lines(exchange):
        fingerprint.update(line.encode())
        fingerprint.update(b"\n")
    return fingerprint.hexdigest()


def _lines(exchange: Exchange) -> Iterator[str]:
    yield f"{exchange.now_ms} {exchange.steps} {exchange.scenario} {exchange.insurance_fund} {exchange.treasury}"
    yield f"{exchange.outage} {exchange.maintenance} {exchange.funded_ms} {exchange.partial_fills} {exchange.street}"
    for symbol in sorted(exchange.markets):
        yield from _market_lines(exchange.markets[symbol])
    for name in sorted(exchange.accounts):
        yield from _account_lines(exchange.accounts[name])


def _market_lines(market: Market) -> Iterator[str]:
    yield f"{market.instrument.symbol} {market.index_price} {market.mark_price} {market.last_price}"
    yield f"{market.status} {market.delivery_ms} {market.depth.share} {market.depth.unrest} {market.depth.withdrawn}"
    yield f"{market.depth.taken!r} {market.unprinted}"
    yield from map(repr, market.tape)
    yield from map(repr, market.fixings)


def _account_lines(account: Account) -> Iterator[str]:
    yield f"{account.name} {account.wallet} {account.hedge_mode} {account.multi_assets}"
    yield from map(repr, account.legs())
    yield from map(repr, account.orders)
    yield from map(repr, account.conditionals)
    yield from map(repr, account.fills)
    yield from map(repr, account.incomes)
