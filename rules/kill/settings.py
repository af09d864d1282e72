"""How a desk wants to be killed: the ``[kill.*]`` tables of a policy. No rule of an order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
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
    """``[kill.rearm]``: what it takes to trade again."""

    needs: Annotated[Needs, Setting("two people, or one and a delay", Looser.NEITHER)] = Needs.DELAY
    delay_s: Annotated[int, Setting("seconds; from one person's request to its effect", Looser.LOWER)] = DELAY_DEFAULT_S


SILENT_MIN_S: Final = 3
COUNTDOWN_MIN_S: Final = 6


class OnGoodbye(StrEnum):
    """What a watchdog does when the guard is stopped on purpose."""

    STAND_DOWN = "stand-down"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """``[kill.watchdog]``: what a process that outlives the guard does. It needs no policy: the guard tells it these.

    ``silent_s`` is counted over every path at once; while a watchdog's own line is cut it cannot act, and does not.
    """

    silent_s: Annotated[int, Setting("seconds of silence of the guard after which it flattens", Looser.HIGHER)] = 10
    on_goodbye: Annotated[
        OnGoodbye, Setting("when the guard is stopped on purpose: stand down, or flatten", Looser.NEITHER)
    ] = OnGoodbye.STAND_DOWN
    lost_after_s: Annotated[
        int, Setting("seconds without a call of a watchdog after which the guard alarms", Looser.HIGHER)
    ] = 30

    def __post_init__(self) -> None:
        if min(self.silent_s, self.lost_after_s) < SILENT_MIN_S:
            raise ValueError(f"silent_s and lost_after_s are at least {SILENT_MIN_S}: a watchdog asks once a second")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMan:
    """``[kill.dead_man]``: the venue's own timers, which cancel resting orders when nobody keeps them from it."""

    enabled: Annotated[bool, Setting("whether they are kept armed for every active symbol", Looser.NEITHER)] = True
    countdown_s: Annotated[int, Setting("seconds; armed anew after a third of it", Looser.HIGHER)] = 60
    paused: Annotated[bool, Setting("disarms them all, for a maintenance of the venue", Looser.NEITHER)] = False

    def __post_init__(self) -> None:
        if self.countdown_s < COUNTDOWN_MIN_S:
            raise ValueError(f"countdown_s is at least {COUNTDOWN_MIN_S}: it is set anew after a third")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """``[kill.lease]``: what follows, and how long after, when a bot does not renew a lease. 0: that never follows."""

    reduce_after_s: Annotated[
        int, Setting("seconds from the end of the lease until the bot is reduce-only", zero_or_less=True)
    ] = 1
    cancel_after_s: Annotated[
        int, Setting("seconds from the end of the lease until its orders are cancelled", zero_or_less=True)
    ] = 10
    flatten_after_s: Annotated[
        int, Setting("seconds from the end of the lease until its positions are closed", zero_or_less=True)
    ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """``[kill.keys]``: the exchange keys, after a kill."""

    disable_on_venue: Annotated[
        bool, Setting("true or false; take an account's key its right to trade once it is proven flat", Looser.LOWER)
    ] = False


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
    keys: Keys = field(default_factory=Keys)
    watchdog: Watchdog = field(default_factory=Watchdog)
    dead_man: DeadMan = field(default_factory=DeadMan)
    lease: Lease = field(default_factory=Lease)


FLATTEN_DEFAULT: Final = Flatten()
KILL_DEFAULT: Final = KillSettings()
