"""Who goes next when a gate is busy: lanes with slots, a share of them for each bot, and short queues in front.

Exits and cancels have a lane that entries and reads never fill. In each lane a bot takes another slot only while three
times what it holds is less than what is free: alone it gets a quarter of the slots, ``n`` bots that want everything get
1/(3 + n) each, and three times as much is left for whoever holds nothing yet. (Choudhury and Hahne, "Dynamic Queue
Length Thresholds for Shared-Memory Packet Switches", 1998; docs/decisions/0023.) On a quiet gate that is a look-up in a
dict and two integers. Where all is taken after all, bots get what comes free by turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, TypeAlias

from proxy.gate.counting import Kind

Bot: TypeAlias = Hashable
"""Whatever tells one bot from another."""

ENTRY_SLOTS: Final = 128
"""Entries, amends and settings of one gate process at a time, so 32 of one bot: as many as one trading socket may have
under way, and 160 a second at a round trip of 200 ms, where Binance takes 30 a second of an account."""

EXIT_SLOTS: Final = 256
"""Exits and cancels besides: 64 of one bot. More, for whoever gets out wants everything gone at once."""

READ_SLOTS: Final = 256
"""Reads besides: 64 of one bot."""

PUBLIC_SLOTS: Final = 16
"""Reads of all who name no guard key, 4 at a time. They may be a crowd of strangers, and are of the loop's turns while
an order is under way; at a round trip of 100 ms they are 40 a second, as many as Binance takes of an address."""

ENTRY_WAIT_S: Final = 2.0
"""Longer than a burst of a hundred takes, shorter than the 5 s for which a signed request is meant by default."""

EXIT_WAIT_S: Final = 10.0
"""As long as an answer of the venue may take: a way out that may yet open is not refused before."""

READ_WAIT_S: Final = 5.0

_SHARE: Final = 3


@dataclass(slots=True, eq=False)
class _Waiter:
    """One request in the queue. ``granted`` becomes true with a slot, false when its time is up."""

    granted: asyncio.Future[bool]
    timer: asyncio.TimerHandle


class Lane:
    """Slots for one sort of request. Whoever got one gives it back with ``leave``, whatever became of the request.

    Between two calls no bot waits that might have a slot, so a newcomer who takes one passes nobody.
    """

    def __init__(self, slots: int, *, queued_max: int, wait_s: float) -> None:
        """``queued_max`` requests of each bot wait at most, none longer than ``wait_s`` seconds."""
        self.slots = slots
        self._free = slots
        self._queued_max = queued_max
        self._wait_s = wait_s
        self._held: dict[Bot, int] = {}
        self._queues: dict[Bot, deque[_Waiter]] = {}
        # In the order of their turns: whoever got a slot goes to the end.

    @property
    def under_way(self) -> int:
        """How many slots are taken."""
        return self.slots - self._free

    def holds(self, bot: Bot) -> int:
        """How many slots a bot has."""
        return self._held.get(bot, 0)

    def queued(self, bot: Bot) -> int:
        """How many of its requests wait."""
        return len(self._queues.get(bot, ()))

    def enter_at_once(self, bot: Bot) -> bool:
        """Take a slot if the bot may have one now."""
        held = self._held.get(bot, 0)
        if held * _SHARE >= self._free:
            return False
        self._held[bot] = held + 1
        self._free -= 1
        return True

    async def enter(self, bot: Bot) -> bool:
        """Take a slot, waiting for it if need be. False when the bot's queue is full, or its time is up."""
        if self.enter_at_once(bot):
            return True
        queue = self._queues.get(bot)
        if queue is None:
            queue = self._queues[bot] = deque()
        elif len(queue) >= self._queued_max:
            return False
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[bool] = loop.create_future()
        waiter = _Waiter(granted, loop.call_later(self._wait_s, self._give_up, bot, granted))
        queue.append(waiter)
        try:
            return await granted
        except asyncio.CancelledError:
            waiter.timer.cancel()
            if granted.cancelled():
                self._unqueue(bot, granted)
            elif granted.result():  # Cancelled in the turn of the grant: the slot is ours and nobody will use it.
                self.leave(bot)
            raise

    def leave(self, bot: Bot) -> None:
        """Give a slot back; whoever's turn it is gets it."""
        held = self._held[bot] - 1
        if held:
            self._held[bot] = held
        else:
            del self._held[bot]
        self._free += 1
        if self._queues:
            self._serve()

    def _serve(self) -> None:
        """Give free slots to those who wait, by turns, one each time, as far as their shares go."""
        passed = 0
        while self._free and passed < len(self._queues):
            bot = next(iter(self._queues))
            queue = self._queues.pop(bot)
            while queue and queue[0].granted.done():  # Cancelled, and its task has not had its turn yet.
                queue.popleft().timer.cancel()
            if not queue:
                continue
            if self.enter_at_once(bot):
                passed = 0
                waiter = queue.popleft()
                waiter.timer.cancel()
                waiter.granted.set_result(True)
            else:
                passed += 1
            if queue:
                self._queues[bot] = queue

    def _give_up(self, bot: Bot, granted: asyncio.Future[bool]) -> None:
        self._unqueue(bot, granted)
        if not granted.done():
            granted.set_result(False)

    def _unqueue(self, bot: Bot, granted: asyncio.Future[bool]) -> None:
        queue = self._queues.get(bot)
        if queue is None:
            return
        for waiter in queue:
            if waiter.granted is granted:
                queue.remove(waiter)
                break
        if not queue:
            del self._queues[bot]


class Lanes:
    """The lanes of one gate process."""

    def __init__(self) -> None:
        self.entries = Lane(ENTRY_SLOTS, queued_max=ENTRY_SLOTS // 2, wait_s=ENTRY_WAIT_S)
        self.exits = Lane(EXIT_SLOTS, queued_max=EXIT_SLOTS, wait_s=EXIT_WAIT_S)
        self.reads = Lane(READ_SLOTS, queued_max=READ_SLOTS // 2, wait_s=READ_WAIT_S)
        self.public = Lane(PUBLIC_SLOTS, queued_max=READ_SLOTS // 2, wait_s=READ_WAIT_S)
        self._by_kind: Final = {
            Kind.ENTRY: self.entries,
            Kind.CONFIG: self.entries,
            Kind.EXIT: self.exits,
            Kind.CANCEL: self.exits,
            Kind.READ: self.reads,
        }

    def lane(self, kind: Kind) -> Lane:
        """Where requests of a kind go. A batch with one entry is an entry, so it never takes the way out's room."""
        return self._by_kind[kind]
