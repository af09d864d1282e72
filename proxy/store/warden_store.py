"""The warden's side of the store: whose the desk is, the epoch under which it is filled, accounts and their holds.

The documents, the audit's stream, the controls, the dead-man timers and what a kill is told of holds are parts of their
own, over the same connections.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from proxy.clock import steady_s
from proxy.decoding import build
from proxy.store.audit_stream import AuditStream
from proxy.store.client import Script, run_script
from proxy.store.codec import dump, load
from proxy.store.controls import Controls
from proxy.store.conversion import NOTHING, Conversion
from proxy.store.holds import readable_hold
from proxy.store.owners import OWNERS_MAX
from proxy.store.ownership import TakenOver
from proxy.store.publications import Publications, around
from proxy.store.telling import Telling
from proxy.store.timers import Timers
from proxy.store.unreported import proven_absent, spent, unreported_arguments
from rules.account import Account, Hold, HoldStatus, UnreportedOrder

log = logging.getLogger("perpguard.store")

VERSIONS_LOST_MAX: Final = 10_000
"""More versions of an account than are published in the seconds that a store may lose. Gates know documents by their
versions: none that one of them may have seen is given to another document."""


class EpochLost(Exception):
    """The store does not remember this warden's epoch: it lost writes and must be filled anew."""


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did. ``accepted`` is false when a newer version was there already.

    ``matched`` says of each order taken whether a hold was waiting for it, ``unreported`` whether orders are kept whose
    bot does not know what became of them.
    """

    accepted: bool
    released: int = 0
    matched: tuple[bool, ...] = ()
    unreported: bool = False


@dataclass(frozen=True, slots=True)
class AgedHold:
    """A hold and the store's time, in microseconds, of its acknowledgement, or before any, of its making; 0 where
    nobody knows it."""

    hold: Hold
    at_us: int


def _published(reply: Any) -> Published:
    if reply[0] == "LOST":
        raise EpochLost
    if reply[0] != "OK":
        return Published(accepted=False)
    return Published(
        accepted=True,
        released=int(reply[2]) if len(reply) > 2 else 0,
        matched=tuple(bool(each) for each in reply[1]),
        unreported=len(reply) > 3 and bool(reply[3]),
    )


def _readable(account: str, body: Any) -> Account | None:
    """A published account. Another version of the guard may have written what this one cannot read."""
    if body is None:
        return None
    try:
        return build(load(body), Account)
    except (msgspec.DecodeError, msgspec.ValidationError) as trouble:
        log.error("what was published of %s last cannot be read; its bots' shares are nobody's: %s", account, trouble)
        return None


class WardenStore(Publications, AuditStream, Controls, Telling, Timers):
    """The warden's access to the store of one desk. ``guard`` is the id of its guard, empty for who is of none."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        super().__init__(url, desk, guard)
        self._publish = Script.named("publish", "convert", "archive")
        self._event = Script.named("event", "convert", "owners")
        self._settle = Script.named("settle", "convert")
        self._distrust = Script.named("distrust")
        self._untime = Script.named("untime", "convert")
        self._epoch = ""
        self._beginning = asyncio.Lock()

    async def claim(self, where: str) -> None:
        """Take the desk for this guard, or keep it; ``where`` it runs, in words. Raises ``DeskTaken`` while another one
        has it. Who is of no guard claims nothing."""
        await self._ownership.claim(where)

    async def keep(self, where: str) -> None:
        """Keep the desk that this process has claimed. Raises ``DeskTaken`` also where another guard had it meanwhile
        and has left it: what is there now has to be taken over."""
        await self._ownership.keep(where)

    async def take_over(self, accounts: Mapping[str, str], traders: Iterable[tuple[str, str]] = ()) -> TakenOver:
        """Say whose the store's accounts are, and forget what is of another guard's of the same names, with the earlier
        entries of ``traders`` there, each a bot and its account. ``accounts`` are by name what tells them from others
        (``ExchangeKey.digest``). Raises ``DeskTaken``."""
        return await self._ownership.take_over(accounts, traders)

    async def is_claimed(self) -> bool:
        """Whether any guard has the desk."""
        return await self._ownership.is_claimed()

    async def is_left_by_another(self) -> bool:
        """Whether another guard had the desk last, and has not been heard for so long that it has it no more."""
        return await self._ownership.left_by_another()

    async def begin_epoch(self) -> None:
        """Mark the store as filled by this warden; holds recorded before stay.

        An epoch of ours that it still remembers goes on: it is of all accounts, and one that is filled already would
        lose it to the next. After a failover they are all done in the same moment, so one at a time.
        """
        async with self._beginning:
            if self._epoch and await self._redis.get(self._keys.epoch) == self._epoch:
                return
            epoch = secrets.token_hex(8)
            await self._redis.set(self._keys.epoch, epoch)
            self._epoch = epoch

    async def has_epoch(self) -> bool:
        """Whether the store remembers being filled by a warden."""
        return bool(await self._redis.exists(self._keys.epoch))

    async def is_doubted(self, accounts: Sequence[str]) -> bool:
        """Whether nobody has gone through the holds of one of these since the store was distrusted (``forget_times``).
        The epoch does not tell: it is of all accounts, and begun for the first of them."""
        return bool(accounts) and bool(await self._redis.exists(*map(self._keys.doubted, accounts)))

    async def run_id(self) -> str:
        """Which server process answers: another one may not know what the last one was told."""
        info: Any = await self._redis.info("server")
        return str(info["run_id"])

    async def server(self) -> tuple[str, str]:
        """The run id of the server that answers, and of the one that a warden has filled as it says; "" for none."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.info("server")
        pipeline.get(self._keys.filled)
        info, filled = await pipeline.execute()
        return str(info["run_id"]), str(filled or "")

    async def fill(self, run_id: str) -> None:
        """Say that the server of this run id knows what it must, so that gates ask it."""
        await self._redis.set(self._keys.filled, run_id)

    async def distrust(self, accounts: Sequence[str]) -> None:
        """Forget the epoch, and put the accounts aside: gates refuse entries until the next survey was published. Their
        holds may have been timed by another clock, until ``forget_times``."""
        keys = [self._keys.epoch]
        for account in accounts:
            keys += (self._keys.account(account), self._keys.last_account(account), self._keys.doubted(account))
        await run_script(self._redis, self._distrust, keys, [])

    async def now_us(self) -> int:
        """The store's clock in microseconds: the one order of holds and surveys."""
        seconds, micros = await self._redis.time()
        return int(seconds) * 1_000_000 + int(micros)

    async def account_version(self, account: str) -> int:
        """The version of the published account, 0 when there is none."""
        version: Any = await self._redis.hget(self._keys.account(account), "version")
        return int(version or 0)

    async def account(self, account: str) -> Account | None:
        """The account as it is published, ``None`` when there is none that can be read."""
        return _readable(account, await self._redis.hget(self._keys.account(account), "body"))

    async def last_account(self, account: str) -> Account | None:
        """The account as a warden published it last, also where nobody may judge by it any more; ``None`` for none that
        can be read.

        One that was put aside may lack what was published in the store's last second, so its version is raised above
        any of then.
        """
        published = await self.account(account)
        if published is not None:
            return published
        last = _readable(account, await self._redis.hget(self._keys.last_account(account), "body"))
        return None if last is None else replace(last, version=await self.last_version(account))

    async def last_version(self, account: str) -> int:
        """A version that no gate can have seen a later one of. Also of what cannot be read: it stands beside that."""
        published = await self.account_version(account)
        put_aside: Any = await self._redis.hget(self._keys.last_account(account), "version")
        return max(published, int(put_aside) + VERSIONS_LOST_MAX if put_aside else 0)

    async def publish_account(
        self,
        account: Account,
        *,
        began_us: int,
        symbols: frozenset[str] | None,
        resolved: Sequence[str],
        desk: str,
        conversion: Conversion = NOTHING,
        began_s: float | None = None,
    ) -> Published:
        """Make a survey the account's state and release the holds it has seen: those that the venue acknowledged before
        the store showed ``began_us``.

        ``began_s`` is when it showed that at the earliest (``steady_s``), ``None`` for just now. ``symbols`` is what
        was surveyed, ``None`` for everything. ``resolved`` are holds proven to be over. The document goes to the audit
        in the same step. Raises ``EpochLost``.
        """
        keys = self._keys
        seen = await self._seen(account.name, began_us, began_s, symbols)
        return _published(
            await run_script(
                self._redis,
                self._publish,
                [keys.account(account.name), keys.holds(account.name), keys.epoch, keys.audit],
                [
                    *self._document_arguments(account, desk, conversion),
                    len(seen),
                    *(part for aged in seen for part in (aged.hold.hold_id, aged.at_us)),
                    *resolved,
                ],
            )
        )

    async def _seen(
        self, account: str, began_us: int, began_s: float | None, symbols: frozenset[str] | None
    ) -> Sequence[AgedHold]:
        """The holds that a survey of these ``symbols`` has seen.

        By as much as the store's clock has gone on less since it began, that may have been set back, and a hold that is
        newer than the survey seem older than it: so much earlier must one have been acknowledged. The two clocks are
        compared here, around questions of their own, not as it is published: for how long that waits at the store,
        nobody could tell from a clock that was set.
        """
        held = await self.holds(account)
        shown_us = await self.now_us()
        passed_us = 0 if began_s is None else round((steady_s() - began_s) * 1e6)
        before_us = began_us - max(0, began_us + passed_us - shown_us)
        return [
            aged
            for aged in held
            if aged.hold.status is HoldStatus.ACCEPTED
            and aged.at_us < before_us
            and (symbols is None or all(order.symbol in symbols for order in aged.hold.orders))
        ]

    async def publish_events(
        self,
        account: Account,
        *,
        conversion: Conversion,
        resolved: Sequence[str],
        desk: str,
        owners: Mapping[str, str] = MappingProxyType({}),
    ) -> Published:
        """Make what the stream told the account's state, and its orders' holds orders, in one step.

        ``owners`` says whose orders and trades are: field (``proxy.store.owners``) to bot; they are remembered if the
        document is accepted. It goes to the audit as soon as anybody looks at it. Raises ``EpochLost``.
        """
        keys, name = self._keys, account.name
        return _published(
            await run_script(
                self._redis,
                self._event,
                [
                    keys.account(name),
                    keys.holds(name),
                    keys.epoch,
                    keys.owners(name),
                    keys.owners_by_age(name),
                    keys.unreported(name),
                ],
                [
                    *self._document_arguments(account, desk, conversion),
                    OWNERS_MAX,
                    len(owners),
                    *(part for owner in owners.items() for part in owner),
                    *resolved,
                ],
            )
        )

    def _document_arguments(self, account: Account, desk: str, conversion: Conversion) -> list[Any]:
        """Epoch, version, body, and what stands before and after the body in its audit record; the conversion."""
        head, tail = around(f"account:{account.name}", account.version, account.as_of, desk)
        return [self._epoch, account.version, dump(account), head, tail, dump(conversion)]

    async def holds(self, account: str) -> tuple[AgedHold, ...]:
        """Every hold of an account that can be read, oldest first."""
        return (await self.all_holds(account))[0]

    async def all_holds(self, account: str) -> tuple[tuple[AgedHold, ...], frozenset[str]]:
        """As ``holds``, and the ids of those that cannot be read: another version of the guard made them."""
        states: Any = await self._redis.hgetall(self._keys.holds(account))
        told = {hold_id: readable_hold(account, hold_id, state) for hold_id, state in states.items()}
        holds = [AgedHold(*each) for each in told.values() if each is not None]
        unreadable = told.keys() - {aged.hold.hold_id for aged in holds}
        return tuple(sorted(holds, key=lambda aged: aged.hold.sequence)), frozenset(unreadable)

    async def forget_times(self, account: str, holds: Iterable[AgedHold]) -> None:
        """These holds, as they were read, may have been timed by another clock than the store's: from now on nobody
        knows when they were made. One that has changed since is as it says.

        Nothing that they ask for may be under way any more: an older order of their name passes for theirs.
        """
        arguments = [each for aged in holds for each in (aged.hold.hold_id, aged.at_us)]
        keys = [self._keys.holds(account), self._keys.doubted(account)]
        await run_script(self._redis, self._untime, keys, arguments)

    async def lose(self, account: str, hold: Hold, at: datetime) -> None:
        """The gate that made this hold is gone, and with it the bot's answer: nobody knows what became of it.

        A hold that was settled since it was read is left as it is.
        """
        lost = [
            UnreportedOrder(bot=hold.bot, hold_id=hold.hold_id, at=at, order=order)
            for order in hold.orders
            if order.client_order_id
        ]
        await run_script(
            self._redis,
            self._settle,
            [self._keys.holds(account), self._keys.audit, self._keys.unreported(account)],
            [hold.hold_id, "LOST", "", *unreported_arguments(lost)],
        )

    async def forget_spent(self, account: str) -> None:
        """Forget the unreported orders of which nothing is left: what a bot sends again doubles nothing then."""
        if not await self._redis.exists(self._keys.unreported(account)):
            return
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hgetall(self._keys.unreported(account))
        pipeline.hkeys(self._keys.holds(account))
        pipeline.hget(self._keys.account(account), "body")
        kept, hold_ids, body = await pipeline.execute()
        known = _readable(account, body)
        if known is not None and (fields := spent(kept, frozenset(hold_ids), known)):
            await self._redis.hdel(self._keys.unreported(account), *fields)

    async def forget_unreported(self, account: str, hold_id: str, names: frozenset[str]) -> None:
        """Orders of a hold, by client order id, that are proven not to exist: nobody need ask about them."""
        key = self._keys.unreported(account)
        kept: Any = await self._redis.hgetall(key)
        if fields := proven_absent(kept, hold_id, names):
            await self._redis.hdel(key, *fields)

    async def forget_attempts(self, account: str, bot: str) -> None:
        """Forget a bot's earlier entries on one account: what it sends from now on is counted anew."""
        await self._redis.delete(self._keys.attempts(account, bot))
