"""The exchange as a gate sees it that has to end: when the time is up, what it has not answered is unknown.

An order that has left cannot be taken back and is never sent again. What can be done is to write down in time that
nobody knows what became of it: its hold stays until the venue has been asked, by whoever lives on.
"""

from __future__ import annotations

import asyncio
from typing import Any

from proxy.gate.upstream import NotSent, OutboundRequest, OutcomeUnknown, Turnstile, Upstream, UpstreamReply


class LastAnswers:
    """An ``Upstream`` whose waiting can be ended, for all requests at once and for good."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._waiting: set[asyncio.Task[Any]] = set()
        self._given_up = False

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        """See ``Upstream.send``."""
        if self._given_up:
            raise NotSent("the gate is stopping")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine is run by a task
        self._waiting.add(task)
        try:
            return await self._upstream.send(request, fence)
        except asyncio.CancelledError:
            if task not in self._waiting:  # Ours, and not somebody else's who wants the whole task to end.
                task.uncancel()
                raise OutcomeUnknown("the gate stopped before the answer") from None
            raise
        finally:
            self._waiting.discard(task)

    def give_up(self) -> None:
        """Wait no longer. Whether a request had left or not, its outcome is unknown: the venue will be asked."""
        self._given_up = True
        waiting, self._waiting = self._waiting, set()
        for task in waiting:
            task.cancel()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()
