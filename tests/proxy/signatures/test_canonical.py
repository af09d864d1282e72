"""One content has one spelling, and nothing else is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signatures.canonical import INTEGER_MAX, NotCanonical, canonical, moment, read_canonical, spelled

DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_what_is_written_is_read_back(document: Any) -> None:
    raw = canonical(document)
    assert read_canonical(raw) == document
    assert canonical(read_canonical(raw)) == raw


@given(DOCUMENTS)
def test_the_order_in_which_names_were_given_does_not_matter(document: Any) -> None:
    assert canonical({"b": document, "a": 1}) == canonical({"a": 1, "b": document})


def test_the_example_of_rfc_8785() -> None:
    # Section 3.2.3, its sorting example: by UTF-16 code units, so that U+1F600 comes before U+FB33.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert list(json.loads(canonical(dict.fromkeys(names, 0)))) == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]
    # Section 3.2.2.2: short escapes, lower-case \u00xx, everything else as it is.
    assert canonical("\u20ac$\u000f\nA'B\"\\/\x7f") == '"\u20ac$\\u000f\\nA\'B\\"\\\\/\x7f"'.encode()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":2}',
        b'{ "a":1}',
        b'{"a":1}\n',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u000A"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b"",
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b'{"a":' + b"9" * 5_000 + b"}",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_another_spelling_is_refused(raw: bytes) -> None:
    with pytest.raises(NotCanonical):
        read_canonical(raw)


@pytest.mark.parametrize("value", [1.5, Decimal(1), datetime.now(UTC), {1: 2}, "\ud800", {"\ud800": 1}, 2**53, b""])
def test_what_has_no_one_spelling_is_not_written(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_amounts_and_times_have_one_spelling() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    plus_one = noon.astimezone(timezone(timedelta(hours=1)))
    said = spelled({"d": Decimal("1E+3"), "f": 1.5, "t": noon, "u": plus_one, "n": (2**60, True), "half": "\ud800"})
    assert said == {
        "d": "1000",
        "f": "1.5",
        "t": "2026-11-24T12:00:00.000000Z",
        "u": "2026-11-24T12:00:00.000000Z",
        "n": [str(2**60), True],
        "half": "?",
    }
    assert moment(said["t"]) == noon


@pytest.mark.parametrize("text", ["2026-11-24T12:00:00Z", "2026-11-24T12:00:00.000000+00:00", "2026-11-24", "soon"])
def test_another_spelling_of_a_time_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text)
