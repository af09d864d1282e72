"""Two people are two however their names are typed, and a reason is one."""

from __future__ import annotations

import pytest

from proxy.people.names import REASON_LENGTH_MIN, reason_objections, same_person


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ann", "Ann ", True),
        ("Ann  Lee", "ann lee", True),
        ("ﬁn", "fin", True),
        ("ann", "anne", False),
        ("Ann Lee", "Ann Lees", False),
        ("Ann Lee", "Lee Ann", False),
        ("--", "??", True),
    ],
)
def test_a_person_is_one_however_typed_and_names_without_a_letter_tell_nobody_apart(
    one: str, other: str, same: bool
) -> None:
    assert same_person(one, other) is same


def test_a_reason_has_eight_characters_blanks_around_it_aside() -> None:
    assert reason_objections("x" * REASON_LENGTH_MIN) == ()
    assert reason_objections(f"  {'x' * (REASON_LENGTH_MIN - 1)}  ") == ("the reason is shorter than 8 characters",)
