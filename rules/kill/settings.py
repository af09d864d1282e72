"""How a desk wants to be killed: the ``[kill.*]`` tables of a policy. No rule of an order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Final

from rules.loosening import DELAY_MAX_S, DELAY_MIN_S, Needs
from rules.rule import Looser, Setting

PROBATION_MAX_S: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """``[kill.flatten]``: how positions are closed."""

    naked_notional_max: Annotated[
        Decimal, Setting("quote currency; how far a hedged book may lean to one side while it is closed", Looser.HIGHER)
    ] = Decimal(25_000)
    depth_share: Annotated[
        Decimal, Setting("fraction of what stands in the book within the band; the most one close takes", Looser.HIGHER)
    ] = Decimal("0.5")
    band_first: Annotated[
        Decimal,
        Setting("fraction of the mark price; how far through it the first close of a leg may fill", Looser.HIGHER),
    ] = Decimal("0.002")
    band_last: Annotated[
        Decimal,
        Setting("fraction of the mark price; bands double up to this where a close does not fill", Looser.HIGHER),
    ] = Decimal("0.02")
    ladder_s: Annotated[
        int, Setting("seconds; from a leg's first close until what is left of it goes at the market", Looser.NEITHER)
    ] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearm:
    """``[kill.rearm]``: what it takes to trade again: reduce-only first, then limits that grow back."""

    needs: Annotated[Needs, Setting("two people, or one and a delay", Looser.NEITHER)] = Needs.DELAY
    delay_s: Annotated[int, Setting("seconds; from one person's request to its effect", Looser.LOWER)] = 900
    reduce_only_s: Annotated[int, Setting("seconds of reduce-only after coming back", Looser.LOWER)] = 300
    ramp_s: Annotated[int, Setting("seconds after that until limits are whole again", Looser.LOWER)] = 1800
    ramp_start: Annotated[Decimal, Setting("fraction of the limits with which that begins", Looser.HIGHER)] = Decimal(
        "0.25"
    )

    def __post_init__(self) -> None:
        if not DELAY_MIN_S <= self.delay_s <= DELAY_MAX_S:
            raise ValueError(f"needs delay_s from {DELAY_MIN_S} to {DELAY_MAX_S}")
        if not 1 <= self.reduce_only_s <= PROBATION_MAX_S or not 1 <= self.ramp_s <= PROBATION_MAX_S:
            raise ValueError(f"needs reduce_only_s and ramp_s from 1 to {PROBATION_MAX_S}")
        if not 0 < self.ramp_start <= 1:
            raise ValueError("needs ramp_start above 0 and up to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """``[kill.drill]``: whether a scope may come back without a rehearsal of the kill."""

    max_age_days: Annotated[
        int | None, Setting("days; an older last drill, or none, keeps every scope stopped", Looser.HIGHER)
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """``[kill.keys]``: the exchange keys, after a kill."""

    disable_on_venue: Annotated[
        bool, Setting("true or false; take an account's key its right to trade once it is proven flat", Looser.LOWER)
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSettings:
    """Every table; one that is not written has its defaults."""

    flatten: Flatten = field(default_factory=Flatten)
    rearm: Rearm = field(default_factory=Rearm)
    drill: Drill = field(default_factory=Drill)
    keys: Keys = field(default_factory=Keys)


FLATTEN_DEFAULT: Final = Flatten()
KILL_DEFAULT: Final = KillSettings()
