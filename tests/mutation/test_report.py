"""The report of the mutation tester: its names, its arithmetic, and what makes it fail."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.mutation.report import FileResult, function_of
from tests.mutation.report import page as page_of


def a_result(killed: int, *survivors: str, unasked: int = 0) -> FileResult:
    return FileResult(
        path="rules/a.py", killed=killed, open=Counter(survivors), unasked=unasked, seconds=90, at=1_795_478_400
    )


def page(files, reasons):
    return page_of(files, reasons, "mutmut 3")


@pytest.mark.parametrize(
    ("key", "function"),
    [
        ("rules.flow.cool_down.xǁCoolDownǁ_pause__mutmut_12", "CoolDown._pause"),
        ("rules.market.data_freshness.x__marks_as_of__mutmut_1", "_marks_as_of"),
        ("rules.exposure.x_held_order__mutmut_3", "held_order"),
    ],
)
def test_a_function_is_called_as_in_the_source(key, function):
    assert function_of(key) == function


def test_a_survivor_with_a_reason_is_listed_with_it():
    text, wrong = page([a_result(9, "f")], {"rules/a.py": {"f": [1, "the same number"]}})
    assert "**9 of 10 mutants killed: 90.0 %**." in text
    assert "| `rules/a.py` | 10 | 9 | 1 | 90 |" in text
    assert "| `rules/a.py` | `f` | 1 | the same number |" in text
    assert wrong == []


@pytest.mark.parametrize("reasons", [{}, {"rules/a.py": {"f": [1, "one of them"]}}, {"rules/b.py": {"f": [2, "x"]}}])
def test_one_without_a_reason_fails(reasons):
    known = reasons.get("rules/a.py", {}).get("f", [0])[0]
    assert page([a_result(98, "f", "f")], reasons)[1] == [f"rules/a.py f: 2 survivors, {known} with a reason"]


def test_a_score_below_ninety_fails():
    reasons = {"rules/a.py": {"f": [200, "x"]}}
    assert page([a_result(899, *["f"] * 101)], reasons)[1] == ["89.9 % is less than 90 %"]
    assert page([a_result(900, *["f"] * 100)], reasons)[1] == []


def test_what_was_not_run_is_said_and_not_counted_and_fails():
    text, wrong = page([a_result(9, "f", unasked=5)], {"rules/a.py": {"f": [1, "x"]}})
    assert "**9 of 10 mutants killed: 90.0 %** (5 more were not run)." in text
    assert "| `rules/a.py` | 10 (5 not run) | 9 | 1 | 90 |" in text
    assert wrong == ["rules/a.py: 5 not run"]
