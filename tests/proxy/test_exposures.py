"""What people are shown of an account: legs with the stops that protect them, limits as the rules count them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.exposures import SHARE_MAX, leg_view, leverage_of, limit_view, picture_of
from rules.decision import Use
from rules.model import OrderType, Side
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
