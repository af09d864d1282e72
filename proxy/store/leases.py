"""Bots' leases as the store keeps them: taken and renewed by gates, judged by the warden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.exceptions import ReadOnlyError

from proxy.store.client import CALM_TIMEOUT_S, Script, connect, connect_anew
from proxy.store.keys import Keys
from proxy.store.ownership import ELSEWHERE, DeskTaken, Ownership
from proxy.store.timers import DeadManTimer

RELEASED: Final = "released"
TTL_MAX_S: Final = 3_600
_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A bot's promise to be heard again before ``until_us``, by the store's clock.

    ``steps`` counts what has followed since it ran out; renewing begins anew.
    """

    account: str
    bot: str
    until_us: int
    ttl_us: int
    steps: int = 0

    @property
    def field(self) -> str:
        """Where it stands in the hash."""
        return lease_field(self.account, self.bot)

    @property
    def text(self) -> str:
        """What stands there."""
        return f"{self.until_us}|{self.ttl_us}|{self.steps}"

    def with_grace(self, now_us: int) -> Lease:
        """The same, to run out one whole time to live from now."""
        return replace(self, until_us=now_us + self.ttl_us)

    def later_by(self, us: int, now_us: int, least_us: int) -> Lease:
        """The same, to run out so much later, and not before ``least_us`` from now, nor after a whole time to live."""
        until_us = max(self.until_us + us, now_us + least_us)
        return replace(self, until_us=min(until_us, now_us + self.ttl_us))

    def outlasts_its_time(self, now_us: int) -> bool:
        """Whether it would run for longer than its time to live: the store's clock has been put back since."""
        return self.until_us > now_us + self.ttl_us


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """What a bot asks: ``ttl_s`` seconds from now, 0 to give its lease back. The rest is who asks, and when."""

    account: str
    bot: str
    guard_key: str
    ttl_s: int
    replay_digest: str
    replay_window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """All leases at one moment of the store's clock. ``released`` are fields that bots gave back."""

    now_us: int
    held: Mapping[str, Lease]
    released: frozenset[str]


def lease_field(account: str, bot: str) -> str:
    """Where a lease stands in the hash. Neither name holds a bar."""
    return f"{account}|{bot}"


class LeaseStore:
    """The warden's access. Every method raises what the store client raises, and but for ``now_us`` ``DeskTaken`` where
    another guard than ``guard`` has the desk; empty for who is of none."""

    def __init__(self, url: str, desk: str, guard: str) -> None:
        self._redis: redis.asyncio.Redis = connect(url, timeout_s=CALM_TIMEOUT_S, connections_max=4)
        self._keys = Keys(desk)
        self._ownership = Ownership(self._redis, self._keys, guard)
        self._swap = Script.named("swap")

    async def read(self) -> Leases:
        """Every lease, and the time."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hget(self._keys.controls, "guard")
        pipeline.hgetall(self._keys.leases)
        now_us, (owner, fields) = await self._told(pipeline)
        if self._ownership.is_anothers(owner):
            raise DeskTaken(ELSEWHERE)  # Another guard's bots may be called like ours: nothing is held against ours.
        held = {field: lease for field, text in fields.items() if (lease := _lease(field, text)) is not None}
        released = frozenset(field for field, text in fields.items() if text == RELEASED)
        return Leases(now_us=now_us, held=held, released=released)

    async def now_us(self) -> int:
        """The time."""
        now_us, _ = await self._told(self._redis.pipeline(transaction=True))
        return now_us

    async def change(self, before: Lease | None, after: Lease) -> bool:
        """Write a lease if it still is as it was read; false when its bot was heard meanwhile."""
        return await self._put(after.field, before.text if before is not None else "", after.text)

    async def forget_released(self, field: str) -> None:
        """The mark of a lease that was given back has been seen."""
        await self._put(field, RELEASED, "")

    async def run_out(self, account: str, timers: Iterable[DeadManTimer]) -> None:
        """Let these dead-man timers run out now: what runs them cancels the bot's orders, through every trouble."""
        due = [part for timer in timers for part in (timer.field, "0")]
        if due:
            await self._ownership.write(self._keys.timers(account), ("HSET", *due))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _told(self, asked: Pipeline) -> tuple[int, list[Any]]:
        """The time, and what was ``asked``.

        A server that a planned failover made a replica answers on, of leases that nobody renews there. It would refuse
        what is written, but hardly anything is; so reading raises as writing would, and the next call connects anew.
        """
        asked.time()
        asked.info("replication")
        *answers, (seconds, micros), replication = await asked.execute()
        if replication["role"] == "slave":
            await connect_anew(self._redis)
            raise ReadOnlyError("the server has become a replica")
        return int(seconds) * _US + int(micros), answers

    async def _put(self, field: str, before: str, after: str) -> bool:
        arguments = [self._ownership.guard, field, before, after]
        (done,) = await self._ownership.run(self._swap, [self._keys.controls, self._keys.leases], arguments)
        return bool(done)


def _lease(field: str, text: str) -> Lease | None:
    """The lease of a field; ``None`` for a mark, or for what no gate of ours wrote."""
    account, _, bot = field.partition("|")
    parts = text.split("|")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    until_us, ttl_us, steps = map(int, parts)
    return Lease(account=account, bot=bot, until_us=until_us, ttl_us=ttl_us, steps=steps)
