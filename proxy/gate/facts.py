"""Cuts the warden's slower facts down to what concerns one request: its symbols, its bot."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace

from rules.facts import AccountRecord, Conditions


def conditions_of(conditions: Conditions, asked: AbstractSet[str], symbols: AbstractSet[str]) -> Conditions:
    """The conditions of the symbols ``asked`` for, and the correlations between all ``symbols`` of the picture."""
    names = sorted(symbols)
    pairs = [f"{first}:{second}" for index, first in enumerate(names) for second in names[index + 1 :]]
    return replace(
        conditions,
        symbols={name: conditions.symbols[name] for name in sorted(asked & conditions.symbols.keys())},
        correlations={pair: rho for pair in pairs if (rho := conditions.correlations.get(pair)) is not None},
    )


def record_of(record: AccountRecord, bot: str, symbols: AbstractSet[str]) -> AccountRecord:
    """The record with this bot alone, its experience with ``symbols`` and the forecasts for them."""
    own = record.bot(bot)
    return replace(
        record,
        bots=() if own is None else (replace(own, holdings=tuple(h for h in own.holdings if h.symbol in symbols)),),
        forecasts=tuple(each for each in record.forecasts if each.symbol == "" or each.symbol in symbols),
    )
