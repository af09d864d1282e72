"""The watchdog's loop: look at every path each second, remember, and flatten when ``vigil`` says that it is due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from proxy.watchdog.beat import Beat, Duty
from proxy.watchdog.memory import Memory
from proxy.watchdog.vigil import Vigil, done, looked, taken_up
from proxy.watchdog.ways import Way
from rules.kill.settings import Flatten

log = logging.getLogger("perpguard.watchdog")

LOOK_EVERY_S: Final = 1.0
LOOK_TIMEOUT_S: Final = 1.5
AGAIN_S: Final = 10.0
"""After a kill that did not end flat."""


class Hands(Protocol):
    """What follows when the guard is silent."""

    async def line_holds(self) -> bool:
        """Whether a venue answers from here."""
        ...

    async def flatten(self, reason: str, flatten: Flatten) -> bool:
        """Stop the desk and close everything; whether all that could be opened is flat."""
        ...


class Watch:
    """One watchdog. ``orphaned`` says that the guard that started it is gone: then it ends with its watch.

    ``grace_s`` is how much longer than ever the guard may be silent when the watch of an earlier process is taken up.
    """

    def __init__(
        self,
        *,
        ways: Sequence[Way],
        hands: Hands,
        memory: Memory,
        orphaned: Callable[[], bool],
        grace_s: float,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._ways = ways
        self._hands = hands
        self._memory = memory
        self._orphaned = orphaned
        self._grace_s = grace_s
        self._pause = pause
        self._boot_us: int | None = None
        self._cut = False
        self._vigil = Vigil()
        self.stopping = False

    async def run(self) -> None:
        """Watch until told to stop, or until an orphan's watch is over. A flattening under way comes to its end."""
        terms = self._memory.recall()
        if terms is not None:
            self._vigil = taken_up(terms, _now(), self._grace_s)
            log.warning("taking up the watch of an earlier process")
        while not self.stopping:
            began = _now()
            if await self._round():
                return
            if self._vigil.due and not self._cut and not self.stopping:
                await self._pause(AGAIN_S)
            await self._pause(max(0.0, LOOK_EVERY_S - (_now() - began)))

    async def _round(self) -> bool:
        """Look, and act if it is due. Whether this watchdog is no longer needed."""
        beat = await self._look()
        if self._vigil.due:
            await self._act()
        if not self._orphaned():
            self._note_boot(beat)
            return False
        # Another guard has taken the place of the one that started us, and has a watchdog of its own.
        replaced = beat is not None and not beat.leaving and beat.boot_us != self._boot_us
        return replaced or self._vigil.duty is Duty.STANDING_DOWN

    async def _look(self) -> Beat | None:
        found = await asyncio.gather(*(self._look_at(way) for way in self._ways))
        beat = max(filter(None, found), key=lambda each: each.order, default=None)
        self._became(looked(self._vigil, beat, _now()))
        return beat

    async def _look_at(self, way: Way) -> Beat | None:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                return await way.look(self._vigil.duty)
        except TimeoutError:
            return None

    async def _act(self) -> None:
        """Flatten, unless it may be our own line that is cut: then a venue has to answer, and the guard still not."""
        if not await self._hands.line_holds():
            if not self._cut:
                self._cut = True
                log.error(
                    "CANNOT ACT: neither the guard nor any venue answers from here, or venues demand silence; asking on"
                )
            return
        self._cut = False
        await self._look()
        terms = self._vigil.terms
        if self._vigil.due and terms is not None and await self._hands.flatten(self._vigil.why, terms.flatten):
            self._became(done(self._vigil, _now()))

    def _became(self, vigil: Vigil) -> None:
        before, self._vigil = self._vigil, vigil
        on_watch = vigil.duty in (Duty.WATCHING, Duty.FLATTENING)
        self._memory.keep(vigil.terms if on_watch else None)
        if before.duty is not vigil.duty:
            log.warning("this watchdog is %s%s", vigil.duty.value, f": {vigil.why}" if vigil.due else "")

    def _note_boot(self, beat: Beat | None) -> None:
        if beat is not None:
            self._boot_us = beat.boot_us


def _now() -> float:
    return asyncio.get_running_loop().time()
