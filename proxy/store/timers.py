"""Dead-man timers of bots on shared accounts, as the store keeps them: set by gates, run by the warden."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.store.client import Script, run_script
from proxy.store.desk_store import DeskStore
from proxy.store.grace import STOOD_STILL_S, THAWED_S

TIMERS_MAX: Final = 200
"""Symbols a bot may have a timer on at once."""

LEASE_S: Final = 3.0
"""How long a timer that ran out is its warden's; a living one says again and again that it still has it."""


@dataclass(frozen=True, slots=True)
class DeadManTimer:
    """Whose orders go, and of which symbol."""

    bot: str
    symbol: str

    @property
    def field(self) -> str:
        """Where it stands in the hash. A bot's name holds no bar."""
        return f"{timer_prefix(self.bot)}{self.symbol}"

    @classmethod
    def of(cls, field: str) -> DeadManTimer:
        """The timer of a field."""
        bot, _, symbol = field.partition("|")
        return cls(bot, symbol)


def timer_prefix(bot: str) -> str:
    """What every field of a bot begins with."""
    return f"{bot}|"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimersFound:
    """One look: the store's clock at it, in microseconds; the timers that ran out and are the caller's now; and how
    many run on, because of what the clock did or because no bot could arm its own."""

    now_us: int
    taken: tuple[DeadManTimer, ...]
    ran_on: int


class Timers(DeskStore):
    """The timers of one desk, for the warden."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        super().__init__(url, desk, guard)
        self._due = Script.named("due")

    async def take_timers(
        self, account: str, *, held: Iterable[DeadManTimer], most: int, last_us: int = 0, away: bool = False
    ) -> TimersFound:
        """Timers that ran out, at most ``most``, for this warden to run; those ``held`` stay with it.

        ``last_us`` is the store's clock when it looked last, 0 for never; ``away``: no bot could arm its own since.
        """
        keys = [self._keys.timers(account), self._keys.running_timers(account)]
        lease_us, stood_still_us, thawed_us = (round(each * 1_000_000) for each in (LEASE_S, STOOD_STILL_S, THAWED_S))
        arguments = [lease_us, most, last_us, int(away), stood_still_us, thawed_us, *(timer.field for timer in held)]
        now_us, ran_on, taken = await run_script(self._redis, self._due, keys, arguments)
        return TimersFound(now_us=int(now_us), taken=tuple(map(DeadManTimer.of, taken)), ran_on=int(ran_on))

    async def finish_timer(self, account: str, timer: DeadManTimer) -> None:
        """What a timer that ran out had to do is done."""
        await self._redis.hdel(self._keys.running_timers(account), timer.field)
