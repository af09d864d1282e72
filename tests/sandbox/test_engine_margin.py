"""Margin, liquidation and funding: where the money is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.funding import FUNDING_INTERVAL_MS
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.margin import available_balance, liquidation_price
from sandbox.engine.model import IncomeKind, MarginMode, Position, PositionSide, Side
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
