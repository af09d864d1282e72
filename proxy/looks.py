"""Readings of files for whoever looks on: in threads of their own, and no question twice at the same time.

A look that takes longer than the control door waits cannot be called off: its thread reads on. In the loop's own pool
such threads would stand in the way of what must be written; here they stand in the way of other looks of their kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")


@dataclass(slots=True)
class _Look:
    reading: Future[Any]
    answer: asyncio.Future[Any]
    awaited_by: int = 0


class Looks:
    """Looks of one kind, in at most so many threads. No more of them wait than somebody waits for."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"look-{name}")
        self._looks: dict[Hashable, _Look] = {}

    async def ask(self, question: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` gives or raises. While a ``question`` is being read, whoever asks it gets that answer.

        Whoever is cancelled leaves a reading that has begun to those who ask next; one that has not is given up.
        """
        look = self._looks.get(question) or self._begin(question, read)
        look.awaited_by += 1
        try:
            return cast(T, await asyncio.shield(look.answer))
        finally:
            look.awaited_by -= 1
            if not look.awaited_by and look.reading.cancel():
                self._forget(question, look)

    def _begin(self, question: Hashable, read: Callable[[], Any]) -> _Look:
        reading = self._threads.submit(read)
        look = self._looks[question] = _Look(reading, asyncio.wrap_future(reading))
        look.answer.add_done_callback(lambda _: self._forget(question, look))
        return look

    def _forget(self, question: Hashable, look: _Look) -> None:
        if self._looks.get(question) is look:
            del self._looks[question]
