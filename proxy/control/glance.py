"""One glance at the desk, as the control door shows it: what runs, what it holds, what waits for somebody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from proxy.audit.scribe import Scribe
from proxy.console.desk_views import (
    ArchiveView,
    DeskView,
    LastDrill,
    LeaseView,
    OverrideView,
    ProposalView,
    SymbolView,
    WatchdogView,
)
from proxy.control.account_glance import AccountGlance, Followed, Listed, state_of
from proxy.drill.rehearsed import rehearsed, worst_of
from proxy.leases.watch import LeaseWatch
from proxy.overrides.desk import OverrideDesk
from proxy.overrides.lifecycle import OverrideState
from proxy.policy.comparing import loosened
from proxy.policy.desk import PolicyDesk
from proxy.policy.waiting import Pending
from proxy.settings import Settings
from proxy.signals.watch import AnomalyWatch
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import DESK, Fence, FenceCorrupt
from proxy.store.ownership import DeskTaken
from proxy.store.warden_store import AgedHold, WardenStore
from proxy.watchdog.heart import Heart
from rules.facts import Score
from rules.model import TradingState

log = logging.getLogger("perpguard.control")


class Glance:
    """Looks at the warden's own pieces and changes none of them."""

    def __init__(
        self,
        *,
        settings: Settings,
        policies: PolicyDesk,
        store: WardenStore,
        fence: Fence,
        accounts: Mapping[str, Followed],
        venues: Mapping[str, Listed],
        of_accounts: AccountGlance,
        watch: AnomalyWatch,
        overrides: OverrideDesk,
        heart: Heart,
        leases: LeaseWatch,
        scribe: Scribe,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._store = store
        self._fence = fence
        self._accounts = accounts
        self._venues = venues
        self._of_accounts = of_accounts
        self._watch = watch
        self._overrides = overrides
        self._heart = heart
        self._leases = leases
        self._scribe = scribe
        self._now = now

    async def desk(self) -> DeskView:
        """The state of everything. A store that does not answer is shown as such, not hidden."""
        controls: dict[str, str] = {}
        store_ok, taken_by = True, ""
        holds: Mapping[str, Sequence[AgedHold]] = {}
        try:
            async with asyncio.timeout(1.0):
                controls = await self._store.controls()
                holds = {name: await self._store.holds(name) for name in self._accounts}
        except DeskTaken as taken:
            taken_by = str(taken)
        except STORE_TROUBLE:
            store_ok = False
        try:
            generation: int | None = self._fence.generation()
        except FenceCorrupt:
            generation = None
        policy = self._policies.policy
        drill, unrehearsed = await asyncio.to_thread(self._drills)
        scores = self._watch.levels()
        desk_stopped = DESK in self._fence.scopes()
        state = TradingState.HALTED.value if desk_stopped else state_of(controls, "desk")
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
            taken_by=taken_by,
            accounts=[
                self._of_accounts.account(each, controls, holds.get(name, ()), scores.get(f"account:{name}", Score()))
                for name, each in self._accounts.items()
            ],
            bots=self._of_accounts.bots(controls),
            anomaly=scores["desk"].value,
            why=scores["desk"].why,
            proposals=await self._proposals(),
            overrides=[override_view(each) for each in self._overrides.open()],
            leases=[LeaseView(**asdict(each)) for each in self._leases.states()],
            watchdogs=[WatchdogView(**asdict(each)) for each in self._heart.states()],
            symbols=self._symbols(controls),
            archive=ArchiveView(opened=self._scribe.opened, trouble=self._scribe.trouble),
            drill=drill,
            unrehearsed=unrehearsed,
        )

    def _symbols(self, controls: Mapping[str, str]) -> list[SymbolView]:
        """Those that are held, and those that are not free to trade."""
        kept = (each.keeper.account for each in self._accounts.values())
        held = {leg.symbol for account in kept if account is not None for leg in account.positions}
        stopped = {
            level.removeprefix("symbol:")
            for level, state in controls.items()
            if level.startswith("symbol:") and state != TradingState.ACTIVE.value
        }
        return [SymbolView(name=each, state=state_of(controls, f"symbol:{each}")) for each in sorted(held | stopped)]

    def _drills(self) -> tuple[LastDrill | None, Sequence[str]]:
        """The last rehearsal of the account whose is the worst, and the accounts that have none."""
        every = rehearsed(self._settings.data_dir, self._accounts)
        worst = worst_of(each for each in every if each.newest is not None)
        if worst is None or worst.newest is None:
            return None, [each.account for each in every]
        newest = worst.newest
        last = LastDrill(
            id=newest.id,
            kind=newest.kind,
            at=plain(newest.at),
            age_s=(self._now() - newest.at).total_seconds(),
            passed=newest.passed,
            phase=newest.phase,
            account=worst.account,
        )
        return last, [each.account for each in every if each.newest is None]

    async def _proposals(self) -> list[ProposalView]:
        try:
            return [proposal_view(each) for each in await asyncio.to_thread(self._policies.pending)]
        except OSError as trouble:
            log.warning("the policies that wait cannot be read: %s", trouble.strerror)
            return []

    def _markets_age_s(self) -> float | None:
        ages = [
            (self._now() - market.as_of).total_seconds()
            for venue in self._venues.values()
            for market in venue.market.markets.values()
        ]
        return max(ages, default=None)


def proposal_view(pending: Pending) -> ProposalView:
    """A policy that waits, as the control door shows it."""
    proposal, loosens = pending.proposal, loosened(pending.changes)
    return ProposalView(
        policy_version=proposal.digest,
        policy_name=pending.policy.name,
        policy_owner=pending.policy.owner,
        by=proposal.by,
        reason=proposal.reason,
        at=plain(proposal.at),
        due=plain(pending.due),
        stale=pending.stale,
        loosened=[str(change) for change in loosens],
        other_changes=[str(change) for change in pending.changes if change not in loosens],
    )


def override_view(state: OverrideState) -> OverrideView:
    """An override, as the control door shows it."""
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
