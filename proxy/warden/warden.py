"""The control plane: one process that watches the venue, keeps the store true, remembers all and holds the button.

Each of its loops has one job and a bound; they share nothing but the pieces they are given (``warden.pieces``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final

from fastapi import FastAPI

from proxy.control.history import History
from proxy.people.desk import PeopleDesk
from proxy.settings import Settings
from proxy.store.client import STORE_TROUBLE
from proxy.vault.vault import Vault
from proxy.warden.alerts import AlertPieces, build_alerts
from proxy.warden.filling import Filling
from proxy.warden.hearing import Hearing, remember_symbols
from proxy.warden.keys_mirror import KeysMirror
from proxy.warden.pieces.desk import DeskPieces, build_desk
from proxy.warden.pieces.door import build_door
from proxy.warden.pieces.ground import lay_ground
from proxy.warden.pieces.history import build_history
from proxy.watchdog.heart import GOODBYE_MAX_S
from proxy.watchdog.stopping import stopping_path

log = logging.getLogger("perpguard.warden")

DECAY_EVERY_S: Final = 5.0


class Warden:
    """Everything the warden process runs. Use as an async context manager, then ``run``."""

    def __init__(self, settings: Settings, vault: Vault, now: Callable[[], datetime]) -> None:
        """Raises ``PolicyError`` when there is no policy to run under."""
        self._ground = lay_ground(settings, vault, now)
        self._store = self._ground.store
        self._scribe = self._ground.scribe
        self._policies = self._ground.policies
        self._people = PeopleDesk(self._ground.register, self._scribe.write_event, self._ground.now)
        self._desk: DeskPieces
        self._keys = KeysMirror(
            vault=vault, store=self._store, record=self._scribe.write_event, accounts=lambda: set(self._desk.accounts)
        )
        self._history: History
        self._alerts: AlertPieces
        self.console: FastAPI

    async def __aenter__(self) -> Warden:
        """Take the hands in hand, and take up any kill a crash left unfinished, before all else."""
        self._desk = build_desk(self._ground)
        self._alerts = build_alerts(self._ground, self._desk)
        await self._desk.kill.resume()
        self._history = build_history(self._ground, self._desk)
        self.console = build_door(self._ground, self._desk, self._people, self._history, self._alerts.desk, self._keys)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything, the archive last."""
        await self._ground.closing.aclose()

    async def run(self) -> None:
        """Run every loop until cancelled. A bug in one ends them all, and the supervisor starts the process anew.

        The kill's truths are kept equal from the first moment. Nothing is published before the archive is open, so an
        audit that cannot be written stops entries, by age, and nothing else. A second warden on the same data
        directory waits here until the first is gone.
        """
        desk, filling = self._desk, Filling(self._ground, self._desk, self._keys)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(desk.kill.mirror())
            loops.create_task(desk.pursuit.run())
            loops.create_task(desk.line.serve())
            loops.create_task(desk.sentinels.run())
            loops.create_task(self._keys.run())
            loops.create_task(desk.certificates.run())
            for loop in self._alerts.loops():
                loops.create_task(loop)
            await self._scribe.open()
            loops.create_task(self._people.run())
            loops.create_task(desk.stops.mirror())
            await filling.begin()  # The console and the kill are up before this.
            loops.create_task(remember_symbols(self._ground.settings.data_dir, desk, self._ground.now()))
            for loop in desk.loops():
                loops.create_task(loop)
            loops.create_task(self._policies.run())
            loops.create_task(self._history.run())
            loops.create_task(desk.overrides.run())
            loops.create_task(desk.rearming.run())
            watches = [pieces.outside for pieces in desk.accounts.values()]
            self._scribe.searched_from = lambda: min(
                (each.searches_from for each in watches), default=self._ground.now()
            )
            self._scribe.begun_anew = filling.tell_again
            hear = Hearing(desk).hear
            loops.create_task(self._scribe.drain(hear))
            loops.create_task(self._scribe.hear_on(hear))
            loops.create_task(self._scribe.merge_journals())
            loops.create_task(self._scribe.keep_anchors())
            loops.create_task(filling.watch())
            loops.create_task(self._decay())

    async def leave(self) -> None:
        """The guard is being stopped on purpose: tell the watchdogs while the door is open, spare the stops."""
        if stopping_path(self._ground.settings.data_dir).exists():
            leaving = [pieces.venue_timers.leave() for pieces in self._desk.accounts.values()]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_MAX_S):
                    await asyncio.gather(self._desk.heart.say_goodbye(), *leaving)

    async def _decay(self) -> None:
        """Scores fall with time even when nobody sends anything."""
        while True:
            await asyncio.sleep(DECAY_EVERY_S)
            try:
                await self._desk.watch.decay(time.time())
            except STORE_TROUBLE as trouble:
                log.warning("scores cannot be written to the store: %s", type(trouble).__name__)
