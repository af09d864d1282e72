"""What people are shown of an account: legs with the stops that protect them, limits as the rules count them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.control.exposures import SHARE_MAX, leg_view, leverage_of, limit_view, margin_used_of, picture_of
from rules.account import SymbolSettings
from rules.decision import Use
from rules.model import MarginMode, OrderType, Side
from tests.rules.builders import NOW, an_account, an_open_order


def use(observed: str, limit: str, unit: str = "") -> Use:
    return Use("position_limit", "desk", "", "BTCUSDT", Decimal(observed), Decimal(limit), unit)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (use("19842.118", "40000"), ("19842.12", "40000.00", 0.49605295)),
        (use("0.12345", "2", "base"), ("0.12345", "2", 0.061725)),
        (use("5", "0"), ("5.00", "0.00", float(SHARE_MAX))),
        (use("0", "0"), ("0.00", "0.00", 0.0)),
        (use("9999", "1"), ("9999.00", "1.00", float(SHARE_MAX))),
    ],
    ids=["money", "base-units", "of-nothing", "nothing-of-nothing", "far-above"],
)
def test_a_limit_is_shown_with_its_share(found: Use, said: tuple[str, str, float]) -> None:
    view = limit_view(found)
    assert (view.observed, view.limit, view.share) == said


def test_leverage_counts_what_rests_as_filled_and_is_not_said_without_a_balance() -> None:
    world = an_account().worth("10000").long("BTCUSDT", "0.2")
    account = world.account
    assert account is not None
    assert leverage_of(picture_of(account, world.markets, (), None, NOW)) == "1.00"
    assert leverage_of(picture_of(replace(account, margin_balance=Decimal(0)), world.markets, (), None, NOW)) is None
    assert leverage_of(picture_of(None, world.markets, (), None, NOW)) is None


@pytest.mark.parametrize(("available", "said"), [("9000", "1000.00"), ("10000", "500.00"), ("10300", "500.00")])
def test_margin_in_use_is_at_least_what_the_legs_of_now_bind(available: str, said: str) -> None:
    """20 times 50,000 in a fifth of a coin; what was surveyed before it was opened knows nothing of it."""
    account = an_account().worth("10000").long("BTCUSDT", "0.2").account
    assert account is not None
    usual = SymbolSettings(symbol="", margin_mode=MarginMode.CROSS, leverage=Decimal(20))
    account = replace(account, available_balance=Decimal(available), usual_settings=usual)
    assert margin_used_of(account) == said


def test_what_another_asset_margins_is_in_no_balance_of_ours() -> None:
    account = an_account().worth("10000").long("BTCUSDT", "0.2").account
    assert account is not None
    account = replace(account, positions=tuple(replace(leg, symbol="BTCUSDC") for leg in account.positions))
    usual = SymbolSettings(symbol="", margin_mode=MarginMode.CROSS, leverage=Decimal(20))
    account = replace(account, available_balance=Decimal(10000), usual_settings=usual)
    assert margin_used_of(replace(account, multi_assets=False)) == "0.00"
    assert margin_used_of(replace(account, multi_assets=True)) != "0.00"


def test_a_leg_names_its_stops_and_no_other_orders() -> None:
    stop = an_open_order(
        Side.SELL, "BTCUSDT", "0.2", order_type=OrderType.STOP_MARKET, trigger_price="45000", reduce_only=True
    )
    take = an_open_order(
        Side.SELL, "BTCUSDT", "0.2", order_type=OrderType.TAKE_PROFIT_MARKET, trigger_price="60000", reduce_only=True
    )
    world = an_account().long("BTCUSDT", "0.2").resting(stop, take)
    assert world.account is not None
    view = leg_view(world.account.positions[0], world.account, world.markets)
    assert [(each.trigger_price, each.quantity) for each in view.stops] == [("45000", "0.2")]
    assert (view.mark_price, view.notional, view.margin_mode) == ("50000", "10000.00", "CROSS")


@pytest.mark.parametrize("limit", ["44900", "45000", "45010", None])
def test_a_stop_is_shown_whatever_its_limit(limit: str | None) -> None:
    """One whose limit is better than its trigger protects little; that none stands there would be worse to read."""
    stop = an_open_order(
        Side.SELL, "BTCUSDT", "0.2", limit, order_type=OrderType.STOP, trigger_price="45000", reduce_only=True
    )
    world = an_account().long("BTCUSDT", "0.2").resting(stop)
    assert world.account is not None
    view = leg_view(world.account.positions[0], world.account, world.markets)
    assert [(each.trigger_price, each.quantity) for each in view.stops] == [("45000", "0.2")]


@pytest.mark.parametrize(("told", "shown"), [(None, None), ("0", None), ("41200.50", "41200.50")])
def test_a_leg_that_no_price_ends_is_shown_without_one(told: str | None, shown: str | None) -> None:
    world = an_account().long("BTCUSDT", "0.2")
    assert world.account is not None
    leg = replace(world.account.positions[0], liquidation_price=None if told is None else Decimal(told))
    assert leg_view(leg, world.account, world.markets).liquidation_price == shown
