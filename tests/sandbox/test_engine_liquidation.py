"""Liquidation tier by tier, the insurance fund, and auto-deleveraging when the fund is empty."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from sandbox.engine.account import Account
from sandbox.engine.deleveraging import adl_quantile
from sandbox.engine.exchange import Exchange
from sandbox.engine.house import HOUSES_MAX, open_house
from sandbox.engine.margin import backing, bankruptcy_price, liquidation_price, maintenance_margin
from sandbox.engine.model import IncomeKind, MarginMode, Order, OrderStatus, Position, PositionSide, Side, TimeInForce
from sandbox.engine.money import take_stock
from sandbox.engine.preferences import set_leverage, set_margin_mode
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.stepping import jump, step
from sandbox.engine.trading import place
from tests.sandbox.builders import BTC, limit, market

D = Decimal
SOL = "SOLUSDT"


@pytest.fixture(autouse=True)
def books_balance(exchange: Exchange) -> Iterator[None]:
    """Whatever a test does, no money may appear or vanish."""
    yield
    assert abs(take_stock(exchange).total - exchange.deposited) < D("0.001")


def a_big_house(exchange: Exchange) -> tuple[Account, Position]:
    """20 000 SOL long at 140, 20x: fifth tier."""
    house = open_house(exchange, SOL, Side.BUY, D(20_000), 20)
    return house, house.position(SOL, PositionSide.BOTH)


def a_short(exchange: Exchange, name: str, quantity: str, leverage: int = 20, *, isolated: bool = False) -> Position:
    account = exchange.accounts[name]
    set_leverage(exchange, account, BTC, leverage)
    if isolated:
        set_margin_mode(exchange, account, BTC, MarginMode.ISOLATED)
    place(exchange, account, market(Side.SELL, quantity))
    return account.position(BTC, PositionSide.BOTH)


def filled(orders: list[Order]) -> Decimal:
    return sum((order.filled_quantity for order in orders), D(0))


def just_below(exchange: Exchange, account: Account, position: Position) -> Decimal:
    price = liquidation_price(exchange, account, position)
    tick = exchange.market(position.symbol).instrument.tick
    return (price - tick).quantize(tick)


def test_a_big_position_is_brought_down_one_tier_and_then_left_alone(exchange: Exchange) -> None:
    house, position = a_big_house(exchange)
    tiers = exchange.market(SOL).instrument.tiers
    jump(exchange, SOL, just_below(exchange, house, position))
    notional = position.quantity * exchange.market(SOL).mark_price
    assert tiers[3].notional_floor < notional <= tiers[3].notional_cap
    assert backing(exchange, house, position) > maintenance_margin(exchange, position)
    [order] = house.liquidations
    assert order.client_order_id.startswith("autoclose-")
    assert (order.status, order.time_in_force) == (OrderStatus.FILLED, TimeInForce.IOC)
    assert order.filled_quantity == D(20_000) - position.quantity


def test_what_an_isolated_partial_liquidation_costs_stays_with_the_position(exchange: Exchange) -> None:
    house, position = a_big_house(exchange)
    jump(exchange, SOL, just_below(exchange, house, position))
    assert house.cross_wallet == 0
    assert position.isolated_wallet == house.wallet


def test_a_big_cross_position_is_brought_down_too(exchange: Exchange) -> None:
    carol = exchange.open_account("carol", D(160_000))
    for _ in range(4):
        place(exchange, carol, market(Side.BUY, "5000", SOL))
    position = carol.position(SOL, PositionSide.BOTH)
    for _ in range(60):
        step(exchange)  # The book grows back.
    jump(exchange, SOL, just_below(exchange, carol, position))
    assert 0 < position.quantity < 8_000
    assert filled(list(carol.liquidations)) == 20_000 - position.quantity


def test_each_liquidation_order_pays_a_clearance_fee_into_the_fund(exchange: Exchange) -> None:
    house, position = a_big_house(exchange)
    before = exchange.insurance_fund
    jump(exchange, SOL, just_below(exchange, house, position))
    [fee] = [income.amount for income in house.incomes if income.kind is IncomeKind.INSURANCE_CLEAR]
    assert fee == -(house.liquidations[0].filled_notional * D("0.0125")).quantize(D("1e-8"))
    assert exchange.insurance_fund == before - fee


def test_what_the_book_does_not_take_goes_to_the_fund_at_the_bankruptcy_price(exchange: Exchange) -> None:
    house, position = a_big_house(exchange)
    jump(exchange, SOL, D(139), mark_price=D(139))
    bankruptcy = bankruptcy_price(exchange, house, position)
    assert bankruptcy == D(133)
    exchange.market(SOL).depth.withdrawn = True
    before = exchange.insurance_fund
    jump(exchange, SOL, D(132))
    assert position.quantity == 0
    assert house.wallet == 0
    assert house.liquidations[-1].average_price == bankruptcy
    assert exchange.insurance_fund == before - 20_000


def test_liquidation_cancels_the_accounts_open_orders(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "1"))
    resting = place(exchange, alice, limit(Side.BUY, "0.01", "86000"))
    jump(exchange, BTC, D(80_000))
    assert resting.status in (OrderStatus.EXPIRED, OrderStatus.FILLED)
    assert not alice.open_orders


def test_with_an_empty_fund_a_winner_is_deleveraged_at_the_bankruptcy_price_and_pays_no_fee(exchange: Exchange) -> None:
    exchange.set_insurance_fund(D(0))
    house = open_house(exchange, BTC, Side.BUY, D(1), 50)
    position = a_short(exchange, "alice", "0.5")
    alice = exchange.accounts["alice"]
    resting = place(exchange, alice, limit(Side.SELL, "0.01", "93000"))
    entry, incomes_before = position.entry_price, len(alice.incomes)
    jump(exchange, BTC, D(80_000))

    [order] = alice.liquidations
    assert (order.client_order_id, order.price, order.status) == ("adl_autoclose", D(88_200), OrderStatus.FILLED)
    assert position.quantity == 0
    assert alice.fills[-1].commission == 0
    [income] = list(alice.incomes)[incomes_before:]
    assert (income.kind, income.amount) == (IncomeKind.REALIZED_PNL, (entry - 88_200) / 2)
    assert resting.status is OrderStatus.CANCELED
    # The two share the trade; what the customers could not take, the street did.
    assert alice.fills[-1].trade_id in {fill.trade_id for fill in house.fills}
    assert house.position(BTC, PositionSide.BOTH).quantity == 0
    assert filled(list(house.liquidations)) == 1
    assert exchange.insurance_fund == 0


def test_the_fund_pays_as_long_as_it_can(exchange: Exchange) -> None:
    exchange.set_insurance_fund(D(8_200))
    open_house(exchange, BTC, Side.BUY, D(1), 50)
    position = a_short(exchange, "alice", "0.5")
    jump(exchange, BTC, D(80_000))
    assert position.quantity == D("-0.5")
    assert exchange.insurance_fund == 0


def test_the_more_levered_winner_goes_first(exchange: Exchange) -> None:
    exchange.set_insurance_fund(D(0))
    open_house(exchange, BTC, Side.BUY, D("0.3"), 50)
    careful = a_short(exchange, "alice", "0.3", 5, isolated=True)
    bold = a_short(exchange, "bob", "0.3", 50, isolated=True)
    jump(exchange, BTC, D(89_000))
    assert (adl_quantile(exchange, bold), adl_quantile(exchange, careful)) == (4, 2)
    jump(exchange, BTC, D(80_000))
    assert (bold.quantity, careful.quantity) == (D(0), D("-0.3"))


def test_a_loser_is_never_deleveraged_and_shows_no_light(exchange: Exchange) -> None:
    exchange.set_insurance_fund(D(0))
    jump(exchange, BTC, D(80_000))
    loser = a_short(exchange, "alice", "0.05")
    jump(exchange, BTC, D(90_000))
    house = open_house(exchange, BTC, Side.BUY, D("0.05"), 50)
    jump(exchange, BTC, D(86_000))
    assert house.position(BTC, PositionSide.BOTH).quantity == 0
    assert loser.quantity == D("-0.05")
    assert adl_quantile(exchange, loser) == 0


def test_a_debt_beyond_fund_and_margin_is_the_exchanges_own(exchange: Exchange) -> None:
    exchange.set_insurance_fund(D(0))
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "1"))
    treasury = exchange.treasury
    market_ = exchange.market(BTC)
    market_.jump(D(75_000), None)
    # The customer beats the liquidation engine to it, into a book far below the bankruptcy price.
    place(exchange, alice, market(Side.SELL, "1", reduce_only=True))
    step(exchange)
    assert alice.wallet == 0
    assert exchange.treasury < treasury - 4_000


@pytest.mark.parametrize(
    ("symbol", "quantity", "leverage", "reason"),
    [
        ("NOPEUSDT", "1", 20, Reason.UNKNOWN_SYMBOL),
        ("LUNCUSDT", "1", 20, Reason.SYMBOL_NOT_TRADING),
        (BTC, "0.0001", 20, Reason.PRECISION),
        (BTC, "100", 125, Reason.LEVERAGE_INVALID),
    ],
)
def test_impossible_houses_are_refused(
    exchange: Exchange, symbol: str, quantity: str, leverage: int, reason: Reason
) -> None:
    with pytest.raises(Rejected) as caught:
        open_house(exchange, symbol, Side.BUY, D(quantity), leverage)
    assert caught.value.reason is reason


def test_houses_are_bounded(exchange: Exchange) -> None:
    for _ in range(HOUSES_MAX):
        open_house(exchange, BTC, Side.BUY, D("0.01"), 10)
    with pytest.raises(Rejected):
        open_house(exchange, BTC, Side.BUY, D("0.01"), 10)
