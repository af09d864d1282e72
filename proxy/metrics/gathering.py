"""Gathers everything for one scrape. Whatever part fails is left out and said to be missing; the rest is there.

Nobody can make the warden work by asking often: within a second everybody gets the same sheet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from proxy.metrics.sheet import Sheet
from proxy.store.client import STORE_TROUBLE

log = logging.getLogger("perpguard.metrics")

SOURCE_TIMEOUT_S: Final = 3.0
"""Longer than the store may take to be given up; Prometheus itself waits ten seconds by default."""

SAME_FOR_S: Final = 1.0

Source = Callable[[Sheet], Awaitable[None]]
"""Puts what it knows onto a sheet. May raise what the store client raises."""


class Gatherer:
    """The metrics of one desk. ``sources`` are by name, which is the label of ``source_up``."""

    def __init__(self, sources: Mapping[str, Source], clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._text = b""
        self._gathered_at = float("-inf")

    async def text(self) -> bytes:
        """The sheet of now, or of less than a second ago."""
        async with self._one_at_a_time:
            if self._clock() - self._gathered_at >= SAME_FOR_S:
                self._text = await self._gather()
                self._gathered_at = self._clock()
            return self._text

    async def _gather(self) -> bytes:
        sheet = Sheet()
        up = await asyncio.gather(*(self._ask(name, source, sheet) for name, source in self._sources.items()))
        for name, answered in zip(self._sources, up, strict=True):
            sheet.put("source_up", answered, source=name)
        return sheet.text()

    async def _ask(self, name: str, source: Source, sheet: Sheet) -> bool:
        try:
            async with asyncio.timeout(SOURCE_TIMEOUT_S):
                await source(sheet)
        except STORE_TROUBLE as trouble:
            log.debug("the metrics have no %s: %s", name, type(trouble).__name__)
            return False
        except Exception:  # The edge: a bug in one part must not take the eyes off all the others.
            log.exception("a part of the metrics failed: %s", name)
            return False
        return True
