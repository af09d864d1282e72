"""What guard and watchdogs leave for each other in the store: the last beat, and whose turn it is to act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio

from proxy.store.client import Script, connect, connect_anew, run_script
from proxy.store.keys import Keys
from proxy.store.ownership import ELSEWHERE, DeskTaken, Ownership

TIMEOUT_S: Final = 1.0
"""A beat that takes longer to be read or written is as good as none."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Who acts on the desk now. ``number`` is the fencing token: every turn's is greater than all before."""

    ours: bool
    holder: str
    number: int


class BeatStore:
    """One process's access. Every method raises what the store client raises, and but for ``read`` ``DeskTaken`` where
    another guard than ``guard`` has the desk; empty for who is of none."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        self._redis: redis.asyncio.Redis = connect(url, timeout_s=TIMEOUT_S, connections_max=4)
        self._keys = Keys(desk)
        self._ownership = Ownership(self._redis, self._keys, guard)
        self._turn = Script.named("turn")

    async def publish(self, sealed: str) -> None:
        """Leave a beat in place of the last."""
        await self._ownership.write(self._keys.beat, ("SET", sealed))

    async def read(self) -> str | None:
        """The beat that was left last."""
        beat: Any = await self._redis.get(self._keys.beat)
        return None if beat is None else str(beat)

    async def forget_connections(self) -> None:
        """Have the next call connect anew: a server that became a replica tells of the same beat for ever."""
        await connect_anew(self._redis)

    async def take_turn(self, holder: str, for_s: float) -> Turn:
        """Ask for the turn, or keep it for another ``for_s``."""
        return await self._ask(holder, for_s)

    async def end_turn(self, holder: str) -> None:
        """Give the turn back; somebody else's stays."""
        await self._ask(holder, 0.0)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _ask(self, holder: str, for_s: float) -> Turn:
        keys = [self._keys.turn, self._keys.controls]
        arguments = [holder, round(for_s * 1_000_000), self._ownership.guard]
        word, by, number = await run_script(self._redis, self._turn, keys, arguments)
        if word == "TAKEN":
            raise DeskTaken(ELSEWHERE)
        return _turn(word, by, number)


def _turn(word: Any, by: Any, number: Any) -> Turn:
    return Turn(ours=word == "OURS", holder=str(by), number=int(number))
