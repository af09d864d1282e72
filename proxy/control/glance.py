"""One glance at the desk, as the control door shows it: what runs, what it holds, what waits for somebody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.key_watch import KeyWatch
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.outside_watch import Found, OutsideWatch
from proxy.accounts.venue_clock import VenueClock
from proxy.accounts.venue_timers import VenueTimers
from proxy.audit.scribe import Scribe
from proxy.console.desk_views import (
    AccountView,
    ArchiveView,
    BotView,
    DeskView,
    FeedView,
    FindingView,
    LastDrill,
    LeaseView,
    OverrideView,
    ProposalView,
    WatchdogView,
)
from proxy.console.exposure_plane import SymbolView
from proxy.control.exposures import leg_view, leverage_of, limit_view, margin_used_of, picture_of
from proxy.drill.rehearsed import rehearsed, worst_of
from proxy.kill.bot_stops import BotStops
from proxy.kill.pursuit import Pursuit
from proxy.leases.watch import LeaseWatch
from proxy.overrides.desk import OverrideDesk
from proxy.overrides.lifecycle import OverrideState
from proxy.policy.comparing import loosened
from proxy.policy.desk import PolicyDesk
from proxy.policy.waiting import Pending
from proxy.settings import Settings
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.watch import AnomalyWatch
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import DESK, Fence, FenceCorrupt, Scope
from proxy.store.ownership import DeskTaken
from proxy.store.ramp import ramp_field, ramp_share
from proxy.store.warden_store import AgedHold, WardenStore
from proxy.vault.keys import GuardKey, last_four
from proxy.vault.vault import Vault
from proxy.watchdog.heart import Heart
from rules.facts import Score
from rules.model import TradingState
from rules.ramp import WHOLE
from rules.rule import show
from rules.snapshot import HoldStatus
from rules.uses import uses_of

log = logging.getLogger("perpguard.control")


class Glance:
    """Looks at the warden's own pieces and changes none of them."""

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
        conditions: Mapping[str, ConditionsKeeper],
        watch: AnomalyWatch,
        stops: BotStops,
        pursuit: Pursuit,
        overrides: OverrideDesk,
        heart: Heart,
        leases: LeaseWatch,
        scribe: Scribe,
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
        self._conditions = conditions
        self._watch = watch
        self._stops = stops
        self._pursuit = pursuit
        self._overrides = overrides
        self._heart = heart
        self._leases = leases
        self._scribe = scribe
        self._now = now
        self._fence = Fence(settings.data_dir)

    async def desk(self) -> DeskView:
        """The state of everything. A store that does not answer is shown as such, not hidden."""
        controls: dict[str, str] = {}
        store_ok, taken_by = True, ""
        holds: Mapping[str, Sequence[AgedHold]] = {}
        try:
            async with asyncio.timeout(1.0):
                controls = await self._store.controls()
                holds = {name: await self._store.holds(name) for name in self._keepers}
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
        state = TradingState.HALTED.value if desk_stopped else _state(controls, "desk")
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
                self._account(keeper, controls, holds.get(name, ()), scores.get(f"account:{name}", Score()))
                for name, keeper in self._keepers.items()
            ],
            bots=self._bots(controls),
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
        kept = (keeper.account for keeper in self._keepers.values())
        held = {leg.symbol for account in kept if account is not None for leg in account.positions}
        stopped = {
            level.removeprefix("symbol:")
            for level, state in controls.items()
            if level.startswith("symbol:") and state != TradingState.ACTIVE.value
        }
        return [SymbolView(name=each, state=_state(controls, f"symbol:{each}")) for each in sorted(held | stopped)]

    def _drills(self) -> tuple[LastDrill | None, Sequence[str]]:
        """The last rehearsal of the account whose is the worst, and the accounts that have none."""
        every = rehearsed(self._settings.data_dir, self._keepers)
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
            for keeper in self._markets.values()
            for market in keeper.markets.values()
        ]
        return max(ages, default=None)

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

    def _age_s(self, moment: datetime | None) -> float | None:
        return (self._now() - moment).total_seconds() if moment is not None else None

    def _account(
        self, keeper: AccountKeeper, controls: Mapping[str, str], holds: Sequence[AgedHold], score: Score
    ) -> AccountView:
        account = keeper.account
        level = f"account:{keeper.name}"
        markets = self._markets[keeper.venue].markets
        picture = picture_of(
            account, markets, [aged.hold for aged in holds], self._conditions[keeper.venue].published, self._now()
        )
        bots = [key.bot for key in self._vault.guard_keys() if key.account == keeper.name]
        conditional = [order for order in account.open_orders if order.order_type.is_conditional] if account else []
        ramp = min(ramp_share(controls.get(ramp_field(each))) for each in ("desk", f"venue:{keeper.venue}", level))
        if not ramp:  # Reduce-only: its state says so, and a limit of nothing is no rule.
            ramp = WHOLE
        engaged = self._fence.engaged(keeper.name, keeper.venue)
        return AccountView(
            name=keeper.name,
            venue=keeper.venue,
            state=TradingState.HALTED.value if engaged else _state(controls, level),
            kill_running=any(f"kill:{scope}" in controls for scope in ("desk", f"venue:{keeper.venue}", level)),
            fence_engaged=engaged,
            known_age_s=self._age_s(account.as_of if account is not None else None),
            survey_age_s=self._age_s(keeper.surveyed_at),
            margin_balance=show(account.margin_balance) if account is not None else None,
            leverage=leverage_of(picture),
            positions=[leg_view(each, account, markets) for each in account.positions] if account is not None else [],
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
            external_trader=keeper.name in self._pursuit.outsiders,
            limits=[limit_view(use) for use in uses_of(self._policies.policy, picture, bots, ramp)],
            margin_used=margin_used_of(account) if account is not None else None,
        )


def _state(controls: Mapping[str, str], level: str) -> str:
    """The state of a level; one that came back without any of its limits yet is reduce-only."""
    state = controls.get(level, TradingState.ACTIVE.value)
    if state == TradingState.ACTIVE.value and not ramp_share(controls.get(ramp_field(level))):
        return TradingState.REDUCING.value
    return state


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


def _found(found: Found) -> FindingView:
    return FindingView(
        at=plain(found.at),
        activity=found.finding.activity.value,
        subject=found.finding.subject,
        detail=found.finding.detail,
    )
