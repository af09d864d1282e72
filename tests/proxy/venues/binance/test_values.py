"""One grammar for numbers, flags, symbols and ids; everything else is malformed, and quickly."""

from __future__ import annotations

import re
import time
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.values import (
    is_symbol,
    plain,
    read_bool,
    read_client_id,
    read_decimal,
    read_int,
    read_order_id,
    read_positive,
    read_symbol,
)

ACCEPTED = {
    "0": "0",
    "0.0": "0",
    "0e99": "0",
    "1": "1",
    "50000.10": "50000.1",
    "0.001": "0.001",
    "1e-05": "0.00001",
    "1E5": "100000",
    "1.5e+3": "1500",
    "1.50e-2": "0.015",
    "999999999999": "999999999999",
    "0.000000000000000001": "0.000000000000000001",
    "1e-18": "0.000000000000000001",
    "1e11": "100000000000",
    "123456789012.123456789012345678": "123456789012.123456789012345678",
}
REFUSED = [
    "",
    " ",
    " 1",
    "1 ",
    "1\n",
    "+1",
    "-1",
    "-0",
    "--1",
    "01",
    "00",
    ".5",
    "1.",
    "1.e3",
    "1..2",
    "1,000",
    "1_000",
    "1'000",
    "0x10",
    "1e",
    "1e1.5",
    "e5",
    "1e12",
    "1e-19",
    "1e1000000",
    "1e-1000000",
    "1e999999999999",
    "10e11",
    "1000000000000",
    "0.0000000000000000001",
    "NaN",
    "nan",
    "sNaN",
    "inf",
    "-inf",
    "Infinity",
    "None",
    "true",
    "١٢",
    "３",
    "１２",
    "1\u00a0",
    "1\x00",
    "½",
    "²",
    "1%",
    "1/2",
    "(1)",
    "9" * 5000,
    "1e" + "9" * 5000,
    "0." + "0" * 5000 + "1",
]
GRAMMAR = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@pytest.mark.parametrize(("text", "canonical"), ACCEPTED.items())
def test_numbers_of_the_grammar_become_their_plain_form(text: str, canonical: str) -> None:
    value = read_decimal(text, "quantity")
    assert value.as_tuple() == Decimal(canonical).as_tuple()
    assert plain(value) == canonical


@pytest.mark.parametrize("text", REFUSED)
def test_other_numbers_are_refused_in_no_time(text: str) -> None:
    started = time.thread_time()
    with pytest.raises(MalformedRequest) as refused:
        read_decimal(text, "quantity")
    assert time.thread_time() - started < 0.01
    assert len(refused.value.msg) < 200
    assert refused.value.code == -1130


def test_zero_is_no_quantity() -> None:
    for text in ("0", "0.000", "0e5"):
        with pytest.raises(MalformedRequest):
            read_positive(text, "quantity")


@given(
    st.one_of(st.text(max_size=40), st.from_regex(GRAMMAR, fullmatch=True), st.text("0123456789eE+-._ ", max_size=40))
)
def test_whatever_is_accepted_is_in_bounds_exact_and_round_trips(text: str) -> None:
    try:
        value = read_decimal(text, "quantity")
    except MalformedRequest:
        return
    assert GRAMMAR.fullmatch(text)
    canonical = plain(value)
    assert re.fullmatch(r"(0|[1-9][0-9]{0,11})(\.[0-9]{0,17}[1-9])?", canonical)
    assert Decimal(canonical).compare_total(value) == 0
    assert value == Decimal(text)
    assert read_decimal(canonical, "quantity").compare_total(value) == 0


@given(st.decimals(min_value=0, max_value=Decimal("999999999999"), places=18, allow_nan=False, allow_infinity=False))
def test_every_number_within_the_bounds_is_accepted(value: Decimal) -> None:
    assert read_decimal(format(value, "f"), "quantity") == value


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_spellings_of_true(text: str) -> None:
    assert read_bool(text, "reduceOnly") is True


