"""How far back a bot's entries are remembered: the store keeps so many lines, and a refused entry takes two."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rules.account import Attempt
from rules.attempts import memory_full, reaches_back
from rules.snapshot import Snapshot
from tests.rules.builders import NOW, an_account


def remembering(refused: int, passed: int = 0, seconds_ago: float = 10) -> Snapshot:
    at = NOW - timedelta(seconds=seconds_ago)
    attempts = [Attempt(at=at, hold_id=f"a{n}", orders=(), refused=n < refused) for n in range(refused + passed)]
    return replace(an_account().snapshot, attempts=tuple(attempts))


@pytest.mark.parametrize(
    ("refused", "passed", "full"),
    [
        (0, 0, False),
        (0, 379, False),
        (0, 380, True),
        (189, 1, False),
        (190, 0, True),
        (180, 19, False),
        (180, 20, True),
    ],
)
def test_an_entry_takes_a_line_of_the_memory_and_a_refused_one_two(refused: int, passed: int, full: bool) -> None:
    assert memory_full(remembering(refused, passed)) is full


def test_one_that_was_sized_down_takes_two_as_well() -> None:
    snapshot = remembering(0, 190)
    sized = tuple(replace(each, refused_at_size=Decimal(1)) for each in snapshot.attempts)
    assert memory_full(replace(snapshot, attempts=sized))
    assert not memory_full(snapshot)


def test_a_full_memory_reaches_back_to_its_oldest_entry() -> None:
    assert reaches_back(remembering(190, seconds_ago=10), 9)
    assert not reaches_back(remembering(190, seconds_ago=10), 10)
    assert reaches_back(remembering(189, seconds_ago=10), 10)
