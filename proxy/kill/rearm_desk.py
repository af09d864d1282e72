"""The warden's side of re-arming: a request that waits for somebody else or for a delay, and a scope that comes back.

What is asked for stands on disk and survives a restart; any press cancels it. What comes back stands on disk and in the
store, where every gate reads it. A store that forgot is told again; a file that is damaged, or is gone while the store
still has the word, stops its scope: nobody knows how far it had come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from proxy.kill.desk import KillDesk
from proxy.kill.preconditions import Checked, Precondition, checked, may_stay, missing
from proxy.kill.rearm import RearmRefused, objections
from proxy.kill.rearm_files import Kept, RearmFiles
from proxy.people.names import reason_objections, same_person
from proxy.people.roles import Role
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.fence import FenceCorrupt, Scope
from proxy.store.ramp import ramping
from proxy.store.warden_store import WardenStore
from rules.kill.rearming import (
    GRACE_S,
    KILLED,
    NotNow,
    Opened,
    Passed,
    Rearming,
    Request,
    Requested,
    Stage,
    Withdrawn,
    evolve,
)
from rules.model import TradingState
from rules.policy import Policy
from rules.ramp import WHOLE

log = logging.getLogger("perpguard.kill")

EVERY_S: Final = 0.25
GUARD: Final = "guard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One scope as people see it. ``stopped``: a kill, or something that reduced it, keeps entries out.

    ``policy`` is the digest of the policy in force, which whoever asks must have seen. ``terms`` in ``state`` are those
    of the policy in force where nobody has asked yet.
    """

    scope: Scope
    stopped: bool
    state: Rearming
    share: Decimal
    policy: str
    checks: tuple[Checked, ...]


