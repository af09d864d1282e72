"""The truths of a stop, kept equal: the fence on this machine, and the latch in the store that every gate hears.

A stop found in one is carried to the other, a release never: only re-arming opens, and it opens both. So it is with
accounts that are reduce-only (``proxy.kill.reduced``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from proxy.kill.reduced import ReducedAccounts
from proxy.store.client import STORE_TROUBLE
from proxy.store.epoch import GENERATION_MAX
from proxy.store.fence import Fence, FenceCorrupt, Scope
from proxy.store.warden_store import WardenStore
from rules.model import TradingState

log = logging.getLogger("perpguard.kill")

MIRROR_EVERY_S: Final = 0.25
LATCH_S: Final = 0.1
_KILLED: Final = "killed:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A stop on this machine. ``trouble`` says why its disk does not have it, or not whole: then ``generation`` is one
    from before, and a gate that obeys that number may not have heard of this stop."""

    generation: int
    trouble: str = ""


class Latched(Enum):
    """What the store has of a stop."""

    UNTOLD = "untold"
    """Nobody knows: it did not answer."""
    OVERTAKEN = "overtaken"
    """The stop, under a later number: what gates say of the stop's own may be of an older one."""
    NUMBERED = "numbered"
    """The stop under its own number: a gate that obeys that has heard of it."""


