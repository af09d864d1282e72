"""The warden's side of overrides: two people put one in force, the store holds it, a gate uses it up.

What is asked for and granted stands in files; what a gate may use stands in the store. A file never puts anything
into the store again: whether an override was used is known only to the store process that was told of it. When that
process is gone, so is every override it held, and people may ask anew.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from proxy.overrides.files import OverrideFiles
from proxy.overrides.lifecycle import (
    Approved,
    Event,
    Expired,
    OverrideState,
    Phase,
    Requested,
    Used,
    Withdrawn,
    evolve,
    objections,
    replay,
)
from proxy.overrides.terms import Terms
from proxy.overrides.uses import used_by
from proxy.record import Record
from proxy.refused import Refused
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import plain
from proxy.store.ownership import DeskTaken
from proxy.store.warden_store import WardenStore
from rules.catalog import EXIT_RULES, GATES, OWNERSHIP_RULES
from rules.policy import Policy

log = logging.getLogger("perpguard.overrides")

GRANTED_MAX: Final = 64
"""Every order reads all that are in force. A desk that needs more at once needs another policy."""

PENDING_MAX: Final = 64
"""What two people can look through. Whoever fills it keeps others from asking, and trading goes on without."""

SWEEP_EVERY_S: Final = 1.0

USE_HEARD_WITHIN: Final = timedelta(seconds=30)
"""A gate tells of a use when the venue has answered: well within this time after the override was taken."""

NEVER_OVERRIDDEN: Final = frozenset(rule.rule_id for rule in (*GATES, *OWNERSHIP_RULES, *EXIT_RULES))
"""What keeps the guard sure of its ground, whose a position is, and a bound that no exit at the market meets."""

_WARDEN: Final = "warden"


class OverrideRefused(Refused):
    """Nothing was asked for, granted or withdrawn; the text says why, every one of ``reasons`` at once."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons), reasons)


@dataclass(slots=True)
class _Case:
    events: list[Event]
    state: OverrideState


