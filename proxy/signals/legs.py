"""An account's open legs as the forecasts of their end need them: floats, at one moment's marks. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from proxy.signals.tails import Array
from rules.account import Account, Position
from rules.instrument import Instrument, moves_balance
from rules.kill.nearness import distance_of, is_carried, revalued
from rules.model import MarginMode
from rules.snapshot import Market


@dataclass(frozen=True, slots=True, eq=False)
class Tiers:
    """The venue's margin tiers of one symbol: where each begins (notional), its rate and its constant."""

    floors: Array
    rates: Array
    amounts: Array

    def maintenance(self, notional: Array) -> Array:
        """What the venue requires to keep legs of these absolute notionals; see ``rules.margin.maintenance``."""
        low, high = self._place(notional.min(initial=np.inf)), self._place(notional.max(initial=0.0))
        # Nearly always all of them are in one tier, and looking each up would be most of the work.
        place = low if low == high else self._place(notional)
        return np.asarray(np.maximum(0.0, notional * self.rates[place] - self.amounts[place]))

    def _place(self, notional: Any) -> Any:
        return np.maximum(0, np.searchsorted(self.floors, notional, side="right") - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One open leg. ``quantity`` is signed; ``distance`` is the fraction by which its mark must move against it until
    it is at the venue's liquidation price, ``None`` when no price is low enough, and when the other leg of a hedge
    carries it, or when it is not known; ``is_known`` tells these apart.

    ``together`` is the same when all cross legs of its direction move with it, by the guard's own arithmetic (``None``:
    not known, infinite: nothing ends it); what the two legs of a hedge do to each other is in it. ``backing`` is what
    stands behind an isolated leg at the mark, with its profit; 0 for a cross leg.

    ``apart``: in single-asset mode another asset than the balance's margins it. Of the wallet behind it, if it is a
    cross leg, nothing is known but the venue's liquidation price.
    """

    symbol: str
    position_side: str
    quantity: float
    mark: float
    distance: float | None
    together: float | None
    isolated: bool
    backing: float
    tiers: Tiers | None
    is_known: bool = True
    apart: bool = False

    @property
    def is_crossed(self) -> bool:
        """Whether the account's balance is behind it."""
        return not self.isolated and not self.apart

    @property
    def is_long(self) -> bool:
        """Whether a falling mark hurts it."""
        return self.quantity > 0

    def after(self, fraction: float) -> tuple[float, float]:
        """Its profit from a move of the mark by a signed ``fraction``, and the margin it then requires."""
        price = self.mark * (1 + fraction)
        required = self.tiers.maintenance(np.array([abs(self.quantity) * price]))[0] if self.tiers else 0.0
        return self.quantity * (price - self.mark), float(required)


@dataclass(frozen=True, kw_only=True)
class Book:
    """An account's legs and the balance behind the cross ones: all of it less what isolated legs have of it."""

    account: str
    balance: float
    legs: tuple[Leg, ...]

    @cached_property
    def required(self) -> float:
        """The maintenance margin of the cross legs at their marks."""
        return sum(leg.after(0)[1] for leg in self.crossed)

    @cached_property
    def crossed(self) -> tuple[Leg, ...]:
        """The legs that share the balance."""
        return tuple(leg for leg in self.legs if leg.is_crossed)


def book_of(account: Account, markets: Mapping[str, Market], instruments: Mapping[str, Instrument]) -> Book:
    """The account at the newest marks. A leg without the venue's liquidation price has the guard's own: the stream
    moved the position and the venue has not been asked since, and the guard's arithmetic is never farther.
    """
    account = revalued(account, markets)
    legs = tuple(
        _leg(each, account, instruments) for each in account.positions if each.quantity and each.mark_price > 0
    )
    set_aside = sum(max(0.0, leg.backing) for leg in legs if leg.isolated and not leg.apart)
    return Book(account=account.name, balance=float(account.margin_balance) - set_aside, legs=legs)


def _leg(position: Position, account: Account, instruments: Mapping[str, Instrument]) -> Leg:
    together = _together(position, account, instruments)
    asked = position.liquidation_price
    isolated = position.margin_mode is MarginMode.ISOLATED
    distance = together if asked is None else _distance(position, asked, account)
    return Leg(
        symbol=position.symbol,
        position_side=position.position_side.value,
        quantity=float(position.quantity),
        mark=float(position.mark_price),
        distance=None if distance == math.inf else distance,
        together=together,
        isolated=isolated,
        backing=_backing(position) if isolated else 0.0,
        tiers=_tiers(instruments.get(position.symbol)),
        is_known=asked is not None or together is not None,
        apart=not moves_balance(position.symbol, account.multi_assets),
    )


def _together(position: Position, account: Account, instruments: Mapping[str, Instrument]) -> float | None:
    found = distance_of(position, account, instruments)
    return None if found is None else float(found)


def _distance(position: Position, price: Decimal, account: Account) -> float | None:
    if price <= 0 or is_carried(position, account):
        return None
    away = float(price / position.mark_price) - 1
    return -away if position.quantity > 0 else away


def _backing(position: Position) -> float:
    gained = position.quantity * (position.mark_price - position.entry_price)
    return float((position.isolated_margin or 0) + gained)


def _tiers(instrument: Instrument | None) -> Tiers | None:
    if instrument is None or not instrument.tiers:
        return None
    rows: Sequence[tuple[float, float, float]] = [
        (float(tier.notional_floor), float(tier.maintenance_rate), float(tier.maintenance_amount))
        for tier in instrument.tiers
    ]
    floors, rates, amounts = np.array(rows).T
    return Tiers(floors, rates, amounts)
