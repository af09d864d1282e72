"""What the warden publishes for orders to be judged by, the accounts' books aside: each document in one trip.

Some it reads back, too: what an earlier warden published is where the next one begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from proxy.budget.published import Budget
from proxy.decoding import build
from proxy.store.budget import Seen, budget_arguments, read_shared
from proxy.store.client import Script, run_script
from proxy.store.codec import dump, load, plain
from proxy.store.desk_store import DeskStore
from rules.facts import AccountRecord, Conditions, Override, Score
from rules.usual import UsualOrders


def around(name: str, version: int, as_of: datetime, desk: str) -> tuple[bytes, bytes]:
    """What stands before and after a document's body in its record of the audit."""
    tail = dump({"desk": desk, "id": f"{name}@{version}", "kind": "document", "name": name, "version": str(version)})
    return b'{"at":' + dump(as_of) + b',"content":', b"," + tail[1:]


def _read_score(text: str) -> Score:
    """A score as it is published. One that cannot be read is the highest: no order is judged by it as if it were 0."""
    value, _, why = text.partition("|")
    try:
        return Score(value=float(value), why=why)
    except ValueError:
        return Score(value=1.0, why="it cannot be read")


def _read_baseline(text: str) -> Any:
    try:
        return load(text)
    except (msgspec.DecodeError, RecursionError):
        return None


