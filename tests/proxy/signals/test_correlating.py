"""Correlations over the turn of an hour: symbols are read one after the other, and none is lost meanwhile."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from proxy.exchange.market_payloads import Candle
from proxy.signals.closes import BAR_MS, HOUR_MS
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.symbol_facts import PART_KEPT, Part, SymbolFacts
from tests.rules.builders import NOW

DAY_MS = 1_795_478_400_000
HOURS = 30
SYMBOLS = ("AUSDT", "BUSDT", "CUSDT")
PAIRS = {"AUSDT:BUSDT", "AUSDT:CUSDT", "BUSDT:CUSDT"}


class Desk:
    """A keeper whose candles are put in by hand: no venue, no store."""

    def __init__(self) -> None:
        self.now = NOW
        elsewhere: Any = None
        self.keeper = ConditionsKeeper(
            venue="binanceusdm",
            reads=elsewhere,
            prices=elsewhere,
            store=elsewhere,
            held=tuple,
            clock_offset_ms=lambda: None,
            now=lambda: self.now,
        )
        for symbol in SYMBOLS:
            self.keeper.measuring.facts[symbol] = SymbolFacts(symbol)
            self.read(symbol, HOURS)

    def read(self, symbol: str, hours: int) -> None:
        """Its five-minute candles of the last ``HOURS``, up to ``hours`` after the day began, are read now."""
        facts = self.keeper.measuring.facts[symbol]
        facts.closes.take([a_candle(symbol, n) for n in range(12 * (hours - HOURS), 12 * hours)])
        facts.received(Part.CANDLES, self.now, 0)

    async def correlations(self) -> set[str]:
        await self.keeper.correlate()
        return set(self.keeper.correlations.rho)


def a_candle(symbol: str, n: int) -> Candle:
    close = 100 + 5 * math.sin(n / 7) + math.sin(n * (2 + SYMBOLS.index(symbol)))
    return Candle(DAY_MS + n * BAR_MS, low=Decimal(1), high=Decimal(999), close=Decimal(str(close)))


async def test_when_an_hour_turns_all_pairs_stay_until_the_last_symbol_has_been_read():
    desk = Desk()
    assert await desk.correlations() == PAIRS
    before = desk.keeper.correlations
    for symbol in SYMBOLS[:-1]:
        desk.now += timedelta(seconds=40)
        desk.read(symbol, HOURS + 1)
        assert await desk.correlations() == PAIRS
        assert desk.keeper.correlations is before, "every series still ends in the last common hour"
        assert desk.keeper.correlations_as_of == NOW, "the last symbol was read longest ago"
    desk.read(SYMBOLS[-1], HOURS + 1)
    assert await desk.correlations() == PAIRS
    assert desk.keeper.correlations != before
    assert desk.keeper.correlations_as_of == desk.now - timedelta(seconds=40)


async def test_a_symbol_that_is_new_while_an_hour_turns_is_measured_over_the_common_hours():
    desk = Desk()
    behind = desk.keeper.measuring.facts.pop("CUSDT")
    assert await desk.correlations() == {"AUSDT:BUSDT"}
    alone = desk.keeper.correlations.rho["AUSDT:BUSDT"]
    desk.read("AUSDT", HOURS + 1)
    desk.keeper.measuring.facts["CUSDT"] = behind
    assert await desk.correlations() == PAIRS
    for symbol in ("BUSDT", "CUSDT"):
        desk.read(symbol, HOURS + 1)
    del desk.keeper.measuring.facts["CUSDT"]
    assert await desk.correlations() == {"AUSDT:BUSDT"}
    assert desk.keeper.correlations.rho["AUSDT:BUSDT"] != alone


@pytest.mark.parametrize(("hours", "kept"), [(1, PAIRS), (2, {"AUSDT:BUSDT"})])
async def test_a_symbol_whose_candles_have_ceased_holds_the_others_back_by_an_hour_and_no_more(
    hours: int, kept: set[str]
):
    desk = Desk()
    for symbol in ("AUSDT", "BUSDT"):
        desk.read(symbol, HOURS + hours)
    assert await desk.correlations() == kept


async def test_a_symbol_that_was_not_read_again_in_time_is_left_out():
    desk = Desk()
    desk.now += PART_KEPT + timedelta(seconds=1)
    for symbol in ("AUSDT", "BUSDT"):
        desk.read(symbol, HOURS)
    assert await desk.correlations() == {"AUSDT:BUSDT"}


def test_the_hours_here_are_hours():
    assert DAY_MS % HOUR_MS == 0
