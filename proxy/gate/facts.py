"""Cuts the warden's slower facts down to what concerns one request: its symbols, its bot.

A published document serves many requests of the same kind, so its cuts are kept with it, and go when it does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, Final, TypeVar

from rules.derived import Derived
from rules.facts import AccountRecord, Conditions

D = TypeVar("D", bound=Derived)

CUTS_MAX: Final = 64
"""Cuts kept of one document. What is asked for is up to the bots; beyond this all are made anew."""


def conditions_of(conditions: Conditions, symbols: frozenset[str]) -> Conditions:
    """The conditions of ``symbols`` and the correlations between them."""
    return _cut(conditions, symbols, lambda whole: _conditions_of(whole, symbols))


def record_of(record: AccountRecord, bot: str, symbols: frozenset[str]) -> AccountRecord:
    """The record with this bot alone, its experience with ``symbols`` and the forecasts for them."""
    return _cut(record, (bot, symbols), lambda whole: _record_of(whole, bot, symbols))


def _cut(document: D, name: Hashable, work: Callable[[D], D]) -> D:
    cuts: dict[Hashable, Any] = document.found(_no_cuts)
    known: D | None = cuts.get(name)
    if known is not None:
        return known
    if len(cuts) >= CUTS_MAX:
        cuts.clear()
    made = work(document)
    cuts[name] = made
    return made


def _no_cuts(_: Derived) -> dict[Hashable, Any]:
    return {}


def _conditions_of(conditions: Conditions, symbols: frozenset[str]) -> Conditions:
    names = sorted(symbols & conditions.symbols.keys())
    pairs = [f"{first}:{second}" for index, first in enumerate(names) for second in names[index + 1 :]]
    return replace(
        conditions,
        symbols={name: conditions.symbols[name] for name in names},
        correlations={pair: rho for pair in pairs if (rho := conditions.correlations.get(pair)) is not None},
    )


def _record_of(record: AccountRecord, bot: str, symbols: frozenset[str]) -> AccountRecord:
    own = record.bot(bot)
    return replace(
        record,
        bots=() if own is None else (replace(own, holdings=tuple(h for h in own.holdings if h.symbol in symbols)),),
        forecasts=tuple(each for each in record.forecasts if each.symbol == "" or each.symbol in symbols),
    )
