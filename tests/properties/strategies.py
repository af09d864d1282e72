"""Worlds, commands and rules at random: what hypothesis needs to look for the case nobody thought of.

``PERPGUARD_PROOF`` (1 to 100) multiplies the number of examples. Without it they are the same every time, so that a
test fails for a change and not for its luck; a proof draws new ones and prints how to see its failure again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from rules.account import HeldOrder, HoldStatus, OpenOrder, SymbolSettings
from rules.facts import (
    PRICE_WINDOWS_S,
    AccountRecord,
    BotRecord,
    Condition,
    Conditions,
    Forecast,
    Holding,
    Latency,
    Performance,
    PriceRange,
    Unprotected,
)
from rules.instrument import MarginTier
from rules.model import (
    AdjustIsolatedMargin,
    AmendOrder,
    ArmDeadMan,
    CancelAll,
    CancelOrder,
    Command,
    MarginMode,
    OrderType,
    PlaceOrder,
    PositionSide,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
    Side,
    TimeInForce,
    TradingState,
    TriggerBy,
)
from rules.snapshot import Controls
from tests.properties.rule_strategies import LEVELS
from tests.rules.builders import MARKS, NOW, World, an_account

PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))


def examples(number: int) -> settings:
    return settings(
        max_examples=number * PROOF,
        deadline=None,
        derandomize="PERPGUARD_PROOF" not in os.environ,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


symbols = st.sampled_from(["BTCUSDT", "ETHUSDT", "DOGEUSDT"])
sides = st.sampled_from(Side)
_UNITS = {"BTCUSDT": Decimal("0.001"), "ETHUSDT": Decimal("0.001"), "DOGEUSDT": Decimal(1)}
_TICKS = {"BTCUSDT": Decimal("0.1"), "ETHUSDT": Decimal("0.01"), "DOGEUSDT": Decimal("0.00001")}
_LOTS = {"BTCUSDT": 3_000, "ETHUSDT": 60_000, "DOGEUSDT": 1_500_000}


@st.composite
def quantities(draw: st.DrawFn, symbol: str, *, off_step: bool = False) -> Decimal:
    """Up to about 150,000 in quote currency; now and then not a multiple of the step."""
    quantity = draw(st.integers(1, _LOTS[symbol])) * _UNITS[symbol]
    if off_step and draw(st.integers(0, 9)) == 0:
        quantity += _UNITS[symbol] / 2
    return quantity


@st.composite
def prices(draw: st.DrawFn, symbol: str, *, band_percent: int = 30) -> Decimal:
    """Around the mark, on the tick."""
    permille = draw(st.integers(1000 - 10 * band_percent, 1000 + 10 * band_percent))
    ticks = Decimal(MARKS[symbol]) * permille / 1000 / _TICKS[symbol]
    return int(ticks) * _TICKS[symbol]


def position_sides(hedged: bool) -> st.SearchStrategy[PositionSide]:
    legs = [PositionSide.LONG, PositionSide.SHORT] if hedged else [PositionSide.BOTH]
    return st.sampled_from(legs)


@st.composite
def entries(draw: st.DrawFn, hedged: bool = False, symbol: str | None = None) -> PlaceOrder:
    """An order without any venue guarantee."""
    symbol = symbol or draw(symbols)
    side = draw(sides)
    leg = PositionSide.BOTH
    if hedged:
        leg = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
    order = PlaceOrder(
        symbol=symbol,
        side=side,
        order_type=OrderType.MARKET,
        quantity=draw(quantities(symbol, off_step=True)),
        position_side=leg,
        reduce_only=draw(st.sampled_from([None, False])),
        client_order_id=draw(st.none() | st.just("bot-1")),
    )
    return draw(_priced(order))


@st.composite
def _priced(draw: st.DrawFn, order: PlaceOrder) -> PlaceOrder:
    kind = draw(st.sampled_from([OrderType.MARKET, OrderType.LIMIT, *OrderType]))
    terms: dict[str, Any] = {"order_type": kind}
    if not kind.is_market:
        if kind is OrderType.LIMIT and draw(st.integers(0, 4)) == 0:
            terms["price_match"] = draw(st.sampled_from(["QUEUE", "OPPONENT", "OPPONENT_5"]))
        else:
            terms["price"] = draw(prices(order.symbol))
        terms["time_in_force"] = draw(st.sampled_from(TimeInForce))
    if kind is OrderType.TRAILING_STOP_MARKET:
        terms["callback_rate"] = Decimal(1)
        terms["activate_price"] = draw(st.none() | prices(order.symbol))
    elif kind.is_conditional:
        terms["trigger_price"] = draw(prices(order.symbol))
        terms["trigger_by"] = draw(st.sampled_from(TriggerBy))
    return replace(order, **terms)


@st.composite
def exits(draw: st.DrawFn, hedged: bool = False) -> PlaceOrder:
    """An order the venue guarantees to shrink, priced within ten percent of the mark if at all."""
    symbol, side = draw(symbols), draw(sides)
    order = PlaceOrder(
        symbol=symbol, side=side, order_type=OrderType.MARKET, quantity=draw(quantities(symbol, off_step=True))
    )
    if hedged:
        leg = PositionSide.LONG if side is Side.SELL else PositionSide.SHORT
        order = replace(order, position_side=leg)
    elif draw(st.booleans()):
        trigger = draw(prices(symbol))
        return replace(
            order, order_type=OrderType.STOP_MARKET, quantity=None, close_position=True, trigger_price=trigger
        )
    else:
        order = replace(order, reduce_only=True)
    if draw(st.booleans()):
        order = replace(order, order_type=OrderType.LIMIT, price=draw(prices(symbol, band_percent=10)))
    return order


@st.composite
def amends(draw: st.DrawFn, world: World | None = None) -> AmendOrder:
    """An amend, of an order that rests when there is one, or of one nobody knows."""
    resting = world.account.open_orders if world is not None and world.account is not None else ()
    plain = [order for order in resting if not order.order_type.is_conditional]
    if plain and draw(st.booleans()):
        original = draw(st.sampled_from(plain))
        symbol, side, order_id = original.symbol, original.side, original.order_id
    else:
        symbol, side, order_id = draw(symbols), draw(sides), "404"
    matched = draw(st.integers(0, 5)) == 0
    return AmendOrder(
        symbol=symbol,
        side=side,
        quantity=draw(quantities(symbol, off_step=True)),
        price=None if matched else draw(prices(symbol)),
        price_match="OPPONENT" if matched else None,
        order_id=order_id,
    )


cancels: st.SearchStrategy[Command] = st.one_of(
    st.builds(CancelOrder, symbol=symbols | st.none(), order_id=st.just("1"), conditional=st.booleans()),
    st.builds(CancelAll, symbol=symbols, conditional=st.booleans()),
    st.builds(ArmDeadMan, symbol=symbols, countdown_ms=st.integers(0, 60_000)),
)

configurations: st.SearchStrategy[Command] = st.one_of(
    st.builds(SetLeverage, symbol=symbols, leverage=st.integers(1, 125).map(Decimal)),
    st.builds(SetMarginMode, symbol=symbols, margin_mode=st.sampled_from(MarginMode)),
    st.builds(SetPositionMode, hedged=st.booleans()),
    st.builds(SetMultiAssetMode, enabled=st.booleans()),
    st.builds(
        AdjustIsolatedMargin,
        symbol=symbols,
        position_side=st.sampled_from(PositionSide),
        amount=st.integers(-500, 500).map(Decimal),
    ),
)


def commands(world: World) -> st.SearchStrategy[Command]:
    """Anything a bot may ask of this world."""
    hedged = world.account is not None and world.account.hedged
    return st.one_of(entries(hedged), entries(hedged), exits(hedged), amends(world), cancels, configurations)


@st.composite
def open_orders(draw: st.DrawFn, hedged: bool, order_id: str) -> OpenOrder:
    symbol, side = draw(symbols), draw(sides)
    closes = not hedged and draw(st.integers(0, 5)) == 0
    conditional = closes or draw(st.integers(0, 3)) == 0
    return OpenOrder(
        symbol=symbol,
        side=side,
        position_side=draw(position_sides(hedged)),
        order_type=OrderType.STOP_MARKET if conditional else OrderType.LIMIT,
        leaves_quantity=None if closes else draw(quantities(symbol)),
        price=None if conditional else draw(prices(symbol)),
        trigger_price=draw(prices(symbol)) if conditional else None,
        reduce_only=not hedged and draw(st.booleans()),
        close_position=closes,
        order_id=order_id,
        client_order_id=f"c{order_id}",
        filled_quantity=Decimal(0) if conditional else draw(st.sampled_from([Decimal(0), Decimal(1)])),
    )


@st.composite
def held_orders(draw: st.DrawFn, hedged: bool, world: World) -> HeldOrder:
    symbol, side = draw(symbols), draw(sides)
    leg = (PositionSide.LONG if side is Side.BUY else PositionSide.SHORT) if hedged else PositionSide.BOTH
    return HeldOrder(
        symbol=symbol,
        side=side,
        position_side=leg,
        quantity=draw(quantities(symbol)),
        price=draw(st.none() | prices(symbol)),
        client_order_id=draw(st.sampled_from(["", "c1", "held"])),
    )


@st.composite
def books(draw: st.DrawFn, hedged: bool | None = None) -> World:
    """A fresh, active world with positions, resting orders and holds, now and then shortly after a re-arm."""
    ramp = Decimal(draw(st.sampled_from(["1", "1", "1", "0.99", "0.25", "0.01"])))
    world = replace(an_account(), controls=Controls(generation=1, ramp=ramp))
    world = world.worth(str(draw(st.integers(-1_000, 400_000))))
    if draw(st.booleans()) if hedged is None else hedged:
        world = world.hedged()
    assert world.account is not None
    for symbol in MARKS:
        for direction in draw(st.sampled_from([(), (), (1,), (-1,)] + ([(1, -1)] if world.account.hedged else []))):
            size = str(draw(quantities(symbol)))
            world = world.long(symbol, size) if direction > 0 else world.short(symbol, size)
    for symbol in draw(st.lists(symbols, max_size=2, unique=True)):
        world = world.marked(symbol, str(draw(prices(symbol, band_percent=5))))
    for number in range(draw(st.integers(0, 3))):
        world = world.resting(draw(open_orders(world.account.hedged, str(number + 1))))
    for _ in range(draw(st.integers(0, 3))):
        status = draw(st.sampled_from(HoldStatus))
        world = world.holding(draw(held_orders(world.account.hedged, world)), status=status)
    for scope in draw(st.lists(st.sampled_from(SCOPES), max_size=3, unique=True)):
        world = world.with_tokens(scope, str(draw(st.integers(0, 80)) / Decimal(2)))
    if draw(st.integers(0, 3)) > 0:
        world = draw(with_facts(world))
    return world.behaving(draw(st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0])))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any world: states, outages, ignorance. No kill runs."""
    world = draw(books())
    states = st.sampled_from([TradingState.ACTIVE, TradingState.ACTIVE, *TradingState])
    levels = {level: draw(states) for level in ("desk", "venue", "account", "bot", "symbol")}
    world = replace(world, controls=replace(world.controls, **levels))
    assert world.account is not None
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        bot, ago = draw(st.sampled_from(["demo-bot", "other-bot"])), draw(st.sampled_from([0, 86_400, 86_401]))
        world = world.losing(draw(held_orders(world.account.hedged, world)), bot=bot, seconds_ago=ago)
    if draw(st.integers(0, 3)) == 0:
        world = world.resolved()
    symbol = draw(symbols)
    match draw(st.integers(0, 11)):
        case 0:
            world = world.without_store()
        case 1:
            world = world.surveyed(draw(st.sampled_from([45, 46, -46, 86_400])))
        case 2:
            world = world.unmarked(symbol)
        case 3:
            world = world.marked(symbol, MARKS[symbol], seconds_ago=draw(st.sampled_from([10, 11, -11])))
        case 4:
            world = world.unlisted(symbol)
        case 5:
            world = world.listing(symbol, trading=False)
        case 6:
            world = world.listing(symbol, tick_size=Decimal(0))
        case 7:
            world = world.unsurveyed()
        case 8:
            world = replace(world.unsurveyed().without_store(), instruments={}, markets={}, holds=())
        case _:
            pass
    return world


