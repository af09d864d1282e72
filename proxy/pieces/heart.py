"""Builds what proves to watchdogs that the guard lives."""

from __future__ import annotations

import time

from proxy.pieces.ground import Ground
from proxy.store.beats import BeatStore
from proxy.watchdog.heart import Heart
from proxy.watchdog.host import host_id


def take_beats(ground: Ground) -> BeatStore:
    """The guard's access to what it leaves for watchdogs in the store."""
    beats = BeatStore(ground.settings.store, ground.settings.desk)
    ground.closing.push_async_callback(beats.aclose)
    return beats


def build_heart(ground: Ground, beats: BeatStore) -> Heart:
    """The heart of one warden. The vault may be paired while it beats."""
    return Heart(
        secret=lambda: ground.vault.watchdog_secret,
        pulse=ground.pulse,
        policy=lambda: ground.policy().kill,
        post=beats,
        record=ground.scribe.event,
        expected=ground.settings.watchdog != "none",
        boot_us=time.time_ns() // 1000,
        host=host_id(),
    )
