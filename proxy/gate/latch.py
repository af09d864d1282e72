"""What the shared store says is stopped, as this gate heard it last, and its word back that it obeys.

A kill pressed on another machine writes no sentinel here. So the gate asks the store all the time, off the order path,
and each entry is checked against the answer between its last wait and its first byte. Who has not heard the store for
the length of a lease stops by itself: a gate that cannot be told counts as told.

The store is asked in a thread of its own, because a flood of requests makes the loop's turns long. So an entry may be
between its check and its last byte while the news arrives. It is counted in before it is checked, and the gate says
that it obeys a generation when every entry that was counted in before the news has left or given up: when the desk
reads it, no entry that was judged before can start any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from proxy.clock import steady_s
from proxy.store.gates import LEASE_S
from proxy.store.trouble import StoreUnavailable, readable
from rules.model import TradingState

log = logging.getLogger("perpguard.gate")

HEAR_EVERY_S: Final = 0.02
"""Two questions within the 50 ms in which every gate is to refuse."""

_LEAVING_LOOK_S: Final = 0.001


class ControlSource(Protocol):
    """The part of the store that is asked. It is called in a thread."""

    def hear(self, gate: str, generation: int) -> Mapping[str, str]:
        """What is stopped now; remembers that ``gate`` obeys ``generation``. Raises ``StoreUnavailable``."""
        ...

    def leave(self, gate: str) -> None:
        """Forget ``gate``: nobody waits for its word. It is called in a thread. Raises ``StoreUnavailable``."""
        ...


class Latch:
    """One gate process's. Knows only what stops; what a bot may still do then is for the rules.

    ``gate`` is its name in the store. ``obeyed`` is the generation after which no entry that was judged before can
    start any more.
    """

    def __init__(self, store: ControlSource, *, guard: str = "", clock: Callable[[], float] = steady_s) -> None:
        """``guard`` is the id of the guard this gate is of, empty for one that works for whoever has the desk.
        ``clock`` counts the time of a suspended host: whoever pressed meanwhile took this gate's lease for over."""
        self._store = store
        self._guard = guard
        self.taken = False
        """Whether another guard has the desk: what the store says is of its accounts, and not of ours."""
        self._clock = clock
        self.gate = f"{socket.gethostname()}:{os.getpid()}"
        self.obeyed = 0
        self._known = 0
        self._owner = ""
        self._stopped: frozenset[str] = frozenset()
        self._heard_at = float("-inf")
        self._ended = threading.Event()
        self._asking = threading.Lock()
        self._numbers = itertools.count()
        self._leaving: set[int] = set()
        self._awaited: set[int] = set()

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

    def enter(self) -> Callable[[], None]:
        """Count an entry in, before it is checked. What is returned counts it out: its last byte left, or none did."""
        number = next(self._numbers)
        self._leaving.add(number)
        return lambda: self._leaving.discard(number)

    async def heard_once(self, within_s: float) -> None:
        """Wait until the store has been heard, or for so long: it may be away."""
        deadline = self._clock() + within_s
        while self.lapsed and self._clock() < deadline:  # noqa: ASYNC110 - a thread hears it, not this loop
            await asyncio.sleep(HEAR_EVERY_S)

    async def follow(self) -> None:
        """Ask for ever, in a thread."""
        try:
            await asyncio.to_thread(self._ask_on)
        finally:
            self._ended.set()

    async def leave(self) -> None:
        """Ask no more, and take the gate's word back; only when no entry can leave any more."""
        self._ended.set()
        await asyncio.to_thread(self._take_word_back)

    def _ask_on(self) -> None:
        with self._asking:
            while not self._ended.is_set():
                try:
                    asked_at = self._clock()
                    with readable():
                        self.heard(self._store.hear(self.gate, self.obeyed), asked_at)
                except StoreUnavailable as trouble:
                    if self.lapsed:
                        log.warning("what is stopped cannot be heard, so entries are refused: %s", trouble)
                self._pause()

    def _take_word_back(self) -> None:
        # A word that stays is one a press waits a quarter of a second for, until its lease is over.
        with self._asking, contextlib.suppress(StoreUnavailable):
            self._store.leave(self.gate)

    def _pause(self) -> None:
        """Until it is time to ask again: at once when there is something to say."""
        ask_at = self._clock() + HEAR_EVERY_S
        while not self.obeys_more() and (left_s := ask_at - self._clock()) > 0:
            self._ended.wait(min(left_s, _LEAVING_LOOK_S) if self._awaited else left_s)

    def heard(self, fields: Mapping[str, str], asked_at: float) -> None:
        """Obey what the store says. ``asked_at`` is when it was asked, by the latch's clock."""
        owner = fields.get("guard", "")
        self.taken = "" not in (self._guard, owner) and owner != self._guard
        if self.taken:
            self._heard_at = asked_at
            return  # Another guard's numbers count other presses, and its stops are of other accounts.
        self._note_owner(owner)
        generation = int(fields.get("generation", "0"))
        stopped = frozenset(level for level, state in fields.items() if state == TradingState.HALTED)
        # A store that was wiped, or a warden that cannot read its own epoch, has a smaller number: such a one may stop
        # more, never let go.
        self._stopped = stopped if generation >= self._known else self._stopped | stopped
        self._heard_at = asked_at
        if generation > self._known:
            self._known = generation
            self._awaited |= self._leaving.copy()  # Whoever is counted in from here on is checked against the news.

    def _note_owner(self, owner: str) -> None:
        """Begin anew where the desk has changed hands: the numbers of the guard that had it say nothing of this one's.

        Only a gate without an id sees that; the others hear their own guard alone. A store that names nobody may have
        been wiped, and is still who it was.
        """
        if owner == "":
            return
        if self._owner not in ("", owner):
            log.warning("the desk is another guard's than before; its stops alone count now")
            self._known = self.obeyed = 0
            self._stopped = frozenset()
        self._owner = owner

    def obeys_more(self) -> bool:
        """Whether ``obeyed`` has just become another: every entry that was counted in before the news is out."""
        self._awaited &= self._leaving
        if self._awaited or self.obeyed == self._known:
            return False
        self.obeyed = self._known
        return True
