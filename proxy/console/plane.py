"""What the console and the control API may ask of the warden, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.alerts.plane import AlertsPlane
from proxy.audit.judged import JudgedCommand
from proxy.audit.plane import AuditPlane
from proxy.console.desk_views import DeskView, OverrideView, PolicyOutcome
from proxy.console.history_plane import HistoryPlane
from proxy.drill.plane import DrillPlane
from proxy.kill.press_plane import Kill, Pressed, Reduced
from proxy.kill.preview_plane import PreviewPlane
from proxy.kill.rearm_plane import RearmPlane
from proxy.ledger.plane import LedgerPlane
from proxy.ledger.supposing import Supposed
from proxy.overrides.terms import Terms
from proxy.policy.plane import PolicyPlane
from proxy.reasons.plane import ReasonsPlane
from proxy.signals.plane import SignalsPlane
from proxy.vault.plane import KeysPlane


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """One page of refused commands, the newest first; each with the breach the bot was told, or that of the rule asked
    for. ``next``, as ``before``, goes on where the page ends, ``None`` when there is no more: a page may hold fewer
    rows than asked for, even none, and yet not be the last."""

    blocked: Sequence[JudgedCommand]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionStory:
    """Everything the archive holds under one id, as it was written down. ``counterfactual`` is what the orders that
    were refused would have come to, or why that is not known."""

    counterfactual: str | Sequence[Supposed]
    id: str
    intent: Mapping[str, Any] | None
    decision: Mapping[str, Any] | None
    outcome: Mapping[str, Any] | None
    others: Sequence[Mapping[str, Any]]


class ControlPlane(Protocol):
    """The warden, as the control door sees it. Every method may take a second; none raises but ``Refused``."""

    async def desk(self) -> DeskView:
        """The state of everything."""
        ...

    async def blocked(
        self, *, bot: str | None, rule: str | None, account: str | None, limit: int, before: str | None = None
    ) -> Blocked:
        """One page of the newest refusals.

        Raises ``Refused`` for a ``before`` that no page gave.
        """
        ...

    async def decision(self, decision_id: str) -> DecisionStory | None:
        """Everything the archive holds of one request, and what its refused orders would have come to."""
        ...

    async def kill(self, *, scope: str, by: str, reason: str) -> Pressed:
        """Press the button. Returns as soon as trading is BLOCKED; the job runs on.

        Raises ``Refused`` for an unknown scope.
        """
        ...

    async def reduce(self, *, scope: str, by: str, reason: str) -> Reduced:
        """Let nothing in that adds risk.

        Raises ``Refused`` for an unknown scope, and when the store does not answer.
        """
        ...

    async def kill_progress(self) -> Kill | None:
        """The newest job."""
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
        """Keep a request for an override until another person approves it. Raises ``Refused``."""
        ...

    async def approve_override(self, *, override_id: str, name: str) -> OverrideView:
        """Put a request in force. Raises ``Refused``, also for the person who asked."""
        ...

    async def withdraw_override(self, *, override_id: str, name: str) -> OverrideView:
        """Take a request or an override back. Raises ``Refused``."""
        ...

    async def propose_policy(self, *, text: str, name: str, reason: str) -> PolicyOutcome:
        """Put a policy in force, or, when it loosens anything, on the list.

        Raises ``Refused``, with everything that is wrong with the text.
        """
        ...

    async def approve_policy(self, *, digest: str, name: str, reason: str) -> PolicyOutcome:
        """Agree to what somebody else proposed; answers as proposing does. Raises ``Refused``."""
        ...

    async def withdraw_policy(self, *, digest: str, name: str, reason: str) -> PolicyOutcome:
        """Take a proposal off the list. Raises ``Refused``."""
        ...
