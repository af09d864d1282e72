"""Which symbols matter, and that a bot cannot make the guard remember without end."""

from __future__ import annotations

from proxy.signals.attention import SEEN_MAX, SEEN_S, Attention


def test_held_symbols_come_first_then_the_last_ordered():
    attention = Attention()
    for at, symbol in enumerate(("A", "B", "C", "A")):
        attention.saw(symbol, float(at))
    assert attention.symbols(10, held=["Z", "C", "Y"]) == ("C", "Y", "Z", "A", "B")


def test_a_symbol_is_forgotten_after_a_day():
    attention = Attention()
    attention.saw("A", 0)
    assert attention.symbols(SEEN_S - 1, held=()) == ("A",)
    assert attention.symbols(SEEN_S, held=()) == ()


def test_an_older_sighting_does_not_make_a_symbol_older():
    attention = Attention()
    attention.saw("A", 5)
    attention.saw("B", 4)
    attention.saw("A", 1)
    assert attention.symbols(6, held=()) == ("A", "B")


def test_beyond_the_bound_the_longest_unseen_goes():
    attention = Attention()
    for n in range(SEEN_MAX + 1):
        attention.saw(f"S{n}", float(n))
    found = attention.symbols(1_000, held=())
    assert len(found) == SEEN_MAX
    assert "S0" not in found