SCOPES = tuple(f"message_rate@{level}" for level in LEVELS)

_rho = st.integers(-100, 100).map(lambda percent: Decimal(percent) / 100)
_band = st.tuples(_rho, _rho).map(lambda ends: (min(ends), max(ends)))


@st.composite
def _decimal(draw: st.DrawFn, low: str, high: str) -> Decimal:
    return draw(st.decimals(low, high, places=4))


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    """What the warden may have measured; any part may be missing or old."""
    symbols_known = draw(st.lists(symbols, unique=True, max_size=3))

    def maybe(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | values)

    known = {}
    for symbol in symbols_known:
        mark = Decimal(MARKS[symbol])
        known[symbol] = Condition(
            symbol=symbol,
            as_of=NOW - timedelta(seconds=draw(st.sampled_from([0, 1, 59, 301, -30]))),
            daily_volume=maybe(st.integers(0, 100_000).map(Decimal)),
            open_interest=maybe(st.integers(0, 100_000).map(Decimal)),
            volatility=maybe(_decimal("0", "0.2")),
            volatility_usual=maybe(_decimal("0", "0.2")),
            ranges=tuple(
                PriceRange(window_s=window_s, as_of=NOW, low=mark * Decimal("0.97"), high=mark * Decimal("1.02"))
                for window_s in draw(st.sampled_from([(), PRICE_WINDOWS_S]))
            ),
            bid_depth=maybe(st.integers(0, 500_000).map(Decimal)),
            ask_depth=maybe(st.integers(0, 500_000).map(Decimal)),
            depth_band=Decimal("0.001"),
            temperature=maybe(_decimal("0", "1")),
        )
    milliseconds = st.none() | st.integers(0, 5_000).map(Decimal)
    latency = Latency(
        as_of=NOW - timedelta(seconds=draw(st.sampled_from([0, 400]))),
        **{
            f"{part}{usual}_ms": draw(milliseconds)
            for part in ("round_trip", "stream_lag", "clock_skew")
            for usual in ("", "_usual")
        },
    )
    return Conditions(
        version=1,
        as_of=NOW,
        symbols=known,
        correlations=draw(st.dictionaries(st.sampled_from(["BTCUSDT:ETHUSDT", "BTCUSDT:DOGEUSDT"]), _rho)),
        correlation_bands=draw(st.dictionaries(st.sampled_from(["BTCUSDT:ETHUSDT", "BTCUSDT:DOGEUSDT"]), _band)),
        correlations_as_of=draw(st.none() | st.sampled_from([NOW, NOW - timedelta(days=2)])),
        latency=draw(st.none() | st.just(latency)),
    )


