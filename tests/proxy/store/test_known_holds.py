"""What a gate remembers of holds between two orders."""

from __future__ import annotations

from proxy.store.holds import KnownHolds

ONE, TWO = "1|PENDING|1000|bot|[]", "2|PENDING|1000|bot|[]"


def test_a_hold_is_decoded_once_as_long_as_it_comes_back() -> None:
    known = KnownHolds()
    (first,) = known.read("main", ["a", ONE])
    assert [each.hold_id for each in known.read("main", ["b", TWO, "a", ONE])] == ["a", "b"]
    assert known.read("main", ["a", ONE])[0] is first


def test_one_that_has_changed_is_decoded_anew() -> None:
    known = KnownHolds()
    known.read("main", ["a", ONE])
    (changed,) = known.read("main", ["a", ONE.replace("PENDING", "UNKNOWN")])
    assert changed.status.value == "UNKNOWN"


def test_what_does_not_come_back_is_forgotten_and_accounts_are_apart() -> None:
    known = KnownHolds()
    (first,) = known.read("main", ["a", ONE])
    assert known.read("other", []) == ()
    assert known.read("main", ["a", ONE])[0] is first
    known.read("main", [])
    assert known.read("main", ["a", ONE])[0] is not first
