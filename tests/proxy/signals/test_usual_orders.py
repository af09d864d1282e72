"""The published bounds and the score say the same of a single order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.decoding import build
from proxy.signals.anomaly import AnomalyScorer
from proxy.signals.published import published
from proxy.signals.usual_orders import SCORES, usual_orders
from proxy.store.codec import dump, load, plain
from rules.model import Side
from rules.usual import UsualOrders
from tests.proxy.signals.order_flows import DAY, START, a_quoter, a_saver, a_trader, an_event

FLOWS = {"trader": a_trader(days=14), "quoter": a_quoter(days=5), "saver": a_saver(days=14)}


def scored(flow):
    scorer = AnomalyScorer("demo")
    for event in FLOWS[flow]:
        scorer.score(event)
    return scorer, FLOWS[flow][-1]["ts"]


def value_of(scorer, at, **changes):
    """The published value of one order, by a copy of the scorer."""
    return published(AnomalyScorer.from_state(scorer.state()).score(an_event(at, **changes)))


@pytest.mark.parametrize("flow", FLOWS)
def test_at_a_bound_the_score_is_reached_and_no_earlier(flow):
    scorer, at = scored(flow)
    usual = usual_orders("demo", scorer, at)
    parts = [
        ("notional", 1.0, usual.size_bounds("BTCUSDT", Side.BUY)),
        ("distance_bps", 10_000.0, usual.through),
        ("distance_bps", -10_000.0, usual.away),
    ]
    for name, unit, bounds in parts:
        assert list(bounds) == sorted(bounds)
        assert len(bounds) >= 1
        for score, bound in zip(SCORES, bounds, strict=False):
            assert value_of(scorer, at, **{name: float(bound) * unit * 1.0001}) >= published(score) - 1e-6


@pytest.mark.parametrize("flow", FLOWS)
def test_a_usual_order_is_below_every_bound(flow):
    scorer, at = scored(flow)
    usual = usual_orders("demo", scorer, at)
    order = next(event for event in reversed(FLOWS[flow]) if event["type"] == "new" and event["symbol"] == "BTCUSDT")
    size = usual.size_bounds("BTCUSDT", Side(order["side"].upper()))
    assert Decimal(order["notional"]) < size[0]
    assert abs(order["distance_bps"]) / 10_000 < min(usual.through[0], usual.away[0])


def test_symbols_and_the_score_of_another_one():
    scorer, at = scored("trader")
    usual = usual_orders("demo", scorer, at)
    assert set(usual.symbols) == {"BTCUSDT", "ETHUSDT"}
    assert usual.new_symbol == pytest.approx(value_of(scorer, at, symbol="NEWUSDT"), abs=1e-3)


def test_a_new_bot_has_only_what_is_absurd_for_any():
    scorer = AnomalyScorer("demo")
    for number in range(20):
        scorer.score(an_event(START + number * 700))
    usual = usual_orders("demo", scorer, START + DAY)
    assert usual.new_symbol == 0.0
    assert Decimal("0.01") < usual.through[0] <= Decimal("0.051")
    assert 7_000 < usual.size_bounds("BTCUSDT", Side.BUY)[0] < 21_000


def test_a_bot_nobody_has_seen_has_no_bound_of_size():
    usual = usual_orders("demo", AnomalyScorer("demo"), START)
    assert (usual.any_size, usual.sizes, usual.symbols) == ((), (), ())


@pytest.mark.parametrize("flow", FLOWS)
def test_it_travels_as_json_without_loss(flow):
    usual = usual_orders("demo", scored(flow)[0], START + 20 * DAY)
    assert build(load(dump(plain(usual))), UsualOrders) == usual


def test_it_is_bounded():
    scorer = AnomalyScorer("demo")
    for number in range(2_000):
        scorer.score(an_event(START + number * 60, symbol=f"COIN{number // 5}USDT"))
    assert len(dump(plain(usual_orders("demo", scorer, START + DAY)))) < 30_000
