"""What the console and the control API may ask of the warden, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.console.alerts_plane import AlertsPlane
from proxy.console.audit_plane import AuditPlane
from proxy.console.desk_views import DeskView, OverrideView
from proxy.console.exposure_plane import HistoryPlane
from proxy.console.keys_plane import KeysPlane
from proxy.console.ledger_plane import LedgerPlane
from proxy.console.policy_plane import PolicyPlane
from proxy.console.preview_plane import PreviewPlane
from proxy.console.rearm_plane import DrillPlane, RearmPlane
from proxy.console.reasons_plane import ReasonsPlane
from proxy.console.signals_plane import SignalsPlane
from proxy.overrides.terms import Terms


class ControlRefused(Exception):
    """The request was understood and refused; the text is for the person who asked, ``reasons`` its parts where it has
    several."""

    def __init__(self, text: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """One certificate in a list. ``kind`` is ``account`` or ``press``, ``subject`` whom it concerns.

    ``problem`` says why it does not verify; then the other texts may be empty.
    """

    id: str
    kind: str
    subject: str
    phase: str
    by: str
    reason: str
    pressed_at: str
    issued_at: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """One certificate: the file's ``content``, byte for byte, and the signed ``document`` in it.

    ``problem`` says why it does not verify; then ``document`` is empty. ``absent`` names accounts of a press whose
    certificates are not here.
    """

    id: str
    content: bytes
    document: Mapping[str, Any]
    absent: Sequence[str]
    problem: str


class Certificates(Protocol):
    """The certificates of ended kills. None of these raises for a certificate that is damaged: it says so."""

    async def certificates(self) -> Sequence[CertificateRow]:
        """The newest ones, newest first."""
        ...

    async def certificate(self, certificate_id: str) -> CertificateView | None:
        """One of them; ``None`` when there is none of that id."""
        ...

    def has_certificate(self, certificate_id: str) -> bool:
        """Whether there is one of that id."""
        ...


class ControlPlane(Protocol):
    """The warden, as the control door sees it. Every method may take a second; none raises but ``ControlRefused``."""

    async def desk(self) -> DeskView:
        """The state of everything."""
        ...

    async def blocked(
        self, *, bot: str | None, rule: str | None, account: str | None, limit: int, before: str | None = None
    ) -> Mapping[str, Any]:
        """One page of the newest refusals: blocked (id, at, bot, account, command in words, rule, code, observed,
        limit, headroom, message), next (what ``before`` goes on with; a page may be short, even empty, and not be the
        last, which has None).

        Raises ``ControlRefused`` for a ``before`` that no page gave.
        """
        ...

    async def decision(self, decision_id: str) -> Mapping[str, Any] | None:
        """Everything the archive holds of one request, and what its refused orders would have come to."""
        ...

    async def kill(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        """Press the button. Returns as soon as trading is BLOCKED: scope, blocked_ms, generation, latched, gates (who
        said so), in_flight (what was on the wire). The job runs on.

        Raises ``ControlRefused`` for an unknown scope.
        """
        ...

    async def reduce(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        """Let nothing in that adds risk: scope, reduced (the accounts that were not so, nor stopped, before).

        Raises ``ControlRefused`` for an unknown scope, and when the store does not answer.
        """
        ...

    async def kill_progress(self) -> Mapping[str, Any] | None:
        """The newest job: running, scope, by, reason, flat, flat_ms, accounts (name, phase, steps, read_backs)."""
        ...

    @property
    def rearming(self) -> RearmPlane:
        """How what was stopped comes back."""
        ...

    @property
    def drills(self) -> DrillPlane:
        """Rehearsals of the kill."""
        ...

    @property
    def signals(self) -> SignalsPlane:
        """Forecasts and scores, and how well they have held."""
        ...

    @property
    def ledger(self) -> LedgerPlane:
        """What the venue booked, and how well orders were executed."""

    @property
    def policy_shown(self) -> PolicyPlane:
        """The policy in force, and what rules came to."""
        ...

    @property
    def ahead(self) -> PreviewPlane:
        """What a press would do."""
        ...

    @property
    def reasons(self) -> ReasonsPlane:
        """The record of refusals, and every rule's part in each."""
        ...

    @property
    def history(self) -> HistoryPlane:
        """The last day."""
        ...

    @property
    def auditing(self) -> AuditPlane:
        """The archive's chains, anchors and verifications."""
        ...

    @property
    def keys(self) -> KeysPlane:
        """The keys in the vault."""
        ...

    @property
    def alerts(self) -> AlertsPlane:
        """What people must hear of, and who has."""
        ...

    async def request_override(self, *, terms: Terms, name: str) -> OverrideView:
        """Keep a request for an override until another person approves it. Raises ``ControlRefused``."""
        ...

    async def approve_override(self, *, override_id: str, name: str) -> OverrideView:
        """Put a request in force. Raises ``ControlRefused``, also for the person who asked."""
        ...

    async def withdraw_override(self, *, override_id: str, name: str) -> OverrideView:
        """Take a request or an override back. Raises ``ControlRefused``."""
        ...

    async def propose_policy(self, *, text: str, name: str, reason: str) -> Mapping[str, Any]:
        """Put a policy in force, or, when it loosens anything, on the list: in_force, pending (or null).

        Raises ``ControlRefused``, with everything that is wrong with the text.
        """
        ...

    async def approve_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        """Agree to what somebody else proposed; answers as proposing does. Raises ``ControlRefused``."""
        ...

    async def withdraw_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        """Take a proposal off the list. Raises ``ControlRefused``."""
        ...
