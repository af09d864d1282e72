"""What a bot's own kill has closed so far, out of its journals: the shares that a new job reads may not show it yet.

Only what was done since the bot was last re-armed counts: from then on it traded again. Reads files, decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Final

from proxy.kill.jobs import job_history
from proxy.kill.journal import Journal
from proxy.kill.rearm import last_rearm
from rules.kill.events import CloseRejected, CloseSent, CloseStep, Surveyed
from rules.kill.legs import OpenLeg
from rules.kill.machine import evolve
from rules.kill.state import KillState

JOBS_MAX: Final = 50
"""Jobs looked back at: reading them must not make a kill late."""


@dataclass(slots=True, kw_only=True)
class EarlierClose:
    """A close that was planned, and may have been sent. Once it has ``ended``, ``quantity`` is what it filled.

    ``name`` is its client order id at the venue.
    """

    leg: OpenLeg
    name: str
    quantity: Decimal
    at: datetime
    order_id: str = ""
    ended: bool = False


@dataclass(slots=True, kw_only=True)
class EarlierPart:
    """The closes of one leg, oldest first; there is one at least. ``shown`` is the most that was read of the bot's
    part after the last of them."""

    closes: list[EarlierClose] = field(default_factory=list)
    shown: Decimal = Decimal(0)


def since_rearmed(journal: Journal) -> tuple[Journal, ...]:
    """A job, and those before it of the same account and bot since the bot was last re-armed; oldest first."""
    kill_directory = journal.path.parents[2]
    rearmed_at = last_rearm(kill_directory.parent, journal.job.scope)
    account, _, bot = journal.path.parent.name.partition("@")
    earlier = (each for each in job_history(kill_directory.parent, account, bot or None) if each.path != journal.path)
    newest = [each for each in islice(earlier, JOBS_MAX) if rearmed_at is None or each.job.started_at > rearmed_at]
    return (*reversed(newest), journal)


def earlier_parts(journals: Iterable[Journal], tag: str) -> Mapping[str, EarlierPart]:
    """What was closed, by leg. ``journals`` are one bot's on one account, oldest first; ``tag`` is the bot's there."""
    parts: dict[str, EarlierPart] = {}
    for journal in journals:
        _follow(journal, tag, parts)
    return parts


def _follow(journal: Journal, tag: str, parts: dict[str, EarlierPart]) -> None:
    state: KillState | None = None
    closes: dict[int, EarlierClose] = {}
    for event in journal.events:
        match event:
            case Surveyed(positions=legs):
                for leg in legs:
                    if leg.key in parts:
                        parts[leg.key].shown = max(parts[leg.key].shown, leg.size)
            case CloseSent(step=step) if step.sequence in closes:
                close = closes[step.sequence]
                close.order_id = event.order_id
                close.ended = event.filled_quantity == step.quantity
            case CloseRejected(step=step) if step.sequence in closes:
                closes[step.sequence].quantity, closes[step.sequence].ended = Decimal(0), True
            case _:
                pass
        state = evolve(state, event)
        # From the plan, not from the answers: a process that died in between has written none.
        for step in state.closes:
            if step.sequence not in closes:
                closes[step.sequence] = _planned(f"{tag}{journal.job.client_order_id(step.sequence)}", step, event.at)
                part = parts.setdefault(step.leg.key, EarlierPart())
                part.closes.append(closes[step.sequence])
                part.shown = Decimal(0)


def _planned(name: str, step: CloseStep, at: datetime) -> EarlierClose:
    return EarlierClose(leg=step.leg, name=name, quantity=step.quantity, at=at)
