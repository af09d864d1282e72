"""The control plane: one process that watches the venue, keeps the store true, remembers all and holds the button.

Each loop below has one job and a bound; the loops share nothing but the pieces they are given (``warden.pieces``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final

from fastapi import FastAPI

from proxy.control.history import History
from proxy.policy.in_force import NotKept
from proxy.settings import Settings
from proxy.store import under_way
from proxy.store.client import STORE_TROUBLE
from proxy.store.ownership import DeskTaken
from proxy.vault.vault import Vault
from proxy.warden.hearing import Hearing, remember_symbols
from proxy.warden.keys_mirror import KeysMirror
from proxy.warden.pieces.alerts import AlertPieces, build_alerts
from proxy.warden.pieces.desk import DeskPieces, build_desk
from proxy.warden.pieces.door import build_door
from proxy.warden.pieces.ground import lay_ground
from proxy.warden.pieces.history import build_history
from proxy.warden.pieces.people import build_people
from proxy.watchdog.heart import GOODBYE_MAX_S
from proxy.watchdog.stopping import stopping_path

log = logging.getLogger("perpguard.warden")

DECAY_EVERY_S: Final = 5.0
STORE_EVERY_S: Final = 0.5
FREE_FOR_S: Final = 5.0
"""How long a desk must be nobody's before a guard takes it that had found it taken."""