@pytest.mark.parametrize("text", ["false", "False", "FALSE"])
def test_spellings_of_false(text: str) -> None:
    assert read_bool(text, "reduceOnly") is False


@pytest.mark.parametrize("text", ["", "0", "1", "yes", "YES", "no", "tRUE", " true", "true ", "null", "None", "truе"])
def test_anything_else_is_no_flag(text: str) -> None:
    with pytest.raises(MalformedRequest):
        read_bool(text, "reduceOnly")


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1e2", "01", "٣", "1_0", "126", "9" * 5000])
def test_whole_numbers_are_digits_within_their_bounds(text: str) -> None:
    with pytest.raises(MalformedRequest):
        read_int(text, "leverage", low=1, high=125)
    assert read_int("125", "leverage", low=1, high=125) == 125


@pytest.mark.parametrize(
    "text", ["", "btcusdt", "BTC-USDT", "BTC/USDT", "BTCUSDT ", "ＢＴＣUSDT", "BTCUSDT\n", "A" * 33]
)
def test_a_symbol_has_one_spelling(text: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_symbol(text)
    assert refused.value.code == -1121
    assert read_symbol("1000PEPEUSDT") == "1000PEPEUSDT"
    assert read_symbol("BTCUSDT_260925") == "BTCUSDT_260925"


@pytest.mark.parametrize("text", ["币安人生USDT", "我踏马来了USDT", "ÄUSDT_260925", "ЖUSDT", "가USDT", "币" * 32])
def test_a_symbol_may_be_of_any_script(text: str) -> None:
    assert read_symbol(text) == text


@pytest.mark.parametrize(
    "text",
    ["币" * 33, "\U00020000" * 25, "äUSDT", "A\u0308USDT", "币\u200bUSDT", "\u202e币USDT", "币\ufe0fUSDT", "币 USDT",
     "币\u3000USDT", "币\nUSDT", "币&USDT", "币%USDT", "币/USDT", "\u3164USDT", "\u115fUSDT", "²USDT", "１USDT",
     "币\ud800", "币\x00", "\ufeff币", "💩USDT", "a\u0301币", "\u05d0\u05d1USDT", "\u0633\u0639\u0631USDT",
     "USDT\u05d0_12", "USDT\u0661"],
    ids=ascii,
)  # fmt: skip
def test_of_each_such_symbol_there_is_one_spelling_and_nothing_unseen(text: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_symbol(text)
    assert refused.value.code == -1121


@given(st.text(max_size=40))
def test_a_symbol_is_bounded_and_its_own_only_form(text: str) -> None:
    if not is_symbol(text):
        return
    assert 0 < len(text) <= 32 and len(text.encode()) <= 96
    assert all(unicodedata.normalize(form, text) == text for form in ("NFC", "NFKC"))
    assert all(each == "_" or (each.isalnum() and not each.islower()) for each in text)
    assert not {"R", "AL", "AN"} & {unicodedata.bidirectional(each) for each in text}


@pytest.mark.parametrize("text", ["", "a b", "a" * 37, "ä", "a\n", "<script>", "=1+1", "pgk-1", "PGK-1", "Pgk-"])
def test_client_ids_keep_to_the_alphabet_and_off_the_guards_prefix(text: str) -> None:
    with pytest.raises(MalformedRequest):
        read_client_id(text, "newClientOrderId")
    assert read_client_id("x-cvBPrNm9:/._", "newClientOrderId") == "x-cvBPrNm9:/._"


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "9223372036854775808", "1" * 100])
def test_order_ids_are_positive_64_bit_numbers(text: str) -> None:
    with pytest.raises(MalformedRequest):
        read_order_id(text, "orderId")
    assert read_order_id("9223372036854775807", "orderId") == "9223372036854775807"


@given(st.from_regex(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,18})?", fullmatch=True))
def test_a_number_without_an_exponent_is_read_as_the_same_with_one(text: str) -> None:
    assert str(read_decimal(text, "quantity")) == str(read_decimal(f"{text}e0", "quantity"))
