"""The shapes of what the control API answers, where an answer is put together from parts: described, never built.

What one part of the warden answers whole has its shape there: ``DeskView``, ``RearmView``, ``SignalsView``, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from proxy.audit.query import JudgedCommand, Story
from proxy.certificate.plane import CertificateRow
from proxy.console.desk_views import ProposalView
from proxy.drill.plane import DrillProgress
from proxy.drill.shelf import DrillReport
from proxy.kill.gates import Acknowledged
from proxy.kill.in_flight import InFlight
from proxy.kill.rearm_plane import RearmView
from proxy.kill.report import AccountReport
from proxy.ledger.supposing import Supposed


class Health(TypedDict):
    """This port answers."""

    status: Literal["ok"]


class Blocked(TypedDict):
    """One page of refused commands, the newest first; each with the breach the bot was told, or that of the rule asked
    for. ``next``, as ``before``, goes on where the page ends, ``None`` when there is no more: a page may hold fewer
    rows than asked for, even none, and yet not be the last."""

    blocked: Sequence[JudgedCommand]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionStory(Story):
    """Everything the archive holds under one id, as it was written down. ``counterfactual`` is what the orders that
    were refused would have come to, or why that is not known."""

    counterfactual: str | Sequence[Supposed]


class Pressed(TypedDict):
    """Trading is blocked: ``blocked_ms`` after the press no entry could leave any more. The job runs on.

    ``gates`` says who said so, ``in_flight`` what was on the wire. ``trouble`` says that the disk did not take the
    stop: then nobody vouches for the gates, and ``blocked_ms`` is null."""

    scope: str
    blocked_ms: float | None
    generation: int
    latched: bool
    gates: Acknowledged
    in_flight: InFlight
    trouble: str


class Reduced(TypedDict):
    """Nothing that adds risk comes in. ``reduced`` are the accounts that were not so, nor stopped, before."""

    scope: str
    reduced: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKill(AccountReport):
    """One account's job. ``exchange_key`` is what became of its key at the exchange, where that was asked for."""

    name: str
    exchange_key: str | None


class Kill(TypedDict):
    """The newest job. It is ``running``, and not ``flat``, until what was on the wire at the press is over, also where
    every account has ended flat before. ``flat_ms`` is the last account's, ``null`` while one is not flat.

    ``left_open`` are the scopes, account or bot, whose last kill was an earlier one and did not end flat;
    ``unreadable`` the accounts of whose last kill the journal cannot be read: where there is no other, the rest is
    empty.
    """

    running: bool
    scope: str
    by: str
    reason: str
    started_at: str
    blocked_ms: float | None
    flat: bool
    flat_ms: float | None
    accounts: Sequence[AccountKill]
    left_open: Sequence[str]
    unreadable: Sequence[str]


class KillProgress(TypedDict):
    """The newest job, ``null`` when there never was one."""

    kill: Kill | None


class Certificates(TypedDict):
    """The newest ones, newest first."""

    certificates: Sequence[CertificateRow]


class PolicyOutcome(TypedDict):
    """The digest of the policy in force, and the proposal that waits, if this made one."""

    in_force: str
    pending: ProposalView | None


class Rearming(TypedDict):
    """Every scope that is stopped, asked for or coming back, or the one asked about."""

    scopes: Sequence[RearmView]


class Drills(TypedDict):
    """Every report that is kept, newest first."""

    drills: Sequence[DrillReport]


class Drill(TypedDict):
    """The newest drill of this warden, ``null`` when there was none."""

    drill: DrillProgress | None


class Sealed(TypedDict):
    """A sealed answer."""

    answer: str


class ProblemRow(TypedDict):
    """One kind of refusal."""

    type: str
    code: str
    status: int
    title: str
    advice: str


class ProblemRows(TypedDict):
    """All of them."""

    problems: Sequence[ProblemRow]


ANYTHING = dict[str, Any]
"""A document with a description of its own."""
