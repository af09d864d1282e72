"""The holds of some accounts as one server tells them, with what says whether it may have lost any.

A hold that is gone is over, or was lost with a server, by a failover or a restart. Who acts on its being gone has to
know which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.store.desk_store import DeskStore
from proxy.store.holds import readable_hold
from rules.account import Hold


@dataclass(frozen=True, slots=True)
class ToldHolds:
    """Holds, each with its account, as one server tells them.

    ``server`` is its run id, and with it what it was told since it was last made a primary (its replication id): failed
    over to another one and back between two looks, it may have lost what was written before, and is another.
    ``whole`` is false where one may be lacking: the server is a replica, it is not the one that a warden has filled,
    nobody has gone through all of these accounts since it was distrusted, or another version of the guard made one that
    cannot be read.
    """

    server: str
    whole: bool
    holds: tuple[tuple[str, Hold], ...]


class Telling(DeskStore):
    """What the store of one desk says of holds, and whether its word counts."""

    async def told_holds(self, accounts: Sequence[str]) -> ToldHolds:
        """Every hold of these accounts, read in one step with what says whether any may be lost."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.info("server")
        pipeline.info("replication")
        pipeline.mget(self._keys.filled, self._keys.epoch, *map(self._keys.doubted, accounts))
        for account in accounts:
            pipeline.hgetall(self._keys.holds(account))
        server, replication, (filled, epoch, *doubted), *states = await pipeline.execute()
        run_id, is_replica = str(server["run_id"]), replication["role"] == "slave"
        found = [
            (account, readable_hold(account, hold_id, state))
            for account, held in zip(accounts, states, strict=True)
            for hold_id, state in held.items()
        ]
        holds = tuple((account, each[0]) for account, each in found if each is not None)
        whole = filled == run_id and bool(epoch) and not any(doubted) and not is_replica and len(holds) == len(found)
        return ToldHolds(f"{run_id} {replication.get('master_replid', '')}", whole, holds)
