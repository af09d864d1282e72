"""Margin, liquidation and funding: where the money is."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from sandbox.engine.account import Account
from sandbox.engine.copying import put_position
from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import FUNDING_INTERVAL_MS
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.margin import available_balance, backing, liquidation_price, maintenance_margin
from sandbox.engine.matching import fill_crossed
from sandbox.engine.model import IncomeKind, MarginMode, OrderStatus, Position, PositionSide, Side
from sandbox.engine.preferences import adjust_isolated_margin, set_hedge_mode, set_leverage, set_margin_mode
from sandbox.engine.rejection import Reason, Rejected
from sandbox.engine.scenario import CRASH_STEPS, STEP_MS, Scenario
from sandbox.engine.stepping import jump, step
from sandbox.engine.trading import place
from tests.sandbox.builders import BTC, limit, market

D = Decimal


def a_long(
    exchange: Exchange, quantity: str, *, leverage: int = 20, isolated: bool = False
) -> tuple[Account, Position]:
    alice = exchange.accounts["alice"]
    set_leverage(exchange, alice, BTC, leverage)
    if isolated:
        set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    place(exchange, alice, market(Side.BUY, quantity))
    return alice, alice.position(BTC, PositionSide.BOTH)


def incomes(account: Account, kind: IncomeKind) -> list[Decimal]:
    return [income.amount for income in account.incomes if income.kind is kind]


def test_margin_tiers_are_continuous_at_their_bounds() -> None:
    for instrument in DEFAULT_INSTRUMENTS:
        for lower, upper in zip(instrument.tiers, instrument.tiers[1:], strict=False):
            bound = lower.notional_cap
            assert bound * lower.maintenance_rate - lower.deduction == bound * upper.maintenance_rate - upper.deduction


def test_available_balance_falls_by_the_margin_of_position_and_orders(exchange: Exchange) -> None:
    alice, _ = a_long(exchange, "0.1")
    place(exchange, alice, limit(Side.BUY, "0.1", "88000"))
    fee, loss = D("0.1") * D("90004.5") * D("0.0005"), D("0.45")
    assert available_balance(exchange, alice) == 10_000 - fee - loss - D(9000) / 20 - D(8800) / 20


def test_orders_that_only_shrink_the_position_need_no_margin(exchange: Exchange) -> None:
    alice, _ = a_long(exchange, "2")
    assert available_balance(exchange, alice) < 1_000
    assert place(exchange, alice, limit(Side.SELL, "2", "92000")).open


def test_leverage_caps_the_notional(exchange: Exchange) -> None:
    bob = exchange.accounts["bob"]
    assert set_leverage(exchange, bob, BTC, 125) == 300_000
    with pytest.raises(Rejected) as caught:
        place(exchange, bob, limit(Side.BUY, "4", "88000"))
    assert caught.value.reason is Reason.NOTIONAL_ABOVE_LEVERAGE_CAP


def test_a_cross_account_survives_just_above_its_liquidation_price_and_dies_just_below(exchange: Exchange) -> None:
    alice, position = a_long(exchange, "1")
    price = liquidation_price(exchange, alice, position)
    assert D(79_000) < price < D(82_000)
    jump(exchange, BTC, (price + 1).quantize(D("0.1")))
    assert position.quantity == 1
    jump(exchange, BTC, (price - 1).quantize(D("0.1")))
    assert position.quantity == 0
    assert alice.liquidations[0].liquidation
    assert alice.wallet >= 0
    assert incomes(alice, IncomeKind.INSURANCE_CLEAR)


def test_an_isolated_liquidation_costs_the_isolated_margin_and_no_more(exchange: Exchange) -> None:
    alice, position = a_long(exchange, "1", leverage=50, isolated=True)
    cross_before, fund_before = alice.cross_wallet, exchange.insurance_fund
    jump(exchange, BTC, D(70_000))
    assert position.quantity == 0
    assert alice.cross_wallet == cross_before
    # The position died at 88 200 and something; the fund bears the rest of the way.
    assert exchange.insurance_fund < fund_before - 18_000


def test_added_isolated_margin_moves_the_liquidation_price_away(exchange: Exchange) -> None:
    alice, position = a_long(exchange, "0.1", isolated=True)
    before = liquidation_price(exchange, alice, position)
    adjust_isolated_margin(exchange, alice, BTC, PositionSide.BOTH, D(500))
    assert liquidation_price(exchange, alice, position) < before - 4_000
    with pytest.raises(Rejected):
        adjust_isolated_margin(exchange, alice, BTC, PositionSide.BOTH, D(-600))


def test_closing_an_isolated_position_returns_its_margin(exchange: Exchange) -> None:
    alice, position = a_long(exchange, "0.1", isolated=True)
    place(exchange, alice, market(Side.SELL, "0.05"))
    half = position.isolated_wallet
    place(exchange, alice, market(Side.SELL, "0.15"))
    assert half == (D("0.1") * D("90004.5") / 20 / 2).quantize(D("1e-8"))
    assert position.quantity == D("-0.1")
    assert position.isolated_wallet == (D("0.1") * position.entry_price / 20).quantize(D("1e-8"))


def test_longs_pay_shorts_at_the_funding_time(exchange: Exchange) -> None:
    alice, _ = a_long(exchange, "0.1")
    bob = exchange.accounts["bob"]
    place(exchange, bob, market(Side.SELL, "0.1"))
    exchange.now_ms += FUNDING_INTERVAL_MS - STEP_MS
    step(exchange)
    step(exchange)
    assert incomes(alice, IncomeKind.FUNDING) == [D("-0.9")]
    assert incomes(bob, IncomeKind.FUNDING) == [D("0.9")]


def test_modes_cannot_change_under_an_open_position(exchange: Exchange) -> None:
    alice, _ = a_long(exchange, "0.1")
    with pytest.raises(Rejected) as caught:
        set_hedge_mode(alice, True)
    assert caught.value.reason is Reason.POSITION_MODE_HAS_POSITION
    with pytest.raises(Rejected) as caught:
        set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    assert caught.value.reason is Reason.MARGIN_MODE_HAS_POSITION


def test_a_crash_takes_thirty_per_cent_in_ten_minutes_and_the_levered_with_it() -> None:
    exchange = Exchange(DEFAULT_INSTRUMENTS, seed=3, scenario=Scenario.CRASH, now_ms=0)
    exchange.open_account("alice", D(10_000))
    alice, position = a_long(exchange, "0.5")
    for _ in range(CRASH_STEPS):
        step(exchange)
    for symbol, market_ in exchange.markets.items():
        if not market_.trading:
            continue
        fall = market_.index_price / market_.instrument.start_price
        assert D("0.66") < fall < D("0.74"), symbol
    assert position.quantity == 0
    assert alice.liquidations


def test_a_solvent_account_with_all_its_money_set_aside_gets_nothing_from_the_fund(exchange: Exchange) -> None:
    fund = exchange.insurance_fund
    alice = exchange.accounts["alice"]
    set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    place(exchange, alice, market(Side.SELL, "2.22"))
    position = alice.position(BTC, PositionSide.BOTH)
    assert (alice.cross_wallet, position.isolated_wallet) == (0, alice.wallet)
    step(exchange)
    assert (exchange.insurance_fund, incomes(alice, IncomeKind.INSURANCE_CLEAR)) == (fund, [])
    assert position.quantity == D("-2.22")


def test_a_resting_order_sets_aside_no_more_than_is_left_when_it_fills(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    place(exchange, alice, limit(Side.BUY, "2.222", "90000"))
    jump(exchange, BTC, D(88_000), D(90_000))
    fee = D("2.222") * 90_000 * D("0.0002")
    assert (alice.cross_wallet, alice.position(BTC, PositionSide.BOTH).isolated_wallet) == (0, 10_000 - fee)
    assert exchange.insurance_fund == D(1_000_000)


def test_a_fee_that_the_cross_wallet_cannot_pay_comes_out_of_the_positions_margin(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    resting = place(exchange, alice, limit(Side.SELL, "0.002", "90100"))
    place(exchange, alice, market(Side.SELL, "2.22"))
    assert alice.cross_wallet == 0
    jump(exchange, BTC, D(90_200), D(90_000))
    position = alice.position(BTC, PositionSide.BOTH)
    assert (resting.status, alice.cross_wallet) == (OrderStatus.FILLED, 0)
    assert position.isolated_wallet == alice.wallet
    assert incomes(alice, IncomeKind.INSURANCE_CLEAR) == []


def test_what_the_cross_wallet_owes_is_not_an_isolated_positions_to_pay(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "50", "SOLUSDT"))
    jump(exchange, "SOLUSDT", D(440))
    set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    place(exchange, alice, limit(Side.BUY, "0.01", "90000"))
    # Open profit backs the SOL position; its fundings have eaten the wallet.
    exchange.pay(alice, IncomeKind.FUNDING, "SOLUSDT", D(-10_500))
    owed = alice.cross_wallet
    exchange.market(BTC).jump(D(89_000), None)
    fill_crossed(exchange, exchange.market(BTC))
    fee = alice.fills[-1].commission
    assert fee > 0
    assert (alice.cross_wallet, alice.position(BTC, PositionSide.BOTH).isolated_wallet) == (owed, -fee)


def test_open_profit_is_not_set_aside_for_an_isolated_position(exchange: Exchange) -> None:
    alice = exchange.accounts["alice"]
    place(exchange, alice, market(Side.BUY, "50", "SOLUSDT"))
    jump(exchange, "SOLUSDT", D(440))
    assert available_balance(exchange, alice) > 20_000
    set_margin_mode(exchange, alice, BTC, MarginMode.ISOLATED)
    with pytest.raises(Rejected) as caught:
        place(exchange, alice, market(Side.BUY, "2.3"))
    assert caught.value.reason is Reason.MARGIN_INSUFFICIENT
    place(exchange, alice, market(Side.BUY, "1"))
    with pytest.raises(Rejected) as caught:
        adjust_isolated_margin(exchange, alice, BTC, PositionSide.BOTH, alice.cross_wallet + 1)
    assert caught.value.reason is Reason.ISOLATED_MARGIN_UNAVAILABLE


def test_no_more_is_paid_out_than_the_cross_wallet_holds(exchange: Exchange) -> None:
    alice, _ = a_long(exchange, "1", isolated=True)
    for account, amount in ((alice, alice.cross_wallet + 1), (exchange.accounts["bob"], D(1_000_001))):
        with pytest.raises(Rejected) as caught:
            exchange.transfer(account, -amount)
        assert caught.value.reason is Reason.MARGIN_INSUFFICIENT
    exchange.transfer(exchange.accounts["bob"], D(-1_000_000))
    step(exchange)
    assert exchange.insurance_fund == D(1_000_000)


@pytest.mark.parametrize(
    ("symbol", "quantity", "wallet", "leverage", "mode"),
    [
        (BTC, "-3.3", "60000", 5, MarginMode.CROSS),
        (BTC, "-30", "1000000", 5, MarginMode.CROSS),
        ("DOGEUSDT", "-20000000", "3200000", 2, MarginMode.ISOLATED),
        ("SOLUSDT", "5000", "200000", 5, MarginMode.CROSS),
        (BTC, "0.5", "10000", 10, MarginMode.CROSS),
    ],
)
def test_the_liquidation_price_is_the_one_where_it_dies_whatever_tiers_lie_between(
    exchange: Exchange, symbol: str, quantity: str, wallet: str, leverage: int, mode: MarginMode
) -> None:
    carol = exchange.open_account("carol", D(wallet))
    market_ = exchange.market(symbol)
    put_position(
        exchange, carol, symbol, PositionSide.BOTH, D(quantity), market_.mark_price, leverage=leverage, margin_mode=mode
    )
    leg = carol.position(symbol, PositionSide.BOTH)
    price = liquidation_price(exchange, carol, leg)
    assert price > 0
    market_.mark_price = price
    assert abs(backing(exchange, carol, leg) - maintenance_margin(exchange, leg)) < D("0.000001")


def test_a_bankrupt_hedge_without_a_liquidation_price_does_not_stop_the_search_for_it(exchange: Exchange) -> None:
    carol = exchange.open_account("carol", D(1))
    carol.hedge_mode = True
    for side, quantity in ((PositionSide.LONG, D(3000)), (PositionSide.SHORT, D(-2400))):
        put_position(exchange, carol, BTC, side, quantity, D(90_000), leverage=5, margin_mode=MarginMode.CROSS)
    for mark in range(1_000, 400_000, 7_000):
        exchange.market(BTC).mark_price = D(mark)
        for leg in carol.legs():
            assert liquidation_price(exchange, carol, leg) >= 0


def test_every_funding_time_that_passed_in_a_halt_is_charged(exchange: Exchange) -> None:
    alice, _ = a_long(exchange, "0.1")
    exchange.maintenance = True
    exchange.now_ms += 3 * FUNDING_INTERVAL_MS - STEP_MS
    step(exchange)
    assert incomes(alice, IncomeKind.FUNDING) == []
    exchange.maintenance = False
    step(exchange)
    assert incomes(alice, IncomeKind.FUNDING) == [D("-0.9")] * 3
    times = [fixing.time_ms for fixing in exchange.market(BTC).fixings]
    assert [later - earlier for earlier, later in pairwise(times)] == [FUNDING_INTERVAL_MS] * 2
