"""How a desk wants to be killed: the ``[kill.*]`` tables of a policy. No rule of an order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Final

from rules.loosening import DELAY_DEFAULT_S, Needs
from rules.rule import Looser, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """``[kill.flatten]``: how positions are closed."""

    naked_notional_max: Annotated[
        Decimal, Setting("quote currency; how far a hedged book may lean to one side while it is closed", Looser.HIGHER)
    ] = Decimal(25_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearm:
    """``[kill.rearm]``: what it takes to trade again."""

    needs: Annotated[Needs, Setting("two people, or one and a delay", Looser.NEITHER)] = Needs.DELAY
    delay_s: Annotated[int, Setting("seconds; from one person's request to its effect", Looser.LOWER)] = DELAY_DEFAULT_S


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
    keys: Keys = field(default_factory=Keys)


KILL_DEFAULT: Final = KillSettings()
