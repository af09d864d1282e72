"""Two people are two however their names are typed, and a reason is one."""

from __future__ import annotations

import pytest

from proxy.people.names import REASON_LENGTH_MIN, bare, reason_objections, same_person


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


DEFAULT_IGNORABLE = [
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
]
"""Unicode 16.0, DerivedCoreProperties.txt: what a font does not show."""


@pytest.mark.parametrize(("first", "last"), DEFAULT_IGNORABLE, ids=lambda point: f"{point:x}")
def test_what_nobody_sees_in_a_name_makes_nobody_another_person(first: int, last: int) -> None:
    for point in range(first, last + 1):
        unseen = chr(point)
        for name in (f"Ann Lee{unseen}", f"{unseen}Ann Lee", f"An{unseen}n Lee"):
            assert same_person("Ann Lee", name), hex(point)
        assert bare(unseen * 8) == ""


def test_a_reason_has_eight_characters_blanks_around_it_aside() -> None:
    assert reason_objections("x" * REASON_LENGTH_MIN) == ()
    assert reason_objections(f"  {'x' * (REASON_LENGTH_MIN - 1)}  ") == ("the reason is shorter than 8 characters",)
