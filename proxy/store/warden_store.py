"""The warden's side of the store: it publishes what the venue says, drains the audit, and sets the controls."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec
import redis.asyncio

from proxy.budget.published import Budget
from proxy.decoding import build
from proxy.store.budget import Seen, budget_arguments, read_shared
from proxy.store.client import CALM_TIMEOUT_S, Script, connect, run_script
from proxy.store.codec import dump, load, plain
from proxy.store.conversion import NOTHING, Conversion
from proxy.store.gates import FORGOTTEN_AFTER_S, GateWord, decode_gates
from proxy.store.holds import decode_hold
from proxy.store.keys import Keys
from proxy.store.owners import OWNERS_MAX
from proxy.store.ramp import ramp_field
from proxy.store.timers import LEASE_S, DeadManTimer
from proxy.store.unreported import decode_unreported, may_stand, unreported_arguments, unreported_field
from rules.facts import AccountRecord, Conditions, Override, Score
from rules.model import TradingState
from rules.ramp import WHOLE
from rules.snapshot import Account, Hold, HoldStatus, UnreportedOrder
from rules.usual import UsualOrders

DRAIN_BATCH_MAX: Final = 500


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
    """A hold and the store's time, in microseconds, of its last change."""

    hold: Hold
    at_us: int


def _around(name: str, version: int, as_of: datetime, desk: str) -> tuple[bytes, bytes]:
    """What stands before and after a document's body in its record of the audit."""
    tail = dump({"desk": desk, "id": f"{name}@{version}", "kind": "document", "name": name, "version": str(version)})
    return b'{"at":' + dump(as_of) + b',"content":', b"," + tail[1:]


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


