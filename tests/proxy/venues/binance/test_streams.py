"""The grammar of market streams, of the paths that name them and of the calls that ask for them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.venues.binance.stream_calls import RefusedCall, UnreadableCall, read_call
from proxy.venues.binance.stream_paths import StreamTarget, TradingTarget, UnknownTarget, read_target
from proxy.venues.binance.streams import STREAM_KINDS, Category, find_stream, is_stream_key

# As ccxt.pro 4.5.90, python-binance 1.0.37, nautilus 1.231 and Binance's SDK 18 write them.
KNOWN = {
    "btcusdt@depth": Category.PUBLIC,
    "btcusdt@depth@0ms": None,
    "btcusdt@depth@100ms": Category.PUBLIC,
    "btcusdt@depth@500ms": Category.PUBLIC,
    "btcusdt@depth20@100ms": Category.PUBLIC,
    "btcusdt@depth7@100ms": None,
    "btcusdt@rpiDepth@500ms": Category.PUBLIC,
    "btcusdt@bookTicker": Category.PUBLIC,
    "!bookTicker": Category.PUBLIC,
    "btcusdt@trade": Category.PUBLIC,
    "btcusdt_260327@aggTrade": Category.MARKET,
    "1000pepeusdt@aggTrade": Category.MARKET,
    "btcusdt@markPrice": Category.MARKET,
    "btcusdt@markPrice@1s": Category.MARKET,
    "btcusdt@markPrice@2s": None,
    "!markPrice@arr@1s": Category.MARKET,
    "btcusdt@kline_1m": Category.MARKET,
    "btcusdt@kline_1M": Category.MARKET,
    "btcusdt@kline_1d@+08:00": Category.MARKET,
    "btcusdt@kline_7m": None,
    "btcusdt_perpetual@continuousKline_15m": Category.MARKET,
    "btcusdt@continuousKline_15m": None,
    "!ticker@arr": Category.MARKET,
    "!miniTicker@arr": Category.MARKET,
    "!forceOrder@arr": Category.MARKET,
    "!contractInfo": Category.MARKET,
    "tradingSession": Category.MARKET,
    "defiusdt@compositeIndex": Category.MARKET,
    "BTCUSDT@aggTrade": None,
    "btcusdt@AGGTRADE": None,
    "btcusdt@aggTrade ": None,
    "btcusdt@aggTrade\n": None,
    "ｂtcusdt@aggTrade": None,
    "@aggTrade": None,
    "": None,
}


@pytest.mark.parametrize(("name", "category"), KNOWN.items())
def test_a_stream_is_known_by_exactly_its_documented_name(name, category):
    found = find_stream(name)
    assert (found.category if found else None) == category


def test_the_documents_list_every_kind_of_stream():
    page = (Path(__file__).parents[4] / "docs" / "venues.md").read_text(encoding="utf-8")
    assert [kind.name for kind in STREAM_KINDS if f"`{kind.name}`" not in page] == []


def test_only_books_of_differences_are_incremental():
    incremental = {kind.name for kind in STREAM_KINDS if kind.incremental}
    assert incremental == {"<symbol>@depth[@speed]", "<symbol>@rpiDepth[@speed]"}
    found = find_stream("btcusdt@depth5")
    assert found is not None and not found.incremental


def test_no_name_is_of_two_kinds():
    for name in KNOWN:
        assert sum(kind.pattern.fullmatch(name) is not None for kind in STREAM_KINDS) <= 1, name


def test_no_stream_key_is_a_stream():
    assert is_stream_key("Ab1" * 21 + "Z") and not is_stream_key("a" * 63) and not is_stream_key("a" * 63 + "-")
    assert find_stream("a" * 64) is None


def test_a_path_names_streams_keys_and_form():
    key = "k" * 64
    target = read_target(f"/market/stream?streams=btcusdt@aggTrade/{key}/btcusdt@aggTrade&listenKey={'j' * 64}")
    assert isinstance(target, StreamTarget)
    assert [stream.name for stream in target.streams] == ["btcusdt@aggTrade"]
    assert (target.stream_keys, target.combined) == ((key, "j" * 64), True)
    assert read_target("/ws-fapi/v1") == TradingTarget()
    assert read_target("/public/ws/17") == StreamTarget((), (), combined=False)


def test_what_a_library_escapes_in_a_query_is_read_and_nothing_else():
    escaped = read_target("/stream?streams=btcusdt%40bookTicker%2Fethusdt%40kline_1d%40%2B08%3A00%2f%21bookTicker")
    assert escaped == read_target("/stream?streams=btcusdt@bookTicker/ethusdt@kline_1d@+08:00/!bookTicker")
    for path in ("/ws/btcusdt%40bookTicker", "/stream?streams=btcusdt%2540bookTicker", "/stream?stre%61ms=!bookTicker"):
        with pytest.raises(UnknownTarget):
            read_target(path)


@pytest.mark.parametrize("events", ["ORDER_TRADE_UPDATE/ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE%2FACCOUNT_UPDATE"])
def test_a_private_stream_may_be_narrowed_to_types_of_events(events):
    key = "k" * 64
    for place in ("/private/ws", "/ws", "/private/stream", "/stream"):
        target = read_target(f"{place}?listenKey={key}&events={events}")
        assert isinstance(target, StreamTarget)
        assert (target.stream_keys, target.combined) == ((key,), place.endswith("stream"))
        assert target.narrowed == {key: {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"}}
    assert read_target(f"/ws?listenKey={key}&events=listenKeyExpired") != read_target(f"/ws?listenKey={key}")


def test_a_private_stream_may_be_narrowed_to_each_type_that_binance_documents():
    key = "k" * 64
    for event in (
        "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL", "ALGO_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT", "STRATEGY_UPDATE", "GRID_UPDATE", "listenKeyExpired",
    ):  # fmt: skip
        assert read_target(f"/private/ws?listenKey={key}&events={event}").narrowed == {key: {event}}


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (f"listenKey={'k' * 64}&listenKey={'j' * 64}", "two different keys"),
        (f"listenKey={'k' * 64}&events=A&listenKey={'j' * 64}&events=B", "two different keys"),
        (f"listenKey={'k' * 64}&listenKey={'k' * 64}", "each once"),
        (f"listenKey={'k' * 64}&events=A&events=B", "each once"),
        (f"listenKey={'k' * 64}&events=order", "'events' are types"),
        (f"listenKey={'k' * 64}&events=A//B", "'events' are types"),
        (f"listenKey={'k' * 64}&events=ORDER_TRADE_UPDTAE", "of these: .*/ORDER_TRADE_UPDATE/"),
        (f"listenKey={'k' * 64}&events=ACCOUNT_UPDATE/order_trade_update", "of these: .*/ORDER_TRADE_UPDATE/"),
        (f"listenKey={'k' * 64}&events=ACCOUNT_UPDATE/", "'events' are types"),
        ("events=ORDER_TRADE_UPDATE", "of a 'listenKey'"),
        ("streams=!bookTicker", "combined socket"),
    ],
)
def test_what_a_query_may_not_say_is_refused_in_words(query, why):
    with pytest.raises(UnknownTarget, match=why):
        read_target(f"/private/ws?{query}")


@pytest.mark.parametrize(
    "query", ["returnRateLimits=false", "returnRateLimits=true&timeUnit=MILLISECOND", "timeUnit=millisecond"]
)
def test_the_trading_api_may_be_told_what_it_does_anyway(query):
    assert read_target(f"/ws-fapi/v1?{query}") == TradingTarget()
    for other in (f"{query}&{query}", f"{query}&apiKey=x", query.replace("=", "=x"), query.replace("=", "")):
        with pytest.raises(UnknownTarget, match="'returnRateLimits'"):
            read_target(f"/ws-fapi/v1?{other}")


@given(st.text(max_size=40), st.sampled_from(["", "/ws", "/ws/", "/stream", "/stream?streams=", "/market/ws?"]))
def test_any_other_path_is_refused_and_nothing_else_happens(text, start):
    try:
        target = read_target(start + text)
    except UnknownTarget:
        return
    assert isinstance(target, TradingTarget | StreamTarget)


@given(st.text(max_size=60) | st.from_regex(r'\{"(method|params|id)":[^\n]{0,30}\}', fullmatch=True))
def test_any_text_is_a_call_or_refused(text):
    with contextlib.suppress(RefusedCall, UnreadableCall):
        read_call(text)


@pytest.mark.parametrize("call_id", ["1", "null", '"b3a1f0"', "9223372036854775807"])
def test_an_id_comes_back_as_it_was(call_id):
    assert json.dumps(read_call(f'{{"method":"LIST_SUBSCRIPTIONS","id":{call_id}}}').id) == call_id
    with pytest.raises(RefusedCall) as refused:
        read_call(f'{{"method":"SUBSCRIBE","params":[],"id":{call_id}}}')
    assert refused.value.answer.endswith(b',"id":%s}' % call_id.encode())