class Truths:
    """One data directory's fence and one desk's latch. ``lock`` is held while they are compared, and by re-arming.

    ``unwritten`` are stops that the disk did not take. This process remembers them, and writes them when it can.
    """

    def __init__(self, data_dir: Path, fence: Fence, store: WardenStore) -> None:
        self.fence = fence
        self.lock = asyncio.Lock()
        self.unwritten: set[Scope] = set()
        self._store = store
        self.reduced = ReducedAccounts(data_dir, store, self.generation)

    def generation(self) -> int:
        """The epoch, or 0 for one that is damaged: that reads as a stop of the desk, which is what is carried on."""
        try:
            return self.fence.generation()
        except FenceCorrupt:
            return 0

    def engage(self, scope: Scope) -> int:
        """Stop ``scope`` on this machine, unless it is stopped already, file and record. Raises ``OSError``.

        A thousand presses at once wait for one disk, not for a thousand.
        """
        if self.fence.stands(scope):
            return self.fence.generation()
        return self.fence.engage(scope)

    def stop(self, scope: Scope) -> Stopped:
        """The same, whatever the disk says: closing what is open has only become more urgent."""
        try:
            generation = self.engage(scope)
        except OSError as trouble:
            if scope not in self.unwritten:  # It is tried four times a second: said once.
                log.error("the stop of %s is not on this machine's disk: %s", scope, trouble.strerror)
            self.unwritten.add(scope)
            said = f"the stop is not on this machine's disk ({trouble.strerror}): its gates stop by the store alone"
            return Stopped(generation=self.generation(), trouble=said)
        self.unwritten.discard(scope)
        return Stopped(generation=generation)

    def scopes(self) -> frozenset[Scope]:
        """Everything stopped on this machine, and what its disk did not take. Damage reads as the desk."""
        return self.fence.scopes() | self.unwritten

    def stops(self, account: str, venue: str) -> bool:
        """Whether the whole of an account is stopped."""
        return self.fence.engaged(account, venue) or any(scope.covers(account, venue) for scope in self.unwritten)

    async def latch(self, scope: Scope, generation: int, *, running: bool) -> Latched:
        """Stop ``scope`` for every gate. Never raises."""
        latched = Latched.UNTOLD
        try:
            async with asyncio.timeout(LATCH_S):
                said = await self._halt(scope, generation, running)
                # Of a damaged epoch no gate is asked: it has no number.
                latched = Latched.NUMBERED if said <= generation or not generation else Latched.OVERTAKEN
                await self._rise_above(said, scope, generation, running)
        except STORE_TROUBLE as trouble:
            if latched is Latched.UNTOLD:  # Else it has the stop, and the next one brings it a greater number.
                log.error("the store could not be told of the kill of %s: %s", scope, type(trouble).__name__)
        return latched

    async def tell(self, scope: Scope, generation: int, *, running: bool) -> None:
        """The same. Raises what the store client raises."""
        said = await self._halt(scope, generation, running)
        await self._rise_above(said, scope, generation, running)

    async def _halt(self, scope: Scope, generation: int, running: bool) -> int:
        """Stop it in the store. The number that is there now."""
        return await self._store.set_state(
            scope.control, TradingState.HALTED, generation=generation, kill_running=running
        )

    async def _rise_above(self, said: int, scope: Scope, generation: int, running: bool) -> None:
        """Where the store's number is ahead of the one that it was told: a greater one of this machine's, to both.

        Whoever raised the store's, a gate may have obeyed it before it heard of this stop.
        """
        if said <= generation or not generation:
            return
        self._outrun(said)
        if (raised := self.generation()) > said:
            await self._halt(scope, raised, running)

    def _outrun(self, said: int) -> None:
        """Raise this machine's number above the store's, where that is ahead.

        So it is after an older data directory was put back beside a store that lived on: gates know greater numbers
        than any press or re-arm would have, and would let nothing go on those.
        """
        known = self.generation()
        if not 0 < known < said:  # A damaged epoch is mended by a person, and its new number is above every count.
            return
        try:
            raised = self.fence.outrun(said)
        except (FenceCorrupt, OSError) as trouble:
            log.error("the epoch is behind the store's and cannot be raised above %d: %s", said, type(trouble).__name__)
            return
        log.warning(
            "the epoch was behind the store's, as in a data directory that was put back: %d is %d", known, raised
        )

    async def mirror(
        self,
        running: Callable[[Scope], bool],
        changed: Callable[[Scope, bool], Awaitable[None]],
        turned: Callable[[], None],
    ) -> None:
        """For ever: what one truth stops, the other stops too. ``changed`` hears of every scope the store learnt of,
        and whether a kill of it ``running`` says so; ``turned`` of every turn."""
        while True:
            turned()
            try:
                async with self.lock:
                    await self.compare(running, changed)
            except STORE_TROUBLE as trouble:
                log.warning("the kill state cannot be compared with the store: %s", type(trouble).__name__)
            await asyncio.sleep(MIRROR_EVERY_S)

    async def compare(
        self, running: Callable[[Scope], bool], changed: Callable[[Scope, bool], Awaitable[None]]
    ) -> None:
        """Once. Raises what the store client raises."""
        for scope in sorted(self.unwritten, key=str):
            self.stop(scope)
        controls = await self._store.controls()
        self._outrun(_number(controls))
        engaged = self.scopes()
        for scope in sorted(self.fence.by_hand(), key=str):
            log.warning("%s was stopped by hand; the epoch has it now", scope)
            self._engage_here(scope)
        for scope in sorted(engaged, key=str):
            runs = running(scope)
            halted = controls.get(scope.control) == TradingState.HALTED.value
            if not halted or runs != (f"kill:{scope}" in controls):
                await self.tell(scope, self.generation(), running=runs)
                await changed(scope, runs)
        for scope in sorted(_stopped(controls) - engaged, key=str):
            log.error("%s is stopped in the store but not on this machine; stopping it here", scope)
            self._engage_here(scope)
        await self.reduced.compare(controls, engaged)

    def _engage_here(self, scope: Scope) -> None:
        try:
            self.fence.engage(scope)
        except OSError as trouble:
            log.error("the stop of %s is not on this machine's disk: %s", scope, trouble.strerror)


def _number(controls: dict[str, str]) -> int:
    """The number in the store, 0 for none that a fence can have."""
    said = controls.get("generation", "")
    if not said.isdecimal() or len(said) > len(str(GENERATION_MAX)):
        return 0
    return number if (number := int(said)) <= GENERATION_MAX else 0


def _stopped(controls: dict[str, str]) -> set[Scope]:
    """The scopes a kill has stopped, as the store has them. What a rule made of a bot, or a symbol, is none."""
    found = set()
    for level, state in controls.items():
        kind = level.partition(":")[0]
        if state == TradingState.HALTED.value and (kind in ("desk", "venue", "account") or level.startswith(_KILLED)):
            found.add(Scope.parse(level.removeprefix(_KILLED)))
    return found
