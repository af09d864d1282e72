"""How a stopped scope comes back: asked for, agreed to or waited for, reduce-only, then limits that grow. Pure.

``evolve`` takes one event and goes at most one stage; whatever an event may not do raises ``NotNow``. Nobody's clock is
read: every event bears its time. What must hold before a scope opens is looked at by the caller, who says so with
``Opened``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final, assert_never

from rules.kill.settings import KILL_DEFAULT, Rearm
from rules.loosening import Needs

GRACE_S: Final = 60
"""How long a request whose delay is over may still find that something does not hold, before it is dropped."""

APPROVAL_S: Final = 24 * 3600
"""How long a request that needs somebody else waits for them."""

_STEP: Final = Decimal("0.01")
_ZERO, _ONE = Decimal(0), Decimal(1)


class Stage(StrEnum):
    """How far a scope is. Only REDUCING, RAMPING and ACTIVE let anything in that is no exit."""

    KILLED = "KILLED"
    REQUESTED = "REQUESTED"
    REDUCING = "REDUCING"
    RAMPING = "RAMPING"
    ACTIVE = "ACTIVE"


class NotNow(Exception):
    """The event is not possible in this stage, or not by this person, or not yet; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a named person asked for. ``policy`` is the digest that person saw, ``acknowledged`` what they said of
    what is left open."""

    by: str
    reason: str
    at: datetime
    policy: str
    acknowledged: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearming:
    """One scope. ``terms`` are those of the policy under which it was asked for, to the end.

    ``approved_by`` is empty while nobody else has agreed, and where the delay did it. ``opened_at`` is when the scope
    came back.
    """

    stage: Stage = Stage.KILLED
    terms: Rearm = KILL_DEFAULT.rearm
    request: Request | None = None
    approved_by: str = ""
    opened_at: datetime | None = None

    @property
    def due(self) -> datetime | None:
        """When a request opens by itself, ``None`` when it needs somebody else."""
        if self.stage is not Stage.REQUESTED or self.request is None or self.terms.needs is Needs.TWO_PEOPLE:
            return None
        return self.request.at + timedelta(seconds=self.terms.delay_s)

    @property
    def lapses(self) -> datetime | None:
        """When a request is dropped."""
        if self.stage is not Stage.REQUESTED or self.request is None:
            return None
        if self.due is not None:
            return self.due + timedelta(seconds=GRACE_S)
        return self.request.at + timedelta(seconds=APPROVAL_S)

    @property
    def ramps_at(self) -> datetime | None:
        """When reduce-only ends, of a scope that has come back."""
        return self.opened_at + timedelta(seconds=self.terms.reduce_only_s) if self.opened_at is not None else None

    @property
    def full_at(self) -> datetime | None:
        """When the limits are whole again."""
        return self.ramps_at + timedelta(seconds=self.terms.ramp_s) if self.ramps_at is not None else None

    def share(self, now: datetime) -> Decimal:
        """The fraction of its limits a scope has: 0 is reduce-only, 1 all of them. Grows with time alone."""
        match self.stage:
            case Stage.KILLED | Stage.REQUESTED | Stage.REDUCING:
                return _ZERO
            case Stage.ACTIVE:
                return _ONE
            case Stage.RAMPING:
                assert self.ramps_at is not None  # noqa: S101 - it has come back
                passed = Decimal(str(max(0.0, (now - self.ramps_at).total_seconds()))) / self.terms.ramp_s
                grown = self.terms.ramp_start + (1 - self.terms.ramp_start) * min(_ONE, passed)
                return grown.quantize(_STEP, ROUND_DOWN)
            case _:
                assert_never(self.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A person asked, under these terms."""

    request: Request
    terms: Rearm


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """Somebody took the request back, or it lapsed, or what it rested on is not so any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """All that must hold was found to hold: the scope comes back. ``by`` is the second person, empty for the delay."""

    at: datetime
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Time has passed."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """The scope was stopped, again or anew."""


Event = Requested | Withdrawn | Opened | Passed | Pressed

KILLED: Final = Rearming()


def evolve(state: Rearming, event: Event) -> Rearming:
    """The state after one event. Raises ``NotNow``; then it stays as it is."""
    match event:
        case Pressed():
            return KILLED
        case Requested(request=request, terms=terms):
            if state.stage is Stage.REQUESTED and state.request is not None:
                raise NotNow(f"{state.request.by} has asked already; withdraw that first")
            if state.stage is not Stage.KILLED:
                raise NotNow("it is coming back already; its limits grow with time alone")
            return Rearming(stage=Stage.REQUESTED, terms=terms, request=request)
        case Withdrawn():
            if state.stage is not Stage.REQUESTED:
                raise NotNow("nobody has asked for it")
            return KILLED
        case Opened(at=at, by=by):
            return _opened(state, at, by)
        case Passed(at=at):
            return _passed(state, at)
        case _:
            assert_never(event)


def _opened(state: Rearming, at: datetime, by: str) -> Rearming:
    if state.stage is not Stage.REQUESTED or state.request is None:
        raise NotNow("nobody has asked for it")
    if by == state.request.by:
        raise NotNow(f"{by} asked for it: somebody else must approve")
    if not by and (state.due is None or at < state.due):
        raise NotNow("it needs somebody else" if state.due is None else "the delay is not over")
    return replace(state, stage=Stage.REDUCING, approved_by=by, opened_at=at)


def _passed(state: Rearming, at: datetime) -> Rearming:
    """One stage at most, however much time it was: who looks rarely sees every stage all the same."""
    match state.stage:
        case Stage.REDUCING if state.ramps_at is not None and at >= state.ramps_at:
            return replace(state, stage=Stage.RAMPING)
        case Stage.RAMPING if state.full_at is not None and at >= state.full_at:
            return replace(state, stage=Stage.ACTIVE)
        case _:
            return state
