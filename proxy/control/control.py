"""The warden as the control door sees it: a glance at the desk, the refusals, the button, and what people settle."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from proxy.alerts.plane import AlertsPlane
from proxy.audit import query
from proxy.audit.looks import ArchiveLooks
from proxy.audit.place import archive_place
from proxy.audit.plane import AuditPlane
from proxy.audit.reader import ArchiveReader
from proxy.console.desk_views import DeskView, OverrideView, PolicyOutcome
from proxy.console.history_plane import HistoryPlane
from proxy.console.plane import Blocked, DecisionStory
from proxy.control.button import Button
from proxy.control.glance import Glance, override_view, proposal_view
from proxy.drill.plane import DrillPlane
from proxy.kill.press_plane import Kill, Pressed, Reduced
from proxy.kill.preview_plane import PreviewPlane
from proxy.kill.rearm_plane import RearmPlane
from proxy.ledger.marks import marks_path
from proxy.ledger.plane import LedgerPlane
from proxy.ledger.supposing import NothingKnown, Supposed, supposed
from proxy.overrides.desk import OverrideDesk
from proxy.overrides.terms import Terms
from proxy.policy.desk import PolicyDesk
from proxy.policy.plane import PolicyPlane
from proxy.policy.waiting import Pending
from proxy.reasons.plane import ReasonsPlane
from proxy.signals.plane import SignalsPlane
from proxy.vault.plane import KeysPlane

T = TypeVar("T")


class Control:
    """Implements ``ControlPlane`` over the warden's own pieces."""

    def __init__(
        self,
        *,
        data_dir: Path,
        glance: Glance,
        policies: PolicyDesk,
        button: Button,
        rearming: RearmPlane,
        drills: DrillPlane,
        signals: SignalsPlane,
        ledger: LedgerPlane,
        ahead: PreviewPlane,
        policy_shown: PolicyPlane,
        reasons: ReasonsPlane,
        history: HistoryPlane,
        auditing: AuditPlane,
        alerts: AlertsPlane,
        keys: KeysPlane,
        overrides: OverrideDesk,
        now: Callable[[], datetime],
    ) -> None:
        self._data_dir = data_dir
        self._glance = glance
        self._policies = policies
        self._button = button
        self.rearming = rearming
        self.drills = drills
        self.signals = signals
        self.ledger = ledger
        self.ahead = ahead
        self.policy_shown = policy_shown
        self.reasons = reasons
        self.history = history
        self.auditing = auditing
        self.alerts = alerts
        self.keys = keys
        self._overrides = overrides
        self._now = now
        self._looks = ArchiveLooks("audit")

    async def desk(self) -> DeskView:
        """The state of everything. A store that does not answer is shown as such, not hidden."""
        return await self._glance.desk()

    async def blocked(
        self, *, bot: str | None, rule: str | None, account: str | None, limit: int, before: str | None = None
    ) -> Blocked:
        """The newest refusals from the archive, one page of them; none where there is no archive yet."""

        def ask(archive: ArchiveReader) -> Blocked:
            page = query.blocked(archive, bot=bot, rule=rule, account=account, before=before, limit=limit)
            return Blocked(blocked=page.rows, next=page.next)

        asked = ("blocked", bot, rule, account, limit, before)
        return await self._ask(asked, ask, Blocked(blocked=(), next=None))

    async def decision(self, decision_id: str) -> DecisionStory | None:
        """Everything the archive holds of one request, and what its refused orders would have come to."""

        def ask(archive: ArchiveReader) -> DecisionStory | None:
            story = query.decision(archive, decision_id)
            if story is None:
                return None
            return DecisionStory(
                counterfactual=self._supposed(story.decision),
                id=story.id,
                intent=story.intent,
                decision=story.decision,
                outcome=story.outcome,
                others=story.others,
            )

        return await self._ask(("decision", decision_id), ask, None)

    def _supposed(self, decision: Mapping[str, Any] | None) -> str | Sequence[Supposed]:
        """What refused orders would have come to, or why that is not known."""
        try:
            return supposed(decision, marks_path(self._data_dir), self._now())
        except NothingKnown as trouble:
            return f"not known: {trouble}"

    async def kill(self, *, scope: str, by: str, reason: str) -> Pressed:
        """Press the button; returns when trading is blocked."""
        return await self._button.kill(scope=scope, by=by, reason=reason)

    async def reduce(self, *, scope: str, by: str, reason: str) -> Reduced:
        """Make every account of a scope reduce-only, also where trouble with one of them is to be told."""
        return await self._button.reduce(scope=scope, by=by, reason=reason)

    async def kill_progress(self) -> Kill | None:
        """The newest job."""
        return await self._button.progress()

    async def propose_policy(self, *, text: str, name: str, reason: str) -> PolicyOutcome:
        """Put a policy in force, or on the list when it loosens anything."""
        return self._outcome(await self._policies.propose(text=text, name=name, reason=reason))

    async def approve_policy(self, *, digest: str, name: str, reason: str) -> PolicyOutcome:
        """A second person agrees to a proposal."""
        return self._outcome(await self._policies.approve(digest=digest, name=name, reason=reason))

    async def withdraw_policy(self, *, digest: str, name: str, reason: str) -> PolicyOutcome:
        """A proposal goes off the list."""
        await self._policies.withdraw(digest=digest, name=name, reason=reason)
        return self._outcome(None)

    def _outcome(self, pending: Pending | None) -> PolicyOutcome:
        waits = proposal_view(pending) if pending is not None else None
        return PolicyOutcome(in_force=self._policies.policy.version, pending=waits)

    async def request_override(self, *, terms: Terms, name: str) -> OverrideView:
        """Keep a request until another person approves it."""
        return override_view(await self._overrides.request(terms, name))

    async def approve_override(self, *, override_id: str, name: str) -> OverrideView:
        """Put a request in force; refused for the person who asked."""
        return override_view(await self._overrides.approve(override_id, name))

    async def withdraw_override(self, *, override_id: str, name: str) -> OverrideView:
        """Take a request or an override back."""
        return override_view(await self._overrides.withdraw(override_id, name))

    async def _ask(self, name: Hashable, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
        return await self._looks.ask(archive_place(self._data_dir), name, question, otherwise)
