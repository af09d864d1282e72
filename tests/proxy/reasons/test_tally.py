"""Sums by name that nothing asked for can make grow."""

from __future__ import annotations

from decimal import Decimal

from proxy.reasons.tally import GROUPS_MAX, OTHERS, Sum, Tally


def test_a_tally_sums_by_name_and_tells_the_most_first() -> None:
    tally = Tally()
    assert not tally
    for name, notional in (("a", Decimal(1)), ("b", Decimal(2)), ("b", None), ("c", Decimal(3))):
        tally.add((name,), notional)
    assert list(tally) == [
        (("b",), Sum(2, Decimal(2), 1)),
        (("a",), Sum(1, Decimal(1), 0)),
        (("c",), Sum(1, Decimal(3), 0)),
    ]
    assert tally["nobody",] == Sum()


def test_names_beyond_the_bound_are_summed_together_and_none_is_lost() -> None:
    tally = Tally()
    for number in range(GROUPS_MAX + 5):
        tally.add(("refused", f"SYMBOL{number}"), Decimal(1))
    tally.add(("refused", "SYMBOL0"), Decimal(1))
    assert len(list(tally)) == GROUPS_MAX + 1
    assert tally["refused", OTHERS] == Sum(5, Decimal(5), 0)
    assert tally["refused", "SYMBOL0"].orders == 2
