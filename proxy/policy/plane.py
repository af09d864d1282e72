"""What the policy's page may ask: what is in force, what waits, how another text differs, and what rules came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """One rule of the policy in force. ``settings`` are names and values as an operator wrote them."""

    rule: str
    level: str
    enforcement: str
    settings: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """A text beside the policy in force: every change in words. ``waits`` says what a loosening needs; it is empty
    when nothing is loosened, and the text would be in force at once."""

    digest: str
    name: str
    owner: str
    loosened: Sequence[str]
    tightened: Sequence[str]
    other: Sequence[str]
    waits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """A proposal, and its differences from what is in force. ``by`` is empty while nobody stands for it."""

    by: str
    reason: str
    at: str
    due: str | None
    stale: bool
    differences: Differences


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyShown:
    """The policy in force, in order of precedence, its text, and what waits."""

    digest: str
    name: str
    owner: str
    loosening: str
    rules: Sequence[RuleRow]
    text: str
    waiting: Sequence[WaitingRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameTo:
    """What one rule's orders would have come to at a horizon, in words: ``saved 12.50``, and how sure that is."""

    horizon: str
    said: str
    counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHindsight:
    """One rule: ``intents`` orders it kept back (or, in report mode, would have), refused ``times`` in all.

    ``examples`` are ids of decisions, newest first.
    """

    rule: str
    intents: int
    times: int
    came_to: Sequence[CameTo]
    examples: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """What the rules' refusals came to. ``decisions`` were read; ``cut`` says that there are more in that time.

    ``unknown`` counts why results are not known, ``left_out`` which refused commands are no orders to value.
    """

    decisions: int
    cut: bool
    refused: Sequence[RuleHindsight]
    reported: Sequence[RuleHindsight]
    unknown: Mapping[str, int]
    left_out: Mapping[str, int]
    trouble: str
    assumed: str


class PolicyPlane(Protocol):
    """The policy, as its page sees it. Acting on it is the ``ControlPlane``'s."""

    async def shown(self) -> PolicyShown:
        """What is in force, and what waits."""
        ...

    async def differences(self, text: str) -> Differences:
        """How a text differs. Raises ``Refused``, with everything that is wrong with it."""
        ...

    async def hindsight(self, since: datetime) -> Hindsight:
        """What the rules' refusals since then would have come to, as far as a few seconds' reading goes."""
        ...
