"""One account and its bots, as the control door shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from proxy.accounts.keeper import AccountKeeper
from proxy.accounts.key_watch import KeyWatch
from proxy.accounts.markets import MarketKeeper
from proxy.accounts.outside_watch import Found, OutsideWatch
from proxy.accounts.venue_clock import VenueClock
from proxy.accounts.venue_timers import VenueTimers
from proxy.console.desk_views import AccountView, BotView, FeedView, FindingView
from proxy.control.exposures import leg_view, leverage_of, limit_view, margin_used_of, picture_of
from proxy.kill.bot_stops import BotStops
from proxy.kill.pursuit import Pursuit
from proxy.policy.desk import PolicyDesk
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.watch import AnomalyWatch
from proxy.store.codec import plain
from proxy.store.fence import Fence, Scope
from proxy.store.ramp import ramp_field, ramp_share
from proxy.store.warden_store import AgedHold
from proxy.vault.keys import GuardKey, last_four
from proxy.vault.vault import Vault
from rules.account import HoldStatus
from rules.facts import Score
from rules.model import TradingState
from rules.ramp import WHOLE
from rules.rule import show
from rules.uses import uses_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Who of the warden knows about one account."""

    keeper: AccountKeeper
    key: KeyWatch
    outside: OutsideWatch
    timers: VenueTimers


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Who of the warden knows about one venue."""

    clock: VenueClock
    market: MarketKeeper
    conditions: ConditionsKeeper


class AccountGlance:
    """Looks at the warden's own pieces and changes none of them."""

    def __init__(
        self,
        *,
        policies: PolicyDesk,
        vault: Vault,
        fence: Fence,
        venues: Mapping[str, Listed],
        watch: AnomalyWatch,
        stops: BotStops,
        pursuit: Pursuit,
        now: Callable[[], datetime],
    ) -> None:
        self._policies = policies
        self._vault = vault
        self._fence = fence
        self._venues = venues
        self._watch = watch
        self._stops = stops
        self._pursuit = pursuit
        self._now = now

    def account(
        self, followed: Followed, controls: Mapping[str, str], holds: Sequence[AgedHold], score: Score
    ) -> AccountView:
        """One account. ``controls`` are the store's trading states, ``holds`` its own, ``score`` its anomaly score."""
        keeper, venue = followed.keeper, self._venues[followed.keeper.venue]
        account = keeper.account
        level = f"account:{keeper.name}"
        markets = venue.market.markets
        picture = picture_of(account, markets, [aged.hold for aged in holds], venue.conditions.published, self._now())
        bots = [key.bot for key in self._vault.guard_keys() if key.account == keeper.name]
        conditional = [order for order in account.open_orders if order.order_type.is_conditional] if account else []
        ramp = min(ramp_share(controls.get(ramp_field(each))) for each in ("desk", f"venue:{keeper.venue}", level))
        if not ramp:  # Reduce-only: its state says so, and a limit of nothing is no rule.
            ramp = WHOLE
        engaged = self._fence.engaged(keeper.name, keeper.venue)
        return AccountView(
            name=keeper.name,
            venue=keeper.venue,
            state=TradingState.HALTED.value if engaged else state_of(controls, level),
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
            exchange_key=followed.key.verdict,
            clock_offset_ms=venue.clock.offset_ms,
            outside=[_found(each) for each in followed.outside.found],
            timers=followed.timers.armed,
            feed=FeedView(**asdict(keeper.view)),
            anomaly=score.value,
            why=score.why,
            external_trader=keeper.name in self._pursuit.outsiders,
            limits=[limit_view(use) for use in uses_of(self._policies.policy, picture, bots, ramp)],
            margin_used=margin_used_of(account) if account is not None else None,
        )

    def bots(self, controls: Mapping[str, str]) -> list[BotView]:
        """Every bot that has a key. ``controls`` are the store's trading states."""
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


def state_of(controls: Mapping[str, str], level: str) -> str:
    """The state of a level; one that came back without any of its limits yet is reduce-only."""
    state = controls.get(level, TradingState.ACTIVE.value)
    if state == TradingState.ACTIVE.value and not ramp_share(controls.get(ramp_field(level))):
        return TradingState.REDUCING.value
    return state


def _found(found: Found) -> FindingView:
    return FindingView(
        at=plain(found.at),
        activity=found.finding.activity.value,
        subject=found.finding.subject,
        detail=found.finding.detail,
    )
