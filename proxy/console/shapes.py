"""The shapes of what the control API answers of its own: a word or two, and what a part's answer is wrapped in.

What a part of the warden answers has its shape there: ``DeskView``, ``Pressed``, ``RearmView``, ``SignalsView``, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from proxy.certificate.plane import CertificateRow
from proxy.drill.plane import DrillProgress
from proxy.drill.shelf import DrillReport
from proxy.kill.press_plane import Kill
from proxy.kill.rearm_plane import RearmView


class Health(TypedDict):
    """This port answers."""

    status: Literal["ok"]


class KillProgress(TypedDict):
    """The newest job, ``null`` when there never was one."""

    kill: Kill | None


class Certificates(TypedDict):
    """The newest ones, newest first."""

    certificates: Sequence[CertificateRow]


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
