"""Public market data: what is there is read exactly, what is not there is ``None``, and nothing else is believed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from proxy.exchange.market_payloads import (
    Candle,
    Depth,
    FundingRate,
    busiest_of,
    candles_of,
    depth_of,
    funding_rates_of,
    last_prices_of,
    markets_of,
    positive,
    touches_of,
)
from tests.rules.builders import NOW


def a_premium(**fields: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT",
        "markPrice": "90000.10000000",
        "indexPrice": "90001.20000000",
        "lastFundingRate": "-0.00012345",
        "nextFundingTime": 1_795_507_200_000,
    }
    return row | fields


def test_a_mark_comes_with_index_price_and_funding():
    (market,) = markets_of([a_premium()], NOW).values()
    assert (market.symbol, market.mark_price, market.as_of) == ("BTCUSDT", Decimal("90000.1"), NOW)
    assert (market.index_price, market.funding_rate) == (Decimal("90001.2"), Decimal("-0.00012345"))
    assert market.next_funding_at == datetime(2026, 11, 24, 8, tzinfo=UTC)


def test_a_rate_of_zero_is_a_rate():
    assert markets_of([a_premium(lastFundingRate="0.00000000")], NOW)["BTCUSDT"].funding_rate == 0


@pytest.mark.parametrize("nothing", ["", None, 0, "soon"])
def test_a_contract_with_a_date_has_no_funding(nothing: object):
    market = markets_of([a_premium(lastFundingRate="", nextFundingTime=nothing)], NOW)["BTCUSDT"]
    assert (market.funding_rate, market.next_funding_at) == (None, None)


@pytest.mark.parametrize("index", ["", None, "0", "-1", "NaN", "n/a"])
def test_a_missing_part_leaves_the_mark(index: object):
    market = markets_of([a_premium(indexPrice=index)], NOW)["BTCUSDT"]
    assert (market.mark_price, market.index_price) == (Decimal("90000.1"), None)
    bare = {"symbol": "BTCUSDT", "markPrice": "5"}
    assert markets_of([bare], NOW)["BTCUSDT"].mark_price == 5


@pytest.mark.parametrize("mark", ["0.00000000", "", "NaN", "-5"])
def test_without_a_mark_there_is_no_market_and_the_others_stand(mark: str):
    assert set(markets_of([a_premium(markPrice=mark), a_premium(symbol="ETHUSDT")], NOW)) == {"ETHUSDT"}


def test_an_answer_without_marks_is_another_shape():
    with pytest.raises(KeyError):
        markets_of([{"symbol": "BTCUSDT"}], NOW)


def test_a_touch_has_a_side_or_not():
    row = {"symbol": "A", "bidPrice": "1.0", "bidQty": "2", "askPrice": "0.00", "askQty": "0.000"}
    touch = touches_of([row])["A"]
    assert (touch.bid_price, touch.bid_quantity, touch.ask_price, touch.ask_quantity) == (1, 2, None, None)


def test_last_prices_are_those_above_zero():
    assert last_prices_of([{"symbol": "A", "price": "1.5"}, {"symbol": "B", "price": "0"}]) == {"A": Decimal("1.5")}


def test_candles_are_low_high_and_close():
    row = [1_795_507_200_000, "5", "9", "1", "7", "100", 0, "0", 1, "0", "0", "0"]
    assert candles_of([row]) == (Candle(1_795_507_200_000, low=Decimal(1), high=Decimal(9), close=Decimal(7)),)


@pytest.mark.parametrize("close", ["0", "-1", "NaN", ""])
def test_a_candle_without_a_price_is_another_shape(close: str):
    with pytest.raises((ValueError, ArithmeticError)):
        candles_of([[1, "5", "9", "1", close]])


def test_funding_rates_may_be_below_zero_but_must_be_numbers():
    row = {"fundingTime": 1, "fundingRate": "-0.01"}
    assert funding_rates_of([row]) == (FundingRate(1, Decimal("-0.01")),)
    with pytest.raises(ValueError, match="not a number"):
        funding_rates_of([row | {"fundingRate": "Infinity"}])


def test_depth_counts_what_rests_within_the_band_of_each_touch():
    found = depth_of({"bids": [["100", "1"], ["99", "2"], ["98.9", "50"]], "asks": [["101", "3"]]})
    assert found == Depth(
        bids=((Decimal(100), Decimal(1)), (Decimal(99), Decimal(2)), (Decimal("98.9"), Decimal(50))),
        asks=((Decimal(101), Decimal(3)),),
    )
    assert found.within(Decimal("0.01")) == (298, 303)
    assert Depth(bids=(), asks=()).within(Decimal("0.01")) == (0, 0)


def test_the_busiest_come_first_and_no_more_than_asked():
    rows = [{"symbol": symbol, "quoteVolume": volume} for symbol, volume in (("A", "5"), ("B", "50"), ("C", "5"))]
    assert busiest_of(rows, 2) == ("B", "A")


@pytest.mark.parametrize(("value", "expected"), [("1.5", Decimal("1.5")), (2, Decimal(2)), ("0", None), (None, None)])
def test_only_what_is_above_zero_is_positive(value: object, expected: Decimal | None):
    assert positive(value) == expected
