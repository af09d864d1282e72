"""Runs the scripts of an order: one trip each, given up after a silence of the store, never retried."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from proxy.store.client import Script
from proxy.store.lean.address import Address
from proxy.store.lean.attention import Attention, Since
from proxy.store.lean.commands import Part, by_digest, by_text
from proxy.store.lean.pool import Pool
from proxy.store.lean.trouble import CallFailed, Refusal


class LeanClient:
    """One process's way to run scripts. Connects on first use or when it is warmed, never when it is made."""

    def __init__(self, url: str, *, filled: str, silence_s: float) -> None:
        """A call fails after ``silence_s`` in which the store answered nobody. ``filled`` is ``Keys.filled``: a server
        that this key says is not the one is asked nothing."""
        self._attention = Attention(silence_s, self._look)
        self._pool = Pool(Address.of(url, filled), self._attention.heard)

    @property
    def heard_at(self) -> float:
        """The loop's time of the store's last answer to anybody, minus infinity before the first."""
        return self._attention.heard_at

    def heard(self) -> None:
        """The store answered somebody else of this process, so it is not silent."""
        self._attention.heard()

    async def warm(self, timeout_s: float) -> None:
        """Open the connections, or leave it to the background when that takes longer."""
        await asyncio.wait({self._pool.mend()}, timeout=timeout_s)

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> Coroutine[Any, Any, Any]:
        """Ask at once; awaited is what ``script`` returns. Raises ``CallFailed``, then.

        It is asked for by its digest, and with its text only when the store does not know it: then nothing has run.
        """
        since = self._attention.begin()
        return self._reply(self._pool.ask(by_digest(script, keys, arguments), since), since, script, keys, arguments)

    async def _reply(
        self,
        asked: asyncio.Future[Any],
        since: Since,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Part],
    ) -> Any:
        reply = await asked
        if isinstance(reply, Refusal) and reply.reason == "NOSCRIPT":
            reply = await self._pool.ask(by_text(script, keys, arguments), since)
        match reply:
            case CallFailed():
                raise reply
            case Refusal():
                raise CallFailed(reply.reason, asked=True)
        return reply

    async def aclose(self) -> None:
        """Close the connections. Calls in flight fail."""
        await self._pool.aclose()
        self._attention.stop()

    def _look(self) -> bool:
        return self._pool.give_up(self._attention.spent)
