"""When news of an account is due to be published: what the stream tells is gathered for a moment, all else is due at
once.

The venue says of an order that it is there and, right after, that it has ended; of a fill it tells twice, and the
quantity counts twice until both are in (``docs/decisions/0013-streams-tell-surveys-judge.md``). Published one by one
they cost warden and store twice, and the gates see a state that the venue never had for longer than it took to say so.
"""

from __future__ import annotations

import asyncio
from typing import Final

GATHER_S: Final = 0.005
"""How long the first frame waits for those that follow it."""


class News:
    """One account's. Belongs to the loop it is used in."""

    def __init__(self) -> None:
        self._due = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None

    def told(self) -> None:
        """The stream told something."""
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_S, self._due.set)

    def at_once(self) -> None:
        """Something that nobody may wait for, as a doubt; what was gathered goes with it."""
        self._due.set()

    async def wait(self) -> None:
        """Until news is due. What comes from then on is due again."""
        await self._due.wait()
        self._due.clear()
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
