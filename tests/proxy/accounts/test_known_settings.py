"""What the venue has set, told in few words: the usual settings, and the symbols that have others."""

from __future__ import annotations

from decimal import Decimal

from proxy.accounts.known_settings import KnownSettings, SettingsView
from proxy.exchange.payloads import SymbolConfig
from rules.account import SymbolSettings
from rules.model import MarginMode

CROSS, ISOLATED = MarginMode


def config(leverage: int = 20, mode: MarginMode = CROSS) -> SymbolConfig:
    return SymbolConfig(leverage=Decimal(leverage), margin_mode=mode)


def settings(symbol: str, leverage: int = 20, mode: MarginMode = CROSS) -> SymbolSettings:
    return SymbolSettings(symbol=symbol, margin_mode=mode, leverage=Decimal(leverage))


def test_before_the_first_reading_nothing_is_known() -> None:
    assert KnownSettings().view == SettingsView(usual=None, apart=())


def test_only_symbols_that_are_set_apart_are_named_and_in_order() -> None:
    known = KnownSettings()
    known.read({"C": config(5), "B": config(), "A": config(20, ISOLATED), "D": config()}, 1)
    assert known.view == SettingsView(usual=settings(""), apart=(settings("A", 20, ISOLATED), settings("C", 5)))


def test_the_same_reading_again_is_the_same_view() -> None:
    known = KnownSettings()
    known.read({"A": config(), "B": config(5)}, 1)
    before = known.view
    known.read({"B": config(5), "A": config()}, 2)
    assert known.view is before


def test_as_common_settings_are_told_the_same_in_whatever_order_they_were_read() -> None:
    first, second = KnownSettings(), KnownSettings()
    first.read({"A": config(), "B": config(5)}, 1)
    second.read({"B": config(5), "A": config()}, 1)
    assert first.view == second.view


def test_what_a_reading_or_the_stream_changes_is_told() -> None:
    known = KnownSettings()
    known.read({symbol: config() for symbol in "ABCDE"}, 1)
    known.read({"A": config(10)}, 2)
    assert known.view.apart == (settings("A", 10),)
    known.told("B", 3, margin_mode=ISOLATED)
    assert known.view.apart == (settings("A", 10), settings("B", 20, ISOLATED))
    before = known.view
    assert not known.told("B", 4, margin_mode=ISOLATED)
    assert known.view is before
