"""The score as policies know it: from 0 to 1, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.published import published, score_of

scores = st.floats(-10, 10)


@given(scores, scores)
def test_a_higher_score_is_never_a_lower_value(one, other):
    low, high = sorted((one, other))
    assert 0.0 <= published(low) <= published(high) <= 1.0


@pytest.mark.parametrize(
    ("score", "value"),
    [(-2, 0.0), (-1, 0.0), (0, 0.536), (1, 0.785), (2, 0.9), (3, 0.954), (4, 0.978), (5, 1.0)],
)
def test_what_a_value_means(score, value):
    assert published(score) == pytest.approx(value, abs=0.001)


@given(st.floats(-1, 4.99))
def test_a_value_can_be_read_back(score):
    assert score_of(published(score)) == pytest.approx(score)


def test_the_ends_can_be_read_back():
    assert (score_of(0.0), score_of(1.0), score_of(1.5), score_of(-1.0)) == (-1.0, 5.0, 5.0, -1.0)
