"""How often a refusal says what would have passed: a seeded day of orders, right and wrong, under shipped policies."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.policy.reading import load_policy
from rules.account import SymbolSettings
from rules.decision import Verdict
from rules.engine import decide
from rules.facts import PRICE_WINDOWS_S, Holding, PriceRange
from rules.model import MarginMode, OrderType, PlaceOrder, Side, TimeInForce, TriggerBy
from rules.policy import Policy
from tests.properties.strategies import TIERS
from tests.rules.builders import MARKS, NOW, World, an_account

POLICIES = Path(__file__).resolve().parents[2] / "configs" / "policies"
ORDERS = 1_500


def a_desk(chance: random.Random) -> World:
    """An account as it is on a working day: known, fresh, with a few positions that are within any limit."""
    world = an_account().worth(str(chance.randint(100_000, 400_000)))
    for symbol, price in MARKS.items():
        mark = Decimal(price)
        world = world.listing(symbol, tiers=TIERS).marked(
            symbol,
            price,
            bid_price=mark * Decimal("0.9999"),
            ask_price=mark * Decimal("1.0001"),
            bid_quantity=Decimal(100),
            ask_quantity=Decimal(100),
            last_price=mark,
            index_price=mark,
            funding_rate=Decimal("0.0001"),
            next_funding_at=NOW + timedelta(hours=4),
        )
        world = world.in_conditions(
            symbol,
            daily_volume=Decimal(10_000_000_000) / mark,
            open_interest=Decimal(3_000_000_000) / mark,
            volatility="0.006",
            volatility_usual="0.006",
            ranges=tuple(
                PriceRange(window_s=window, as_of=NOW, low=mark * Decimal("0.995"), high=mark * Decimal("1.005"))
                for window in PRICE_WINDOWS_S
            ),
            bid_depth="2000000",
            ask_depth="2000000",
            depth_band="0.001",
            temperature="0.2",
        )
        if chance.random() < 0.5:
            held = Decimal(chance.randint(500, 8_000)) / mark
            world = world.long(symbol, str(held.quantize(Decimal("0.001") if mark > 1 else Decimal(1))))
    world = world.with_latency(
        round_trip_ms="40",
        round_trip_usual_ms="40",
        stream_lag_ms="20",
        stream_lag_usual_ms="20",
        clock_skew_ms="3",
        clock_skew_usual_ms="3",
    )
    held = tuple(Holding(symbol=symbol, funding_stamps=9, conditional_proven=True) for symbol in MARKS)
    world = world.performing().known_bot(holdings=held).performing(of="demo-bot").recorded()
    assert world.account is not None
    settings = tuple(
        SymbolSettings(symbol=symbol, margin_mode=MarginMode.CROSS, leverage=Decimal(5)) for symbol in MARKS
    )
    positions = tuple(replace(each, adl_quantile=1) for each in world.account.positions)
    return replace(world, account=replace(world.account, settings=settings, positions=positions, multi_assets=False))


def an_order(chance: random.Random) -> PlaceOrder:
    """Sizes from small change to far too much; most prices near the mark, a few far off; now and then a stop."""
    symbol = chance.choice(list(MARKS))
    mark = Decimal(MARKS[symbol])
    worth = Decimal(str(round(10 ** chance.uniform(2, 6), 2)))
    lot = Decimal("0.001") if mark > 1 else Decimal(1)
    tick = {"BTCUSDT": "0.1", "ETHUSDT": "0.01", "DOGEUSDT": "0.00001"}[symbol]
    away = Decimal(str(round(chance.gauss(0, 0.012), 4)))
    price = (mark * (1 + away)).quantize(Decimal(tick))
    order = PlaceOrder(
        symbol=symbol,
        side=chance.choices([Side.BUY, Side.SELL], [4, 1])[0],
        order_type=OrderType.MARKET,
        quantity=max(lot, (worth / mark).quantize(lot)),
    )
    match chance.randint(0, 9):
        case 0 | 1 | 2:
            return order
        case 3:
            return replace(
                order, order_type=OrderType.STOP_MARKET, trigger_price=price, trigger_by=chance.choice(list(TriggerBy))
            )
        case _:
            return replace(order, order_type=OrderType.LIMIT, price=price, time_in_force=TimeInForce.GTC)


@pytest.mark.parametrize("name", ["solo", "desk"])
def test_at_least_half_of_the_refusals_name_a_size_that_passes(name: str) -> None:
    policy, chance = load_policy(POLICIES / f"{name}.toml"), random.Random(20261127)
    seen: Counter[str] = Counter()
    world = a_desk(chance)
    for number in range(ORDERS):
        if number % 10 == 0:
            world = a_desk(chance)
        order = an_order(chance)
        decision = decide(order, world.snapshot, policy)
        if decision.verdict is Verdict.ALLOW:
            seen["ALLOWED"] += 1
            continue
        seen["REFUSED"] += 1
        seen[decision.breaches[0].code] += 1
        if decision.headroom is None:  # Something refused it that knows no size, and where that begins is not known.
            assert any(each.headroom is None for each in decision.breaches)
        elif decision.headroom > 0:
            seen["NAMED"] += 1
            passes_exactly(order, decision.headroom, world, policy)
    assert seen["REFUSED"] > ORDERS / 10
    assert seen["ALLOWED"] > ORDERS / 10
    assert seen["NAMED"] >= seen["REFUSED"] / 2, seen.most_common()


def passes_exactly(order: PlaceOrder, headroom: Decimal, world: World, policy: Policy) -> None:
    """The size that was named passes, and one lot more does not."""
    lot = world.instruments[order.symbol].step_size
    assert decide(replace(order, quantity=headroom), world.snapshot, policy).verdict is Verdict.ALLOW
    assert decide(replace(order, quantity=headroom + lot), world.snapshot, policy).verdict is Verdict.DENY
