"""Re-arming as the control door sees it: scopes in words, stopped bots beside them, and refusals for people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from proxy.kill.bot_stops import BotStops, bot_of
from proxy.kill.desk import KillDesk
from proxy.kill.rearm_desk import RearmDesk, Seen
from proxy.kill.rearm_plane import CheckView, RearmView
from proxy.refused import Refused
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import FenceCorrupt, Scope
from proxy.store.ownership import DeskTaken
from rules.kill.rearming import Rearming, Stage
from rules.ramp import WHOLE

T = TypeVar("T")


class RearmControl:
    """Implements ``RearmPlane``.

    A bot that a rule has stopped is let go on by one named person, at once: only its own orders were refused, nothing
    of the desk was closed, its limits stay as they are, and every latch above it still holds. What a kill stopped
    comes back through ``RearmDesk`` alone.
    """

    def __init__(
        self,
        *,
        kill: KillDesk,
        rearming: RearmDesk,
        stops: BotStops,
        reduced: Callable[[], Awaitable[Sequence[Scope]]],
        now: Callable[[], datetime],
    ) -> None:
        self._kill = kill
        self._rearming = rearming
        self._stops = stops
        self._reduced = reduced
        self._now = now

    async def request(
        self, *, scope: str, name: str, reason: str, typed: str, policy: str, acknowledged: str
    ) -> RearmView:
        """A request that waits, or, for a bot that a rule stopped, its release."""
        bot = bot_of(scope)
        if bot is not None and self._by_rule_alone(bot):
            await _refusing(scope, self._stops.rearm(bot, name, reason, typed))
            return _simple(scope, Stage.ACTIVE.value, stopped=False)
        asked = self._rearming.request(
            self._scope(scope), name=name, reason=reason, typed=typed, policy=policy, acknowledged=acknowledged
        )
        return self._view(await _refusing(scope, asked))

    async def approve(self, *, scope: str, name: str, reason: str, typed: str) -> RearmView:
        """Somebody else agrees."""
        asked = self._rearming.approve(self._scope(scope), name=name, reason=reason, typed=typed)
        return self._view(await _refusing(scope, asked))

    async def withdraw(self, *, scope: str, name: str, reason: str) -> RearmView:
        """A request is taken back."""
        return self._view(await _refusing(scope, self._rearming.withdraw(self._scope(scope), name=name, reason=reason)))

    async def seen(self, scope: str) -> RearmView:
        """One scope."""
        bot = bot_of(scope)
        stop = self._stops.stop_of(bot) if bot is not None and self._by_rule_alone(bot) else None
        if stop is not None:
            return _simple(scope, stop.state.value, stopped=True, reason=stop.reason)
        return self._view(await _refusing(scope, self._rearming.seen(self._scope(scope))))

    async def all(self) -> Sequence[RearmView]:
        """Every scope that is stopped, asked for, or coming back; the widest first."""
        try:
            reduced = await self._reduced()
        except STORE_TROUBLE:
            reduced = ()
        scopes = {*self._held(), *reduced}
        ruled = {bot for bot, _ in self._kill.roster.traders() if self._by_rule_alone(bot)}
        names = sorted(scopes, key=lambda scope: (-scope.level.width, str(scope)))
        every = (*map(str, names), *(f"bot:{bot}" for bot in sorted(ruled)))
        return await asyncio.gather(*map(self.seen, every))  # A look that is slow is waited for once.

    def _by_rule_alone(self, bot: str) -> bool:
        state = self._rearming.under_way().get(Scope(bot=bot))
        killed = Scope(bot=bot) in self._kill.truths.fence.scopes() or (state and state.stage is Stage.REQUESTED)
        return not killed and self._stops.stop_of(bot) is not None

    def _scope(self, text: str) -> Scope:
        return self._kill.roster.parsed(text, self._held)

    def _held(self) -> set[Scope]:
        """What is stopped or coming back. A name that was mistyped when the button was pressed is there too, and
        whoever clears up afterwards must be able to see it and to let it go."""
        return {*self._kill.truths.fence.scopes(), *self._rearming.under_way()}

    def _waits_s(self, state: Rearming) -> float | None:
        upcoming = {
            Stage.REQUESTED: state.due or state.lapses,
            Stage.REDUCING: state.ramps_at,
            Stage.RAMPING: state.full_at,
        }.get(state.stage)
        return round((upcoming - self._now()).total_seconds(), 3) if upcoming is not None else None

    def _stage(self, seen: Seen) -> Stage:
        if seen.state.stage is not Stage.KILLED:
            return seen.state.stage
        if not seen.stopped:
            return Stage.ACTIVE
        # Something made it reduce-only: nothing of it was cancelled or closed.
        return Stage.KILLED if seen.scope in self._kill.truths.fence.scopes() else Stage.REDUCING

    def _view(self, seen: Seen) -> RearmView:
        state, request = seen.state, seen.state.request
        return RearmView(
            scope=str(seen.scope),
            stopped=seen.stopped,
            stage=self._stage(seen).value,
            share=f"{seen.share if seen.stopped or state.stage is not Stage.KILLED else WHOLE:f}",
            policy=seen.policy,
            needs=state.terms.needs.value,
            delay_s=state.terms.delay_s,
            reduce_only_s=state.terms.reduce_only_s,
            ramp_s=state.terms.ramp_s,
            by=request.by if request is not None else "",
            reason=request.reason if request is not None else "",
            asked_at=_time(request.at if request is not None else None),
            acknowledged=request.acknowledged if request is not None else "",
            approved_by=state.approved_by,
            due=_time(state.due),
            lapses=_time(state.lapses),
            opened_at=_time(state.opened_at),
            ramps_at=_time(state.ramps_at),
            full_at=_time(state.full_at),
            waits_s=self._waits_s(state),
            checks=[
                CheckView(
                    name=each.name,
                    holds=each.holds,
                    said=each.said,
                    left=each.left,
                    acknowledged=each.acknowledged,
                )
                for each in seen.checks
            ],
            held_back=self._rearming.held_back(seen.scope),
        )


def _simple(scope: str, stage: str, *, stopped: bool, reason: str = "") -> RearmView:
    return RearmView(
        scope=scope,
        stopped=stopped,
        stage=stage,
        share="0" if stopped else "1",
        policy="",
        needs="one person",
        delay_s=0,
        reduce_only_s=0,
        ramp_s=0,
        reason=reason,
        simple=True,
    )


def _time(moment: datetime | None) -> str:
    return plain(moment) if moment is not None else ""


async def _refusing(scope: str, asked: Awaitable[T]) -> T:
    try:
        return await asked
    except FenceCorrupt as trouble:
        raise Refused(str(trouble)) from trouble
    except DeskTaken as taken:
        raise Refused(f"{scope} stays as it is: {taken.said}") from taken
    except STORE_TROUBLE as trouble:
        raise Refused(f"{scope} stays as it is: the store or the disk did not answer") from trouble
