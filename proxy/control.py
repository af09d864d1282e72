"""The warden as the control door sees it: one glance at the desk, the refusals, the button, and re-arming."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.key_watch import KeyWatch
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.outside_watch import Found, OutsideWatch
from proxy.accounts.venue_clock import VenueClock
from proxy.accounts.venue_timers import VenueTimers
from proxy.audit import query
from proxy.audit.reader import ArchiveReader, ArchiveUnavailable
from proxy.console.plane import (
    AccountView,
    BotView,
    ControlRefused,
    DeskView,
    FeedView,
    FindingView,
    LeaseView,
    OverrideView,
    PositionView,
    ProposalView,
    WatchdogView,
)
from proxy.kill.bot_stops import BotStops, bot_of
from proxy.kill.desk import KillDesk
from proxy.kill.rearm import RearmRefused
from proxy.leases.watch import LeaseWatch
from proxy.ledger.marks import marks_path
from proxy.ledger.supposing import NothingKnown, supposed
from proxy.overrides.desk import OverrideDesk, OverrideRefused
from proxy.overrides.lifecycle import OverrideState
from proxy.overrides.terms import Terms
from proxy.policy.comparing import loosened
from proxy.policy.desk import Pending, PolicyDesk, PolicyRefused
from proxy.settings import Settings
from proxy.signals.watch import AnomalyWatch
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import DESK, Fence, FenceCorrupt, Scope
from proxy.store.warden_store import AgedHold, WardenStore
from proxy.vault.keys import GuardKey, last_four
from proxy.vault.vault import Vault
from proxy.watchdog.heart import Heart
from rules.exposure import worst_case
from rules.facts import Score
from rules.model import TradingState
from rules.rule import show
from rules.snapshot import Account, Controls, HoldStatus, Market, Position, Snapshot

log = logging.getLogger("perpguard.control")

T = TypeVar("T")


class Control:
    """Implements ``ControlPlane`` over the warden's own pieces."""

    def __init__(
        self,
        *,
        settings: Settings,
        policies: PolicyDesk,
        vault: Vault,
        store: WardenStore,
        keepers: Mapping[str, AccountKeeper],
        keys: Mapping[str, KeyWatch],
        clocks: Mapping[str, VenueClock],
        outside: Mapping[str, OutsideWatch],
        timers: Mapping[str, VenueTimers],
        markets: Mapping[str, MarketKeeper],
        watch: AnomalyWatch,
        kill: KillDesk,
        stops: BotStops,
        overrides: OverrideDesk,
        heart: Heart,
        leases: LeaseWatch,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._vault = vault
        self._store = store
        self._keepers = keepers
        self._keys = keys
        self._clocks = clocks
        self._outside = outside
        self._timers = timers
        self._markets = markets
        self._watch = watch
        self._kill = kill
        self._stops = stops
        self._overrides = overrides
        self._heart = heart
        self._leases = leases
        self._now = now
        self._fence = Fence(settings.data_dir)

    async def desk(self) -> DeskView:
        """The state of everything. A store that does not answer is shown as such, not hidden."""
        controls: dict[str, str] = {}
        store_ok = True
        try:
            async with asyncio.timeout(1.0):
                controls = await self._store.controls()
                holds = {name: await self._store.holds(name) for name in self._keepers}
        except STORE_TROUBLE:
            store_ok, holds = False, {}
        try:
            generation: int | None = self._fence.generation()
        except FenceCorrupt:
            generation = None
        policy = self._policies.policy
        scores = self._watch.levels()
        desk_stopped = DESK in self._fence.scopes()
        state = TradingState.HALTED.value if desk_stopped else controls.get("desk", TradingState.ACTIVE.value)
        return DeskView(
            desk=self._settings.desk,
            at=plain(self._now()),
            state=state,
            policy_name=policy.name,
            policy_owner=policy.owner,
            policy_version=policy.version,
            generation=generation,
            markets_age_s=self._markets_age_s(),
            store_ok=store_ok,
            accounts=[
                self._account(keeper, controls, holds.get(name, ()), scores.get(f"account:{name}", Score()))
                for name, keeper in self._keepers.items()
            ],
            bots=self._bots(controls),
            anomaly=scores["desk"].value,
            why=scores["desk"].why,
            proposals=await self._proposals(),
            overrides=[_override(each) for each in self._overrides.open()],
            leases=[LeaseView(**asdict(each)) for each in self._leases.states()],
            watchdogs=[WatchdogView(**asdict(each)) for each in self._heart.states()],
        )

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
                orders = supposed(story.decision, marks_path(self._settings.data_dir), self._now())
            except NothingKnown as trouble:
                return {"counterfactual": f"not known: {trouble}", **asdict(story)}
            return {"counterfactual": plain(orders), **asdict(story)}

        return await self._ask(ask, None)

    async def kill(self, *, scope: str, by: str, reason: str) -> Mapping[str, Any]:
        """Press the button; returns when trading is blocked."""
        parsed = _scope(scope, self._keepers)
        blocked = await self._kill.press(parsed, by, reason)
        return {
            "scope": str(parsed),
            "blocked_ms": blocked.blocked_ms,
            "generation": blocked.generation,
            "latched": blocked.latched,
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
            "accounts": [plain(report) | {"name": report.account} for report in current],
        }

    async def rearm(self, *, scope: str, name: str, reason: str, typed: str) -> Mapping[str, Any]:
        """Release one scope; refused with every reason at once. ``bot:NAME`` lifts what a rule did to that bot."""
        bot = bot_of(scope)
        try:
            if bot is not None:
                generation = await self._stops.rearm(bot, name, reason, typed)
            else:
                generation = await self._kill.rearm(_scope(scope, self._keepers), name, reason, typed)
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

    def _outcome(self, pending: Pending | None) -> Mapping[str, Any]:
        return {
            "in_force": self._policies.policy.version,
            "pending": plain(proposal_view(pending)) if pending is not None else None,
        }

    async def _proposals(self) -> list[ProposalView]:
        try:
            return [proposal_view(each) for each in await asyncio.to_thread(self._policies.pending)]
        except OSError as trouble:
            log.warning("the policies that wait cannot be read: %s", trouble.strerror)
            return []

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
        path = self._settings.data_dir / "audit" / "audit.db"
        return await asyncio.to_thread(_read_archive, path, question, otherwise)

    def _markets_age_s(self) -> float | None:
        ages = [
            (self._now() - market.as_of).total_seconds()
            for keeper in self._markets.values()
            for market in keeper.markets.values()
        ]
        return max(ages, default=None)

    def _bots(self, controls: Mapping[str, str]) -> list[BotView]:
        return [self._bot(key, controls) for key in self._vault.guard_keys()]

    def _bot(self, key: GuardKey, controls: Mapping[str, str]) -> BotView:
        score, stop = self._watch.score(key.bot), self._stops.stop_of(key.bot)
        state = controls.get(f"bot:{key.bot}", TradingState.ACTIVE.value)
        return BotView(
            name=key.bot,
            account=key.account,
            key_hint=last_four(key.key),
            key_state=key.state.value,
            anomaly=score.value,
            why=score.why,
            state=stop.state.value if stop is not None else state,
            stopped_for=stop.reason if stop is not None else "",
        )

    def _account(
        self, keeper: AccountKeeper, controls: Mapping[str, str], holds: Sequence[AgedHold], score: Score
    ) -> AccountView:
        account = keeper.account
        level = f"account:{keeper.name}"
        markets = self._markets[keeper.venue].markets
        conditional = [order for order in account.open_orders if order.order_type.is_conditional] if account else []
        engaged = self._fence.engaged(keeper.name)
        return AccountView(
            name=keeper.name,
            venue=keeper.venue,
            state=TradingState.HALTED.value if engaged else controls.get(level, TradingState.ACTIVE.value),
            kill_running="kill:desk" in controls or f"kill:{level}" in controls,
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
            timers=self._timers[keeper.name].armed,
            feed=FeedView(**asdict(keeper.view)),
            anomaly=score.value,
            why=score.why,
        )


def _scope(text: str, accounts: Mapping[str, object]) -> Scope:
    try:
        scope = Scope.parse(text)
    except ValueError as error:
        raise ControlRefused(str(error)) from error
    if scope.account is not None and scope.account not in accounts:
        raise ControlRefused("no such account")
    return scope


async def _refused(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except PolicyRefused as refusal:
        raise ControlRefused(str(refusal)) from refusal


def proposal_view(pending: Pending) -> ProposalView:
    """A policy that waits, as the control door shows it."""
    proposal, loosens = pending.proposal, loosened(pending.changes)
    return ProposalView(
        policy_version=proposal.digest,
        policy_name=pending.name,
        policy_owner=pending.owner,
        by=proposal.by,
        reason=proposal.reason,
        at=plain(proposal.at),
        due=plain(pending.due),
        loosened=[str(change) for change in loosens],
        other_changes=[str(change) for change in pending.changes if change not in loosens],
    )


async def _override_or_refusal(asked: Awaitable[OverrideState]) -> OverrideView:
    try:
        return _override(await asked)
    except OverrideRefused as refusal:
        raise ControlRefused(str(refusal)) from refusal


def _override(state: OverrideState) -> OverrideView:
    return OverrideView(
        id=state.override_id,
        state=state.phase.value,
        bot=state.terms.bot,
        symbol=state.terms.symbol,
        side=state.terms.side.value,
        rule=state.terms.rule_id,
        quantity_max=f"{state.terms.quantity_max:f}",
        ticket=state.terms.ticket,
        reason=state.terms.reason,
        requested_by=state.requested_by,
        approved_by=state.approved_by,
        until=plain(state.until),
    )


def _read_archive(path: Path, question: Callable[[ArchiveReader], T], otherwise: T) -> T:
    try:
        with ArchiveReader.open(path) as archive:
            return question(archive)
    except (ArchiveUnavailable, sqlite3.Error):
        return otherwise


def _leverage(account: Account | None, markets: Mapping[str, Market], now: datetime) -> str | None:
    """Worst-case gross notional over margin balance, as ``max_leverage`` counts it, holds aside."""
    if account is None or account.margin_balance <= 0:
        return None
    picture = Snapshot(now=now, bot="", account=account, controls=Controls(generation=0), markets=markets)
    gross = sum((each.gross_notional for each in worst_case(picture).values()), Decimal(0))
    return show(gross / account.margin_balance)


def _found(found: Found) -> FindingView:
    return FindingView(
        at=plain(found.at),
        activity=found.finding.activity.value,
        subject=found.finding.subject,
        detail=found.finding.detail,
    )


def _position(position: Position, markets: Mapping[str, Market]) -> PositionView:
    mark = markets[position.symbol].mark_price if position.symbol in markets else position.mark_price
    return PositionView(
        symbol=position.symbol,
        position_side=position.position_side.value,
        quantity=f"{position.quantity:f}",
        entry_price=f"{position.entry_price:f}",
        mark_price=f"{mark:f}",
        notional=show(abs(position.quantity) * mark),
        unrealised_pnl=show(position.quantity * (mark - position.entry_price)),
        liquidation_price=f"{position.liquidation_price:f}" if position.liquidation_price is not None else None,
    )
