"""What was read and what is missing are the whole, whatever the order it was read in."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger.books.spans import Span, gaps, joined

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Span(*sorted(pair))), max_size=8)


def moments(spans: tuple[Span, ...] | list[Span]) -> set[int]:
    return {at for span in spans for at in range(span.begin, span.end)}


@given(SPANS)
def test_joined_has_the_same_moments_in_as_few_spans_as_possible(spans: list[Span]) -> None:
    found = joined(spans)
    assert moments(found) == moments(spans)
    assert all(earlier.end < later.begin for earlier, later in pairwise(found))
    assert joined(reversed(spans)) == found


@given(SPANS, st.integers(0, 40), st.integers(0, 40))
def test_what_is_read_and_what_is_missing_are_the_whole(spans: list[Span], one: int, other: int) -> None:
    whole = Span(*sorted((one, other)))
    missing = gaps(spans, whole)
    assert moments(missing) == moments([whole]) - moments(spans)


@given(SPANS)
def test_reading_what_is_missing_leaves_nothing_missing(spans: list[Span]) -> None:
    whole = Span(0, 40)
    assert gaps([*spans, *gaps(spans, whole)], whole) == ()
