"""Move time: one step is 250 ms of weather, matching, triggers, liquidation and funding, always in this order."""

from __future__ import annotations

from decimal import Decimal

from sandbox.engine.delisting import announce_scripted_delisting, deliver_due
from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import charge_funding
from sandbox.engine.liquidation import liquidate_due
from sandbox.engine.margin_call import call_margin
from sandbox.engine.market import Market, PublicTrade
from sandbox.engine.matching import fill_crossed
from sandbox.engine.model import ZERO, Side
from sandbox.engine.playback import Playback
from sandbox.engine.scenario import STEP_MS, Scenario, Weather, in_outage, moved, shock, weather
from sandbox.engine.trading import expire_due
from sandbox.engine.triggers import fire_reached
from sandbox.engine.twap import work_twaps


def step(exchange: Exchange) -> None:
    """Advance the exchange by one step of `STEP_MS`. While it is halted nothing but time goes on."""
    exchange.now_ms += STEP_MS
    exchange.steps += 1
    elapsed = exchange.steps - exchange.scenario_began - 1
    exchange.outage = in_outage(exchange.scenario, elapsed)
    if exchange.halted:
        return
    if exchange.scenario is Scenario.DELISTING and elapsed == 0:
        announce_scripted_delisting(exchange)
    terms = weather(exchange.scenario, elapsed)
    if terms is not None:
        _move_prices(exchange, terms)
    for market in exchange.markets.values():
        market.depth.refill()
        if exchange.playback is not None and market.instrument.symbol in exchange.playback.symbols:
            _play_back(exchange, market, exchange.playback)
        elif terms is None:
            market.set_index(market.index_price)
        fill_crossed(exchange, market)
    expire_due(exchange)
    work_twaps(exchange)
    _settle(exchange)
    deliver_due(exchange)
    charge_funding(exchange, exchange.funded_ms)
    exchange.funded_ms = exchange.now_ms


def jump(exchange: Exchange, symbol: str, price: Decimal, mark_price: Decimal | None = None) -> None:
    """Put a symbol's index, last and mark price at `price` (the mark at `mark_price` if given), then settle."""
    market = exchange.market(symbol)
    market.jump(price, mark_price)
    if exchange.halted:
        return
    fill_crossed(exchange, market)
    _settle(exchange)


def begin(exchange: Exchange, scenario: Scenario) -> None:
    """Start playing `scenario` from its beginning at the next step; an outage of the last one is over at once."""
    exchange.scenario = scenario
    exchange.scenario_began = exchange.steps
    exchange.outage = False


def start_playback(exchange: Exchange, playback: Playback) -> None:
    """Put time and prices at the beginning of a record; its symbols follow it from the next step on.

    To be called on a new exchange, before anything has happened on it.
    """
    exchange.now_ms = exchange.funded_ms = playback.start_ms
    exchange.playback = playback
    for symbol, recording in playback.symbols.items():
        market = exchange.market(symbol)
        price = playback.price(symbol, exchange.now_ms)
        market.jump(price, playback.mark_price(symbol, exchange.now_ms))
        market.recorded_fundings.extend(row for row in recording.fundings if row.time_ms > exchange.now_ms)
    for market in exchange.markets.values():
        for series in (market.candles, market.mark_candles, market.index_candles):
            series.minutes.clear()
        market.touch(exchange.now_ms)


def _move_prices(exchange: Exchange, terms: Weather) -> None:
    recorded = exchange.playback.symbols if exchange.playback else {}
    common = shock(exchange.chance)
    for market in exchange.markets.values():
        own = shock(exchange.chance)
        if not market.trading or market.instrument.symbol in recorded:
            continue
        price = moved(market.index_price, market.instrument.volatility_per_year, common, own, terms)
        market.set_index(price, terms.premium, terms.depth)
        lots = 1 + exchange.chance.getrandbits(6)
        _print_background_trade(exchange, market, lots * market.instrument.lot_step)


def _play_back(exchange: Exchange, market: Market, playback: Playback) -> None:
    if not market.trading:
        return
    symbol = market.instrument.symbol
    market.set_index(playback.price(symbol, exchange.now_ms))
    mark_price = playback.mark_price(symbol, exchange.now_ms)
    if mark_price is not None:
        market.mark_price = mark_price
    _print_background_trade(exchange, market, playback.volume(symbol, exchange.now_ms, STEP_MS))


def _print_background_trade(exchange: Exchange, market: Market, quantity: Decimal) -> None:
    """Other people's business: one print a step at the touch, so the tape and the last price are alive.

    The tape shows whole lots. What a step has less is shown with a later one, but it moves the last price already.
    """
    taker = Side.BUY if exchange.chance.getrandbits(1) else Side.SELL
    price = market.best_price(taker.opposite)
    if price is None or quantity <= ZERO:
        return
    step_size = market.instrument.lot_step
    whole = (market.unprinted + quantity) // step_size * step_size
    market.unprinted += quantity - whole
    market.last_price = price
    if whole:
        maker_bought = taker is Side.SELL
        market.print_trade(PublicTrade(exchange.next_id(), price, whole, exchange.now_ms, maker_bought))


def _settle(exchange: Exchange) -> None:
    """Fire triggers, liquidate, and write down the prices."""
    fire_reached(exchange)
    liquidate_due(exchange)
    call_margin(exchange)
    for market in exchange.markets.values():
        market.touch(exchange.now_ms)
