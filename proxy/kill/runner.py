"""Drives one account's kill: ask the machine what is next, write it down, do it, write down what came of it.

It decides nothing: every answer of the venue, every failure and every passing of time becomes an event, and
``rules.kill.machine`` says what follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import assert_never

from proxy.accounts.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.kill.hands import AccountHands
from proxy.kill.journal import Journal
from rules.kill.events import (
    Action,
    Cancel,
    CancelFailed,
    CancelSent,
    CancelStep,
    Close,
    CloseFailed,
    CloseRejected,
    CloseSent,
    CloseStep,
    DeadlinePassed,
    DisableKeys,
    Engaged,
    Event,
    Finish,
    KeysDisabled,
    Resumed,
    Survey,
    Surveyed,
    SurveyFailed,
    Wait,
    Waited,
)
from rules.kill.machine import DEADLINE, KillState, begin, evolve, next_action, replay


class Clock:
    """Wall time that cannot jump during a kill: read once, then carried on by the loop's monotonic clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wall = datetime.now(UTC)
        self._started = self._loop.time()

    def now(self) -> datetime:
        """The time."""
        return self._wall + timedelta(seconds=self._loop.time() - self._started)


class Runner:
    """One account's kill under way. ``disable_keys`` says whether the shared store heard of the kill."""

    def __init__(
        self, journal: Journal, hands: AccountHands, disable_keys: Callable[[], Awaitable[bool]], clock: Clock
    ) -> None:
        self._journal = journal
        self._hands = hands
        self._disable_keys = disable_keys
        self._clock = clock
        self._state = self._begin_or_resume()

    async def run(self) -> KillState:
        """Go on to an end. Ends, whatever the venue does, within the job's deadline and one step's bookkeeping."""
        while not isinstance(action := next_action(self._state), Finish):
            now = self._clock.now()
            if now < self._state.deadline:
                self._journal.intend(action, now)
                left = asyncio.timeout((self._state.deadline - now).total_seconds())
                try:
                    async with left:
                        await self._perform(action)
                    continue
                except TimeoutError:
                    if not left.expired():
                        raise
            self._record(DeadlinePassed(at=self._clock.now()))
        return self._state

    def _begin_or_resume(self) -> KillState:
        now = self._clock.now()
        state = replay(self._journal.events)
        if state is None:
            job = self._journal.job
            engaged = Engaged(at=now, by=job.by, reason=job.reason, deadline=now + DEADLINE)
            self._journal.record(engaged)
            return begin(engaged)
        resumed = Resumed(at=now, deadline=now + DEADLINE)
        self._journal.record(resumed)
        return evolve(state, resumed)

    def _record(self, event: Event) -> None:
        # Written before it is believed: what the machine knows, the next process will know too.
        self._journal.record(event)
        self._state = evolve(self._state, event)

    async def _perform(self, action: Action) -> None:
        match action:
            case DisableKeys():
                latched = await self._disable_keys()
                self._record(KeysDisabled(at=self._clock.now(), latched=latched))
            case Survey():
                await self._survey()
            case Cancel(steps=cancels):
                async with asyncio.TaskGroup() as group:
                    for cancel in cancels:
                        group.create_task(self._cancel(cancel))
            case Close(steps=closes):
                async with asyncio.TaskGroup() as group:
                    for close in closes:
                        group.create_task(self._close(close))
            case Wait(until=until):
                await asyncio.sleep((until - self._clock.now()).total_seconds())
                self._record(Waited(at=self._clock.now()))
            case Finish():
                return
            case _:
                assert_never(action)

    async def _survey(self) -> None:
        try:
            reading = await self._hands.survey()
        except VenueTrouble as trouble:
            self._record(SurveyFailed(at=self._clock.now(), error=str(trouble), retry_after=_retry_after(trouble)))
            return
        surveyed = Surveyed(
            at=self._clock.now(),
            plain_orders=reading.plain_orders,
            conditional_orders=reading.conditional_orders,
            positions=reading.positions,
        )
        self._record(surveyed)

    async def _cancel(self, step: CancelStep) -> None:
        try:
            await self._hands.cancel(step)
        except VenueTrouble as trouble:
            now, retry_after = self._clock.now(), _retry_after(trouble)
            self._record(CancelFailed(at=now, step=step, error=str(trouble), retry_after=retry_after))
        else:
            self._record(CancelSent(at=self._clock.now(), step=step))

    async def _close(self, step: CloseStep) -> None:
        try:
            await self._hands.close(step, self._journal.job.client_order_id(step.sequence))
        except VenueRefused as refusal:
            self._record(CloseRejected(at=self._clock.now(), step=step, error=str(refusal)))
        except VenueTrouble as trouble:
            now, retry_after = self._clock.now(), _retry_after(trouble)
            self._record(CloseFailed(at=now, step=step, error=str(trouble), retry_after=retry_after))
        else:
            self._record(CloseSent(at=self._clock.now(), step=step))


def _retry_after(trouble: VenueTrouble) -> float | None:
    return trouble.retry_after if isinstance(trouble, VenueThrottled) else None
