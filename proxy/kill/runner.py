"""Drives one account's kill: ask the machine what is next, write it down, do it, write down what came of it.

It decides nothing: every answer of the venue, every failure and every passing of time becomes an event, and
``rules.kill.machine`` says what follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, assert_never

from proxy.clock import utc_now
from proxy.exchange.troubles import VenueRefused, VenueThrottled, VenueTrouble
from proxy.exchange.way_out_payloads import REFUSALS
from proxy.kill.bot_hands import BotHands
from proxy.kill.earlier_closes import since_rearmed
from proxy.kill.hands import AccountHands, AllRefused, VenueHands
from proxy.kill.journal import Journal
from rules.kill.cost import estimate
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
    Costed,
    CostEstimated,
    DeadlinePassed,
    DisableKeys,
    Engaged,
    Event,
    Finish,
    KeysDisabled,
    Refusal,
    Resumed,
    Survey,
    Surveyed,
    SurveyFailed,
    Tallied,
    Tally,
    Wait,
    Waited,
)
from rules.kill.machine import DEADLINE, begin, evolve, next_action, replay
from rules.kill.reckoning import reckoned
from rules.kill.settings import FLATTEN_DEFAULT, Flatten
from rules.kill.state import KillState

# Nothing rests on the tally but the report: it must fit into the calm before the second read-back.
_TALLY_WAIT_S: Final = 2.0


class Clock:
    """Wall time that cannot jump during a kill: read once, then carried on by the loop's monotonic clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wall = utc_now()
        self._started = self._loop.time()

    def now(self) -> datetime:
        """The time."""
        return self._wall + timedelta(seconds=self._loop.time() - self._started)


class Runner:
    """One account's kill under way. ``disable_keys`` says whether the shared store heard of the kill.

    ``flatten`` and ``silent_until`` (a ban of the venue, known from an earlier job) are a new job's; one that is
    resumed goes on with those it began with.
    """

    def __init__(
        self,
        journal: Journal,
        hands: AccountHands,
        disable_keys: Callable[[], Awaitable[bool]],
        clock: Clock,
        *,
        flatten: Flatten = FLATTEN_DEFAULT,
        silent_until: datetime | None = None,
    ) -> None:
        self._journal = journal
        self._hands = hands
        self._disable_keys = disable_keys
        self._clock = clock
        self._flatten = flatten
        self._silent_until = silent_until
        if isinstance(hands, BotHands):
            hands.recall(since_rearmed(journal), clock.now())
        if isinstance(hands, VenueHands):
            hands.remember(journal.events)
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
            engaged = Engaged(
                at=now,
                by=job.by,
                reason=job.reason,
                deadline=now + DEADLINE,
                flatten=self._flatten,
                silent_until=self._silent_until if self._silent_until and self._silent_until > now else None,
            )
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
            case Survey(orders=orders):
                await self._survey(orders=orders)
            case Cancel(steps=cancels):
                async with asyncio.TaskGroup() as group:
                    for cancel in cancels:
                        group.create_task(self._cancel(cancel))
            case Close(steps=closes):
                self._estimate()
                async with asyncio.TaskGroup() as group:
                    for close in closes:
                        group.create_task(self._close(close))
            case Tally(steps=unsettled, symbols=symbols):
                await self._tally(unsettled, symbols)
            case Wait(until=until):
                await asyncio.sleep((until - self._clock.now()).total_seconds())
                self._record(Waited(at=self._clock.now()))
            case Finish():
                return
            case _:
                assert_never(action)

    async def _survey(self, *, orders: bool) -> None:
        try:
            reading = await self._hands.survey(orders=orders)
        except VenueTrouble as trouble:
            failed = SurveyFailed(
                at=self._clock.now(),
                error=str(trouble),
                retry_after=_retry_after(trouble),
                refused=isinstance(trouble, AllRefused),
            )
            self._record(failed)
            return
        surveyed = Surveyed(
            at=self._clock.now(),
            plain_orders=reading.plain_orders,
            conditional_orders=reading.conditional_orders,
            algo_orders=reading.algo_orders,
            positions=reading.positions,
            complete=reading.complete,
            unread=reading.unread,
            unlisted=reading.unlisted,
            venue_time=reading.venue_time,
            digest=reading.digest,
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
        name = self._journal.job.client_order_id(step.sequence)
        try:
            report = await self._hands.close(step, name)
        except VenueRefused as refused:
            refusal = REFUSALS.get(refused.code, Refusal.OTHER)
            now, error = self._clock.now(), str(refused)
            self._record(CloseRejected(at=now, step=step, error=error, client_order_id=name, refusal=refusal))
        except VenueTrouble as trouble:
            now, error, retry_after = self._clock.now(), str(trouble), _retry_after(trouble)
            self._record(CloseFailed(at=now, step=step, error=error, client_order_id=name, retry_after=retry_after))
        else:
            sent = CloseSent(
                at=self._clock.now(),
                step=step,
                client_order_id=name,
                order_id=report.order_id,
                filled_quantity=report.filled_quantity,
                average_price=report.average_price,
                venue_time=report.venue_time,
            )
            self._record(sent)

    def _estimate(self) -> None:
        """What closing is expected to cost, told once, before the first close."""
        told = any(isinstance(event, CostEstimated) for event in self._journal.events)
        if not told and self._state.survey is not None:
            expected = estimate(self._state.survey.positions)
            self._record(CostEstimated(at=self._clock.now(), estimate=expected))

    async def _tally(self, steps: tuple[CloseStep, ...], symbols: tuple[str, ...]) -> None:
        job = self._journal.job
        closes = [(step, job.client_order_id(step.sequence)) for step in steps]
        try:
            async with asyncio.timeout(_TALLY_WAIT_S):
                fills, fees = await self._hands.tally(closes, symbols, job.started_at)
        except (VenueTrouble, TimeoutError) as trouble:
            retry_after = _retry_after(trouble) if isinstance(trouble, VenueTrouble) else None
            error = str(trouble) or type(trouble).__name__
            self._record(Tallied(at=self._clock.now(), error=error, retry_after=retry_after))
        else:
            ours = {event.order_id for event in self._journal.events if isinstance(event, CloseSent)}
            ours |= {fill.order_id for fill in fills if fill.order_id is not None}
            charged = tuple(fee for fee in fees if fee.order_id in ours)
            self._record(Tallied(at=self._clock.now(), fills=fills, fees=charged))
        cost = reckoned(self._journal.events)
        if cost is not None:
            self._record(Costed(at=self._clock.now(), cost=cost))


def _retry_after(trouble: VenueTrouble) -> float | None:
    return trouble.retry_after if isinstance(trouble, VenueThrottled) else None
