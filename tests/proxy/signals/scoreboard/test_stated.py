"""What can be stated at all: a forecast that can be scored, before its outcome."""

from __future__ import annotations

import math
from typing import Any

import pytest

from proxy.signals.scoreboard.stated import check_outcome, tau_of
from tests.support.signals import BEGIN, a_quantile, a_statement


@pytest.mark.parametrize(
    "changes",
    [
        {"value": 1.01},
        {"value": -0.01},
        {"value": math.nan},
        {"reference": math.inf},
        {"reference": 1.5},
        {"until": BEGIN},
        {"until": BEGIN + 32 * 86_400},
        {"horizon_h": 0},
        {"horizon_h": math.inf},
        {"symbol": "X" * 65},
        {"key": "down\n0.05"},
        {"method": "\ud800"},
    ],
    ids=str,
)
def test_what_cannot_be_scored_cannot_be_stated(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        a_statement(**changes)


@pytest.mark.parametrize("key", ["tau:0", "tau:1", "tau:nan", "tau:", "0.99", "down:0.05", "xtau:0.5"])
def test_a_quantile_names_its_tau(key: str) -> None:
    with pytest.raises(ValueError):
        a_quantile(key=key)


def test_a_quantile_may_be_of_something() -> None:
    assert tau_of(a_quantile(key="size:50000:tau:0.9").key) == 0.9


@pytest.mark.parametrize(("stated", "outcome"), [(a_statement(), 0.5), (a_statement(), math.nan)])
def test_a_probability_comes_or_does_not(stated: Any, outcome: float) -> None:
    with pytest.raises(ValueError):
        check_outcome(stated, outcome)
    check_outcome(a_quantile(), 0.5)
