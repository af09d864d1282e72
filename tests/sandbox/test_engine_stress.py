"""Bad days: thinning books, squeezes, delistings, outages, and the faults that live inside the engine."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from sandbox.engine.delisting import NOTICE_MS, announce_delisting
from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import funding_rate
from sandbox.engine.instrument import InstrumentStatus
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.model import OrderStatus, PositionSide, Side, TimeInForce
from sandbox.engine.money import take_stock
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.scenario import (
    CRASH_STEPS,
    OUTAGE_BEGINS,
    OUTAGE_ENDS,
    SQUEEZE_STEPS,
    STEP_MS,
    Scenario,
)
from sandbox.engine.stepping import begin, jump, step
from sandbox.engine.trading import amend, cancel, place
from sandbox.engine.triggers import place_conditional
from tests.sandbox.builders import BTC, limit, market, stop

D = Decimal
DOGE = "DOGEUSDT"


def playing(scenario: Scenario, steps: int = 0, symbols: tuple[str, ...] = (BTC, "ETHUSDT")) -> Exchange:
    listed = [instrument for instrument in DEFAULT_INSTRUMENTS if instrument.symbol in symbols]
    exchange = Exchange(listed, seed=5, scenario=scenario, now_ms=0)
    exchange.open_account("alice", D(10_000))
    advance(exchange, steps)
    return exchange


def advance(exchange: Exchange, steps: int) -> None:
    for _ in range(steps):
        step(exchange)


def standing(exchange: Exchange, side: Side) -> Decimal:
    return sum((level.quantity for level in exchange.market(BTC).levels(side)), D(0))


def test_a_calm_market_keeps_its_book() -> None:
    exchange = playing(Scenario.CALM, 400)
    assert exchange.market(BTC).depth.share == 1


def test_the_book_thins_and_widens_in_a_crash_and_recovers_when_it_is_over() -> None:
    exchange = playing(Scenario.CALM, 40)
    usual = standing(exchange, Side.BUY)
    best = exchange.market(BTC).best_price(Side.BUY)
    begin(exchange, Scenario.CRASH)
    advance(exchange, 400)
    assert standing(exchange, Side.BUY) < usual / 3
    begin(exchange, Scenario.CALM)
    advance(exchange, 400)
    assert standing(exchange, Side.BUY) == usual
    assert best is not None


def test_a_fast_market_thins_the_book_whatever_the_script_says(exchange: Exchange) -> None:
    book = exchange.market(BTC)
    usual = standing(exchange, Side.SELL)
    for minute in range(60):
        book.set_index(book.index_price * (D("1.002") if minute % 2 else D("0.998")))
    assert standing(exchange, Side.SELL) < usual / 2


def test_in_a_crash_all_symbols_move_as_one() -> None:
    exchange = playing(Scenario.CRASH)
    paths: dict[str, list[Decimal]] = {"BTCUSDT": [], "ETHUSDT": []}
    for _ in range(CRASH_STEPS // 4):
        step(exchange)
        for symbol, path in paths.items():
            path.append(exchange.market(symbol).index_price)
    moves = {symbol: [float(after / before - 1) for before, after in pairwise(path)] for symbol, path in paths.items()}
    assert correlation(*moves.values()) > 0.999


def correlation(left: list[float], right: list[float]) -> float:
    count = len(left)
    mean_left, mean_right = sum(left) / count, sum(right) / count
    covariance = sum((x - mean_left) * (y - mean_right) for x, y in zip(left, right, strict=True))
    spread = sum((x - mean_left) ** 2 for x in left) * sum((y - mean_right) ** 2 for y in right)
    return float(covariance / spread**0.5)


def test_a_squeeze_rises_thirty_per_cent_ever_faster_and_shorts_pay() -> None:
    exchange = playing(Scenario.SQUEEZE, symbols=(BTC,))
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.SELL, "0.5"))
    start = exchange.market(BTC).index_price
    advance(exchange, SQUEEZE_STEPS // 2)
    half_way = exchange.market(BTC).index_price / start
    assert exchange.market(BTC).depth.share <= D("0.3")
    assert funding_rate(exchange.market(BTC)) < D("-0.001")
    advance(exchange, SQUEEZE_STEPS // 2)
    top = exchange.market(BTC).index_price / start
    assert D("1.27") < top < D("1.33")
    assert half_way - 1 < (top - 1) / 3
    assert alice.position(BTC, PositionSide.BOTH).quantity == 0
    assert alice.liquidations
    advance(exchange, SQUEEZE_STEPS)
    assert exchange.market(BTC).index_price / start < top - D("0.05")


def test_a_delisting_is_announced_then_closes_to_openings_then_settles_at_the_index() -> None:
    exchange = playing(Scenario.DELISTING, 1, (BTC, DOGE))
    doge, alice = exchange.market(DOGE), exchange.accounts["alice"]
    assert doge.delivery_ms == exchange.now_ms + NOTICE_MS
    # A new notice replaces the scripted hour: openings end after half of it.
    notice_ms = 60_000
    announce_delisting(exchange, DOGE, notice_ms)
    place(exchange, alice, market(Side.BUY, "10000", DOGE))
    resting = place(exchange, alice, limit(Side.BUY, "1000", "0.15", DOGE))
    advance(exchange, notice_ms // STEP_MS // 2)
    with pytest.raises(Rejected) as caught:
        place(exchange, alice, market(Side.BUY, "1000", DOGE))
    assert caught.value.reason is Reason.SYMBOL_CLOSING_ONLY
    place(exchange, alice, market(Side.SELL, "4000", DOGE))

    advance(exchange, notice_ms // STEP_MS // 2)
    assert doge.status is InstrumentStatus.SETTLING
    assert alice.position(DOGE, PositionSide.BOTH).quantity == 0
    settlement = alice.orders[-1]
    assert settlement.client_order_id.startswith("settlement_autoclose-")
    assert settlement.average_price == doge.index_price.quantize(doge.instrument.tick)
    assert not resting.open
    with pytest.raises(Rejected) as caught:
        place(exchange, alice, market(Side.BUY, "1000", DOGE))
    assert caught.value.reason is Reason.SYMBOL_NOT_TRADING
    assert doge.best_price(Side.BUY) is None
    assert abs(take_stock(exchange).total - exchange.deposited) < D("0.001")
    # The other symbols go on.
    assert place(exchange, alice, market(Side.BUY, "0.01")).status is OrderStatus.FILLED


def test_a_delisted_symbol_loses_its_conditional_orders(exchange: Exchange) -> None:
    waiting = place_conditional(exchange, exchange.accounts["alice"], stop(Side.SELL, "0.01", "85000"))
    announce_delisting(exchange, BTC, 1_000)
    advance(exchange, 4)
    assert not waiting.open
    with pytest.raises(Rejected):
        announce_delisting(exchange, BTC, 1_000)


def test_in_an_outage_only_time_goes_on_and_the_market_reopens_with_a_gap() -> None:
    exchange = playing(Scenario.OUTAGE, OUTAGE_BEGINS)
    assert not exchange.halted
    before = exchange.market(BTC).index_price
    stopped = place_conditional(
        exchange, exchange.accounts["alice"], stop(Side.SELL, "0.01", (before * D("0.98")).quantize(D("0.1")).__str__())
    )
    printed = len(exchange.market(BTC).tape)
    advance(exchange, OUTAGE_ENDS - OUTAGE_BEGINS)
    assert exchange.halted
    assert exchange.market(BTC).index_price == before
    assert len(exchange.market(BTC).tape) == printed
    advance(exchange, 1)
    assert not exchange.halted
    assert D("0.95") < exchange.market(BTC).index_price / before < D("0.985")
    advance(exchange, 20)
    assert not stopped.open
    assert exchange.now_ms == (OUTAGE_ENDS + 21) * STEP_MS


def test_funding_that_fell_due_in_an_outage_is_charged_after_it(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "0.1"))
    exchange.now_ms += 8 * 3600 * 1000 - 3 * STEP_MS
    exchange.funded_ms = exchange.now_ms
    exchange.maintenance = True
    advance(exchange, 10)
    fixings = len(exchange.market(BTC).fixings)
    exchange.maintenance = False
    advance(exchange, 2)
    assert len(exchange.market(BTC).fixings) == fixings + 1


def test_another_scenario_ends_the_outage() -> None:
    exchange = playing(Scenario.OUTAGE, OUTAGE_BEGINS + 1)
    assert exchange.halted
    begin(exchange, Scenario.CALM)
    assert not exchange.halted


def test_withdrawn_quotes_leave_only_what_accounts_rest(exchange: Exchange) -> None:
    exchange.market(BTC).depth.withdrawn = True
    with pytest.raises(Rejected) as caught:
        place(exchange, exchange.accounts["bob"], market(Side.BUY, "0.1"))
    assert caught.value.reason is Reason.MARKET_OUTSIDE_BAND
    place(exchange, exchange.accounts["alice"], limit(Side.SELL, "0.01", "90100"))
    order = place(exchange, exchange.accounts["bob"], market(Side.BUY, "0.1"))
    assert (order.status, order.filled_quantity) == (OrderStatus.EXPIRED, D("0.01"))


def test_partial_fills_spread_a_limit_order_over_steps(exchange: Exchange) -> None:
    exchange.partial_fills = 1
    order = place(exchange, exchange.accounts["alice"], limit(Side.BUY, "0.1", "90100"))
    progress = [order.filled_quantity]
    for _ in range(4):
        step(exchange)
        progress.append(order.filled_quantity)
    assert progress == [D("0.025"), D("0.05"), D("0.075"), D("0.1"), D("0.1")]
    assert place(exchange, exchange.accounts["alice"], market(Side.SELL, "0.1")).status is OrderStatus.FILLED


def test_partial_fills_leave_the_rest_of_immediate_orders_expired(exchange: Exchange) -> None:
    exchange.partial_fills = 2
    exchange.partial_fill_fraction = D("0.5")
    immediate = limit(Side.BUY, "0.1", "90100", time_in_force=TimeInForce.IOC)
    for order in (immediate, market(Side.BUY, "0.1")):
        done = place(exchange, exchange.accounts["alice"], order)
        assert (done.status, done.filled_quantity) == (OrderStatus.EXPIRED, D("0.05"))


def test_partial_fills_kill_fill_or_kill_orders(exchange: Exchange) -> None:
    exchange.partial_fills = 1
    with pytest.raises(Rejected) as caught:
        place(exchange, exchange.accounts["alice"], limit(Side.BUY, "0.1", "90100", time_in_force=TimeInForce.FOK))
    assert caught.value.reason is Reason.FILL_OR_KILL_UNFILLED


def test_a_throttled_order_can_be_cancelled_half_way(exchange: Exchange) -> None:
    exchange.partial_fills = 1
    order = place(exchange, exchange.accounts["alice"], limit(Side.BUY, "0.1", "90100"))
    cancel(exchange, order)
    jump(exchange, BTC, D(80_000))
    assert order.filled_quantity == D("0.025")


def test_a_throttled_order_goes_on_taking_at_the_books_prices_and_not_at_its_own(exchange: Exchange) -> None:
    exchange.partial_fills = 1
    bob = exchange.accounts["bob"]
    place(exchange, bob, limit(Side.BUY, "0.4", "94000"))
    advance(exchange, 6)
    assert [fill.quantity for fill in bob.fills] == [D("0.1")] * 4
    assert {(fill.price, fill.maker) for fill in bob.fills} == {(D("90004.5"), False)}


def test_a_throttled_order_goes_on_against_another_accounts_order(exchange: Exchange) -> None:
    exchange.market(BTC).depth.withdrawn = True
    resting = place(exchange, exchange.accounts["alice"], limit(Side.SELL, "0.4", "90000"))
    exchange.partial_fills = 1
    order = place(exchange, exchange.accounts["bob"], limit(Side.BUY, "0.5", "90100"))
    advance(exchange, 6)
    assert (resting.status, order.filled_quantity) == (OrderStatus.FILLED, D("0.4"))
    # With nothing left to take it rests like any other, and makes at its own price.
    assert exchange.market(BTC).best_price(Side.BUY) == D(90_100)
    exchange.market(BTC).depth.withdrawn = False
    jump(exchange, BTC, D(89_000))
    last = exchange.accounts["bob"].fills[-1]
    assert (order.status, last.price, last.maker) == (OrderStatus.FILLED, D(90_100), True)


def test_two_closes_before_a_delisting_do_not_open_a_position_together(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "0.1"))
    before = place(exchange, alice, limit(Side.SELL, "0.1", "90300"))
    announce_delisting(exchange, BTC, 4_000)
    advance(exchange, 9)
    for price in ("90100", "90200"):
        assert place(exchange, alice, limit(Side.SELL, "0.1", price)).reduce_only
    amend(exchange, alice, before, Side.SELL, D("0.1"), D("90250"))
    jump(exchange, BTC, D(90_500))
    assert alice.position(BTC, PositionSide.BOTH).quantity == 0
    assert not alice.open_orders
