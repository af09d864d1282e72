"""Whatever two parsers could read differently is refused."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.wire import read_parameters

FORM = "application/x-www-form-urlencoded"


def values(query: bytes = b"", body: bytes = b"", content_type: str = FORM) -> dict[str, str]:
    return dict(read_parameters(query, body, content_type).values)


def test_query_and_form_are_read_alike() -> None:
    expected = {"symbol": "BTCUSDT", "note": "a b&c=d", "other": "x y"}
    raw = b"symbol=BTCUSDT&note=a%20b%26c%3Dd&other=x+y"
    assert values(query=raw) == values(body=raw) == expected


def test_raw_json_as_ccxt_sends_it_is_read() -> None:
    assert values(body=b'batchOrders=[{"a":"1","b":true}]&timestamp=1') == {
        "batchOrders": '[{"a":"1","b":true}]',
        "timestamp": "1",
    }


def test_empty_means_not_sent() -> None:
    assert values(query=b"symbol=BTCUSDT&reduceOnly=") == {"symbol": "BTCUSDT"}
    assert values() == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"symbol=BTCUSDT&symbol=BTCUSDT",
        b"symbol=BTCUSDT&symbol=",
        b"symbol=BTCUSDT&%73ymbol=ETHUSDT",
        b"%73ymbol=BTCUSDT",
        b"symbol[]=BTCUSDT",
        b"symbol=BTCUSDT&",
        b"&symbol=BTCUSDT",
        b"symbol=BTCUSDT&&side=BUY",
        b"symbol",
        b"=BTCUSDT",
        b"symbol=BTC=USDT",
        b"symbol=BTCUSDT;side=BUY",
        b"symbol=BTCUSDT#side",
        b"symbol=%",
        b"symbol=%4",
        b"symbol=%zz",
        b"symbol=%ff",
        b"symbol=%c0%af",
        b"symbol=%ed%a0%80",
        b"symbol=BTC%00USDT",
        b"symbol=BTC%0d%0aUSDT",
        b"symbol=BTC USDT",
        b"reduceOnly=+",
        b"symbol=BTCUSDT%20",
        b"symbol=%c2%a0BTCUSDT",
        b"symbol=BTC\x00USDT",
        b"symbol=BTC\tUSDT",
        b"symbol=\xef\xbb\xbfBTCUSDT",
        "symbol=ＢＴＣ".encode(),
        "ѕymbol=BTCUSDT".encode(),
        b"&".join(b"a%d=1" % n for n in range(65)),
        b"a=" + b"1" * 65536,
        b"&" * 100_000,
    ],
)
def test_refused(raw: bytes) -> None:
    for query, body in ((raw, b""), (b"", raw)):
        with pytest.raises(MalformedRequest) as refused:
            read_parameters(query, body, FORM)
        assert refused.value.msg.isascii() and refused.value.msg.isprintable()


def test_parameters_in_both_places_are_refused() -> None:
    with pytest.raises(MalformedRequest):
        values(query=b"symbol=BTCUSDT", body=b"side=BUY")


@pytest.mark.parametrize("content_type", ["application/json", "", "text/plain", f"{FORM}; charset=utf-16", f"{FORM}x"])
def test_a_body_must_be_a_form(content_type: str) -> None:
    with pytest.raises(MalformedRequest):
        values(body=b"symbol=BTCUSDT", content_type=content_type)
    assert values(query=b"symbol=BTCUSDT", content_type=content_type) == {"symbol": "BTCUSDT"}


def first_wins(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return dict(reversed(pairs))


def last_wins(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return dict(pairs)


def split(raw: bytes, separators: str, decode: Callable[[str], str]) -> list[tuple[str, str]]:
    text = raw.decode("latin-1")
    for separator in separators:
        text = text.replace(separator, "&")
    return [(decode(name), decode(value)) for name, _, value in (p.partition("=") for p in text.split("&")) if name]


def reference_readings(query: bytes, body: bytes) -> list[dict[str, str]]:
    """How five plausible servers would read it: duplicates, order of query and body, and separators differ."""
    readings = []
    for separators in ("", ";"):
        q, b = (split(raw, separators, unquote_plus) for raw in (query, body))
        readings += [first_wins(q + b), last_wins(q + b), first_wins(b + q), {**last_wins(b), **last_wins(q)}]
    readings.append(last_wins([(name.strip(), value.strip()) for name, value in split(query + body, "", unquote_plus)]))
    return [{name: value for name, value in reading.items() if value} for reading in readings]


NAMES = st.sampled_from(["symbol", "side", "quantity", "%73ymbol", "Symbol", "symbol ", "", "symbol[]"])
VALUES = st.sampled_from(
    ["BTCUSDT", "BUY", "1", "2", "", "%31", "a+b", "a%2Bb", "a=b", "1;side=SELL", "%26side=SELL", " 1"]
)
RAW = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(lambda ps: "&".join(f"{n}={v}" for n, v in ps).encode())
ANY = st.one_of(RAW, st.text("symbolide=&;%+ 0126[]", max_size=24).map(str.encode), st.binary(max_size=16))


@settings(max_examples=1500, deadline=None)
@given(ANY, ANY)
@example(b"symbol=BTCUSDT&symbol=ETHUSDT", b"")
@example(b"symbol=BTCUSDT", b"symbol=ETHUSDT")
@example(b"quantity=1;side=SELL", b"")
def test_parsers_that_disagree_mean_a_refusal(query: bytes, body: bytes) -> None:
    try:
        ours = values(query, body)
    except MalformedRequest:
        return
    assert all(reading == ours for reading in reference_readings(query, body))


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_else(raw: bytes) -> None:
    try:
        assert all(values(query=raw).values())
    except MalformedRequest as refused:
        assert refused.msg.isascii() and len(refused.msg) < 300


plain_names = st.sampled_from(["symbol", "side", "quantity", "price", "a"])
plain_texts = st.text("BTCUSDT019.:/_-", max_size=8) | st.text(max_size=6)


@given(st.lists(st.tuples(plain_names, plain_texts).map("=".join), max_size=6).map("&".join))
@example("symbol=BTCUSDT&side=BUY&price=")
@example("symbol=BTCUSDT&symbol=BTCUSDT")
@example("a=b=c")
@example("a=1&")
@settings(max_examples=300)
def test_the_short_way_reads_what_the_long_one_does(text: str) -> None:
    """What has no character that means anything but itself is not read pair by pair."""
    raw = text.encode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.venues.binance.wire._read_plain", lambda _: {})
        expected = _read_or_refused(raw)
    assert _read_or_refused(raw) == expected


def _read_or_refused(raw: bytes) -> object:
    try:
        return list(read_parameters(raw, b"", FORM).values.items())
    except MalformedRequest as refused:
        return refused.code, refused.msg
