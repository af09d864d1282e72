"""How a desk wants to be killed: the ``[kill.*]`` tables of a policy. No rule of an order."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from rules.loosening import DELAY_MAX_S, DELAY_MIN_S, Needs
from rules.rule import Looser, Setting

PROBATION_MAX_S: Final = 7 * 24 * 3600
SHARE_LEAST: Final = Decimal("0.2")
"""No policy may keep less than a fifth of the venue's budget for the kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """``[kill.flatten]``: how positions are closed."""

    naked_notional_max: Annotated[
        Decimal, Setting("quote currency; how far a hedged book may lean to one side while it is closed", Looser.HIGHER)
    ] = Decimal(25_000)
    depth_share: Annotated[
        Decimal,
        Setting(
            "fraction of what stands in the book within the band; the most one close takes",
            Looser.HIGHER,
            fraction=True,
        ),
    ] = Decimal("0.5")
    band_first: Annotated[
        Decimal,
        Setting(
            "fraction of the mark price; how far through it the first close of a leg may fill",
            Looser.HIGHER,
            fraction=True,
        ),
    ] = Decimal("0.002")
    band_last: Annotated[
        Decimal,
        Setting(
            "fraction of the mark price; bands double up to this where a close does not fill",
            Looser.HIGHER,
            fraction=True,
        ),
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
    """``[kill.drill]``: whether a scope may come back without a rehearsal of the kill of each of its accounts."""

    max_age_days: Annotated[
        int | None, Setting("days; an account whose last drill is older keeps its scopes stopped", Looser.HIGHER)
    ] = None


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
class Triggers:
    """``[kill.triggers]``: what the warden presses the button for by itself. A limit not written is not watched.

    ``*_reduce`` lets nothing in that adds risk, ``*_kill`` makes the account flat. A kill needs two sources where there
    are two (what the guard keeps, and the venue read anew by the kill's own hands), seen ``confirmations`` times.
    """

    daily_loss_reduce: Annotated[
        Decimal | None,
        Setting("fraction of equity before the loss, UTC day or last 24 hours", Looser.HIGHER, fraction=True),
    ] = None
    daily_loss_kill: Annotated[Decimal | None, Setting("the same", Looser.HIGHER, fraction=True)] = None
    drawdown_reduce: Annotated[
        Decimal | None, Setting("fraction of the highest equity", Looser.HIGHER, fraction=True)
    ] = None
    drawdown_kill: Annotated[Decimal | None, Setting("the same", Looser.HIGHER, fraction=True)] = None
    liquidation_sigmas_reduce: Annotated[
        Decimal | None,
        Setting("distance to liquidation by the guard's arithmetic, in standard deviations of one hour", Looser.LOWER),
    ] = None
    liquidation_sigmas_kill: Annotated[Decimal | None, Setting("the same", Looser.LOWER)] = None
    liquidation_probability_reduce: Annotated[
        Decimal | None,
        Setting(
            "the highest stated forecast's probability; it counts beside sigmas, not instead",
            Looser.HIGHER,
            fraction=True,
        ),
    ] = None
    liquidation_probability_kill: Annotated[Decimal | None, Setting("the same", Looser.HIGHER, fraction=True)] = None
    liquidation_distance_kill: Annotated[
        Decimal,
        Setting(
            "fraction of the mark to the venue's own liquidation price: the second source", Looser.LOWER, fraction=True
        ),
    ] = Decimal("0.05")
    unread_reduce_s: Annotated[
        int | None, Setting("seconds for which an account with positions cannot be followed", Looser.HIGHER)
    ] = None
    unread_kill_s: Annotated[int | None, Setting("the same, while the kill's own hands can read it", Looser.HIGHER)] = (
        None
    )
    unrecorded_orders_kill: Annotated[
        int | None, Setting("orders that bear the guard's mark and that no record knows; one reduces", Looser.HIGHER)
    ] = None
    outside_orders_kill: Annotated[
        int | None, Setting("orders that came from outside; what one leads to is outside_activity's", Looser.HIGHER)
    ] = None
    orders_window_s: Annotated[int, Setting("seconds in which these orders are counted", Looser.LOWER)] = 600
    anomaly_reduce: Annotated[
        Decimal | None, Setting("anomaly score of the account, 0 to 1", Looser.HIGHER, fraction=True)
    ] = None
    anomaly_for_s: Annotated[int, Setting("seconds for which it has to stay that high", Looser.HIGHER)] = 30
    confirmations: Annotated[int, Setting("readings in a row that must agree", Looser.HIGHER)] = 3
    facts_age_max_s: Annotated[int, Setting("seconds; older facts confirm nothing", Looser.LOWER)] = 30

    def __post_init__(self) -> None:
        for soft, hard, lower_is_worse in (
            ("daily_loss_reduce", "daily_loss_kill", False),
            ("drawdown_reduce", "drawdown_kill", False),
            ("liquidation_sigmas_reduce", "liquidation_sigmas_kill", True),
            ("liquidation_probability_reduce", "liquidation_probability_kill", False),
            ("unread_reduce_s", "unread_kill_s", False),
        ):
            first, last = getattr(self, soft), getattr(self, hard)
            if first is not None and last is not None and (first < last if lower_is_worse else first > last):
                raise ValueError(f"{soft} must be reached before {hard}")


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
    drill: Drill = field(default_factory=Drill)
    reserve: Reserve = field(default_factory=Reserve)
    keys: Keys = field(default_factory=Keys)
    watchdog: Watchdog = field(default_factory=Watchdog)
    dead_man: DeadMan = field(default_factory=DeadMan)
    lease: Lease = field(default_factory=Lease)
    triggers: Triggers = field(default_factory=Triggers)


FLATTEN_DEFAULT: Final = Flatten()
KILL_DEFAULT: Final = KillSettings()
