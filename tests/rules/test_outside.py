"""What holds when an account moves without the guard: the strictest of what was written for it."""

from __future__ import annotations

import pytest

from rules.outside import OUTSIDE_DEFAULT, OutsideAction, OutsideActivity, outside_action

ALERT, REDUCE, KILL = OutsideAction


def tables(**levels):
    return tuple(OutsideActivity(level=name.replace("_", ":"), action=action) for name, action in levels.items())


@pytest.mark.parametrize(
    ("written", "holds"),
    [
        ({"desk": ALERT}, ALERT),
        ({"desk": KILL}, KILL),
        ({"account_main": ALERT}, ALERT),
        ({"account_main": KILL}, KILL),
        ({"desk": ALERT, "account_main": KILL}, KILL),
        ({"desk": KILL, "account_main": ALERT}, KILL),
        ({"desk": ALERT, "account_main": REDUCE}, REDUCE),
        ({"desk": REDUCE, "account_main": KILL}, KILL),
        ({"desk": KILL, "account_main": REDUCE}, KILL),
    ],
)
def test_the_strictest_of_the_desk_s_and_the_account_s_holds(written, holds):
    assert outside_action(tables(**written), "main") is holds


@pytest.mark.parametrize("written", [{}, {"account_other": KILL}, {"bot_main": KILL}])
def test_without_a_table_the_account_is_reduced(written):
    assert outside_action(tables(**written), "main") is OUTSIDE_DEFAULT is REDUCE


def test_the_stricter_the_more_severe():
    assert [action.severity for action in OutsideAction] == [0, 1, 2]
