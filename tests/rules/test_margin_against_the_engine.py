"""The practice exchange liquidates where ``rules.margin`` says it will: written apart, they must agree.

Positions are put into the engine, the marks are moved against them by the distance, a little less and a little more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rules.model as house
from rules.account import Account, HeldOrder, Position, SymbolSettings
from rules.instrument import MarginTier
from rules.margin.liquidation import Liquidation, liquidation_after
from rules.margin.maintenance import account_maintenance, maintenance_margin
from rules.snapshot import Controls, Market, Snapshot
from sandbox.engine import account as engine
from sandbox.engine.exchange import Exchange
from sandbox.engine.liquidation import liquidate_due
from sandbox.engine.listing import DEFAULT_INSTRUMENTS
from sandbox.engine.margin import cross_state, liquidation_price, unrealised
from sandbox.engine.margin import maintenance_margin as engine_margin
from sandbox.engine.model import MarginMode, PositionSide
from sandbox.engine.preferences import set_leverage, set_margin_mode
from sandbox.engine.scenario import Scenario
from tests.properties.strategies import examples
from tests.rules.builders import an_instrument

D = Decimal
NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
PRICES: Final = {"BTCUSDT": 90_000, "ETHUSDT": 3_000, "SOLUSDT": 140}
A_LITTLE: Final = D("0.0001")

Legs = dict[str, Decimal]
"""Signed notional, in thousands of quote units, by symbol."""


def an_exchange(wallet: Decimal, legs: Legs, *, isolated: bool = False, leverage: int = 5) -> Exchange:
    built = Exchange(DEFAULT_INSTRUMENTS, seed=7, scenario=Scenario.FLAT, now_ms=1_795_478_400_000)
    account = built.open_account("alice", wallet)
    for symbol, thousands in legs.items():
        set_leverage(built, account, symbol, leverage)
        if isolated:
            set_margin_mode(built, account, symbol, MarginMode.ISOLATED)
        mark = built.market(symbol).mark_price
        position = account.position(symbol, PositionSide.BOTH)
        position.quantity, position.entry_price = thousands * 1000 / mark, mark
        if isolated:
            position.isolated_wallet = abs(thousands) * 1000 / leverage
    return built


def seen(exchange: Exchange) -> Snapshot:
    """The engine's account as the guard would know it."""
    account = exchange.accounts["alice"]
    instruments = {
        symbol: an_instrument(
            symbol,
            tiers=tuple(
                MarginTier(
                    notional_floor=tier.notional_floor,
                    notional_cap=tier.notional_cap,
                    leverage_max=D(tier.leverage_max),
                    maintenance_rate=tier.maintenance_rate,
                    maintenance_amount=tier.deduction,
                )
                for tier in exchange.market(symbol).instrument.tiers
            ),
        )
        for symbol in PRICES
    }
    marks = {
        symbol: Market(symbol=symbol, mark_price=exchange.market(symbol).mark_price, as_of=NOW) for symbol in PRICES
    }
    return Snapshot(
        now=NOW,
        bot="demo-bot",
        account=Account(
            name="alice",
            version=1,
            as_of=NOW,
            margin_balance=account.wallet + sum((unrealised(exchange, leg) for leg in account.legs()), D(0)),
            available_balance=D(0),
            hedged=False,
            positions=tuple(_position(exchange, account, symbol) for symbol in PRICES if _open(account, symbol)),
            settings=tuple(_settings(account, symbol) for symbol in PRICES),
        ),
        controls=Controls(generation=1),
        instruments=instruments,
        markets=marks,
    )


def _open(account: engine.Account, symbol: str) -> bool:
    return bool(account.position(symbol, PositionSide.BOTH).quantity)


def _position(exchange: Exchange, account: engine.Account, symbol: str) -> Position:
    leg = account.position(symbol, PositionSide.BOTH)
    isolated = account.isolated(symbol)
    return Position(
        symbol=symbol,
        position_side=house.PositionSide.BOTH,
        quantity=leg.quantity,
        entry_price=leg.entry_price,
        mark_price=exchange.market(symbol).mark_price,
        margin_mode=house.MarginMode.ISOLATED if isolated else house.MarginMode.CROSS,
        isolated_margin=leg.isolated_wallet if isolated else None,
    )


def _settings(account: engine.Account, symbol: str) -> SymbolSettings:
    return SymbolSettings(
        symbol=symbol,
        margin_mode=house.MarginMode.ISOLATED if account.isolated(symbol) else house.MarginMode.CROSS,
        leverage=D(account.on(symbol).leverage),
    )


