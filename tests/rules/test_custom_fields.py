"""Every name an expression of a desk's own may use, and what it reads: known, unknown, before and after the order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from importlib.util import find_spec, module_from_spec
from typing import Any

import pytest

from rules.custom_fields import FIELDS
from rules.model import OrderType, Side, TimeInForce
from tests.rules.builders import NOW, World, a_buy, a_sell, an_account, an_amend, an_open_order

PATHS = [f"{root}.{name}" for root, names in FIELDS.items() for name in names]
ENTRY = a_buy(
    "BTCUSDT", "0.5", "49000", order_type=OrderType.STOP, trigger_price="48000", time_in_force=TimeInForce.GTC
)


@pytest.fixture
def asked() -> Callable[[str, Any, World], Any]:
    """Reads a name. The module is run anew for it: most of what it does it does while it is imported."""
    spec = find_spec("rules.custom_fields")
    assert spec is not None
    assert spec.loader is not None
    picture = module_from_spec(spec)
    spec.loader.exec_module(picture)
    fields = picture.FIELDS

    def read(path: str, entry: Any, world: World) -> Any:
        root, name = path.split(".")
        return fields[root][name](entry, world.snapshot)

    return read


def a_known_world() -> World:
    world = (
        an_account()
        .short("ETHUSDT", "3")
        .long("BTCUSDT", "2")
        .resting(an_open_order(Side.BUY, "BTCUSDT", "1", "40000"))
        .marked(
            "BTCUSDT",
            "50000",
            seconds_ago=2,
            last_price="50001",
            index_price="50002",
            bid_price="49999",
            ask_price="50003",
            bid_quantity="7",
            ask_quantity="8",
            funding_rate="-0.0001",
            next_funding_at=NOW + timedelta(hours=1),
        )
        .in_conditions(
            "BTCUSDT",
            seconds_ago=3,
            daily_volume="1000",
            open_interest="2000",
            volatility="0.4",
            volatility_usual="0.3",
            bid_depth="11",
            ask_depth="12",
            temperature="0.6",
        )
        .scored(0.25)
        .scored(0.5, "account:demo")
        .scored(0.75, "desk")
        .performing(day_pnl="-1", day_funding="2", rolling_pnl="-3", equity="4", equity_peak="5", loss_streak=6)
        .known_bot(days=1, orders=7, fills=8, refusals=9)
        .performing(of="demo-bot", day_pnl="-10", rolling_pnl="-11", loss_streak=12)
        .forecasting("liquidation", 0.1)
        .forecasting("liquidation", 0.2, symbol="BTCUSDT")
        .forecasting("liquidation", 0.9, symbol="ETHUSDT")
        .forecasting("slippage", 0.3, symbol="BTCUSDT")
        .recorded(seconds_ago=5)
    )
    assert world.account is not None
    other, leg = world.account.positions
    leg = replace(leg, entry_price=Decimal(30_000), liquidation_price=Decimal(20_000), leverage=Decimal(4))
    account = replace(world.account, positions=(other, leg), available_balance=Decimal(900_000))
    return replace(world, account=account)


KNOWN: Mapping[str, Any] = {
    "order.symbol": "BTCUSDT",
    "order.side": "BUY",
    "order.position_side": "BOTH",
    "order.order_type": "STOP",
    "order.time_in_force": "GTC",
    "order.amend": False,
    "order.conditional": True,
    "order.quantity": 0.5,
    "order.price": 49_000.0,
    "order.trigger_price": 48_000.0,
    "order.notional": 25_000.0,
    "position.quantity": 2.0,
    "position.notional": 100_000.0,
    "position.entry_price": 30_000.0,
    "position.liquidation_price": 20_000.0,
    "position.leverage": 4.0,
    "position.long_after": 3.5,
    "position.short_after": 0.0,
    "account.name": "demo",
    "account.bot": "demo-bot",
    "account.hedged": False,
    "account.margin_balance": 1_000_000.0,
    "account.available_balance": 900_000.0,
    "account.positions": 2,
    "account.open_orders": 1,
    "account.gross_after": 182_500.0,
    "market.mark_price": 50_000.0,
    "market.last_price": 50_001.0,
    "market.index_price": 50_002.0,
    "market.bid_price": 49_999.0,
    "market.ask_price": 50_003.0,
    "market.bid_quantity": 7.0,
    "market.ask_quantity": 8.0,
    "market.funding_rate": -0.0001,
    "market.funding_in_s": 3600.0,
    "market.age_s": 2.0,
    "condition.daily_volume": 1000.0,
    "condition.open_interest": 2000.0,
    "condition.volatility": 0.4,
    "condition.volatility_usual": 0.3,
    "condition.bid_depth": 11.0,
    "condition.ask_depth": 12.0,
    "condition.temperature": 0.6,
    "condition.age_s": 3.0,
    "record.day_pnl": -1.0,
    "record.day_funding": 2.0,
    "record.rolling_pnl": -3.0,
    "record.equity": 4.0,
    "record.equity_peak": 5.0,
    "record.loss_streak": 6,
    "record.bot_day_pnl": -10.0,
    "record.bot_rolling_pnl": -11.0,
    "record.bot_loss_streak": 12,
    "record.bot_age_s": 86_400.0,
    "record.bot_orders": 7,
    "record.bot_fills": 8,
    "record.bot_refusals": 9,
    "record.age_s": 5.0,
    "signals.bot": 0.25,
    "signals.account": 0.5,
    "signals.desk": 0.75,
    "signals.liquidation": 0.2,
    "signals.slippage": 0.3,
}


@pytest.mark.parametrize("path", PATHS)
def test_each_name_reads_what_it_says(asked, path):
    found = asked(path, ENTRY, a_known_world())
    assert found == KNOWN[path]
    assert type(found) is type(KNOWN[path])


@pytest.mark.parametrize("path", [path for path in PATHS if path.split(".")[0] in ("market", "condition", "record")])
def test_what_the_guard_does_not_know_is_none(asked, path):
    assert asked(path, a_buy("XRPUSDT", "1", "1"), an_account()) is None


@pytest.mark.parametrize("name", ["name", "hedged", "margin_balance", "available_balance", "positions", "open_orders"])
def test_an_account_nobody_has_seen_is_none(asked, name):
    assert asked(f"account.{name}", ENTRY, an_account().unsurveyed()) is None


@pytest.mark.parametrize("name", ["bot", "account", "desk", "liquidation", "slippage"])
@pytest.mark.parametrize("world", [an_account(), an_account().unsurveyed(), an_account().recorded()])
def test_no_score_and_no_forecast_is_none(asked, name, world):
    assert asked(f"signals.{name}", ENTRY, world) is None


def test_a_record_without_results_or_without_the_bot_is_none(asked):
    assert asked("record.day_pnl", ENTRY, an_account().recorded()) is None
    assert asked("record.bot_day_pnl", ENTRY, an_account().performing(day_pnl="1")) is None
    assert asked("record.bot_day_pnl", ENTRY, an_account().performing().known_bot()) is None
    assert asked("record.bot_orders", ENTRY, an_account().known_bot("other-bot", orders=3)) is None


def test_what_a_venue_does_not_say_is_none(asked):
    assert asked("order.price", a_buy("BTCUSDT", "1"), an_account()) is None
    assert asked("order.trigger_price", a_buy("BTCUSDT", "1"), an_account()) is None
    assert asked("market.funding_in_s", ENTRY, an_account()) is None
    open_leg = an_account().long("BTCUSDT", "1")
    assert asked("position.liquidation_price", ENTRY, open_leg) is None
    assert open_leg.account is not None
    never = tuple(replace(leg, liquidation_price=Decimal(0)) for leg in open_leg.account.positions)
    never_ends = replace(open_leg, account=replace(open_leg.account, positions=never))
    assert asked("position.liquidation_price", ENTRY, never_ends) is None


def test_a_flat_leg_has_a_quantity_of_zero_and_no_prices(asked):
    for world in (an_account(), an_account().unsurveyed(), an_account().long("ETHUSDT", "1")):
        assert [asked(f"position.{name}", ENTRY, world) for name in ("quantity", "notional")] == [0.0, 0.0]
        assert asked("position.entry_price", ENTRY, world) is None


def test_a_short_position_is_worth_its_size(asked):
    world = an_account().short("BTCUSDT", "2")
    assert [asked(f"position.{name}", ENTRY, world) for name in ("quantity", "notional")] == [-2.0, 100_000.0]
    assert asked("position.short_after", a_sell("BTCUSDT", "1", "50000"), world) == 3.0


def test_a_position_is_worth_what_the_mark_of_now_says_as_in_every_limit(asked):
    world = an_account().long("BTCUSDT", "2").marked("BTCUSDT", "60000")
    assert asked("position.notional", ENTRY, world) == 120_000.0
    assert asked("position.notional", ENTRY, world.unmarked("BTCUSDT")) == 100_000.0


def test_a_leg_of_a_hedged_account_is_the_order_s_own(asked):
    world = an_account().hedged().short("BTCUSDT", "3").long("BTCUSDT", "2")
    entry = a_buy("BTCUSDT", "1", "50000", position_side="LONG")
    assert asked("position.quantity", entry, world) == 2.0
    assert asked("account.hedged", entry, world) is True


def test_an_amend_is_shown_as_its_worst_case(asked):
    world = an_account().resting(an_open_order(Side.BUY, "BTCUSDT", "1", "50000"))
    amend = an_amend(Side.BUY, "BTCUSDT", "0.4", "49000", order_id="1")
    shown = {name: asked(f"order.{name}", amend, world) for name in FIELDS["order"]}
    assert shown == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "position_side": "BOTH",
        "order_type": "LIMIT",
        "time_in_force": None,
        "amend": True,
        "conditional": False,
        "quantity": 1.0,
        "price": 49_000.0,
        "trigger_price": None,
        "notional": 50_000.0,
    }


def test_times_count_away_from_now_in_both_directions(asked):
    world = an_account().marked("BTCUSDT", "50000", seconds_ago=-4, next_funding_at=NOW - timedelta(seconds=6))
    assert asked("market.age_s", ENTRY, world) == 4.0
    assert asked("market.funding_in_s", ENTRY, world) == 6.0


def test_what_adds_nothing_cannot_be_asked_for_its_size(asked):
    with pytest.raises(ValueError, match=r"^the order adds nothing, or its size is not known$"):
        asked("order.quantity", a_sell("BTCUSDT", "1", reduce_only=True), an_account().long("BTCUSDT", "1"))