class Warden:
    """Everything the warden process runs. Use as an async context manager, then ``run``."""

    def __init__(self, settings: Settings, vault: Vault, now: Callable[[], datetime]) -> None:
        """Raises ``PolicyError`` when there is no policy to run under."""
        self._ground = lay_ground(settings, vault, now)
        self._store = self._ground.store
        self._scribe = self._ground.scribe
        self._policies = self._ground.policies
        self._people = build_people(self._ground)
        self._desk: DeskPieces
        self._keys = KeysMirror(
            vault=vault, store=self._store, record=self._scribe.write_event, accounts=lambda: set(self._desk.accounts)
        )
        self._history: History
        self._alerts: AlertPieces
        self._filled = ""
        self._desk_taken = False
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
        desk = self._desk
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
            loops.create_task(self._people.desk.run())
            loops.create_task(desk.stops.mirror())
            await self._until_store_answers()
            loops.create_task(remember_symbols(self._ground.settings.data_dir, desk, self._ground.now()))
            for loop in desk.loops():
                loops.create_task(loop)
            loops.create_task(self._policies.run())
            loops.create_task(self._history.run())
            loops.create_task(desk.overrides.run())
            loops.create_task(desk.rearming.run())
            self._scribe.begun_anew = self._tell_again
            hear = Hearing(desk).hear
            loops.create_task(self._scribe.drain(hear))
            loops.create_task(self._scribe.hear_on(hear))
            loops.create_task(self._scribe.merge_journals())
            loops.create_task(self._scribe.keep_anchors())
            loops.create_task(self._watch_store())
            loops.create_task(self._decay())

    async def leave(self) -> None:
        """The guard is being stopped on purpose: tell the watchdogs while the door is open, spare the stops."""
        if stopping_path(self._ground.settings.data_dir).exists():
            leaving = [pieces.venue_timers.leave() for pieces in self._desk.accounts.values()]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_MAX_S):
                    await asyncio.gather(self._desk.heart.say_goodbye(), *leaving)

    async def _until_store_answers(self) -> None:
        """The first state: an epoch of ours, and the policy. The console and the kill are up before this.

        A store without an epoch beside an archive with records has lost something, and so may have one that is another
        server than the one that was filled: requests of before may still be under way, and nothing is published until
        they must be over. So it is where an earlier warden began an epoch, and ended before it had gone through every
        account's holds. Where it is another server, the gates were away with the last: no bot could renew a lease.
        """
        while True:
            try:
                await self._claim_desk()
                await self._take_over()
                run_id, filled = await self._store.server()
                if filled not in ("", run_id):
                    await self._store.distrust(list(self._desk.accounts))
                if filled != run_id:
                    self._desk.leases.store_was_away()
                if not await self._store.has_epoch() or await self._store.is_doubted(list(self._desk.accounts)):
                    await self._outwait_requests()
                await self._desk.overrides.take_up()
                await self._desk.rearming.load()
                await self._desk.rearming.publish()
                await self._store.begin_epoch()
                now = time.time()
                await self._desk.watch.load(now)
                await self._desk.watch.decay(now)
                await self._take_up()
                # The archive may be another than the last warden's; what it has already is dropped there.
                await self._store.forget_archived(list(self._desk.accounts))
                await self._policies.begin()
                await self._scribe.event("start", "warden", {"policy": self._policies.policy.version})
                await self._keys.publish()
                await self._store.fill(run_id)
                self._filled = run_id
                return
            except DeskTaken as taken:
                await self._say_taken(taken)
            except NotKept as trouble:
                log.error("the policy's files cannot be written: %s", trouble.strerror)
                await asyncio.sleep(STORE_EVERY_S)
            except STORE_TROUBLE as trouble:
                log.warning("waiting for the store: %s", type(trouble).__name__)
                await asyncio.sleep(0.5)

    async def _outwait_requests(self) -> None:
        """Until none of before can be under way. The holds that were there may be copies of another server's, timed by
        its clock, also where it was an earlier warden that found this one in its place."""
        held = {name: await self._store.holds(name) for name in self._desk.accounts}
        if any(held.values()) or not self._scribe.is_empty:
            wait_s = under_way.UNDER_WAY_MAX_S
            log.warning("the store was restarted; entries are refused for another %s s", wait_s)
            await asyncio.sleep(wait_s)
        for name, holds in held.items():
            await self._store.forget_times(name, holds)

    async def _claim_desk(self) -> None:
        """Take the desk in the store, before anything is told or changed there. Raises ``DeskTaken``, or what the
        store client raises.

        A guard whose store came back, empty or after longer than its claim lasts, claims its desk again within a
        second: whoever was refused, or finds that the desk was another's, leaves it the time.
        """
        free_since = time.monotonic()
        leaves_time = self._desk_taken or await self._store.is_left_by_another()
        while leaves_time and time.monotonic() - free_since < FREE_FOR_S:
            if await self._store.is_claimed():
                if not self._desk_taken:
                    break  # It is back: the claim is refused, which is said.
                free_since = time.monotonic()
            await asyncio.sleep(STORE_EVERY_S)
        await self._store.claim(self._where)
        self._desk_taken = False

    @property
    def _where(self) -> str:
        """Where this guard runs, in words."""
        return f"{socket.gethostname()}:{self._ground.settings.data_dir}"

    async def _take_over(self) -> None:
        """Before anything of the store is believed: it may be another guard's, of accounts that are called like ours.
        Its bots' leases are none of ours, and ours could not renew theirs while it had the desk."""
        accounts = {key.account: key.digest() for key in self._ground.vault.accounts()}
        found = await self._store.take_over(accounts, self._ground.traders())
        if found.from_another:
            log.warning("the desk %s was another guard's", self._ground.settings.desk)
            self._desk.leases.store_was_away()
        for name in found.dropped:
            log.warning("what the store had of %s is of another guard's account of that name, and is forgotten", name)

    async def _say_taken(self, taken: DeskTaken) -> None:
        desk, self._desk_taken = self._ground.settings.desk, True
        log.error("the desk %s of this store belongs to the guard at %s, so entries are refused here", desk, taken)
        await self._scribe.event("desk.taken", "warden", {"desk": desk, "guard": str(taken)})

    async def _take_up(self) -> None:
        """What an earlier warden published, and the holds it left: what is neither came from outside meanwhile."""
        for venue in self._desk.venues.values():
            await venue.budget.take_up()
        for name, pieces in self._desk.accounts.items():
            last = await self._store.last_account(name)
            remembered = await self._store.account_record(name)
            pieces.protection.restore(last, remembered.unprotected if remembered is not None else ())
            if last is None:
                pieces.keeper.begin_above(await self._store.last_version(name))
            else:
                pieces.keeper.restore(last)
            pieces.outside.held(order for aged in await self._store.holds(name) for order in aged.hold.orders)

    async def _tell_again(self) -> None:
        """A new archive was begun: what decisions name by version is in the one before, and comes again."""
        await self._policies.write_down()
        for venue in self._desk.venues.values():
            await venue.market.publish_instruments_again()
        await self._store.forget_archived(list(self._desk.accounts))

    async def _watch_store(self) -> None:
        """A store that was restarted, or replaced by a failover, may have lost its last second, holds included. Gates
        do not ask it before it is said here that it is filled."""
        while True:
            try:
                await self._store.keep(self._where)
                run_id, filled = await self._store.server()
                if run_id != self._filled:
                    log.warning("the store is another process than before; accounts are surveyed anew")
                    for pieces in self._desk.accounts.values():
                        pieces.keeper.distrust_store()  # Before the epoch goes: one waiting to begin it must not then.
                    await self._take_over()
                    self._desk.leases.store_was_away()
                    await self._desk.rearming.publish()
                    await self._store.distrust(list(self._desk.accounts))
                    for venue in self._desk.venues.values():
                        await venue.clock.publish_again()  # What is there was measured against another clock.
                    await self._desk.overrides.take_up()
                    await self._policies.publish()
                if filled != run_id:
                    await self._keys.publish()
                    for venue in self._desk.venues.values():
                        await venue.market.publish_instruments_again()
                    await self._desk.watch.publish_all()
                    await self._store.fill(run_id)
                self._filled = run_id
            except DeskTaken:
                raise  # This process ends; the next waits until the desk is free, and takes over what is there.
            except STORE_TROUBLE as trouble:
                log.warning("the store does not answer: %s", type(trouble).__name__)
            await asyncio.sleep(STORE_EVERY_S)

    async def _decay(self) -> None:
        """Scores fall with time even when nobody sends anything."""
        while True:
            await asyncio.sleep(DECAY_EVERY_S)
            try:
                await self._desk.watch.decay(time.time())
            except STORE_TROUBLE as trouble:
                log.warning("scores cannot be written to the store: %s", type(trouble).__name__)
