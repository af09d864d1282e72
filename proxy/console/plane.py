"""What the console and the control API may ask of the warden, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from proxy.alerts.plane import AlertsPlane
from proxy.audit.plane import AuditPlane
from proxy.console.desk_views import DeskView, OverrideView
from proxy.console.exposure_plane import HistoryPlane
from proxy.drill.plane import DrillPlane
from proxy.kill.preview_plane import PreviewPlane
from proxy.kill.rearm_plane import RearmPlane
from proxy.ledger.plane import LedgerPlane
from proxy.overrides.terms import Terms
from proxy.policy.plane import PolicyPlane
from proxy.reasons.plane import ReasonsPlane
from proxy.signals.plane import SignalsPlane
from proxy.vault.plane import KeysPlane


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
