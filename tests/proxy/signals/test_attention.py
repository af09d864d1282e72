"""Which symbols matter, and that a bot cannot make the guard remember without end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.signals.attention import SEEN_MAX, SEEN_S, UNLISTED_MAX, Attention
from proxy.signals.measuring import SYMBOLS_MAX
from proxy.warden.pieces.venue import _held
from rules.model import Side
from tests.rules.builders import an_account, an_open_order


def test_held_symbols_come_first_then_the_last_ordered():
    attention = Attention()
    for at, symbol in enumerate(("A", "B", "C", "A")):
        attention.saw(symbol, float(at))
    assert attention.symbols(10, held=["Z", "C", "Y"]) == ("Z", "C", "Y", "A", "B")


def test_orders_that_rest_push_no_position_out():
    others = [f"A{n:02}USDT" for n in range(SYMBOLS_MAX)]
    world = (
        an_account()
        .marked("XRPUSDT", "1")
        .long("XRPUSDT", "1")
        .resting(*(an_open_order(Side.BUY, symbol, "1", "1") for symbol in [*others, "XRPUSDT"]))
    )
    held = _held([cast("Any", SimpleNamespace(account=account)) for account in (world.account, None)])
    assert Attention().symbols(0, held) == ("XRPUSDT", *others)


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


@pytest.mark.parametrize("known_from", [0, SEEN_MAX + 50])
def test_symbols_that_the_venue_does_not_list_push_nobody_out(known_from: int):
    listed: list[str] = []
    attention = Attention(lambda: listed)
    attention.saw("A", 0)
    attention.saw("B", 1)
    for n in range(2 * SEEN_MAX):
        if n == known_from:
            listed += ["A", "B"]
        attention.saw(f"X{n}", 2.0 + n)
    assert attention.symbols(1_000, held=()) == ("B", "A")
    attention.saw("B", 3.0 + 2 * SEEN_MAX)
    assert attention.symbols(1_000, held=("Z",)) == ("Z", "B", "A")


def test_while_nobody_knows_what_is_listed_there_is_a_bound_too():
    attention = Attention()
    for n in range(UNLISTED_MAX + 1):
        attention.saw(f"S{n}", float(n))
    assert len(attention._seen) == UNLISTED_MAX