def as_it_is(exchange: Exchange, symbol: str, thousands: Decimal) -> Liquidation:
    """The leg's distance without any order more."""
    nothing = HeldOrder(
        symbol=symbol,
        side=house.Side.BUY if thousands > 0 else house.Side.SELL,
        position_side=house.PositionSide.BOTH,
        quantity=D(0),
        price=None,
        client_order_id="",
    )
    return liquidation_after(nothing, seen(exchange))


def survives(exchange: Exchange, legs: Legs, fraction: Decimal) -> bool:
    """Whether the engine liquidates nothing when every mark moves so far against its leg."""
    for symbol, thousands in legs.items():
        market = exchange.market(symbol)
        sign = 1 if thousands > 0 else -1
        market.jump(market.mark_price * (1 - sign * fraction), None)
    liquidate_due(exchange)
    return not exchange.accounts["alice"].liquidations


sizes = st.decimals("-900", "900", places=1).filter(lambda size: abs(size) >= 1)
several = st.dictionaries(st.sampled_from(list(PRICES)), sizes, min_size=1)
wallets = st.decimals("2000", "400000", places=0)


@given(wallets, several)
@examples(40)
def test_a_cross_account_is_liquidated_at_the_distance_and_not_before(wallet: Decimal, legs: Legs) -> None:
    symbol, thousands = next(iter(legs.items()))
    distance = as_it_is(an_exchange(wallet, legs), symbol, thousands).distance
    if not A_LITTLE < distance < 1 - A_LITTLE:
        assert distance > 0 or not survives(an_exchange(wallet, legs), legs, D(0))
        return
    assert survives(an_exchange(wallet, legs), legs, distance - A_LITTLE)
    assert not survives(an_exchange(wallet, legs), legs, distance + A_LITTLE)


@given(st.integers(1, 20), st.sampled_from(list(PRICES)), sizes)
@examples(40)
def test_an_isolated_leg_is_liquidated_at_the_distance_and_not_before(
    leverage: int, symbol: str, thousands: Decimal
) -> None:
    def anew() -> Exchange:
        return an_exchange(D(1_000_000), {symbol: thousands}, isolated=True, leverage=leverage)

    distance = as_it_is(anew(), symbol, thousands).distance
    if not A_LITTLE < distance < 1 - A_LITTLE:
        assert leverage == 1
        return
    assert survives(anew(), {symbol: thousands}, distance - A_LITTLE)
    assert not survives(anew(), {symbol: thousands}, distance + A_LITTLE)


@pytest.mark.parametrize("thousands", [D(30), D(-30)], ids=["long", "short"])
@pytest.mark.parametrize("isolated", [False, True], ids=["cross", "isolated"])
def test_within_a_tier_the_price_is_the_one_the_exchange_shows(thousands: Decimal, isolated: bool) -> None:
    exchange = an_exchange(D(6000), {"BTCUSDT": thousands}, isolated=isolated)
    account = exchange.accounts["alice"]
    shown = liquidation_price(exchange, account, account.position("BTCUSDT", PositionSide.BOTH))
    assert abs(as_it_is(exchange, "BTCUSDT", thousands).price - shown) < D("0.000001")


@given(wallets, several)
@examples(40)
def test_it_is_never_farther_than_what_the_exchange_shows_for_the_leg(wallet: Decimal, legs: Legs) -> None:
    exchange = an_exchange(wallet, legs)
    account = exchange.accounts["alice"]
    for symbol, thousands in legs.items():
        found = as_it_is(exchange, symbol, thousands)
        shown = liquidation_price(exchange, account, account.position(symbol, PositionSide.BOTH))
        if found.distance <= 0 or not shown:
            continue
        # The exchange keeps the tier of today, which for a long may ask a little less than the tiers below it do.
        assert found.price >= shown - D("0.000001") if thousands > 0 else found.price <= shown + D("0.000001")


@given(wallets, several)
@examples(40)
def test_the_maintenance_margins_are_the_exchange_s(wallet: Decimal, legs: Legs) -> None:
    exchange = an_exchange(wallet, legs)
    snapshot = seen(exchange)
    account = exchange.accounts["alice"]
    required = cross_state(exchange, account).maintenance
    assert abs(account_maintenance(snapshot) - required) < D("0.000001")
    symbol, thousands = next(iter(legs.items()))
    assert abs(as_it_is(exchange, symbol, thousands).maintenance_margin - required) < D("0.000001")
    leg = account.position(symbol, PositionSide.BOTH)
    notional = abs(leg.quantity * exchange.market(symbol).mark_price)
    tiers = snapshot.instruments[symbol].tiers
    assert abs(maintenance_margin(notional, tiers) - engine_margin(exchange, leg)) < D("0.000001")
