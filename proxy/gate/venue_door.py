"""What the bots' connections know of a venue's door."""

from __future__ import annotations

from typing import Protocol

from proxy.gate.answers import Answer
from proxy.gate.caller import Caller
from proxy.gate.framing import Head


class VenueDoor(Protocol):
    """What answers the requests under one prefix. In uvicorn's lifespan state under ``venue``."""

    @property
    def prefix(self) -> bytes:
        """What the raw path of such a request begins with."""
        ...

    def knows(self, key: bytes) -> bool:
        """Whether a request that names this guard key may be a bot's."""
        ...

    async def answer(self, head: Head, body: bytes, caller: Caller) -> Answer:
        """Answer one whole request. Never raises."""
        ...
