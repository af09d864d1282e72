"""One override from the asking to its end, as a pure state machine.

``REQUESTED → GRANTED → USED | EXPIRED | WITHDRAWN``; what was never granted ends EXPIRED or WITHDRAWN. An event that
does not fit changes nothing, an end stays an end. It knows no clock, no store and no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from proxy.overrides.terms import Terms
from proxy.people.names import same_person
from rules.facts import Override

PENDING_FOR: Final = timedelta(minutes=30)
"""How long a request waits for a second person. What nobody has looked at by then belongs to another market."""


class Phase(StrEnum):
    """Where an override stands."""

    REQUESTED = "REQUESTED"
    GRANTED = "GRANTED"
    USED = "USED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self not in (Phase.REQUESTED, Phase.GRANTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A person asked for it."""

    override_id: str
    terms: Terms
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Another person approved it. ``store`` is the store process that was to be told: another one is not believed."""

    by: str
    at: datetime
    store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """An order used it up. ``decision_id`` names it; empty: it is gone, and no order has said that it took it."""

    at: datetime
    decision_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """Its time ran out."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A person, or the guard itself, took it back."""

    by: str
    at: datetime
    why: str


Event = Requested | Approved | Used | Expired | Withdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideState:
    """All that the events so far amount to. ``until`` ends the waiting of a request, or the life of what is granted."""

    override_id: str
    terms: Terms
    phase: Phase
    requested_by: str
    requested_at: datetime
    until: datetime
    approved_by: str = ""
    store: str = ""
    decision_id: str = ""

    @property
    def override(self) -> Override:
        """What the gates are told. Only of one that is GRANTED."""
        assert self.phase is Phase.GRANTED, "only a granted override is in force"  # noqa: S101 - an argument of safety
        return Override(
            override_id=self.override_id,
            rule_id=self.terms.rule_id,
            bot=self.terms.bot,
            symbol=self.terms.symbol,
            side=self.terms.side,
            quantity_max=self.terms.quantity_max,
            expires_at=self.until,
            ticket=self.terms.ticket,
            requested_by=self.requested_by,
            approved_by=self.approved_by,
        )


def begin(requested: Requested) -> OverrideState:
    """The state after the asking."""
    return OverrideState(
        override_id=requested.override_id,
        terms=requested.terms,
        phase=Phase.REQUESTED,
        requested_by=requested.by,
        requested_at=requested.at,
        until=requested.at + PENDING_FOR,
    )


def replay(events: Iterable[Event]) -> OverrideState | None:
    """The state after these events, ``None`` before the first."""
    state: OverrideState | None = None
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: OverrideState | None, event: Event) -> OverrideState:
    """The state after ``event``."""
    if state is None:
        assert isinstance(event, Requested), "an override begins with a request"  # noqa: S101 - a file without it is a bug
        return begin(event)
    if state.phase.final:
        return state
    match event:
        case Requested():
            return state
        case Approved():
            return state if objections(state, event.by, event.at) else _granted(state, event)
        case Used():
            if state.phase is not Phase.GRANTED:
                return state
            return replace(state, phase=Phase.USED, decision_id=event.decision_id)
        case Expired():
            return state if event.at < state.until else replace(state, phase=Phase.EXPIRED)
        case Withdrawn():
            return replace(state, phase=Phase.WITHDRAWN)
        case _:
            assert_never(event)


def objections(state: OverrideState, name: str, now: datetime) -> tuple[str, ...]:
    """Why ``name`` may not approve it now; empty when nothing stands in the way."""
    if state.phase is not Phase.REQUESTED:
        return (f"it is {state.phase.value} already",)
    found = []
    if now >= state.until:
        found.append("the request has expired")
    if same_person(name, state.requested_by):
        found.append("whoever asks for an override does not approve it; another person must")
    return tuple(found)


def _granted(state: OverrideState, approved: Approved) -> OverrideState:
    return replace(
        state,
        phase=Phase.GRANTED,
        approved_by=approved.by,
        store=approved.store,
        until=approved.at + timedelta(seconds=state.terms.lasts_s),
    )