class RearmDesk:
    """The re-arming of one data directory."""

    def __init__(
        self,
        *,
        data_dir: Path,
        kill: KillDesk,
        store: WardenStore,
        record: Record,
        policy: Callable[[], Policy],
        preconditions: Sequence[Precondition],
        opened: Callable[[Scope, Request], Awaitable[None]],
        may: Callable[[str, Role], bool],
        now: Callable[[], datetime],
    ) -> None:
        """``opened`` hears of every scope that comes back, and for whom; it never raises. ``may``: whether what a
        person asked for may happen now."""
        self._files = RearmFiles(data_dir)
        self._kill = kill
        self._store = store
        self._record = record
        self._policy = policy
        self._preconditions = preconditions
        self._opened = opened
        self._may = may
        self._now = now
        self._changing = asyncio.Lock()
        self._kept: dict[Scope, Kept] = {}
        self._held_back: dict[Scope, tuple[str, ...]] = {}
        self._presses_before = kill.presses
        self._presses: dict[Scope, int] = {}
        self._ran_at: dict[Scope, datetime] = {}

    async def request(
        self, scope: Scope, *, name: str, reason: str, typed: str, policy: str, acknowledged: str = ""
    ) -> Seen:
        """Ask for a scope to come back. What must hold is looked at now, and again when it opens. ``RearmRefused``."""
        async with self._changing:
            kept = self._kept.get(scope, Kept(state=KILLED, generation=0))
            generation, presses = self._kill.generation(), self._kill.presses
            refusals = list(objections(str(scope), name, reason, typed))
            in_force = self._policy()
            if policy != in_force.version:
                refusals.append(f"the policy confirmed is not {in_force.version}, which is in force")
            if not await self._stopped(scope):
                refusals.append("nothing has stopped it")
            found = await checked(self._preconditions, scope, acknowledged)
            refusals += (*missing(found), *may_stay(found))
            if refusals:
                raise RearmRefused(scope, tuple(refusals))
            request = Request(by=name, reason=reason, at=self._now(), policy=policy, acknowledged=acknowledged)
            state = _evolved(scope, kept.state, Requested(request=request, terms=in_force.kill.rearm))
            await self._keep(scope, Kept(state=state, generation=generation))
            self._presses[scope] = presses
            detail = {"scope": str(scope), "due": plain(state.due), **plain(request)}
            await self._record("rearm.requested", name, detail)
        return await self.seen(scope)

    async def approve(self, scope: Scope, *, name: str, reason: str, typed: str) -> Seen:
        """Somebody else agrees, and the scope comes back reduce-only. Raises ``RearmRefused``, or what the store
        client raises: then it stays stopped, and the request stands."""
        async with self._changing:
            kept = self._asked(scope)
            request = _request_of(kept)
            refusals = list(objections(str(scope), name, reason, typed))
            if same_person(name, request.by):
                refusals.append(f"{request.by} asked for it: somebody else must approve")
            refusals += await self._hindrances(scope, kept)
            if refusals:
                raise RearmRefused(scope, tuple(refusals))
            await self._open(scope, kept, by=name, why=reason)
        return await self.seen(scope)

    async def withdraw(self, scope: Scope, *, name: str, reason: str) -> Seen:
        """Take a request back: anybody may, it only keeps things as they are. ``RearmRefused``."""
        async with self._changing:
            refusals = reason_objections(reason)
            self._asked(scope)
            if refusals:
                raise RearmRefused(scope, refusals)
            await self._drop(scope, by=name, why=reason)
        return await self.seen(scope)

    async def seen(self, scope: Scope) -> Seen:
        """One scope, with what must hold before it trades again. Raises what the store client raises."""
        kept, policy = self._kept.get(scope), self._policy()
        state = kept.state if kept is not None else Rearming(terms=policy.kill.rearm)
        acknowledged = state.request.acknowledged if state.request is not None else ""
        stopped = await self._stopped(scope)
        waits = stopped or state.stage is Stage.REQUESTED
        return Seen(
            scope=scope,
            stopped=stopped,
            state=state,
            share=state.share(self._now()),
            policy=policy.version,
            checks=await checked(self._preconditions, scope, acknowledged) if waits else (),
        )

    def under_way(self) -> dict[Scope, Rearming]:
        """What is asked for or coming back, as it is known now."""
        return {scope: kept.state for scope, kept in self._kept.items()}

    def held_back(self, scope: Scope) -> tuple[str, ...]:
        """What keeps a scope from opening though its delay is over."""
        return self._held_back.get(scope, ())

    async def load(self) -> None:
        """What an earlier warden left: read before anything is published. Raises ``OSError``."""
        async with self._changing:
            self._kept, damaged = await asyncio.to_thread(self._files.read)
            for scope in sorted(damaged, key=str):
                await self._stop(scope, "what was written of its coming back is damaged")

    async def publish(self) -> None:
        """Tell the store what share of its limits each scope has. Raises what the store client raises."""
        for scope, kept in self._kept.items():
            if kept.state.opened_at is not None:
                await self._store.set_ramp(str(scope), kept.state.share(self._now()))

    async def run(self) -> None:
        """For ever: open what is due, let limits grow, and carry the word from disk to the store."""
        while True:
            try:
                await self.look()
            except STORE_TROUBLE as trouble:
                log.warning("re-arming cannot go on: %s", type(trouble).__name__)
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Once. Raises what the store client raises, or ``OSError``."""
        async with self._changing:
            self._kept, damaged = await asyncio.to_thread(self._files.read)
            for scope in sorted(damaged, key=str):
                await self._stop(scope, "what was written of its coming back is damaged")
            controls = await self._store.controls()
            for text in sorted(ramping(controls) - {str(scope) for scope in self._kept}):
                await self._stop(Scope.parse(text), "what was written of its coming back is gone")
            for scope, kept in list(self._kept.items()):
                if kept.state.stage is Stage.REQUESTED:
                    await self._look_at_request(scope, kept)
                else:
                    await self._look_at_probation(scope, kept, controls.get(scope.control, TradingState.ACTIVE.value))

    async def _look_at_request(self, scope: Scope, kept: Kept) -> None:
        state, now = kept.state, self._now()
        if self._pressed_since(scope, kept):
            await self._drop(scope, by=GUARD, why="a kill was pressed since")
        elif self._policy().version != _request_of(kept).policy:
            await self._drop(scope, by=GUARD, why="another policy is in force since")
        elif state.lapses is not None and now >= self._lapses(scope, state.lapses):
            held_back = self._held_back.get(scope, ())
            await self._drop(scope, by=GUARD, why="; ".join(("it was not opened in time", *held_back)))
        elif state.due is not None and now >= state.due:
            if await asyncio.to_thread(self._kill.running, scope):
                self._ran_at[scope] = now
            hindrances = await self._hindrances(scope, kept)
            asker = _request_of(kept).by
            if not self._may(asker, Role.RISK):  # Nobody else stands for it: a delay alone asks no second person.
                hindrances = (f"{asker}, who asked for it, may not now", *hindrances)
            self._held_back[scope] = hindrances
            if not hindrances:
                await self._open_due(scope, kept)

    async def _open_due(self, scope: Scope, kept: Kept) -> None:
        try:
            await self._open(scope, kept, by="", why="the delay")
        except (RearmRefused, FenceCorrupt) as refusal:
            self._held_back[scope] = (str(refusal),)

    def _lapses(self, scope: Scope, lapses: datetime) -> datetime:
        """When a request is dropped. A kill that the guard begins again by itself may be under way whenever one looks:
        while it is, and as long after it as after a delay, nobody is late."""
        ran_at = self._ran_at.get(scope)
        return lapses if ran_at is None else max(lapses, ran_at + timedelta(seconds=GRACE_S))

    def _pressed_since(self, scope: Scope, kept: Kept) -> bool:
        """Whether anything was pressed since a scope was asked for: the epoch is another, or a press joined a kill of
        before, which goes on as it was."""
        presses = self._presses.get(scope, self._presses_before)
        return kept.generation != self._kill.generation() or presses != self._kill.presses

    async def _look_at_probation(self, scope: Scope, kept: Kept, control: str) -> None:
        if scope in self._kill.truths.fence.scopes():
            await self._drop(scope, by=GUARD, why="it was stopped again")
            return
        if control != TradingState.ACTIVE.value:
            await self._drop(scope, by=GUARD, why="it was made reduce-only again")
            return
        state = _evolved(scope, kept.state, Passed(at=self._now()))
        if state.stage is not kept.state.stage:
            await self._record("rearm.step", GUARD, {"scope": str(scope), "stage": state.stage.value})
            log.warning("%s is %s after its re-arm", scope, state.stage.value)
        if state.stage is Stage.ACTIVE:
            await self._forget(scope)
            return
        if state is not kept.state:
            await self._keep(scope, replace(kept, state=state))
        await self._store.set_ramp(str(scope), state.share(self._now()))

    async def _open(self, scope: Scope, kept: Kept, *, by: str, why: str) -> None:
        """Reduce-only first, on disk and in the store; then the fence opens. A crash between leaves it stopped."""
        request = _request_of(kept)
        opened = _evolved(scope, kept.state, Opened(at=self._now(), by=by))
        looked_at = self._kill.pressed_so_far  # Nothing has waited since what hinders it was looked for.
        await self._keep(scope, replace(kept, state=opened))
        try:
            await self._store.set_ramp(str(scope), Decimal(0))
            generation = await self._kill.rearm(scope, request.by, request.reason, str(scope), looked_at=looked_at)
        except (RearmRefused, FenceCorrupt, *STORE_TROUBLE):
            await self._keep(scope, kept)
            raise
        self._held_back.pop(scope, None)
        await self._carry_over(looked_at.generation, generation)
        detail = {"scope": str(scope), "asked_by": request.by, "how": why, "policy": request.policy}
        await self._record("rearm.opened", by or GUARD, detail | {"acknowledged": request.acknowledged})
        await self._opened(scope, request)

    async def _carry_over(self, before: int, after: int) -> None:
        """Other scopes' requests stand: what changed the generation was this re-arm, and no press."""
        if after != before + 1:
            return
        for scope, kept in list(self._kept.items()):
            if kept.state.stage is Stage.REQUESTED and kept.generation == before:
                await self._keep(scope, replace(kept, generation=after))

    async def _hindrances(self, scope: Scope, kept: Kept) -> tuple[str, ...]:
        """What keeps a request from opening now."""
        request = _request_of(kept)
        found = missing(await checked(self._preconditions, scope, request.acknowledged))
        if self._pressed_since(scope, kept):
            found = ("a kill was pressed since it was asked for", *found)
        if self._policy().version != request.policy:
            found = (f"{request.policy} was confirmed, and another policy is in force", *found)
        return found

    async def _stopped(self, scope: Scope) -> bool:
        if scope in self._kill.truths.fence.scopes():
            return True
        controls = await self._store.controls()
        return controls.get(scope.control, TradingState.ACTIVE.value) != TradingState.ACTIVE.value

    async def _stop(self, scope: Scope, why: str) -> None:
        """A missing or corrupt state means KILLED."""
        log.error("%s is stopped: %s", scope, why)
        await self._kill.truths.latch(scope, self._kill.truths.stop(scope).generation, running=False)
        await self._forget(scope)
        await self._record("rearm.damaged", GUARD, {"scope": str(scope), "why": why})

    async def _drop(self, scope: Scope, *, by: str, why: str) -> None:
        kept = self._kept.get(scope)
        was = plain(kept.state) if kept is not None else None
        await self._forget(scope)
        log.warning("the re-arm of %s is cancelled: %s", scope, why)
        await self._record("rearm.cancelled", by, {"scope": str(scope), "why": why, "was": was})

    async def _keep(self, scope: Scope, kept: Kept) -> None:
        await asyncio.to_thread(self._files.write, scope, kept)
        self._kept[scope] = kept

    async def _forget(self, scope: Scope) -> None:
        """The store first: a word there without a file stops the scope."""
        await self._store.set_ramp(str(scope), WHOLE)
        await asyncio.to_thread(self._files.remove, scope)
        self._kept.pop(scope, None)
        self._held_back.pop(scope, None)
        self._presses.pop(scope, None)
        self._ran_at.pop(scope, None)

    def _asked(self, scope: Scope) -> Kept:
        kept = self._kept.get(scope)
        _evolved(scope, kept.state if kept is not None else KILLED, Withdrawn())
        assert kept is not None  # noqa: S101 - nobody withdraws from KILLED
        return kept


def _request_of(kept: Kept) -> Request:
    assert kept.state.request is not None  # noqa: S101 - asked for by every caller's stage
    return kept.state.request


def _evolved(scope: Scope, state: Rearming, event: Requested | Withdrawn | Opened | Passed) -> Rearming:
    try:
        return evolve(state, event)
    except NotNow as refusal:
        raise RearmRefused(scope, (str(refusal),)) from refusal
