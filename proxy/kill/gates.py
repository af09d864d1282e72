"""Waits, bounded, until every gate has said that it obeys a press: then no entry judged before can start any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from proxy.store.client import STORE_TROUBLE
from proxy.store.warden_store import WardenStore

WAIT_S: Final = 0.25
"""A gate that has said nothing by then is named; this machine's stop by the sentinel, all others by their lease."""

_LOOK_EVERY_S: Final = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """``gates`` is how many were asking of late, ``None`` when the store did not say; ``silent`` are those of them
    that did not answer in time. ``within_ms`` counts from the press to the last answer, ``None`` without any."""

    gates: int | None
    acknowledged: int
    within_ms: float | None
    silent: tuple[str, ...]


NOBODY_ASKED: Final = Acknowledged(gates=None, acknowledged=0, within_ms=None, silent=())


async def acknowledged(store: WardenStore, generation: int, pressed: float) -> Acknowledged:
    """What the gates say of ``generation``. ``pressed`` is the loop's time of the press. Never raises."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_S
    heard = NOBODY_ASKED
    try:
        async with asyncio.timeout_at(deadline):
            while heard.gates is None or heard.silent:
                words = await store.gates()
                alive = {gate: word for gate, word in words.items() if word.holds_lease}
                silent = tuple(sorted(gate for gate, word in alive.items() if word.generation < generation))
                count = len(alive) - len(silent)
                within = round((loop.time() - pressed) * 1000, 3) if count else None
                if heard.gates is None or count != heard.acknowledged:
                    heard = Acknowledged(gates=len(alive), acknowledged=count, within_ms=within, silent=silent)
                if silent:
                    await asyncio.sleep(_LOOK_EVERY_S)
    except STORE_TROUBLE:  # A time-out among them: what was heard by then stands.
        return heard
    return heard
