"""What a certificate says. Built from a job's journal and nothing else, but for ``issue``: when, and on what ground.

Two kinds: of one account's job, with every step; and of a press, which binds the certificates of its accounts by
digests of what they say. Fields are only ever added under a new ``version``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from proxy.certificate.proof import ReadBack, proving, unlisted
from proxy.kill.journal import Job, Journal, to_plain
from proxy.kill.report import account_report, worst
from proxy.signatures.canonical import canonical, spelled
from rules.kill.events import Phase

FORMAT: Final = "perpguard-certificate"
_ID: Final = r"^[A-Za-z0-9-]{1,64}$"

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""SHA-256, in hexadecimal."""


class PolicyInForce(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The policy in force when the certificate was issued: the digest of its text, or why it is not known."""

    digest: Digest | None
    not_known: str


class AuditHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far the audit's chain had come when the certificate was issued, or why that is not known."""

    archive: str | None
    sequence: int | None
    head: Digest | None
    not_known: str


class Issue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who issued a certificate and when. All of it is of the moment of issue, not of the kill."""

    at: str
    key_id: str
    guard_version: str
    policy: PolicyInForce
    audit: AuditHead


class AccountCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account's kill, or that of one bot's part of it (``scope`` says so).

    ``flat`` is true for the phase FLAT alone; ``cost`` is ``None`` where the report has none. ``unlisted`` names kinds
    of orders that the venue does not list, so that nobody could read them. ``read_backs`` are the readings that prove
    the phase, by their place in ``steps``; in DEGRADED the last one, which shows what was left. ``journal`` is the
    digest of the job's file.
    """

    format: Literal["perpguard-certificate"]
    version: Literal[1]
    kind: Literal["account"]
    id: Annotated[str, msgspec.Meta(pattern=_ID)]
    account: str
    scope: str
    by: str
    reason: str
    pressed_at: str
    ended_at: str
    blocked_ms: str | None
    flat_ms: str | None
    verified_ms: str | None
    phase: Literal["FLAT", "FLAT_EXCEPT_DUST", "DEGRADED"]
    flat: bool
    why: str
    left: list[str]
    advice: str
    latched: bool
    cancelled: int
    closed: list[dict[str, Any]]
    cost_expected: Any
    cost: Any
    unlisted: list[str]
    steps: list[dict[str, Any]]
    read_backs: list[ReadBack]
    journal: Digest
    issue: Issue

    @property
    def subject(self) -> str:
        """Whom it concerns, in words."""
        bot = self.scope.removeprefix("bot:")
        return f"account {self.account}" if bot == self.scope else f"bot {bot} on account {self.account}"


class BoundAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account of a press: its job, and the ``substance`` of its certificate, ``None`` where there is none."""

    account: str
    job: Annotated[str, msgspec.Meta(pattern=_ID)]
    phase: Phase
    substance: Digest | None


class PressCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A press and what became of its accounts; ``phase`` is that of the one furthest from flat."""

    format: Literal["perpguard-certificate"]
    version: Literal[1]
    kind: Literal["press"]
    id: Annotated[str, msgspec.Meta(pattern=_ID)]
    scope: str
    by: str
    reason: str
    pressed_at: str
    phase: Phase
    flat: bool
    accounts: Annotated[list[BoundAccount], msgspec.Meta(min_length=1)]
    issue: Issue

    @property
    def subject(self) -> str:
        """Whom it concerns, in words."""
        return f"press of {self.scope}"


Certificate = AccountCertificate | PressCertificate


class Press(msgspec.Struct, frozen=True, kw_only=True):
    """What the jobs of one press have in common."""

    scope: str
    by: str
    reason: str
    at: datetime

    @classmethod
    def of(cls, job: Job) -> Press:
        """The press that began a job."""
        return cls(scope=job.scope, by=job.by, reason=job.reason, at=job.started_at)

    @property
    def certificate_id(self) -> str:
        """The same for the same press; sorts by time among the jobs' ids."""
        return f"{self.at.strftime('%Y%m%dT%H%M%S%f')}-{digest_of(canonical(spelled(self)))[:8]}-press"


def digest_of(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def substance_of(document: Mapping[str, Any]) -> str:
    """The digest of all that a certificate says but for ``issue``: the same whenever the same job is certified."""
    return digest_of(canonical({name: value for name, value in document.items() if name != "issue"}))


def account_document(journal: Journal, journal_bytes: bytes, issue: Issue) -> dict[str, Any]:
    """The certificate of an ended job, not signed yet. Raises ``NotProven`` when its steps do not carry its phase."""
    job = journal.job
    report = account_report(job, journal.events)
    steps = [{"type": to_plain(event)["type"], **spelled(event)} for event in journal.events]
    return {
        "format": FORMAT,
        "version": 1,
        "kind": "account",
        "id": job.job_id,
        **spelled({name: getattr(job, name) for name in ("account", "scope", "by", "reason", "blocked_ms")}),
        "pressed_at": spelled(job.started_at),
        "ended_at": steps[-1]["at"],
        **spelled({name: getattr(report, name) for name in _OF_THE_REPORT}),
        "cost_expected": spelled(report.cost_estimate),
        "cost": spelled(report.cost),
        "unlisted": unlisted(steps),
        "steps": steps,
        "read_backs": spelled(proving(report.phase.value, steps)),
        "journal": digest_of(journal_bytes),
        "issue": spelled(issue),
    }


_OF_THE_REPORT: Final = (
    "flat_ms",
    "verified_ms",
    "phase",
    "flat",
    "why",
    "left",
    "advice",
    "latched",
    "cancelled",
    "closed",
)


def press_document(press: Press, accounts: Sequence[BoundAccount], issue: Issue) -> dict[str, Any]:
    """The certificate of a press, not signed yet."""
    phase = worst(tuple(each.phase for each in accounts))
    return {
        "format": FORMAT,
        "version": 1,
        "kind": "press",
        "id": press.certificate_id,
        **spelled({"scope": press.scope, "by": press.by, "reason": press.reason, "pressed_at": press.at}),
        "phase": phase.value,
        "flat": phase is Phase.FLAT,
        "accounts": spelled(list(accounts)),
        "issue": spelled(issue),
    }
