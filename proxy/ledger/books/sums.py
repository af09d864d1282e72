"""What trading made, what it cost in fees and what was paid or received for holding: three sums, never one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from typing import Final, NamedTuple

from proxy.ledger.books.rows import FillRow, FundingPart, OtherRow

_EXACT: Final = Context(prec=60)

Amounts = dict[str, Decimal]
"""Exact sums by asset. Assets are not added to one another."""


class Subject(NamedTuple):
    """Whose, and in what. ``bot`` is empty for what is no bot's."""

    account: str
    bot: str
    symbol: str


@dataclass(slots=True, kw_only=True)
class Books:
    """The sums of one subject. ``trading`` is realised profit before fees, ``carry`` is funding."""

    trading: Amounts = field(default_factory=dict)
    fees: Amounts = field(default_factory=dict)
    carry: Amounts = field(default_factory=dict)
    fills: int = 0


def summed(fills: Iterable[FillRow], fundings: Iterable[FundingPart]) -> dict[Subject, Books]:
    """The books of everybody that has any of these rows."""
    found: dict[Subject, Books] = {}
    with localcontext(_EXACT):
        for fill in fills:
            books = found.setdefault(Subject(fill.account, fill.bot, fill.symbol), Books())
            books.fills += 1
            add(books.trading, fill.pnl_asset, fill.realised_pnl)
            add(books.fees, fill.fee_asset, fill.fee)
        for part in fundings:
            add(found.setdefault(Subject(part.account, part.bot, part.symbol), Books()).carry, part.asset, part.amount)
    return found


def together(books: Iterable[Books]) -> Books:
    """Several books as one, still three sums."""
    whole = Books()
    with localcontext(_EXACT):
        for each in books:
            whole.fills += each.fills
            for into, amounts in ((whole.trading, each.trading), (whole.fees, each.fees), (whole.carry, each.carry)):
                for asset, amount in amounts.items():
                    add(into, asset, amount)
    return whole


def by_kind(rows: Iterable[OtherRow]) -> Mapping[tuple[str, str], Amounts]:
    """What else was booked, by account and the venue's word for it."""
    found: dict[tuple[str, str], Amounts] = {}
    with localcontext(_EXACT):
        for row in rows:
            add(found.setdefault((row.account, row.kind), {}), row.asset, row.amount)
    return found


def add(amounts: Amounts, asset: str, amount: Decimal) -> None:
    """One more amount. Zero makes no entry."""
    if amount or asset in amounts:
        amounts[asset] = amounts.get(asset, Decimal(0)) + amount
