"""What the console and the control API may ask about the audit itself, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """One chain: the desk's own has an empty name. ``hash`` is the head's."""

    chain: str
    records: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointView:
    """The newest signed checkpoint: up to which record, when (RFC 3339), by which key."""

    seq: int
    at: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorView:
    """A place that keeps checkpoints. ``seq`` and ``at`` are of its last one; ``failing`` says why it takes none."""

    name: str
    seq: int | None
    at: str | None
    failing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationView:
    """A verification that ended. ``wrong`` is one word, ``problem`` and ``first_bad`` say what and where.

    ``signatures`` says whether signatures were checked, by the guard's own public keys.
    """

    at: str
    took_s: float
    ok: bool
    records: int
    wrong: str
    problem: str
    first_bad: int | None
    signatures: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """A verification that runs: records done, and of how many (0 while that is not known)."""

    since: str
    done: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """Something a person or the guard did, in words."""

    at: str
    what: str
    by: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """The archive as it stands. ``trouble`` says why it cannot be read, and then the chains are empty.

    ``events`` are the newest that people brought about, of so many newest that were ``events_looked_at``.
    """

    place: str
    records: int
    root: str
    chains: Sequence[ChainView]
    checkpoint: CheckpointView | None
    anchors: Sequence[AnchorView]
    last: VerificationView | None
    running: ProgressView | None
    events: Sequence[EventView]
    events_looked_at: int
    trouble: str = ""


class AuditPlane(Protocol):
    """The audit, as the control door sees it."""

    async def audit(self) -> AuditView:
        """Heads, anchors, the last verification and the newest events of people."""
        ...

    async def verify(self) -> bool:
        """Begin a verification unless one runs; whether this began it."""
        ...
