"""Builds what proves to watchdogs that the guard lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from proxy.alerts.reports import CONFIGURED_WATCHDOG
from proxy.alerts.shelf import Shelf, ShelfDamaged
from proxy.guard_id import known_guard_id
from proxy.host_id import host_id
from proxy.kill.desk import KillDesk
from proxy.kill.rearm import last_rearm
from proxy.store.beats import BeatStore
from proxy.store.fence import DESK, Fence
from proxy.warden.pieces.ground import Ground
from proxy.watchdog.heart import Heart

OBEYED_WITHIN_S: Final = 900.0
"""An act of longer ago is told to people alone: what the desk holds now may be what they wanted after it."""


def take_beats(ground: Ground) -> BeatStore:
    """The guard's access to what it leaves for watchdogs in the store."""
    settings = ground.settings
    beats = BeatStore(settings.store, settings.desk, known_guard_id(settings.data_dir))
    ground.closing.push_async_callback(beats.aclose)
    return beats


def build_heart(ground: Ground, beats: BeatStore, kill: Callable[[], KillDesk]) -> Heart:
    """The heart of one warden. The vault may be paired while it beats; ``kill`` is asked once all is built."""

    async def obey(watchdog: str, ago_s: float) -> None:
        data_dir = ground.settings.data_dir
        if Fence(data_dir).stands(DESK):
            return  # Of one data directory with us, or told in the store: the stop is here already.
        rearmed_at = last_rearm(data_dir, str(DESK))
        if rearmed_at is not None and ground.now() - rearmed_at < timedelta(seconds=ago_s):
            return  # People have let the desk trade since.
        by, reason = f"watchdog {watchdog}", f"it acted {ago_s:.0f} s ago, when it did not hear this guard"
        if ago_s > OBEYED_WITHIN_S:
            reason += "; that is too long ago to press for it now: look, then press"
        await ground.scribe.event("watchdog.acted", by, {"reason": reason})
        if ago_s <= OBEYED_WITHIN_S:
            await kill().press(DESK, by, reason)

    return Heart(
        secret=lambda: ground.vault.watchdog_secret,
        pulse=ground.pulse,
        policy=lambda: ground.policy().kill,
        post=beats,
        record=ground.scribe.event,
        expected=ground.settings.watchdog != "none",
        boot_us=time.time_ns() // 1000,
        host=host_id(),
        obey=obey,
        lost=_lost_before(ground),
    )


def _lost_before(ground: Ground) -> Iterator[str]:
    """The watchdogs whose silence people were told of before this start. Without those of which somebody has
    acknowledged it: one that was taken away for good must be forgotten some time, or it would hold up every re-arm."""
    try:
        alerts = Shelf(ground.settings.data_dir).read().open
    except ShelfDamaged:
        return  # The alert desk says so.
    for key, alert in alerts.items():
        kind, _, name = key.partition(":")
        if kind == "watchdog" and not alert.acknowledged_by:
            yield "" if name == CONFIGURED_WATCHDOG else name
