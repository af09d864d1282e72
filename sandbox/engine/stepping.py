"""Move time: one step is 250 ms of weather, matching, triggers, liquidation and funding, always in this order."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import charge_funding
from sandbox.engine.liquidation import liquidate_due
from sandbox.engine.margin_call import call_margin
from sandbox.engine.market import Market, PublicTrade
from sandbox.engine.matching import fill_crossed
from sandbox.engine.model import Side
from sandbox.engine.scenario import STEP_MS, Scenario, Weather, moved, shock, weather
from sandbox.engine.trading import expire_due
from sandbox.engine.triggers import fire_reached


def step(exchange: Exchange) -> None:
    """Advance the exchange by one step of `STEP_MS`."""
    before_ms = exchange.now_ms
    exchange.now_ms += STEP_MS
    exchange.steps += 1
    terms = weather(exchange.scenario, exchange.steps - exchange.scenario_began - 1)
    if terms is not None:
        _move_prices(exchange, terms)
    for market in exchange.markets.values():
        market.depth.refill()
        if terms is None:
            market.set_index(market.index_price)
        fill_crossed(exchange, market)
    expire_due(exchange)
    _settle(exchange)
    charge_funding(exchange, before_ms)


def jump(exchange: Exchange, symbol: str, price: Decimal, mark_price: Decimal | None = None) -> None:
    """Put a symbol's index, last and mark price at `price` (the mark at `mark_price` if given), then settle."""
    market = exchange.market(symbol)
    market.jump(price, mark_price)
    fill_crossed(exchange, market)
    _settle(exchange)


def begin(exchange: Exchange, scenario: Scenario) -> None:
    """Start playing `scenario` from its beginning at the next step."""
    exchange.scenario = scenario
    exchange.scenario_began = exchange.steps


def _move_prices(exchange: Exchange, terms: Weather) -> None:
    common = shock(exchange.chance)
    for market in exchange.markets.values():
        own = shock(exchange.chance)
        market.set_index(moved(market.index_price, market.instrument.volatility_per_year, common, own, terms))
        _print_background_trade(exchange, market)


def _print_background_trade(exchange: Exchange, market: Market) -> None:
    """Other people's business: one small print a step at the touch, so the tape and the last price are alive."""
    taker = Side.BUY if exchange.chance.getrandbits(1) else Side.SELL
    price = market.best_price(taker.opposite)
    lots = 1 + exchange.chance.getrandbits(6)
    if price is not None:
        quantity = lots * market.instrument.lot_step
        maker_bought = taker is Side.SELL
        market.print_trade(PublicTrade(exchange.next_id(), price, quantity, exchange.now_ms, maker_bought))


def _settle(exchange: Exchange) -> None:
    """Fire triggers, liquidate, and write down the prices."""
    fire_reached(exchange)
    liquidate_due(exchange)
    call_margin(exchange)
    for market in exchange.markets.values():
        market.touch(exchange.now_ms)
