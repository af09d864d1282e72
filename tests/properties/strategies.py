"""Worlds, commands and rules at random: what hypothesis needs to look for the case nobody thought of.

``PERPGUARD_PROOF`` (1 to 100) multiplies the number of examples. At 1 they are the same every time, so that a test
fails for a change and not for its luck; a proof draws new ones and prints how to see its failure again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from rules.decision import Enforcement
from rules.flow.message_rate import MessageRate
from rules.market.data_freshness import DataFreshness
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
from rules.order.exit_collar import ExitCollar
from rules.order.instrument_filters import InstrumentFilters
from rules.order.max_order_value import MaxOrderValue
from rules.order.price_collar import PriceCollar
from rules.order.unresolved_order import Match, UnresolvedOrder
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.portfolio.margin_budget import MarginBudget
from rules.position.max_leverage import MaxLeverage
from rules.position.own_share import OwnShare
from rules.position.position_limit import PositionLimit
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits
from rules.rule import Rule
from rules.snapshot import Controls, HeldOrder, HoldStatus, OpenOrder
from tests.rules.builders import MARKS, World, an_account

PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))


def examples(number: int) -> settings:
    return settings(
        max_examples=number * PROOF,
        deadline=None,
        derandomize=PROOF == 1,
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
    """A fresh, active world with positions, resting orders and holds."""
    world = an_account().worth(str(draw(st.integers(-1_000, 400_000))))
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
    return world.behaving(draw(st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0])))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any world: states, outages, ignorance. No kill runs."""
    world = draw(books())
    states = st.sampled_from([TradingState.ACTIVE, TradingState.ACTIVE, *TradingState])
    controls = Controls(generation=1, desk=draw(states), account=draw(states), bot=draw(states), symbol=draw(states))
    world = replace(world, controls=controls)
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


LEVELS = ("desk", "account:demo", "bot:demo-bot", "symbol:BTCUSDT", "bot:somebody-else")
SCOPES = tuple(f"message_rate@{level}" for level in LEVELS)
_levels = st.sampled_from(LEVELS)
_enforcements = st.sampled_from([Enforcement.ENFORCE, Enforcement.ENFORCE, *Enforcement])
_bound = {"level": _levels, "enforcement": _enforcements}
_money = st.integers(1, 400_000).map(Decimal)
_share = st.integers(0, 100).map(lambda percent: Decimal(percent) / 100)
_rho = st.integers(-100, 100).map(lambda percent: Decimal(percent) / 100)

max_order_values = st.builds(MaxOrderValue, limit=_money, **_bound)
position_limits = st.one_of(
    st.builds(PositionLimit, limit_notional=_money, **_bound),
    st.builds(PositionLimit, limit_quantity=st.integers(1, 5_000).map(lambda n: n * Decimal("0.001")), **_bound),
)
max_leverages = st.builds(MaxLeverage, limit=st.integers(1, 100).map(lambda n: n / Decimal(10)), **_bound)
correlated_exposures = st.builds(
    CorrelatedExposure,
    limit_notional=_money,
    limit_equity=st.none() | st.integers(1, 50).map(lambda n: n / Decimal(10)),
    default=_rho,
    stress_floor=_rho,
    hedge_credit=_share,
    pairs=st.dictionaries(st.sampled_from(["BTCUSDT:ETHUSDT", "DOGEUSDT:BTCUSDT"]), _rho, max_size=2),
    **_bound,
)
margin_budgets = st.builds(
    MarginBudget,
    limit=_money,
    leverage=st.integers(1, 20).map(Decimal),
    level=st.sampled_from([level for level in LEVELS if level.startswith("bot:")]),
    enforcement=_enforcements,
)
sized_rules: st.SearchStrategy[Rule] = st.one_of(
    max_order_values, position_limits, max_leverages, correlated_exposures, margin_budgets
)
own_shares = st.builds(
    OwnShare,
    netting=st.booleans(),
    level=st.sampled_from([level for level in LEVELS if not level.startswith("symbol:")]),
    enforcement=_enforcements,
)
message_rates = st.builds(
    MessageRate, per_second=st.just(Decimal(20)), burst=st.just(Decimal(40)), tighten=_share, **_bound
)
price_collars = st.builds(PriceCollar, band=_share, **_bound)
unsized_rules: st.SearchStrategy[Rule] = st.one_of(
    st.builds(InstrumentFilters, **_bound),
    message_rates,
    price_collars,
    st.builds(ReduceOnlyExits, mode=st.just(ExitMode.REQUIRE), **_bound),
    st.builds(DataFreshness, account_age_max_s=st.integers(1, 60), mark_age_max_s=st.integers(1, 60), level=_levels),
    st.builds(UnresolvedOrder, match=st.sampled_from(Match), remember_s=st.integers(1, 90_000), level=_levels),
)
exit_collars = st.builds(ExitCollar, band=_share, **_bound)
forcing = st.builds(ReduceOnlyExits, mode=st.just(ExitMode.FORCE), **_bound)

entry_rules: st.SearchStrategy[Rule] = sized_rules | unsized_rules
"""Every rule that can only object."""

all_rules: st.SearchStrategy[Rule] = st.one_of(sized_rules, unsized_rules, exit_collars, own_shares, forcing)


def rule_lists(each: st.SearchStrategy[Rule], most: int = 5) -> st.SearchStrategy[list[Rule]]:
    """A rule stands at most once at a level, as in a policy file."""
    return st.lists(each, max_size=most, unique_by=lambda rule: (rule.rule_id, rule.level))
