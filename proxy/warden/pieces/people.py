"""Builds what the warden knows of people."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.people.desk import PeopleDesk
from proxy.people.register import Register
from proxy.warden.pieces.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePieces:
    """Who there is, and what tells the audit of them."""

    register: Register
    desk: PeopleDesk


def build_people(ground: Ground) -> PeoplePieces:
    """Reads nothing yet."""
    desk = PeopleDesk(ground.register, ground.scribe.write_event, ground.now)
    return PeoplePieces(register=ground.register, desk=desk)
