"""The warden as the control door sees it: a glance at the desk, the refusals, the button, and what people settle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from proxy.alerts.plane import AlertsPlane
from proxy.audit import query
from proxy.audit.looks import ArchiveLooks
from proxy.audit.place import archive_place
from proxy.audit.plane import AuditPlane
from proxy.audit.reader import ArchiveReader
from proxy.console.desk_views import DeskView, OverrideView
from proxy.console.exposure_plane import HistoryPlane
from proxy.control.glance import Glance, override_view, proposal_view
from proxy.drill.plane import DrillPlane
from proxy.kill.desk import KillDesk
from proxy.kill.preview_plane import PreviewPlane
from proxy.kill.rearm_plane import RearmPlane
from proxy.kill.report import AccountReport
from proxy.ledger.marks import marks_path
from proxy.ledger.plane import LedgerPlane
from proxy.ledger.supposing import NothingKnown, supposed
from proxy.overrides.desk import OverrideDesk, OverrideRefused
from proxy.overrides.lifecycle import OverrideState
from proxy.overrides.terms import Terms
from proxy.policy.desk import PolicyDesk, PolicyRefused
from proxy.policy.plane import PolicyPlane
from proxy.policy.waiting import Pending
from proxy.reasons.plane import ReasonsPlane
from proxy.refused import ControlRefused
from proxy.signals.plane import SignalsPlane
from proxy.store.client import STORE_SILENCE, STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import Scope
from proxy.store.ownership import DeskTaken
from proxy.vault.plane import KeysPlane

T = TypeVar("T")

_UNTOLD: Final[Mapping[str, Any]] = {
    "running": False,
    "scope": "",
    "by": "",
    "reason": "",
    "started_at": "",
    "blocked_ms": None,
    "flat": False,
    "flat_ms": None,
    "accounts": [],
    "left_open": [],
}
"""A kill of which no journal can be read."""


class Control:
    """Implements ``ControlPlane`` over the warden's own pieces."""

    def __init__(
        self,
        *,
        data_dir: Path,
        glance: Glance,
        policies: PolicyDesk,
        kill: KillDesk,
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
        self._kill = kill
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
    ) -> Mapping[str, Any]:
        """The newest refusals from the archive, one page of them; none where there is no archive yet."""

        def ask(archive: ArchiveReader) -> Mapping[str, Any]:
            page = query.blocked(archive, bot=bot, rule=rule, account=account, before=before, limit=limit)
            return {"blocked": [{**asdict(row), "at": plain(row.at)} for row in page.rows], "next": page.next}

        asked = ("blocked", bot, rule, account, limit, before)
        return await self._ask(asked, ask, {"blocked": [], "next": None})

    async def decision(self, decision_id: str) -> Mapping[str, Any] | None:
        """Everything the archive holds of one request, and what its refused orders would have come to."""

        def ask(archive: ArchiveReader) -> Mapping[str, Any] | None:
            story = query.decision(archive, decision_id)
            if story is None:
                return None
            try:
                orders = supposed(story.decision, marks_path(self._data_dir), self._now())
            except NothingKnown as trouble:
                return {"counterfactual": f"not known: {trouble}", **asdict(story)}
            return {"counterfactual": plain(orders), **asdict(story)}

        return await self._ask(("decision", decision_id), ask, None)

    async def kill(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        """Press the button; returns when trading is blocked."""
        parsed = self._scope(scope)
        blocked = await self._kill.press(parsed, by, reason)
        return {
            "scope": str(parsed),
            "blocked_ms": blocked.blocked_ms,
            "generation": blocked.generation,
            "latched": blocked.latched,
            "gates": plain(blocked.gates),
            "in_flight": plain(blocked.in_flight),
            "trouble": blocked.trouble,
        }

    async def reduce(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        """Make every account of a scope reduce-only, also where trouble with one of them is to be told. A store that is
        silent is not asked for one account after another: whoever waits is to hear of it."""
        parsed = self._scope(scope)
        reduced, so_before, troubles = list[str](), list[str](), dict[str, Exception]()
        silence: Exception | None = None
        for account in self._kill.roster.accounts(parsed):
            if silence is not None:
                troubles[account] = silence
                continue
            try:
                changed = await self._kill.reduce(account, by, reason)
            except STORE_TROUBLE as trouble:
                troubles[account] = trouble
                silence = trouble if isinstance(trouble, STORE_SILENCE) else None
            else:
                (reduced if changed else so_before).append(account)
        if troubles:
            raise ControlRefused(_not_reduced(scope, reduced, so_before, troubles))
        return {"scope": str(parsed), "reduced": reduced}

    async def kill_progress(self) -> Mapping[str, Any] | None:
        """The newest job of every account the last press covered, from the moment that it was pressed until what was
        on the wire is over: what ended flat before that may be begun once more.

        Besides: what earlier presses left open, and accounts whose newest journal cannot be read.
        """
        reports, unreadable = await self._kill.progress(), await self._kill.unreadable()
        if not reports:
            return {**_UNTOLD, "unreadable": unreadable} if unreadable else None
        newest = max(report.started_at for report in reports)
        under_way = [report for report in reports if not report.phase.final or self._is_followed(report)]
        current = [report for report in reports if report in under_way or report.started_at == newest]
        earlier = [report for report in reports if report not in current]
        flat_times = [report.flat_ms for report in current if report.flat_ms is not None]
        return {
            "running": bool(under_way),
            "scope": current[0].scope,
            "by": current[0].by,
            "reason": current[0].reason,
            "started_at": plain(current[0].started_at),
            "blocked_ms": current[0].blocked_ms,
            "flat": not under_way and all(report.flat for report in current),
            "flat_ms": max(flat_times) if not under_way and len(flat_times) == len(current) else None,
            "accounts": [
                plain(report) | {"name": report.account, "exchange_key": self._kill.key_outcome(report)}
                for report in current
            ],
            "left_open": sorted(_left_open(earlier, reports)),
            "unreadable": unreadable,
        }

    def _is_followed(self, report: AccountReport) -> bool:
        return report.account in self._kill.working(Scope.parse(report.scope).bot)

    async def propose_policy(self, *, text: str, name: str, reason: str) -> Mapping[str, Any]:
        """Put a policy in force, or on the list when it loosens anything."""
        return self._outcome(await _refused(self._policies.propose(text=text, name=name, reason=reason)))

    async def approve_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        """A second person agrees to a proposal."""
        return self._outcome(await _refused(self._policies.approve(digest=digest, name=name, reason=reason)))

    async def withdraw_policy(self, *, digest: str, name: str, reason: str) -> Mapping[str, Any]:
        """A proposal goes off the list."""
        await _refused(self._policies.withdraw(digest=digest, name=name, reason=reason))
        return self._outcome(None)

    def _outcome(self, pending: Pending | None) -> Mapping[str, Any]:
        return {
            "in_force": self._policies.policy.version,
            "pending": plain(proposal_view(pending)) if pending is not None else None,
        }

    async def request_override(self, *, terms: Terms, name: str) -> OverrideView:
        """Keep a request until another person approves it."""
        return await _override_or_refusal(self._overrides.request(terms, name))

    async def approve_override(self, *, override_id: str, name: str) -> OverrideView:
        """Put a request in force; refused for the person who asked."""
        return await _override_or_refusal(self._overrides.approve(override_id, name))

    async def withdraw_override(self, *, override_id: str, name: str) -> OverrideView:
        """Take a request or an override back."""
        return await _override_or_refusal(self._overrides.withdraw(override_id, name))

    def _scope(self, text: str) -> Scope:
        """A scope that names something this desk has."""
        try:
            scope = Scope.parse(text)
        except ValueError as error:
            raise ControlRefused(str(error)) from error
        if not self._kill.roster.knows(scope):
            raise ControlRefused(f"no such {scope.level.value}")
        return scope

    async def _ask(self, name: Hashable, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
        return await self._looks.ask(archive_place(self._data_dir), name, question, otherwise)


async def _refused(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except PolicyRefused as refusal:
        raise ControlRefused(str(refusal), refusal.reasons) from refusal


async def _override_or_refusal(asked: Awaitable[OverrideState]) -> OverrideView:
    try:
        return override_view(await asked)
    except OverrideRefused as refusal:
        raise ControlRefused(str(refusal), refusal.reasons) from refusal


def _not_reduced(
    scope: str, reduced: Sequence[str], so_before: Sequence[str], troubles: Mapping[str, Exception]
) -> str:
    """Which accounts of a scope go on as they were, and why; and which are reduce-only all the same."""
    why = {
        account: trouble.said if isinstance(trouble, DeskTaken) else "the store did not answer"
        for account, trouble in troubles.items()
    }
    if not reduced and not so_before:
        return f"{scope} goes on as it was: {'; '.join(dict.fromkeys(why.values()))}"
    parts = [f"{account} goes on as it was ({said})" for account, said in why.items()]
    if reduced:
        parts.append(f"reduce-only now: {', '.join(reduced)}")
    if so_before:
        parts.append(f"reduce-only or stopped before: {', '.join(so_before)}")
    return "; ".join(parts)


def _left_open(earlier: Sequence[AccountReport], reports: Sequence[AccountReport]) -> set[str]:
    """The scopes, account or bot, whose last kill did not end flat; not a bot's part of an account killed since."""
    whole = {report.account: report.started_at for report in reports if Scope.parse(report.scope).bot is None}
    found = set()
    for report in earlier:
        bot = Scope.parse(report.scope).bot
        killed_since = bot is not None and whole.get(report.account, report.started_at) > report.started_at
        if report.left_open and not killed_since:
            found.add(f"bot:{bot}" if bot is not None else f"account:{report.account}")
    return found
