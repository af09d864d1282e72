"""Worlds in which margin is known: tiers of every symbol, and what the venue has set."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from rules.instrument import MarginTier
from rules.model import MarginMode
from tests.rules.builders import MARKS, World, an_account

D = Decimal


def a_tier(floor: int, cap: int, leverage: int, rate: str, amount: str) -> MarginTier:
    return MarginTier(
        notional_floor=D(floor),
        notional_cap=D(cap),
        leverage_max=D(leverage),
        maintenance_rate=D(rate),
        maintenance_amount=D(amount),
    )


TIERS: Final = (
    a_tier(0, 100_000, 125, "0.004", "0"),
    a_tier(100_000, 500_000, 100, "0.005", "100"),
    a_tier(500_000, 10_000_000, 50, "0.02", "7600"),
)


def tiered(world: World) -> World:
    """Every symbol of the world has tiers."""
    return replace(world, instruments={name: replace(each, tiers=TIERS) for name, each in world.instruments.items()})


def cross(*, hedged: bool = False, leverage: int = 20) -> World:
    """An account with every symbol set to cross."""
    return _set(MarginMode.CROSS, hedged, leverage)


def isolated(*, hedged: bool = False, leverage: int = 20) -> World:
    """An account with every symbol set to isolated."""
    return _set(MarginMode.ISOLATED, hedged, leverage)


def _set(mode: MarginMode, hedged: bool, leverage: int) -> World:
    world = tiered(an_account())
    if hedged:
        world = world.hedged()
    for symbol in MARKS:
        world = world.setting(symbol, mode, leverage=leverage)
    return world
