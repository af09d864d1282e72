"""How a desk wants to be killed: the ``[kill.*]`` tables of a policy. No rule of an order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Final

from rules.loosening import DELAY_DEFAULT_S, Needs
from rules.rule import Looser, Setting

SHARE_LEAST: Final = Decimal("0.2")
"""No policy may keep less than a fifth of the venue's budget for the kill."""


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
class Reserve:
    """``[kill.reserve]``: how much of the venue's request budget bots may not spend, so that a kill can."""

    share_min: Annotated[
        Decimal, Setting("fraction of each of the venue's limits; kept whatever is open; 0.2 or more", Looser.LOWER)
    ] = Decimal("0.2")
    share_max: Annotated[
        Decimal, Setting("fraction; kept at most, however much the kill of a book would cost", Looser.LOWER)
    ] = Decimal("0.8")
    margin: Annotated[
        Decimal, Setting("how many times the cost of killing the present book is kept; 1 or more", Looser.LOWER)
    ] = Decimal("1.5")

    def __post_init__(self) -> None:
        """Raises ``ValueError``: a reserve that is none must not pass for one."""
        if not SHARE_LEAST <= self.share_min <= self.share_max < 1:
            raise ValueError("share_min must be 0.2 or more, share_max no less than that and below 1")
        if self.margin < 1:
            raise ValueError("margin must be 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSettings:
    """Every table; one that is not written has its defaults."""

    flatten: Flatten = field(default_factory=Flatten)
    rearm: Rearm = field(default_factory=Rearm)
    reserve: Reserve = field(default_factory=Reserve)


KILL_DEFAULT: Final = KillSettings()
