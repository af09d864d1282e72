"""What the shared store says is stopped, as this gate heard it last, and its word back that it obeys.

A kill pressed on another machine writes no sentinel here. So the gate asks the store all the time, off the order path,
and each entry is checked against the answer between its last wait and its first byte. Who has not heard the store for
the length of a lease stops by itself: a gate that cannot be told counts as told. The generation it sends along is one
it already obeys, in the one thread that also writes to the exchange: when the desk reads it, no entry that was judged
before can start any more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from proxy.store.gate_store import StoreUnavailable
from proxy.store.gates import LEASE_S
from rules.model import TradingState

log = logging.getLogger("perpguard.gate")

HEAR_EVERY_S: Final = 0.02
"""Two questions within the 50 ms in which every gate is to refuse."""


class ControlSource(Protocol):
    """The part of the store that is asked."""

    async def hear(self, gate: str, generation: int) -> Mapping[str, str]:
        """What is stopped now; remembers that ``gate`` obeys ``generation``. Raises ``StoreUnavailable``."""
        ...


class Latch:
    """One gate process's. Knows only what stops; what a bot may still do then is for the rules."""

    def __init__(self, store: ControlSource, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._gate = f"{socket.gethostname()}:{os.getpid()}"
        self._generation = 0
        self._stopped: frozenset[str] = frozenset()
        self._heard_at = float("-inf")

    @property
    def lapsed(self) -> bool:
        """Whether the store has not been heard for so long that it may have said anything."""
        return self._clock() - self._heard_at > LEASE_S

    def stops(self, account: str, venue: str, bot: str) -> bool:
        """Whether what was heard stops entries of this bot."""
        if not self._stopped:
            return False
        levels = ("desk", f"venue:{venue}", f"account:{account}", f"bot:{bot}", f"killed:bot:{bot}")
        return not self._stopped.isdisjoint(levels)

    async def follow(self) -> None:
        """Ask for ever; at once again after news, so that the desk hears that it is obeyed."""
        while True:
            try:
                news = await self.hear()
            except StoreUnavailable as trouble:
                log.debug("what is stopped was not heard: %s", trouble)
                news = False
            if not news:
                await asyncio.sleep(HEAR_EVERY_S)

    async def hear(self) -> bool:
        """Ask once; whether there was another generation. Raises ``StoreUnavailable``."""
        asked_at = self._clock()
        fields = await self._store.hear(self._gate, self._generation)
        generation = int(fields.get("generation", "0"))
        stopped = frozenset(level for level, state in fields.items() if state == TradingState.HALTED)
        # A store that was wiped, or a warden that cannot read its own epoch, has a smaller number: such a one may stop
        # more, never let go.
        forward = generation >= self._generation
        news = generation > self._generation
        self._stopped = stopped if forward else self._stopped | stopped
        self._generation = max(generation, self._generation)
        self._heard_at = asked_at
        return news
