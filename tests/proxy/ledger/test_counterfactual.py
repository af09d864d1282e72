"""What a refused order would have come to: a table of cases, and what holds for every one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.ledger.counterfactual import Fees, Horizon, Mark, Outcome, Stamp, State, mark_near, outcomes
from rules.model import OrderType, PlaceOrder, Side, TimeInForce
from tests.rules.builders import NOW

FREE = Fees(taker=Decimal(0), maker=Decimal(0))
LATER = NOW + timedelta(days=1)
MINUTE = timedelta(minutes=1)


def an_order(side: str = "BUY", order_type: str = "MARKET", quantity: str = "2", **more: Any) -> PlaceOrder:
    prices = {name: Decimal(value) for name, value in more.items() if name in ("price", "trigger_price")}
    return PlaceOrder(
        symbol="BTCUSDT",
        side=Side(side),
        order_type=OrderType(order_type),
        quantity=Decimal(quantity),
        **{**more, **prices},
    )


def a_limit(side: str, price: str, **more: Any) -> PlaceOrder:
    return an_order(side, "LIMIT", price=price, **more)


def minutes(*prices: float, after: int = 0) -> list[Mark]:
    """A mark a minute from the decision on; the last price then stands for two hours."""
    whole = [*prices, *[prices[-1]] * (120 - len(prices))]
    return [Mark(NOW + (after + place) * MINUTE, Decimal(str(price))) for place, price in enumerate(whole)]


def judged(order: PlaceOrder, marks: Sequence[Mark], horizon: Horizon = Horizon.FIVE_MINUTES, **more: Any) -> Outcome:
    options: dict[str, Any] = {"stamp": None, "fees": FREE, "now": LATER, **more}
    return outcomes(order, NOW, marks, options["stamp"], options["fees"], options["now"])[horizon]


def result(order: PlaceOrder, marks: Sequence[Mark], horizon: Horizon = Horizon.FIVE_MINUTES, **more: Any) -> Decimal:
    found = judged(order, marks, horizon, **more)
    assert found.state is State.FILLED, found
    assert found.result is not None
    return found.result


# Market orders


@pytest.mark.parametrize(("side", "gained"), [("BUY", 20), ("SELL", -20)])
def test_a_market_order_fills_at_the_mark_of_the_decision(side: str, gained: int) -> None:
    marks = minutes(100, 101, 102, 103, 104, 110, 50)
    assert result(an_order(side), marks) == gained


def test_each_horizon_has_its_own_mark() -> None:
    marks = minutes(100, 100, 100, 100, 100, 110, *[110] * 54, 130, 90)
    stamp = Stamp(NOW + 61 * MINUTE, Decimal(0))
    found = outcomes(an_order(), NOW, marks, stamp, FREE, LATER)
    assert {horizon: each.result for horizon, each in found.items()} == {
        Horizon.FIVE_MINUTES: 20,
        Horizon.HOUR: 60,
        Horizon.FUNDING: -20,
    }


def test_the_fee_of_the_fill_is_taken_and_no_other() -> None:
    fees = Fees(taker=Decimal("0.001"), maker=Decimal("0.0001"))
    marks = minutes(100, 90, 110)
    assert result(an_order(), marks, fees=fees) == 20 - Decimal("0.2")
    assert result(an_order("SELL"), marks, fees=fees) == -20 - Decimal("0.2")
    assert result(a_limit("BUY", "95"), marks, fees=fees) == 30 - Decimal("0.019")


# Limits


@pytest.mark.parametrize(
    ("order", "marks", "expected"),
    [
        (a_limit("BUY", "95"), (100, 95, 120), 50),
        (a_limit("BUY", "95"), (100, 90, 120), 50),
        (a_limit("BUY", "95"), (100, 95.1, 120), None),
        (a_limit("SELL", "105"), (100, 105, 80), 50),
        (a_limit("SELL", "105"), (100, 110, 80), 50),
        (a_limit("SELL", "105"), (100, 104.9, 80), None),
        # The mark of the decision had reached it: there, as a market order, and no worse than its limit.
        (a_limit("BUY", "100"), (100, 120), 40),
        (a_limit("BUY", "115"), (100, 120), 40),
        (a_limit("SELL", "85"), (100, 80), 40),
        # It may not take, or may not wait.
        (a_limit("BUY", "115", time_in_force=TimeInForce.GTX), (100, 120), None),
        (a_limit("BUY", "95", time_in_force=TimeInForce.GTX), (100, 95, 120), 50),
        (a_limit("BUY", "95", time_in_force=TimeInForce.IOC), (100, 95, 120), None),
        (a_limit("BUY", "95", time_in_force=TimeInForce.FOK), (100, 95, 120), None),
        (a_limit("BUY", "100", time_in_force=TimeInForce.IOC), (100, 120), 40),
        # Priced by the venue off its book: at the mark.
        (an_order("BUY", "LIMIT", price_match="QUEUE"), (100, 120), 40),
        (an_order("BUY", "LIMIT", price_match="QUEUE", time_in_force=TimeInForce.GTX), (100, 120), 40),
    ],
)
def test_a_limit_fills_when_the_mark_comes_to_it(
    order: PlaceOrder, marks: tuple[float, ...], expected: int | None
) -> None:
    found = judged(order, minutes(*marks))
    assert (found.state, found.result) == ((State.FILLED, expected) if expected else (State.NOT_FILLED, None))


def test_a_limit_that_is_reached_after_a_horizon_is_filled_at_the_next_alone() -> None:
    marks = minutes(100, 100, 100, 100, 100, 100, 95, 97)
    assert judged(a_limit("BUY", "95"), marks).state is State.NOT_FILLED
    assert result(a_limit("BUY", "95"), marks, Horizon.HOUR) == 4


def test_an_order_that_would_have_expired_is_not_filled_afterwards() -> None:
    till = round((NOW + 2 * MINUTE).timestamp() * 1000)
    order = a_limit("BUY", "95", time_in_force=TimeInForce.GTD, good_till_ms=till)
    assert result(order, minutes(100, 100, 95, 97)) == 4
    assert judged(order, minutes(100, 100, 100, 95, 97)).state is State.NOT_FILLED


# Conditional orders


@pytest.mark.parametrize(
    ("side", "order_type", "marks", "expected"),
    [
        ("BUY", "STOP_MARKET", (100, 105, 110), 10),
        ("BUY", "STOP_MARKET", (100, 106, 110), 8),
        ("BUY", "STOP_MARKET", (100, 104.9, 104), None),
        ("SELL", "TAKE_PROFIT_MARKET", (100, 105, 110), -10),
        ("SELL", "TAKE_PROFIT_MARKET", (100, 104, 103), None),
        ("SELL", "STOP_MARKET", (110, 105, 100), 10),
        ("SELL", "STOP_MARKET", (110, 106, 107), None),
        ("BUY", "TAKE_PROFIT_MARKET", (110, 105, 100), -10),
        ("BUY", "TAKE_PROFIT_MARKET", (110, 106, 107), None),
        # It would have triggered as it arrived, which the venue refuses.
        ("BUY", "STOP_MARKET", (105, 110), None),
        ("SELL", "STOP_MARKET", (105, 100), None),
    ],
)
def test_a_conditional_order_trades_at_the_mark_that_comes_to_its_trigger(
    side: str, order_type: str, marks: tuple[float, ...], expected: int | None
) -> None:
    found = judged(an_order(side, order_type, trigger_price="105"), minutes(*marks))
    assert (found.state, found.result) == ((State.FILLED, expected) if expected else (State.NOT_FILLED, None))


@pytest.mark.parametrize(
    ("price", "marks", "expected"),
    [
        ("107", (100, 106, 110), 8),  # Marketable as it triggers: at that mark.
        ("104", (100, 106, 104, 110), 12),  # It rests, and the mark comes back to it.
        ("104", (100, 104, 106, 110), None),  # What came before the trigger does not count.
    ],
)
def test_a_stop_limit_is_a_limit_once_it_has_triggered(
    price: str, marks: tuple[float, ...], expected: int | None
) -> None:
    found = judged(an_order("BUY", "STOP", trigger_price="105", price=price), minutes(*marks))
    assert (found.state, found.result) == ((State.FILLED, expected) if expected else (State.NOT_FILLED, None))


# Funding


@pytest.mark.parametrize(("side", "paid"), [("BUY", 2), ("SELL", -2)])
def test_at_the_stamp_a_long_pays_what_a_short_receives(side: str, paid: int) -> None:
    stamp = Stamp(NOW + 30 * MINUTE, Decimal("0.01"))
    assert result(an_order(side), minutes(100), Horizon.FUNDING, stamp=stamp) == -paid


def test_what_is_filled_at_the_stamp_itself_has_paid_nothing() -> None:
    stamp = Stamp(NOW + 2 * MINUTE, Decimal("0.01"))
    assert result(a_limit("BUY", "95"), minutes(100, 100, 95), Horizon.FUNDING, stamp=stamp) == 0
    assert result(a_limit("BUY", "95"), minutes(100, 95, 95), Horizon.FUNDING, stamp=stamp) == Decimal("-1.9")


def test_only_the_funding_horizon_pays_it() -> None:
    stamp = Stamp(NOW + 2 * MINUTE, Decimal("0.01"))
    assert result(an_order(), minutes(100), stamp=stamp) == 0


# What is not known


def test_unknown_is_said_to_be_unknown_and_never_nothing() -> None:
    for order, marks, stamp, why in (
        (an_order(), [], None, "the mark of the decision is not known"),
        (an_order(), minutes(100, after=1), None, "the mark of the decision is not known"),
        (an_order(), minutes(100)[:3], None, "the mark at the horizon is not known"),
        (a_limit("BUY", "95"), minutes(100)[:2], None, "marks are missing before the horizon"),
        (an_order("BUY", "TRAILING_STOP_MARKET"), minutes(100), None, "a trailing stop is not followed"),
    ):
        found = judged(order, marks, stamp=stamp)
        assert (found.state, found.result, found.why) == (State.UNKNOWN, None, why)
    found = judged(an_order(), minutes(100), Horizon.FUNDING)
    assert (found.state, found.why) == (State.UNKNOWN, "no funding time is known")
    found = judged(an_order(), minutes(100), Horizon.FUNDING, stamp=Stamp(NOW + MINUTE, None))
    assert (found.state, found.why) == (State.UNKNOWN, "the funding rate is not known")


def test_an_order_that_rests_over_missing_marks_may_have_filled() -> None:
    marks = [*minutes(100)[:5], *minutes(100)[9:]]
    assert judged(a_limit("BUY", "95"), marks, Horizon.HOUR).state is State.UNKNOWN
    assert judged(an_order("BUY", "STOP_MARKET", trigger_price="105"), marks, Horizon.HOUR).state is State.UNKNOWN
    whole = [*minutes(100)[:5], *minutes(100)[7:]]  # Three minutes apart is near enough.
    assert judged(a_limit("BUY", "95"), whole, Horizon.HOUR).state is State.NOT_FILLED


def test_an_order_that_rests_until_marks_end_before_the_horizon_may_have_filled() -> None:
    later = [replace(mark, price=Decimal(100)) for mark in minutes(100)[5:]]
    assert judged(a_limit("BUY", "95"), [*minutes(100)[:3], *later[:1]]).state is State.NOT_FILLED
    assert judged(a_limit("BUY", "95"), minutes(100)[:3]).state is State.NOT_FILLED
    assert judged(a_limit("BUY", "95"), minutes(100)[:2]).state is State.UNKNOWN


def test_what_the_horizons_own_mark_reaches_is_filled() -> None:
    assert result(a_limit("BUY", "95"), minutes(100, 100, 100, 100, 100, 94, 100)) == -2


def test_a_limit_reached_after_a_hole_was_filled_at_its_limit_whenever_it_was() -> None:
    marks = [*minutes(100)[:5], *[replace(mark, price=Decimal(94)) for mark in minutes(100)[9:]]]
    assert result(a_limit("BUY", "95"), marks, Horizon.HOUR) == -2


def test_a_stop_that_triggered_in_a_hole_traded_nobody_knows_where() -> None:
    marks = [*minutes(100)[:5], *[replace(mark, price=Decimal(106)) for mark in minutes(100)[9:]]]
    stop = an_order("BUY", "STOP_MARKET", trigger_price="105")
    assert judged(stop, marks, Horizon.HOUR).state is State.UNKNOWN


def test_a_horizon_that_is_still_to_come_is_not_yet() -> None:
    soon = NOW + timedelta(minutes=5)
    assert judged(an_order(), minutes(100), now=soon - timedelta(seconds=1)).state is State.NOT_YET
    assert judged(an_order(), minutes(100), now=soon).state is State.FILLED
    assert judged(an_order(), minutes(100), Horizon.HOUR, now=soon).state is State.NOT_YET


def test_the_nearest_mark_within_a_minute_is_the_moments() -> None:
    marks = [Mark(NOW, Decimal(1)), Mark(NOW + 2 * MINUTE, Decimal(2))]
    assert mark_near(marks, NOW + timedelta(seconds=59)) == 1
    assert mark_near(marks, NOW + timedelta(seconds=61)) == 2
    assert mark_near(marks, NOW + 3 * MINUTE) == 2
    assert mark_near(marks, NOW + timedelta(seconds=181)) is None
    assert mark_near([], NOW) is None


# What holds for every order

prices = st.decimals("1", "1000", places=2)
paths = st.lists(prices, min_size=8, max_size=8)
rates = st.decimals("-0.01", "0.01", places=5)
quantities = st.decimals("0.001", "50", places=3)


def walk(path: Sequence[Decimal]) -> list[Mark]:
    return [replace(mark, price=price) for mark, price in zip(minutes(1), [*path, *[path[-1]] * 120], strict=False)]


@given(paths, quantities)
def test_a_refused_buy_costs_when_the_price_rises_and_saves_when_it_falls(path: list[Decimal], size: Decimal) -> None:
    found = result(an_order(quantity=str(size)), walk(path))
    rise = path[5] - path[0]
    assert (found > 0) == (rise > 0) and (found < 0) == (rise < 0)


@given(paths, quantities, rates, st.sampled_from(list(Horizon)))
def test_long_and_short_mirror_each_other(path: list[Decimal], size: Decimal, rate: Decimal, horizon: Horizon) -> None:
    stamp = Stamp(NOW + 6 * MINUTE, rate)
    bought, sold = (
        result(an_order(side, quantity=str(size)), walk(path), horizon, stamp=stamp) for side in ("BUY", "SELL")
    )
    assert bought == -sold


@given(paths, prices, quantities, rates, st.sampled_from(list(Horizon)))
def test_a_mirrored_world_mirrors_a_limit(
    path: list[Decimal], limit: Decimal, size: Decimal, rate: Decimal, horizon: Horizon
) -> None:
    """Prices turned around a middle: whoever buys here sells there, fills at the same time, and gains the same."""
    middle = Decimal(2000)
    turned = [middle - price for price in path]
    stamp = Stamp(NOW + 6 * MINUTE, Decimal(0))
    here = judged(a_limit("BUY", str(limit), quantity=str(size)), walk(path), horizon, stamp=stamp)
    there = judged(a_limit("SELL", str(middle - limit), quantity=str(size)), walk(turned), horizon, stamp=stamp)
    assert (here.state, here.result) == (there.state, there.result)


@given(paths, prices, quantities, quantities, st.sampled_from(["MARKET", "LIMIT"]))
def test_two_halves_come_to_what_the_whole_does(
    path: list[Decimal], limit: Decimal, one: Decimal, other: Decimal, order_type: str
) -> None:
    def found(size: Decimal) -> Outcome:
        price = {"price": str(limit)} if order_type == "LIMIT" else {}
        return judged(an_order("BUY", order_type, str(size), **price), walk(path), fees=Fees())

    whole, halves = found(one + other), (found(one), found(other))
    assume(whole.result is not None)
    assert whole.result == sum(each.result or 0 for each in halves)


@given(paths, prices, st.sampled_from(["BUY", "SELL"]))
def test_a_limit_never_fills_at_worse_than_its_limit(path: list[Decimal], limit: Decimal, side: str) -> None:
    found = judged(a_limit(side, str(limit), quantity="1"), walk(path))
    at_limit = (path[5] - limit) * Side(side).sign
    assert found.result is None or found.result >= at_limit


@given(paths, quantities)
def test_fees_only_take(path: list[Decimal], size: Decimal) -> None:
    order = an_order(quantity=str(size))
    assert result(order, walk(path), fees=Fees()) < result(order, walk(path))
