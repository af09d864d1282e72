"""What a restart tells again is told from what is new by its time, where it is too much to be known by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.accounts import memory as memories
from proxy.accounts.memory import Memory
from proxy.accounts.retold import Retold
from proxy.decoding import build
from proxy.store.codec import dump, load, plain

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
KNOWN = 3


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "DECISIONS_MAX", KNOWN)


def decided(second: float, bot: str = "ann") -> dict[str, Any]:
    return {
        "kind": "decision",
        "id": f"{bot} {second}",
        "account": "demo",
        "bot": bot,
        "at": (NOW + timedelta(seconds=second)).isoformat(),
        "commands": [{"type": "PlaceOrder", "symbol": "BTCUSDT"}],
        "decisions": [{"verdict": "ALLOW", "breaches": []}],
    }


def heard(*records: dict[str, Any]) -> Memory:
    """What was saved, and is read again."""
    return build(load(dump(plain(memories.with_decisions(memories.empty("demo"), records)))), Memory)


def new(memory: Memory, *records: dict[str, Any], now: datetime = NOW + timedelta(hours=1)) -> list[Any]:
    return [record["id"] for record in Retold(memory, lambda: now).without(records)]


def test_all_that_was_heard_is_told_again_until_the_first_that_is_later() -> None:
    memory = heard(*map(decided, (0, 1, 4, 3)))
    assert new(memory, *map(decided, (0, 1, 4, 3, 5, 2))) == ["ann 5", "ann 2"], "one out of order is new behind it"


def test_each_bot_has_its_own_time() -> None:
    memory = heard(decided(0), decided(1), decided(2), decided(1, "ben"))
    again = decided(0), decided(2), decided(1, "ben")
    assert new(memory, *again, decided(1.5, "ben"), decided(0, "cat")) == ["ben 1.5", "cat 0"]


def test_what_is_all_known_by_name_is_left_to_the_names() -> None:
    memory = heard(decided(1), decided(2))
    assert new(memory, decided(0)) == ["ann 0"]


def test_a_clock_that_ran_ahead_is_no_word_of_what_was_heard() -> None:
    memory = heard(decided(0), decided(1), decided(3600))
    assert new(memory, decided(1), decided(11), now=NOW + timedelta(seconds=10)) == ["ann 11"]


def test_a_clock_that_is_put_right_after_the_restart_makes_nothing_told_again() -> None:
    memory = heard(decided(0), decided(1), decided(3600))
    clock = [NOW + timedelta(hours=1)]
    retold = Retold(memory, lambda: clock[0])
    assert retold.without([decided(1)]) == []
    clock[0] = NOW + timedelta(seconds=10)
    assert [each["id"] for each in retold.without([decided(11), decided(12)])] == ["ann 11", "ann 12"]


def test_what_an_older_version_saved_lacks_the_time_and_is_read() -> None:
    saved = load(dump(plain(heard(*map(decided, range(4))))))
    for each in saved["conducts"]:
        del each["heard_until"]
    assert new(build(saved, Memory), decided(0)) == ["ann 0"]


@pytest.mark.parametrize("wrong", [{"bot": None}, {"bot": ["ann"]}, {"at": None}, {"at": "soon"}])
def test_a_record_of_another_shape_is_left_to_the_memory(wrong: dict[str, Any]) -> None:
    memory = heard(*map(decided, range(4)))
    record = decided(0) | wrong
    assert Retold(memory, lambda: NOW).without([record]) == [record]