@st.composite
def performances(draw: st.DrawFn) -> Performance:
    money = st.integers(-50_000, 50_000).map(Decimal)
    equity = draw(st.integers(1, 400_000).map(Decimal))
    return Performance(
        day_pnl=draw(money),
        day_funding=draw(money) / 10,
        rolling_pnl=draw(money),
        rolling_funding=draw(money) / 10,
        day_peak=draw(money),
        equity=equity,
        equity_peak=equity + draw(st.integers(0, 100_000)),
        losses=tuple(NOW - timedelta(seconds=ago) for ago in draw(st.sampled_from([(), (30,), (4_000, 90, 10)]))),
        loss_streak=draw(st.integers(0, 5)),
    )


@st.composite
def records(draw: st.DrawFn) -> AccountRecord:
    """What the warden may remember of the account and the bot."""
    days = draw(st.sampled_from([0, 1, 10, 400]))
    bot = BotRecord(
        bot="demo-bot",
        first_seen=NOW - timedelta(days=days),
        clean_since=NOW - timedelta(days=draw(st.integers(0, days))),
        orders=draw(st.integers(0, 2_000)),
        fills=draw(st.integers(0, 100)),
        performance=draw(st.none() | performances()),
        holdings=tuple(
            Holding(
                symbol=symbol,
                funding_stamps=draw(st.integers(0, 3)),
                conditional_proven=draw(st.booleans()),
            )
            for symbol in draw(st.lists(symbols, unique=True, max_size=3))
        ),
    )
    forecasts = [
        Forecast(
            name=name,
            as_of=NOW - timedelta(seconds=draw(st.sampled_from([0, 4_000]))),
            probability=draw(st.sampled_from([0.0, 0.01, 0.2, 0.9])),
            horizon_s=3_600,
            symbol=draw(symbols),
            side=draw(sides),
            quantity=Decimal(1),
            threshold=Decimal("0.001"),
            reliable=draw(st.booleans()),
        )
        for name in draw(st.lists(st.sampled_from(["liquidation", "slippage"]), max_size=2))
    ]
    return AccountRecord(
        account="demo",
        version=1,
        as_of=NOW - timedelta(seconds=draw(st.sampled_from([0, 0, 0, 20, 900]))),
        performance=draw(st.none() | performances()),
        bots=draw(st.sampled_from([(), (bot,)])),
        unprotected=draw(
            st.sampled_from(
                [
                    (),
                    (Unprotected(symbol="BTCUSDT", position_side=PositionSide.BOTH, since=NOW - timedelta(minutes=5)),),
                ]
            )
        ),
        forecasts=tuple(forecasts),
    )


