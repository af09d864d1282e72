"""One at a time over all hosts: a turn to act on the desk, held in the store for as long as its holder says so.

On one host the account's lock does this (``proxy.kill.lock``). A store that does not answer gives the turn to
everybody: two that act at once do no harm, for every close is reduce-only and rests on a fresh read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final, Protocol

from proxy.store.beats import Turn
from proxy.store.client import STORE_TROUBLE, within

log = logging.getLogger("perpguard.watchdog")

TURN_S: Final = 5.0
"""A holder that dies is out of the way after this long."""

RENEW_S: Final = 1.0
ASK_AGAIN_S: Final = 0.5
ANSWER_S: Final = 0.25
"""A store that does not say by then whose turn it is does not hold a kill up any longer."""

WAIT_MAX_S: Final = 70.0
"""As long as a job of another may last. Whoever holds on longer does not get the desk flat."""


class TurnStore(Protocol):
    """The part of the store that says whose turn it is. Its methods raise what the store client raises."""

    def take_turn(self, holder: str, for_s: float) -> Coroutine[Any, Any, Turn]:
        """Ask for the turn, or keep it."""
        ...

    def end_turn(self, holder: str) -> Coroutine[Any, Any, None]:
        """Give the turn back."""
        ...


class Turns:
    """One process's turns. Several at once within the process are one turn: it does not wait for itself."""

    def __init__(self, store: TurnStore, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._bodies = 0
        self._keeping: asyncio.Task[None] | None = None
        # Who begins while the turn is given back would else take it first, and have it given back over its head.
        self._changing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the turn for as long as the body runs; waits for another's at most ``WAIT_MAX_S``."""
        self._bodies += 1
        try:
            if self._bodies == 1:
                await self._begin()
            yield
        finally:
            self._bodies -= 1
            if self._bodies == 0:
                await self._end()

    async def _begin(self) -> None:
        async with self._changing:
            if await self._take():
                self._keeping = asyncio.create_task(self._keep())

    async def _end(self) -> None:
        async with self._changing:
            if self._keeping is None:
                return
            keeping, self._keeping = self._keeping, None
            keeping.cancel()
            await asyncio.wait({keeping})
            with contextlib.suppress(*STORE_TROUBLE):  # It runs out by itself.
                await within(ANSWER_S, self._store.end_turn(self._holder))

    async def _take(self) -> bool:
        """Whether the turn is ours; false where the store does not answer, or its holder takes too long."""
        waited_until = asyncio.get_running_loop().time() + WAIT_MAX_S
        said = ""
        while asyncio.get_running_loop().time() < waited_until:
            try:
                turn = await within(ANSWER_S, self._store.take_turn(self._holder, TURN_S))
            except STORE_TROUBLE as trouble:
                log.warning("whose turn it is cannot be asked (%s); acting all the same", type(trouble).__name__)
                return False
            if turn.ours:
                log.info("turn %d to act on the desk is ours (%s)", turn.number, self._holder)
                return True
            if turn.holder != said:
                said = turn.holder
                log.warning("%s acts on the desk; waiting for the end of its turn", said)
            await asyncio.sleep(ASK_AGAIN_S)
        log.error("%s acts on the desk without an end; acting all the same", said)
        return False

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                turn = await self._store.take_turn(self._holder, TURN_S)
                if not turn.ours:
                    log.warning("our turn to act on the desk ran out; %s has the next", turn.holder)
                    return
            except STORE_TROUBLE as trouble:
                log.warning("our turn to act on the desk cannot be renewed: %s", type(trouble).__name__)
