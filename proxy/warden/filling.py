"""What a store is told before gates ask it: when the warden begins, and when it is another server than it was."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from proxy import under_way
from proxy.policy.in_force import NotKept
from proxy.store.client import STORE_TROUBLE
from proxy.store.ownership import DeskTaken
from proxy.warden.claim import DeskClaim
from proxy.warden.keys_mirror import KeysMirror
from proxy.warden.pieces.desk import DeskPieces
from proxy.warden.pieces.ground import Ground

log = logging.getLogger("perpguard.warden")

LOOK_EVERY_S: Final = 0.5


class Filling:
    """Of one warden's store. Gates ask a server only after it is said here that it is filled."""

    def __init__(self, ground: Ground, desk: DeskPieces, keys: KeysMirror) -> None:
        self._ground = ground
        self._store = ground.store
        self._scribe = ground.scribe
        self._policies = ground.policies
        self._desk = desk
        self._keys = keys
        settings = ground.settings
        self._claim = DeskClaim(
            ground.store, desk=settings.desk, data_dir=settings.data_dir, record=ground.scribe.event
        )
        self._filled = ""

    async def begin(self) -> None:
        """The first state: an epoch of ours, and the policy. Waits for the store, and for the desk, for ever.

        A store without an epoch beside an archive with records has lost something, and so may have one that is another
        server than the one that was filled: requests of before may still be under way, and nothing is published until
        they must be over. So it is where an earlier warden began an epoch, and ended before it had gone through every
        account's holds. Where it is another server, the gates were away with the last: no bot could renew a lease.
        """
        while True:
            try:
                await self._claim.take()
                await self._take_over()
                run_id, filled = await self._store.server()
                if filled not in ("", run_id):
                    await self._store.distrust(list(self._desk.accounts))
                if filled != run_id:
                    self._forgive_bots()
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
                await self._claim.say_taken(taken)
            except NotKept as trouble:
                log.error("the policy's files cannot be written: %s", trouble.strerror)
                await asyncio.sleep(LOOK_EVERY_S)
            except STORE_TROUBLE as trouble:
                log.warning("waiting for the store: %s", type(trouble).__name__)
                await asyncio.sleep(LOOK_EVERY_S)

    async def watch(self) -> None:
        """For ever. A store that was restarted, or replaced by a failover, may have lost its last second, holds
        included. Raises ``DeskTaken`` when another guard has the desk."""
        while True:
            try:
                await self._claim.keep()
                run_id, filled = await self._store.server()
                if run_id != self._filled:
                    await self._tell_another_server()
                if filled != run_id:
                    await self._tell_of_trading()
                    await self._store.fill(run_id)
                self._filled = run_id
            except DeskTaken:
                raise  # This process ends; the next waits until the desk is free, and takes over what is there.
            except STORE_TROUBLE as trouble:
                log.warning("the store does not answer: %s", type(trouble).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def tell_again(self) -> None:
        """A new archive was begun: what decisions name by version is in the one before, and comes again."""
        await self._policies.write_down()
        await self._publish_instruments()
        await self._store.forget_archived(list(self._desk.accounts))

    async def _tell_another_server(self) -> None:
        log.warning("the store is another process than before; accounts are surveyed anew")
        for pieces in self._desk.accounts.values():
            pieces.keeper.distrust_store()  # Before the epoch goes: one waiting to begin it must not then.
        await self._take_over()
        self._forgive_bots()
        await self._desk.rearming.publish()
        await self._store.distrust(list(self._desk.accounts))
        for venue in self._desk.venues.values():
            await venue.clock.publish_again()  # What is there was measured against another clock.
        await self._desk.overrides.take_up()
        await self._policies.publish()

    def _forgive_bots(self) -> None:
        """No bot could renew its lease, or arm its dead-man timers anew."""
        self._desk.leases.store_was_away()
        for pieces in self._desk.accounts.values():
            pieces.timers.store_was_away()

    async def _tell_of_trading(self) -> None:
        """What orders are judged by that no loop tells of by itself."""
        await self._keys.publish()
        await self._publish_instruments()
        await self._desk.watch.publish_all()

    async def _publish_instruments(self) -> None:
        for venue in self._desk.venues.values():
            await venue.market.publish_instruments_again()

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

    async def _take_over(self) -> None:
        """Before anything of the store is believed: it may be another guard's, of accounts that are called like ours.
        Its bots' leases are none of ours, and ours could not renew theirs while it had the desk."""
        accounts = {key.account: key.digest() for key in self._ground.vault.accounts()}
        found = await self._store.take_over(accounts, self._ground.traders())
        if found.from_another:
            log.warning("the desk %s was another guard's", self._ground.settings.desk)
            self._forgive_bots()
        for name in found.dropped:
            log.warning("what the store had of %s is of another guard's account of that name, and is forgotten", name)

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
            pieces.outside.held(aged.hold for aged in await self._store.holds(name))