@st.composite
def with_facts(draw: st.DrawFn, world: World) -> World:
    """A world in which the warden has measured something, and the bot has a past."""
    assert world.account is not None
    for _ in range(draw(st.sampled_from([0, 0, 1, 4]))):
        command = draw(entries(world.account.hedged))
        size = draw(st.none() | st.integers(0, 3).map(str))
        world = world.having_tried(
            command, seconds_ago=draw(st.integers(0, 400)), refused=draw(st.booleans()), refused_at_size=size
        )
    for level in draw(st.lists(st.sampled_from(["bot:demo-bot", "account:demo", "desk"]), max_size=2)):
        world = world.scored(draw(st.sampled_from([0.1, 0.5, 0.9, 1.0])), level)
    settings_known = tuple(
        SymbolSettings(symbol=symbol, margin_mode=draw(st.sampled_from(MarginMode)), leverage=Decimal(5))
        for symbol in draw(st.lists(symbols, unique=True, max_size=3))
    )
    account = replace(
        world.account, settings=settings_known, multi_assets=draw(st.sampled_from([None, False, False, True]))
    )
    for symbol in draw(st.lists(symbols, unique=True, max_size=2)):
        world = world.listing(symbol, tiers=TIERS, delisted_at=draw(st.none() | st.just(NOW + timedelta(hours=1))))
    for symbol in draw(st.lists(symbols, unique=True, max_size=2)):
        mark = Decimal(MARKS[symbol])
        world = world.marked(
            symbol,
            MARKS[symbol],
            bid_price=mark * Decimal("0.9995"),
            ask_price=mark * Decimal("1.0005"),
            last_price=mark * Decimal(draw(st.sampled_from(["1", "1.02"]))),
            index_price=mark,
            funding_rate=draw(st.decimals("-0.01", "0.01", places=5)),
            next_funding_at=NOW + timedelta(minutes=draw(st.integers(0, 480))),
        )
    if draw(st.booleans()):
        world = world.used_to(any_size="100 5000 90000", through="0.001 0.01 0.1", symbols=("BTCUSDT",), new_symbol=0.8)
    return replace(
        world, account=account, conditions=draw(st.none() | conditions()), record=draw(st.none() | records())
    )


TIERS = (
    MarginTier(
        notional_floor=Decimal(0),
        notional_cap=Decimal(50_000),
        leverage_max=Decimal(125),
        maintenance_rate=Decimal("0.004"),
        maintenance_amount=Decimal(0),
    ),
    MarginTier(
        notional_floor=Decimal(50_000),
        notional_cap=Decimal(100_000_000),
        leverage_max=Decimal(50),
        maintenance_rate=Decimal("0.01"),
        maintenance_amount=Decimal(300),
    ),
)