class OverrideDesk:
    """The overrides of one desk that have not ended.

    ``policy`` is the one in force; ``tradable`` gives the symbols a bot's venues have, ``None`` for no bot of ours.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        store: WardenStore,
        record: Record,
        policy: Callable[[], Policy],
        tradable: Callable[[str], Collection[str] | None],
        now: Callable[[], datetime],
    ) -> None:
        self._files = OverrideFiles(data_dir)
        self._store = store
        self._record = record
        self._policy = policy
        self._tradable = tradable
        self._now = now
        self._truths = asyncio.Lock()
        self._cases: dict[str, _Case] = {}
        for override_id, events in self._files.read().items():
            state = replay(events)
            if state is not None and not state.phase.final:
                self._cases[override_id] = _Case(list(events), state)

    def open(self) -> tuple[OverrideState, ...]:
        """What is asked for or granted and has not ended, oldest first."""
        states = (case.state for case in self._cases.values())
        return tuple(sorted(states, key=lambda state: (state.requested_at, state.override_id)))

    async def request(self, terms: Terms, name: str) -> OverrideState:
        """Keep a request until another person approves it, or it expires. Raises ``OverrideRefused``."""
        async with self._truths:
            refusals = self._why_not(terms)
            if self._count(Phase.REQUESTED) >= PENDING_MAX:
                refusals.append(f"{PENDING_MAX} requests wait for a second person already")
            if refusals:
                raise OverrideRefused(*refusals)
            requested = Requested(override_id=self._new_id(), terms=terms, by=name, at=self._now())
            state = await self._keep(requested.override_id, requested)
            log.warning("override %s was asked for by %s: %s", state.override_id, name, terms)
            await self._record("override.requested", name, _detail(state))
            return state

    async def approve(self, override_id: str, name: str) -> OverrideState:
        """Put a request in force, on another person's word. Raises ``OverrideRefused``.

        Written down, here and in the audit, before any gate hears of it. When the store does not say that it heard,
        nobody knows whether it did: that override ends, and is taken out of the store as soon as that answers.
        """
        async with self._truths:
            now = self._now()
            refusals = list(objections(self._case(override_id).state, name, now))
            if self._count(Phase.GRANTED) >= GRANTED_MAX:
                refusals.append(f"{GRANTED_MAX} overrides are in force already")
            if refusals:
                raise OverrideRefused(*refusals)
            try:
                await self._store.controls()  # The first word on whose the desk is; the last is had with the grant.
                store = await self._store.run_id()
            except DeskTaken as taken:
                raise OverrideRefused(f"{taken.said}; the request waits as before") from taken
            except STORE_TROUBLE as trouble:
                raise OverrideRefused("the store does not answer; the request waits as before") from trouble
            state = await self._keep(override_id, Approved(by=name, at=now, store=store))
            log.warning("override %s was approved by %s, for %s s", override_id, name, state.terms.lasts_s)
            await self._record("override.approved", name, _detail(state))
            try:
                await self._store.grant_override(state.override)
            except STORE_TROUBLE as trouble:
                found = trouble.said if isinstance(trouble, DeskTaken) else "the store did not answer"
                why = f"when it was to be put in force, {found}"
                await self._end(override_id, Withdrawn(by=_WARDEN, at=self._now(), why=why))
                raise OverrideRefused(f"{why}; it is withdrawn, ask for another") from trouble
            return state

    async def withdraw(self, override_id: str, name: str) -> OverrideState:
        """Take a request or an override back, on anybody's word. Raises ``OverrideRefused``."""
        async with self._truths:
            if self._case(override_id).state.phase is Phase.GRANTED:
                try:
                    withdrawn = await self._store.withdraw_override(override_id)
                except DeskTaken as taken:
                    why = "should the desk come back, it may be in force until it expires"
                    raise OverrideRefused(f"{taken.said}; {why}") from taken
                except STORE_TROUBLE as trouble:
                    raise OverrideRefused("the store does not answer; it may be in force until it expires") from trouble
                if not withdrawn:
                    raise OverrideRefused("an order has used it")
            return await self._end(override_id, Withdrawn(by=name, at=self._now(), why="taken back"))

    async def see(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Hear which overrides were used: from the decisions among ``records``, each of which may be told again."""
        used = [(override_id, str(record.get("id"))) for record in records for override_id in used_by(record)]
        for override_id, decision_id in used:
            async with self._truths:
                case = self._cases.get(override_id)
                if case is not None and case.state.phase is Phase.GRANTED:
                    await self._end(override_id, Used(at=self._now(), decision_id=decision_id))

    async def take_up(self) -> None:
        """End what was granted to another store process than the one that answers now.

        Another one may not know that an order has used it. Raises what the store client raises; then call it again.
        """
        async with self._truths:
            store = await self._store.run_id()
            for state in self.open():
                if state.phase is Phase.GRANTED and state.store != store:
                    why = "the store was restarted, and may not know that it was used"
                    await self._end(state.override_id, Withdrawn(by=_WARDEN, at=self._now(), why=why))
            await self._take_out_unknown()

    async def run(self) -> None:
        """For ever: what has expired ends, and nothing is in force that was not granted here."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                async with self._truths:
                    await self._sweep()
            except STORE_TROUBLE as trouble:
                log.warning("the overrides cannot be compared with the store: %s", type(trouble).__name__)

    async def _sweep(self) -> None:
        now = self._now()
        over = [state for state in self.open() if now >= state.until]
        for state in over:
            if state.phase is Phase.REQUESTED:
                await self._end(state.override_id, Expired(at=now))
        for state in over:
            if state.phase is not Phase.GRANTED:
                continue
            if await self._store.withdraw_override(state.override_id):
                await self._end(state.override_id, Expired(at=now))
            elif now >= state.until + USE_HEARD_WITHIN:
                await self._end(state.override_id, Used(at=now, decision_id=""))
        await self._take_out_unknown()

    async def _take_out_unknown(self) -> None:
        """What is in force and stands in no file here ended when the store did not answer, or was put there by hand."""
        granted = {state.override_id for state in self.open() if state.phase is Phase.GRANTED}
        for override_id in await self._store.override_ids() - granted:
            if await self._store.withdraw_override(override_id):
                log.error("override %s was in the store and is not granted here; it is taken out", override_id)

    def _why_not(self, terms: Terms) -> list[str]:
        refusals = []
        symbols = self._tradable(terms.bot)
        if symbols is None:
            refusals.append("there is no bot of that name")
        elif terms.symbol not in symbols:
            refusals.append("the bot's exchange has no such symbol, as far as the guard knows")
        if terms.rule_id in NEVER_OVERRIDDEN:
            refusals.append(f"{terms.rule_id} cannot be overridden")
        elif terms.rule_id not in {rule.rule_id for rule in self._policy().rules}:
            refusals.append("the policy in force has no rule of that name")
        return refusals

    def _count(self, phase: Phase) -> int:
        return sum(case.state.phase is phase for case in self._cases.values())

    def _case(self, override_id: str) -> _Case:
        case = self._cases.get(override_id)
        if case is None:
            raise OverrideRefused("no override of that id is waiting or in force")
        return case

    def _new_id(self) -> str:
        while (override_id := secrets.token_hex(5)) in self._cases:
            pass
        return override_id

    async def _keep(self, override_id: str, event: Event) -> OverrideState:
        """Take an event in, on disk first. Raises ``OverrideRefused``; then everything is as it was."""
        case = self._cases.get(override_id)
        events: Sequence[Event] = (*case.events, event) if case is not None else (event,)
        try:
            await asyncio.to_thread(self._files.write, override_id, events)
        except OSError as trouble:
            raise OverrideRefused("the disk does not take it") from trouble
        state = evolve(case.state if case is not None else None, event)
        self._cases[override_id] = _Case(list(events), state)
        return state

    async def _end(self, override_id: str, event: Used | Expired | Withdrawn) -> OverrideState:
        """The end of an override. It is one even if the disk keeps the file: that puts nothing in force again."""
        state = evolve(self._cases.pop(override_id).state, event)
        try:
            await asyncio.to_thread(self._files.remove, override_id)
        except OSError as trouble:
            log.error("the file of override %s cannot be removed: %s", override_id, trouble.strerror)
        by, more = _WARDEN, {}
        match event:
            case Used():
                by, more = state.terms.bot, {"decision": event.decision_id}
                log.warning("override %s was used by %s: decision %s", override_id, by, event.decision_id or "unknown")
            case Expired():
                log.warning("override %s has expired unused", override_id)
            case Withdrawn():
                by, more = event.by, {"why": event.why}
                log.warning("override %s was withdrawn by %s: %s", override_id, by, event.why)
        await self._record(f"override.{state.phase.value.lower()}", by, _detail(state) | more)
        return state


def _detail(state: OverrideState) -> dict[str, Any]:
    """An override as the audit keeps it with every step: terms, ticket, reason and both names."""
    detail: dict[str, Any] = plain(state.terms)
    return {
        "override": state.override_id,
        **detail,
        "requested_by": state.requested_by,
        "approved_by": state.approved_by,
        "until": plain(state.until),
    }