class Publications(DeskStore):
    """The documents of one desk."""

    def __init__(self, url: str, desk: str, guard: str = "") -> None:
        super().__init__(url, desk, guard)
        self._share_budget = Script.named("share_budget")

    async def publish_markets(self, venue: str, version: str, markets: Mapping[str, Any]) -> None:
        """Publish the venue's prices."""
        await self._publish_document(self._keys.markets(venue), version, markets)

    async def publish_instruments(self, venue: str, version: str, instruments: Mapping[str, Any]) -> None:
        """Publish the venue's instruments."""
        await self._publish_document(self._keys.instruments(venue), version, instruments)

    async def publish_conditions(self, venue: str, conditions: Conditions) -> None:
        """Publish what was measured of the venue's markets."""
        await self._publish_document(self._keys.conditions(venue), str(conditions.version), conditions)

    async def conditions(self, venue: str) -> Conditions | None:
        """What was published last, by this process or an earlier one; ``None`` when nothing was.

        Raises ``msgspec.ValidationError`` for what another version wrote.
        """
        body: Any = await self._redis.hget(self._keys.conditions(venue), "body")
        return None if body is None else build(load(body), Conditions)

    async def publish_signals(self, venue: str, version: str, state: object) -> None:
        """Publish what the signals say of the venue, for people."""
        await self._publish_document(self._keys.signals(venue), version, state)

    async def signals(self, venue: str) -> Mapping[str, Any] | None:
        """What the signals said last, as plain JSON; ``None`` when they said nothing yet."""
        body: Any = await self._redis.hget(self._keys.signals(venue), "body")
        return None if body is None else load(body)

    async def publish_policy(self, version: str, text: str) -> None:
        """Put a policy in force: every gate judges its next order under it. Not in another guard's desk: raises
        ``DeskTaken``."""
        await self._ownership.write(self._keys.policy, ("HSET", "version", version, "body", text))

    async def policy_version(self) -> str | None:
        """The digest of the policy the gates have, ``None`` when they have none."""
        version: Any = await self._redis.hget(self._keys.policy, "version")
        return None if version is None else str(version)

    async def publish_record(self, record: AccountRecord, memory: bytes | None = None) -> None:
        """Publish what is remembered of an account, and beside it, when given, what the warden works it out from.

        It goes to the audit as soon as an order is judged on it.
        """
        head, tail = around(f"record:{record.account}", record.version, record.as_of, self._desk)
        fields = {
            "version": str(record.version),
            "body": dump(record).decode(),
            "head": head.decode(),
            "tail": tail.decode(),
        }
        if memory is not None:
            fields["memory"] = memory.decode()
        await self._redis.hset(self._keys.record(record.account), mapping=fields)  # type: ignore[arg-type]  # as below

    async def account_record(self, account: str) -> AccountRecord | None:
        """What is remembered of an account, as it is published; ``None`` when nothing is that can be read."""
        body: Any = await self._redis.hget(self._keys.record(account), "body")
        try:
            return None if body is None else build(load(body), AccountRecord)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None  # Of another version; the next publication replaces it.

    async def record_memory(self, account: str) -> tuple[int, bytes | None]:
        """The version of an account's record, 0 without one, and what it was last worked out from."""
        version, memory = await self._redis.hmget(self._keys.record(account), ["version", "memory"])
        return int(version or 0), None if memory is None else str(memory).encode()

    async def last_record_version(self, account: str) -> int:
        """The greatest version that a gate may have seen of another guard's account of this name, 0 of none."""
        above: Any = await self._redis.hget(self._keys.record(account), "above")
        return int(above or 0)

    async def publish_clock(self, venue: str, offset_us: int) -> None:
        """Publish the venue's time less the store's, in microseconds."""
        await self._redis.set(self._keys.clock(venue), offset_us)

    async def publish_budget(self, venue: str, budget: Budget) -> None:
        """Publish the venue's limits and what of them is kept for the kill."""
        await self._publish_document(self._keys.budget(venue), str(budget.version), budget)

    async def share_budget(self, venue: str, known: str, seen: Seen) -> tuple[Budget | None, Seen]:
        """Tell what this process heard of the venue's counters, and hear what all have heard; the published budget
        when it has another version than ``known`` and can be read."""
        keys = [self._keys.budget_used(venue), self._keys.budget(venue), self._keys.silences(venue)]
        reply = await run_script(self._redis, self._share_budget, keys, budget_arguments(known, seen))
        try:
            return read_shared(reply)
        except (msgspec.DecodeError, msgspec.ValidationError):
            # The budget is of another version; the next publication replaces it.
            counters, version, _, silences = reply
            return read_shared([counters, version, "", silences])

    async def _publish_document(self, key: str, version: str, content: object) -> None:
        fields = {"version": version, "body": dump(plain(content)).decode()}
        await self._redis.hset(key, mapping=fields)  # type: ignore[arg-type]  # redis-py types the keys as bytes|str

    async def grant_override(self, override: Override) -> None:
        """Put an override in force: the first order that it fits may use it, once. Not in another guard's desk: raises
        ``DeskTaken``."""
        command = ("HSET", override.override_id, dump(plain(override)))
        await self._ownership.write(self._keys.overrides, command)

    async def withdraw_override(self, override_id: str) -> bool:
        """Take an override out of force; false when an order has used it, or it never was. Not out of another guard's
        desk: raises ``DeskTaken``."""
        return bool(await self._ownership.write(self._keys.overrides, ("HDEL", override_id)))

    async def override_ids(self) -> frozenset[str]:
        """The overrides in force."""
        fields: Any = await self._redis.hkeys(self._keys.overrides)
        return frozenset(fields)

    async def publish_scores(self, scores: Mapping[str, Score], baselines: Mapping[str, Mapping[str, Any]]) -> None:
        """Publish anomaly scores by level (``bot:NAME``, ``account:NAME``, ``desk``), and what the bots' came from.

        One of the two at least. Raises what the store client raises.
        """
        told: Any = {level: f"{score.value:.4f}|{score.why}" for level, score in scores.items()}
        saved: Any = {bot: dump(baseline) for bot, baseline in baselines.items()}
        if not saved:  # As good as always; a transaction costs three times as much.
            await self._redis.hset(self._keys.scores, mapping=told)
            return
        pipeline = self._redis.pipeline(transaction=True)
        if told:
            pipeline.hset(self._keys.scores, mapping=told)
        pipeline.hset(self._keys.baselines, mapping=saved)
        await pipeline.execute()

    async def publish_usual(self, usual: UsualOrders) -> None:
        """Publish what orders of a bot are usual."""
        await self._publish_document(self._keys.usual(usual.bot), str(usual.version), usual)

    async def scores(self) -> dict[str, Score]:
        """Every anomaly score, by level."""
        fields: Any = await self._redis.hgetall(self._keys.scores)
        return {level: _read_score(text) for level, text in fields.items()}

    async def baselines(self) -> dict[str, Any]:
        """What every bot's score was computed from, for a warden that takes over; ``None`` for what is no JSON."""
        fields: Any = await self._redis.hgetall(self._keys.baselines)
        return {bot: _read_baseline(baseline) for bot, baseline in fields.items()}
