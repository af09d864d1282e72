"""The cost of an order of a size: a walk through the book, and what a minute may add."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.market_payloads import Depth
from proxy.signals.book_walk import COSTS, SIZES, forecasts, middle_of, stated, walk
from proxy.signals.slippage import AdverseMoveForecaster
from rules.facts import AccountRecord
from rules.market.slippage_forecast import SlippageForecast
from rules.model import Side
from tests.properties.strategies import examples
from tests.rules.builders import NOW, a_buy, an_account, codes, judged

MIDDLE = Decimal(100)
BOOK = Depth(
    bids=((Decimal("99.9"), Decimal(2)), (Decimal("99.8"), Decimal(2))),
    asks=((Decimal("100.1"), Decimal(1)), (Decimal("100.2"), Decimal(3))),
)


def test_a_small_order_pays_half_the_spread():
    found = walk(BOOK.asks, Decimal("0.5"), MIDDLE)
    assert found is not None
    assert (found.cost_bps, found.beyond) == (pytest.approx(10), False)


def test_a_larger_one_pays_the_mean_of_what_it_takes():
    for levels, cost in ((BOOK.asks, 17.5), (BOOK.bids, 15)):
        found = walk(levels, Decimal(4), MIDDLE)
        assert found is not None
        assert (found.cost_bps, found.beyond) == (pytest.approx(cost), False)


def test_what_is_not_listed_is_reckoned_as_thick_as_what_is_and_said_so():
    """Four units within a tenth: the next four lie within another, 0.25 beyond the middle on average."""
    found = walk(BOOK.asks, Decimal(8), MIDDLE)
    assert found is not None
    assert (found.cost_bps, found.beyond) == (pytest.approx((17.5 + 25) / 2), True)


def test_far_beyond_a_thin_book_a_seller_gets_nothing_and_no_less():
    found = walk(BOOK.bids, Decimal(10) ** 9, MIDDLE)
    assert found is not None
    assert found.cost_bps == pytest.approx(10_000)


@pytest.mark.parametrize(("levels", "quantity"), [((), 1), (BOOK.asks, 0), (((Decimal(100), Decimal(0)),), 1)])
def test_without_anything_to_take_there_is_no_walk(levels: tuple[tuple[Decimal, Decimal], ...], quantity: int):
    assert walk(levels, Decimal(quantity), MIDDLE) is None


@pytest.mark.parametrize(
    "depth", [Depth((), BOOK.asks), Depth(BOOK.bids, ()), Depth(((Decimal(101), Decimal(1)),), BOOK.asks)]
)
def test_half_a_book_or_a_crossed_one_has_no_middle(depth: Depth):
    assert middle_of(depth) is None


def test_the_stated_cost_is_the_walk_and_the_adverse_move_on_top():
    moves = AdverseMoveForecaster()
    found = stated("BTCUSDT", Side.SELL, Decimal(4), moves, BOOK, NOW)
    q90, q99 = moves.predict((0.9, 0.99))
    assert (found.book_bps, found.expected_bps) == (pytest.approx(15), pytest.approx(15))
    assert (found.q90_bps, found.q99_bps) == (pytest.approx(15 + q90), pytest.approx(15 + q99))
    assert (found.is_warm, found.samples, found.as_of) == (False, 0, NOW)


@pytest.mark.parametrize("depth", [None, Depth((), ())])
def test_without_a_book_only_the_adverse_move_is_stated(depth: Depth | None):
    moves = AdverseMoveForecaster()
    found = stated("BTCUSDT", Side.BUY, Decimal(4), moves, depth, NOW)
    assert (found.book_bps, found.expected_bps, found.beyond_book) == (None, None, False)
    assert [found.q90_bps, found.q99_bps] == moves.predict((0.9, 0.99))


def test_rules_are_told_of_every_size_and_a_larger_order_is_never_likelier_to_be_cheap():
    found = forecasts("BTCUSDT", AdverseMoveForecaster(), BOOK, NOW)
    assert {each.quantity for each in found} == {size / MIDDLE for size in SIZES}
    for cost in COSTS:
        of_a_size = [each.probability for each in found if each.threshold == cost]
        assert len(of_a_size) == len(SIZES)
        assert of_a_size == sorted(of_a_size)
        assert all(0 < probability < 1 for probability in of_a_size)


def test_rules_are_told_of_the_dearer_side_for_both():
    thin = Depth(BOOK.bids, tuple((price, size / 10) for price, size in BOOK.asks))
    moves = AdverseMoveForecaster()
    found = forecasts("BTCUSDT", moves, thin, NOW)[0]
    buying = walk(thin.asks, SIZES[0] / MIDDLE, MIDDLE)
    assert buying is not None
    assert found.side is None
    assert found.probability == moves.probability_above(float(COSTS[0]) * 10_000 - buying.cost_bps)


def test_without_a_book_rules_are_told_the_least_it_can_be_for_any_size():
    blind = forecasts("BTCUSDT", AdverseMoveForecaster(), None, NOW)
    assert {each.quantity for each in blind} == {None}
    seeing = forecasts("BTCUSDT", AdverseMoveForecaster(), BOOK, NOW)
    for each in blind:
        others = [it for it in seeing if it.threshold == each.threshold]
        assert all(each.probability <= other.probability for other in others)


NO_ASKS, NO_BIDS = Depth(BOOK.bids, ()), Depth((), BOOK.asks)
ASKS_OF_NOTHING = Depth(BOOK.bids, ((Decimal("100.1"), Decimal(0)),))
CROSSED_BY_NOTHING = Depth(((Decimal("100.2"), Decimal(0)),), BOOK.asks)


@pytest.mark.parametrize(
    "depth",
    [NO_ASKS, NO_BIDS, ASKS_OF_NOTHING, CROSSED_BY_NOTHING, Depth((), ())],
    ids=["no asks", "no bids", "asks of nothing", "bids of nothing beyond the asks", "nobody"],
)
def test_where_a_side_was_read_and_is_empty_an_order_of_any_size_costs_more_than_anything(depth: Depth):
    found = forecasts("BTCUSDT", AdverseMoveForecaster(), depth, NOW)
    assert [each.quantity for each in found] == [None] * len(COSTS)
    assert {each.probability for each in found} == {1 - 1e-6}


@pytest.mark.parametrize("depth", [NO_ASKS, NO_BIDS, ASKS_OF_NOTHING, Depth((), ())])
@pytest.mark.parametrize("quantity", ["0.001", "99", "101"], ids=["tiny", "below the smallest size", "above it"])
def test_the_rule_refuses_every_order_where_a_side_is_gone(depth: Depth, quantity: str):
    rule = SlippageForecast(probability_max=Decimal("0.1"))
    told = tuple(replace(each, reliable=True) for each in forecasts("BTCUSDT", AdverseMoveForecaster(), depth, NOW))
    record = AccountRecord(account="demo", version=1, as_of=NOW, forecasts=told)
    found = judged(a_buy("BTCUSDT", quantity), replace(an_account(), record=record), rule)
    assert codes(found) == ["SLIPPAGE_PROBABILITY_ABOVE_LIMIT"]


def test_a_crossed_book_says_nothing_of_any_size():
    crossed = Depth(((Decimal(101), Decimal(1)),), BOOK.asks)
    moves = AdverseMoveForecaster()
    assert forecasts("BTCUSDT", moves, crossed, NOW) == forecasts("BTCUSDT", moves, None, NOW)


levels = st.lists(
    st.tuples(st.integers(1, 100).map(lambda n: Decimal(n) / 10), st.integers(0, 50).map(Decimal)),
    min_size=1,
    max_size=6,
).map(lambda steps: tuple((MIDDLE + sum(step for step, _ in steps[: n + 1]), steps[n][1]) for n in range(len(steps))))


@given(levels, st.integers(1, 500), st.integers(1, 500))
@examples(80)
def test_a_larger_order_never_costs_less(asks: tuple[tuple[Decimal, Decimal], ...], one: int, more: int):
    small, large = walk(asks, Decimal(one), MIDDLE), walk(asks, Decimal(one + more), MIDDLE)
    if small is None or large is None:
        assert small is large is None
        return
    assert small.cost_bps <= large.cost_bps * (1 + 1e-12)
    assert large.beyond >= small.beyond