class WardenStore:
    """The warden's access to the store of one desk."""

    def __init__(self, url: str, desk: str) -> None:
        self._desk = desk
        self._redis: redis.asyncio.Redis = connect(url, timeout_s=CALM_TIMEOUT_S)
        self._keys = Keys(desk)
        self._publish = Script.named("publish", "convert", "archive")
        self._event = Script.named("event", "convert", "owners")
        self._settle = Script.named("settle", "convert")
        self._due = Script.named("due")
        self._share_budget = Script.named("share_budget")
        self._epoch = ""

    async def begin_epoch(self) -> None:
        """Mark the store as filled by this warden; holds recorded before stay."""
        self._epoch = secrets.token_hex(8)
        await self._redis.set(self._keys.epoch, self._epoch)

    async def has_epoch(self) -> bool:
        """Whether the store remembers being filled by a warden."""
        return bool(await self._redis.exists(self._keys.epoch))

    async def run_id(self) -> str:
        """Which server process answers: another one may not know what the last one was told."""
        info: Any = await self._redis.info("server")
        return str(info["run_id"])

    async def distrust(self, accounts: Sequence[str]) -> None:
        """Forget the epoch and the accounts: gates refuse entries until the next survey has been published."""
        await self._redis.delete(self._keys.epoch, *(self._keys.account(account) for account in accounts))

    async def now_us(self) -> int:
        """The store's clock in microseconds: the one order of holds and surveys."""
        seconds, micros = await self._redis.time()
        return int(seconds) * 1_000_000 + int(micros)

    async def account_version(self, account: str) -> int:
        """The version of the published account, 0 when there is none."""
        version: Any = await self._redis.hget(self._keys.account(account), "version")
        return int(version or 0)

    async def account(self, account: str) -> Account | None:
        """The account as it is published, ``None`` when there is none."""
        body: Any = await self._redis.hget(self._keys.account(account), "body")
        return None if body is None else build(load(body), Account)

    async def publish_account(
        self,
        account: Account,
        *,
        began_us: int,
        symbols: frozenset[str] | None,
        resolved: Sequence[str],
        desk: str,
        conversion: Conversion = NOTHING,
    ) -> Published:
        """Make a survey the account's state and release the holds it has seen.

        ``symbols`` is what was surveyed, ``None`` for everything. ``resolved`` are holds proven to be over. The
        document goes to the audit in the same step. Raises ``EpochLost``.
        """
        keys = self._keys
        return _published(
            await run_script(
                self._redis,
                self._publish,
                [keys.account(account.name), keys.holds(account.name), keys.epoch, keys.audit],
                [
                    *self._document_arguments(account, desk, conversion),
                    began_us,
                    "ALL" if symbols is None else f"|{'|'.join(sorted(symbols))}|",
                    *resolved,
                ],
            )
        )

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
        head, tail = _around(f"account:{account.name}", account.version, account.as_of, desk)
        return [self._epoch, account.version, dump(account), head, tail, dump(conversion)]

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
        """Put a policy in force: every gate judges its next order under it."""
        await self._redis.hset(self._keys.policy, mapping={"version": version, "body": text})

    async def policy_version(self) -> str | None:
        """The digest of the policy the gates have, ``None`` when they have none."""
        version: Any = await self._redis.hget(self._keys.policy, "version")
        return None if version is None else str(version)

    async def publish_record(self, record: AccountRecord, memory: bytes | None = None) -> None:
        """Publish what is remembered of an account, and beside it, when given, what the warden works it out from.

        It goes to the audit as soon as an order is judged on it.
        """
        head, tail = _around(f"record:{record.account}", record.version, record.as_of, self._desk)
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

    async def publish_clock(self, venue: str, offset_us: int) -> None:
        """Publish the venue's time less the store's, in microseconds."""
        await self._redis.set(self._keys.clock(venue), offset_us)

    async def publish_budget(self, venue: str, budget: Budget) -> None:
        """Publish the venue's limits and what of them is kept for the kill."""
        await self._publish_document(self._keys.budget(venue), str(budget.version), budget)

    async def share_budget(self, venue: str, known: str, seen: Seen) -> tuple[Budget | None, Seen]:
        """Tell what this process heard of the venue's counters, and hear what all have heard; the published budget
        when it has another version than ``known`` and can be read."""
        keys = [self._keys.budget_used(venue), self._keys.budget(venue)]
        reply = await run_script(self._redis, self._share_budget, keys, budget_arguments(known, seen))
        try:
            return read_shared(reply)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None, read_shared([reply[0], reply[1], ""])[
                1
            ]  # Of another version; the next publication replaces it.

    async def _publish_document(self, key: str, version: str, content: object) -> None:
        fields = {"version": version, "body": dump(plain(content)).decode()}
        await self._redis.hset(key, mapping=fields)  # type: ignore[arg-type]  # redis-py types the keys as bytes|str

    async def holds(self, account: str) -> tuple[AgedHold, ...]:
        """Every hold of an account, oldest first."""
        states: Any = await self._redis.hgetall(self._keys.holds(account))
        holds = [AgedHold(*decode_hold(hold_id, state)) for hold_id, state in states.items()]
        return tuple(sorted(holds, key=lambda aged: aged.hold.sequence))

    async def lose(self, account: str, hold: Hold, at: datetime) -> None:
        """The gate that made this hold is gone, and with it the bot's answer: nobody knows what became of it."""
        lost = [
            UnreportedOrder(bot=hold.bot, hold_id=hold.hold_id, at=at, order=order)
            for order in hold.orders
            if order.client_order_id
        ]
        await run_script(
            self._redis,
            self._settle,
            [self._keys.holds(account), self._keys.audit, self._keys.unreported(account)],
            [hold.hold_id, HoldStatus.UNKNOWN.value, "", *unreported_arguments(lost)],
        )

    async def forget_spent(self, account: str) -> None:
        """Forget the unreported orders of which nothing is left: what a bot sends again doubles nothing then."""
        if not await self._redis.exists(self._keys.unreported(account)):
            return
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hvals(self._keys.unreported(account))
        pipeline.hkeys(self._keys.holds(account))
        pipeline.hget(self._keys.account(account), "body")
        bodies, hold_ids, body = await pipeline.execute()
        if not bodies or body is None:
            return
        known = build(load(body), Account)
        spent = [each for each in decode_unreported(bodies) if not may_stand(each, frozenset(hold_ids), known)]
        if spent:
            await self._redis.hdel(self._keys.unreported(account), *map(unreported_field, spent))

    async def forget_unreported(self, account: str, hold_id: str, names: frozenset[str]) -> None:
        """Orders of a hold, by client order id, that are proven not to exist: nobody need ask about them."""
        key = self._keys.unreported(account)
        bodies: Any = await self._redis.hvals(key)
        gone = [
            each
            for each in decode_unreported(bodies)
            if each.hold_id == hold_id and each.order.client_order_id in names
        ]
        if gone:
            await self._redis.hdel(key, *map(unreported_field, gone))

    async def take_timers(self, account: str, *, held: Iterable[DeadManTimer], most: int) -> tuple[DeadManTimer, ...]:
        """Dead-man timers that ran out, at most ``most``, for this warden to run; those ``held`` stay with it."""
        keys = [self._keys.timers(account), self._keys.running_timers(account)]
        arguments = [round(LEASE_S * 1_000_000), most, *(timer.field for timer in held)]
        return tuple(map(DeadManTimer.of, await run_script(self._redis, self._due, keys, arguments)))

    async def finish_timer(self, account: str, timer: DeadManTimer) -> None:
        """What a timer that ran out had to do is done."""
        await self._redis.hdel(self._keys.running_timers(account), timer.field)

    async def record(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Put audit records of the warden itself into the stream."""
        for record in records:
            await self._redis.xadd(self._keys.audit, {"r": dump(record)})

    async def read_audit(self, *, block_ms: int) -> list[tuple[str, str]]:
        """The oldest audit records still in the stream, as text, waiting up to ``block_ms`` for the first.

        Always from the start: what is archived has been trimmed, and after a failover to a store whose clock lags
        new entries may bear smaller ids than the last one read.
        """
        reply: Any = await self._redis.xread({self._keys.audit: "0-0"}, count=DRAIN_BATCH_MAX, block=block_ms)
        return [(stream_id, fields["r"]) for _, found in reply or [] for stream_id, fields in found]

    async def trim_audit(self, through: str) -> None:
        """Forget audit records up to and including ``through``; they are in the archive."""
        milliseconds, _, sequence = through.partition("-")
        await self._redis.xtrim(self._keys.audit, minid=f"{milliseconds}-{int(sequence) + 1}", approximate=False)

    async def set_state(self, level: str, state: TradingState, *, generation: int, kill_running: bool | None) -> None:
        """Set the trading state of ``desk``, ``venue:``, ``account:``, ``bot:`` or ``symbol:NAME``, and the kill latch.

        A killed bot has a level of its own, ``killed:bot:NAME``; its latch is named like the others, ``kill:bot:NAME``.
        """
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(self._keys.controls, mapping={level: state.value, "generation": str(generation)})
        if kill_running is True:
            pipeline.hset(self._keys.controls, f"kill:{level.removeprefix('killed:')}", "1")
        elif kill_running is False:
            pipeline.hdel(self._keys.controls, f"kill:{level.removeprefix('killed:')}")
        await pipeline.execute()

    async def set_ramp(self, scope: str, share: Decimal) -> None:
        """Say what fraction of its limits a scope has that came back; all of them takes the word back."""
        if share == WHOLE:
            await self._redis.hdel(self._keys.controls, ramp_field(scope))
        else:
            await self._redis.hset(self._keys.controls, ramp_field(scope), f"{share:f}")

    async def controls(self) -> dict[str, str]:
        """Every trading state and kill latch that is set."""
        fields: Any = await self._redis.hgetall(self._keys.controls)
        return dict(fields)

    async def gates(self) -> dict[str, GateWord]:
        """Every gate that has asked of late, and what it obeys; those that have ended are forgotten."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(self._keys.gates)
        (seconds, micros), fields = await pipeline.execute()
        found = decode_gates(fields, int(seconds) * 1_000_000 + int(micros))
        gone = [gate for gate, word in found.items() if word.age_s > FORGOTTEN_AFTER_S]
        if gone:
            await self._redis.hdel(self._keys.gates, *gone)
        return {gate: word for gate, word in found.items() if gate not in gone}

    async def set_key_disabled(self, guard_key: str, *, disabled: bool) -> None:
        """Switch a guard key off, or on again, for every gate."""
        if disabled:
            await self._redis.hset(self._keys.disabled, guard_key, "1")
        else:
            await self._redis.hdel(self._keys.disabled, guard_key)

    async def forget_attempts(self, account: str, bot: str) -> None:
        """Forget a bot's earlier entries on one account: what it sends from now on is counted anew."""
        await self._redis.delete(self._keys.attempts(account, bot))

    async def grant_override(self, override: Override) -> None:
        """Put an override in force: the first order that it fits may use it, once."""
        await self._redis.hset(self._keys.overrides, override.override_id, dump(plain(override)).decode())

    async def withdraw_override(self, override_id: str) -> bool:
        """Take an override out of force; false when an order has used it, or it never was."""
        taken: Any = await self._redis.hdel(self._keys.overrides, override_id)
        return bool(taken)

    async def override_ids(self) -> frozenset[str]:
        """The overrides in force."""
        fields: Any = await self._redis.hkeys(self._keys.overrides)
        return frozenset(fields)

    async def publish_scores(self, scores: Mapping[str, Score], baselines: Mapping[str, Mapping[str, Any]]) -> None:
        """Publish anomaly scores by level (``bot:NAME``, ``account:NAME``, ``desk``), and what the bots' came from."""
        pipeline = self._redis.pipeline(transaction=True)
        for level, score in scores.items():
            pipeline.hset(self._keys.scores, level, f"{score.value:.4f}|{score.why}")
        for bot, baseline in baselines.items():
            pipeline.hset(self._keys.baselines, bot, dump(baseline).decode())
        await pipeline.execute()

    async def publish_usual(self, usual: UsualOrders) -> None:
        """Publish what orders of a bot are usual."""
        await self._publish_document(self._keys.usual(usual.bot), str(usual.version), usual)

    async def scores(self) -> dict[str, Score]:
        """Every anomaly score, by level."""
        fields: Any = await self._redis.hgetall(self._keys.scores)
        parts = {level: text.partition("|") for level, text in fields.items()}
        return {level: Score(value=float(value), why=why) for level, (value, _, why) in parts.items()}

    async def baselines(self) -> dict[str, Any]:
        """What every bot's score was computed from, for a warden that takes over."""
        fields: Any = await self._redis.hgetall(self._keys.baselines)
        return {bot: load(baseline) for bot, baseline in fields.items()}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
