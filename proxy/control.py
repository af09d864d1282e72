"""The warden as the control door sees it: a glance at the desk, the refusals, the button, and what people settle."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from proxy.audit import query
from proxy.audit.reader import ArchiveReader, ArchiveUnavailable
from proxy.console.plane import ControlRefused, DeskView, OverrideView
from proxy.glance import Glance, override_view, proposal_view
from proxy.kill.bot_stops import BotStops, bot_of
from proxy.kill.desk import KillDesk
from proxy.kill.rearm import RearmRefused
from proxy.ledger.marks import marks_path
from proxy.ledger.supposing import NothingKnown, supposed
from proxy.overrides.desk import OverrideDesk, OverrideRefused
from proxy.overrides.lifecycle import OverrideState
from proxy.overrides.terms import Terms
from proxy.policy.desk import PolicyDesk, PolicyRefused
from proxy.policy.waiting import Pending
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import FenceCorrupt, Scope

T = TypeVar("T")


class Control:
    """Implements ``ControlPlane`` over the warden's own pieces. ``accounts`` are those a scope may name."""

    def __init__(
        self,
        *,
        data_dir: Path,
        glance: Glance,
        accounts: Collection[str],
        policies: PolicyDesk,
        kill: KillDesk,
        stops: BotStops,
        overrides: OverrideDesk,
        now: Callable[[], datetime],
    ) -> None:
        self._data_dir = data_dir
        self._glance = glance
        self._accounts = accounts
        self._policies = policies
        self._kill = kill
        self._stops = stops
        self._overrides = overrides
        self._now = now

    async def desk(self) -> DeskView:
        """The state of everything. A store that does not answer is shown as such, not hidden."""
        return await self._glance.desk()

    async def blocked(
        self, *, bot: str | None, rule: str | None, account: str | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """The newest refusals from the archive."""

        def ask(archive: ArchiveReader) -> list[Mapping[str, Any]]:
            rows = query.blocked(archive, bot=bot, rule=rule, account=account, limit=limit)
            return [{**asdict(row), "at": plain(row.at)} for row in rows]

        return await self._ask(ask, [])

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

        return await self._ask(ask, None)

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
        }

    async def kill_progress(self) -> Mapping[str, Any] | None:
        """The newest job of every account the last press covered."""
        reports = await asyncio.to_thread(self._kill.reports)
        if not reports:
            return None
        newest = max(report.started_at for report in reports)
        current = [report for report in reports if not report.phase.final or report.started_at == newest]
        flat_times = [report.flat_ms for report in current if report.flat_ms is not None]
        return {
            "running": any(not report.phase.final for report in current),
            "scope": current[0].scope,
            "by": current[0].by,
            "reason": current[0].reason,
            "started_at": plain(current[0].started_at),
            "blocked_ms": current[0].blocked_ms,
            "flat": all(report.flat for report in current),
            "flat_ms": max(flat_times, default=None) if len(flat_times) == len(current) else None,
            "accounts": [
                plain(report) | {"name": report.account, "exchange_key": self._kill.key_outcome(report)}
                for report in current
            ],
        }

    async def rearm(self, *, scope: str, name: str, reason: str, typed: str) -> Mapping[str, Any]:
        """Release one scope; refused with every reason at once. ``bot:NAME`` lifts what rules and kills did to it."""
        bot = bot_of(scope)
        killed = bot is not None and Scope(bot=bot) in self._fence.scopes()
        try:
            if bot is None or killed:
                generation = await self._kill.rearm(self._scope(scope), name, reason, typed)
            if bot is not None and (not killed or self._stops.stop_of(bot) is not None):
                generation = await self._stops.rearm(bot, name, reason, typed)
        except (RearmRefused, FenceCorrupt) as refusal:
            raise ControlRefused(str(refusal)) from refusal
        except STORE_TROUBLE as trouble:
            raise ControlRefused(f"{scope} stays stopped: the store did not answer") from trouble
        return {"scope": scope, "generation": generation}

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

    def _scope(self, text: str) -> Scope:
        """A scope that names something this desk has."""
        try:
            scope = Scope.parse(text)
        except ValueError as error:
            raise ControlRefused(str(error)) from error
        if not self._kill.roster.knows(scope):
            raise ControlRefused(f"no such {scope.level.value}")
        return scope

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

    async def _ask(self, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
        path = self._data_dir / "audit" / "audit.db"
        return await asyncio.to_thread(_read_archive, path, question, otherwise)


    def _bots(self, controls: Mapping[str, str]) -> list[BotView]:
        return [self._bot(key, controls) for key in self._vault.guard_keys()]

    def _bot(self, key: GuardKey, controls: Mapping[str, str]) -> BotView:
        score, stop = self._watch.score(key.bot), self._stops.stop_of(key.bot)
        state = controls.get(f"bot:{key.bot}", TradingState.ACTIVE.value)
        killed = Scope(bot=key.bot) in self._fence.scopes()
        return BotView(
            name=key.bot,
            account=key.account,
            key_hint=last_four(key.key),
            key_state=key.state.value,
            anomaly=score.value,
            why=score.why,
            state=TradingState.HALTED.value if killed else stop.state.value if stop is not None else state,
            stopped_for=stop.reason if stop is not None else "killed" if killed else "",
        )

    def _account(
        self, keeper: AccountKeeper, controls: Mapping[str, str], holds: Sequence[AgedHold], score: Score
    ) -> AccountView:
        account = keeper.account
        level = f"account:{keeper.name}"
        markets = self._markets[keeper.venue].markets
        conditional = [order for order in account.open_orders if order.order_type.is_conditional] if account else []
        engaged = self._fence.engaged(keeper.name, keeper.venue)
        return AccountView(
            name=keeper.name,
            venue=keeper.venue,
            state=TradingState.HALTED.value if engaged else controls.get(level, TradingState.ACTIVE.value),
            kill_running=any(f"kill:{scope}" in controls for scope in ("desk", f"venue:{keeper.venue}", level)),
            fence_engaged=engaged,
            survey_age_s=(self._now() - account.as_of).total_seconds() if account is not None else None,
            margin_balance=show(account.margin_balance) if account is not None else None,
            leverage=_leverage(account, markets, self._now()),
            positions=[_position(each, markets) for each in account.positions] if account is not None else [],
            open_orders=len(account.open_orders) - len(conditional) if account is not None else 0,
            conditional_orders=len(conditional),
            holds=len(holds),
            unknown_holds=sum(1 for aged in holds if aged.hold.status is HoldStatus.UNKNOWN),
            exchange_key=self._keys[keeper.name].verdict,
            clock_offset_ms=self._clocks[keeper.venue].offset_ms,
            outside=[_found(each) for each in self._outside[keeper.name].found],
            feed=FeedView(**asdict(keeper.view)),
            anomaly=score.value,
            why=score.why,
        )


async def _refused(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except PolicyRefused as refusal:
        raise ControlRefused(str(refusal)) from refusal


async def _override_or_refusal(asked: Awaitable[OverrideState]) -> OverrideView:
    try:
        return override_view(await asked)
    except OverrideRefused as refusal:
        raise ControlRefused(str(refusal)) from refusal


def _read_archive(path: Path, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
    try:
        with ArchiveReader.open(path) as archive:
            return question(archive)
    except (ArchiveUnavailable, sqlite3.Error):
        return otherwise
