"""Parts of what is known of a symbol: what is due, how old the whole is, and what is dropped."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from proxy.exchange.market_payloads import Candle, Depth
from proxy.signals.closes import BAR_MS
from proxy.signals.symbol_facts import DEPTH_BAND, EVERY_S, HISTORY_KEPT, MOVES_KEPT, PART_KEPT, Part, SymbolFacts
from proxy.signals.volatility import Volatility
from rules.model import Side
from rules.snapshot import Market
from tests.rules.builders import NOW

BOOK = Depth(
    bids=((Decimal(100), Decimal(1)), (Decimal("99.9"), Decimal(2)), (Decimal("99.8"), Decimal(400))),
    asks=((Decimal("100.1"), Decimal(3)), (Decimal("100.3"), Decimal(400))),
)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def a_market(funding_rate: str | None = "0.0001", as_of: datetime = NOW) -> Market:
    rate = None if funding_rate is None else Decimal(funding_rate)
    return Market(symbol="BTCUSDT", mark_price=Decimal(100), as_of=as_of, funding_rate=rate)


def everything() -> SymbolFacts:
    """All parts, each with another age."""
    facts = SymbolFacts("BTCUSDT")
    facts.depth, facts.open_interest, facts.daily_volume = BOOK, Decimal(6_000), Decimal(7_000)
    facts.volatility = Volatility(now=0.0051, usual=0.005)
    facts.fundings([Decimal("0.0001")] * 30)
    facts.interests([Decimal(5_000)] * 30)
    for age, part in enumerate((Part.DEPTH, Part.CANDLES, Part.VOLUME, Part.INTEREST), start=1):
        facts.received(part, ago(10 * age), 0)
    for part in (Part.FUNDINGS, Part.INTERESTS):
        facts.received(part, ago(3_600), 0)
    for second in range(60, -1, -10):
        facts.prices.note(ago(second), Decimal(100))
    return facts


def test_everything_known_is_told_and_is_as_old_as_its_oldest_part():
    found = everything().condition(NOW, a_market())
    assert found is not None
    assert found.as_of == ago(40)
    assert (found.daily_volume, found.open_interest) == (7_000, 6_000)
    assert (found.volatility, found.volatility_usual) == (Decimal("0.00510000"), Decimal("0.00500000"))
    assert [each.window_s for each in found.ranges] == [60]
    assert found.temperature == Decimal("0.5")


def test_depth_is_the_quote_value_within_ten_basis_points_of_each_touch_the_bound_included():
    found = everything().condition(NOW, a_market())
    assert found is not None
    assert (found.bid_depth, found.ask_depth) == (Decimal("299.8"), Decimal("300.3"))
    assert found.depth_band == Decimal("0.001")


def test_an_empty_book_is_known_to_be_empty():
    facts = everything()
    facts.depth = Depth(bids=(), asks=())
    found = facts.condition(NOW, a_market())
    assert found is not None
    assert (found.bid_depth, found.ask_depth) == (0, 0)


def test_a_part_that_is_too_old_is_dropped_and_makes_nothing_look_old():
    facts = everything()
    facts.received(Part.VOLUME, NOW - PART_KEPT, 0)
    kept = facts.condition(NOW, a_market())
    facts.received(Part.VOLUME, NOW - PART_KEPT - timedelta(seconds=1), 0)
    dropped = facts.condition(NOW, a_market())
    assert kept is not None
    assert dropped is not None
    assert (kept.daily_volume, kept.as_of) == (7_000, NOW - PART_KEPT)
    assert (dropped.daily_volume, dropped.as_of) == (None, ago(40))


def test_a_part_read_before_the_clock_was_set_back_is_dropped():
    facts = everything()
    facts.received(Part.VOLUME, NOW + PART_KEPT + timedelta(seconds=1), 0)
    found = facts.condition(NOW, a_market())
    assert found is not None
    assert found.daily_volume is None


def test_every_part_that_is_missing_is_none():
    facts = SymbolFacts("BTCUSDT")
    facts.daily_volume = Decimal(7_000)
    facts.received(Part.VOLUME, ago(5), 0)
    found = facts.condition(NOW, a_market())
    assert found is not None
    assert found.as_of == ago(5)
    assert {found.open_interest, found.volatility, found.volatility_usual, found.temperature} == {None}
    assert {found.bid_depth, found.ask_depth, found.depth_band} == {None}
    assert found.ranges == ()


def test_nothing_known_is_nothing_told():
    assert SymbolFacts("BTCUSDT").condition(NOW, a_market()) is None


def test_without_a_funding_rate_there_is_no_temperature():
    for market in (a_market(None), None):
        found = everything().condition(NOW, market)
        assert found is not None
        assert found.temperature is None


@pytest.mark.parametrize("part", [Part.FUNDINGS, Part.INTERESTS])
def test_a_history_that_was_not_read_for_a_day_ranks_nothing(part: Part):
    facts = everything()
    facts.received(part, NOW - HISTORY_KEPT, 0)
    assert temperature(facts, a_market()) == Decimal("0.5")
    facts.received(part, NOW - HISTORY_KEPT - timedelta(seconds=1), 0)
    assert temperature(facts, a_market()) is None


def test_a_funding_rate_is_a_part_of_the_market_with_an_age_like_any_other():
    old = everything().condition(NOW, a_market(as_of=NOW - PART_KEPT))
    assert old is not None
    assert (old.as_of, old.temperature) == (NOW - PART_KEPT, Decimal("0.5"))
    too_old = everything().condition(NOW, a_market(as_of=NOW - PART_KEPT - timedelta(seconds=1)))
    assert too_old is not None
    assert (too_old.as_of, too_old.temperature) == (ago(40), None)


def temperature(facts: SymbolFacts, market: Market) -> Decimal | None:
    found = facts.condition(NOW, market)
    assert found is not None
    return found.temperature


def due(facts: SymbolFacts, at_s: float, now: datetime = NOW) -> dict[Part, float]:
    return {each.part: each.overdue for each in facts.due(at_s, now)}


def test_at_first_everything_is_due_beyond_measure_and_then_each_at_its_pace():
    facts = SymbolFacts("BTCUSDT")
    assert due(facts, 0) == dict.fromkeys(Part, float("inf"))
    for part in Part:
        facts.received(part, NOW, 100)
    assert due(facts, 100) == {}
    for part in Part:
        assert part not in due(facts, 99.9 + EVERY_S[part])
        assert due(facts, 100 + EVERY_S[part])[part] == 1
        assert due(facts, 100 + 2 * EVERY_S[part])[part] == 2


def test_what_could_not_be_read_waits_and_is_still_beyond_measure_due():
    facts = SymbolFacts("BTCUSDT")
    facts.postpone(Part.DEPTH, 30)
    assert Part.DEPTH not in due(facts, 29.9)
    assert due(facts, 30)[Part.DEPTH] == float("inf")


def test_mark_candles_are_read_only_until_the_past_hour_is_known():
    facts = SymbolFacts("BTCUSDT")
    for minute in range(181):
        facts.prices.note(ago(3_600 - 20 * minute), Decimal(100))
    assert Part.MINUTES not in due(facts, 0)
    assert Part.MINUTES in due(facts, 0, NOW + timedelta(minutes=1))


def test_a_week_of_candles_weighs_ten_and_news_one():
    facts = SymbolFacts("BTCUSDT")
    weights = {each.part: each.weight for each in facts.due(0, NOW)}
    assert (weights[Part.CANDLES], weights[Part.DEPTH], weights[Part.INTEREST]) == (10, 2, 1)
    assert weights[Part.TRADES] == 10 and sum(weights.values()) == 27
    facts.closes.take([Candle(BAR_MS, Decimal(1), Decimal(1), Decimal(1))])
    facts.moves.take([Candle(BAR_MS, Decimal(1), Decimal(1), Decimal(1))])
    weights = {each.part: each.weight for each in facts.due(0, NOW)}
    assert weights[Part.CANDLES] == weights[Part.TRADES] == 1


# What orders cost


def with_minutes() -> SymbolFacts:
    facts = everything()
    first_ms = int(ago(31 * 60).timestamp()) * 1_000
    prices = (Decimal("99.9"), Decimal("100.1"), Decimal(100))
    facts.moves.take([Candle(first_ms + n * 60_000, *prices) for n in range(30)])
    facts.received(Part.TRADES, ago(20), 0)
    return facts


def test_what_the_next_minute_may_do_is_told_with_an_age_of_its_own():
    found = with_minutes().condition(NOW, a_market())
    assert found is not None
    assert found.adverse_move_q90 is not None
    assert found.adverse_move_q99 is not None
    assert 0 < found.adverse_move_q90 < found.adverse_move_q99 < Decimal("0.02")
    assert (found.adverse_move_as_of, found.as_of) == (ago(20), ago(40))


def test_minutes_that_are_three_minutes_old_tell_nothing_of_the_next():
    facts = with_minutes()
    facts.received(Part.TRADES, NOW - MOVES_KEPT - timedelta(seconds=1), 0)
    found = facts.condition(NOW, a_market())
    assert found is not None
    assert {found.adverse_move_q90, found.adverse_move_q99, found.adverse_move_as_of} == {None}
    assert facts.slippage(Side.BUY, Decimal(1), NOW) is None
    assert facts.slippage_forecasts(NOW) == ()


def test_the_cost_of_an_order_is_as_old_as_the_older_of_book_and_minutes():
    facts = with_minutes()
    found = facts.slippage(Side.BUY, Decimal(3), NOW)
    assert found is not None
    assert (found.expected_bps, found.beyond_book, found.as_of) == (pytest.approx(5, rel=0.01), False, ago(20))
    facts.received(Part.DEPTH, ago(60), 0)
    found = facts.slippage(Side.BUY, Decimal(3), NOW)
    assert found is not None
    assert found.as_of == ago(60)


def test_without_a_book_the_adverse_move_is_told_alone():
    facts = with_minutes()
    facts.received(Part.DEPTH, NOW - MOVES_KEPT - timedelta(seconds=1), 0)
    found = facts.slippage(Side.BUY, Decimal(3), NOW)
    assert found is not None
    assert (found.expected_bps, found.book_bps, found.as_of) == (None, None, ago(20))
    assert {each.quantity for each in facts.slippage_forecasts(NOW)} == {None}


def test_spread_and_depth_are_ranked_in_their_own_past():
    facts = with_minutes()
    for n in range(30):
        facts.books.note(NOW - timedelta(hours=n), BOOK, DEPTH_BAND)
    found = facts.condition(NOW, a_market())
    assert found is not None
    assert (found.spread_rank, found.depth_rank) == (Decimal("0.5"), Decimal("0.5"))


def test_what_a_long_pays_in_a_day_is_told_with_the_temperature():
    facts = everything()
    facts.stamps_a_day = 3
    found = facts.condition(NOW, a_market())
    assert found is not None
    assert found.funding_a_day == Decimal("0.0003")
    without = facts.condition(NOW, a_market(None))
    assert without is not None
    assert without.funding_a_day is None
