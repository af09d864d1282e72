"""The gate's side of the store: hold and look, settle. One round trip each, 50 ms of silence at most, never retried."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
import redis.asyncio

from proxy.budget.published import Budget
from proxy.store.attempts import ATTEMPTS_MAX
from proxy.store.budget import Seen, budget_arguments, read_shared
from proxy.store.client import (
    HOT_CONNECTIONS,
    HOT_CONNECTIONS_MAX,
    HOT_PATIENCE,
    HOT_TIMEOUT_S,
    STORE_TROUBLE,
    Script,
    connect,
    run_script,
    within,
)
from proxy.store.codec import dump
from proxy.store.documents import Documents, decode_account, decode_markets
from proxy.store.hold_script import documents_of, hold_arguments, hold_keys, view_of
from proxy.store.holds import decode_holds
from proxy.store.keys import Keys
from proxy.store.leases import LeaseRequest, lease_field
from proxy.store.timers import TIMERS_MAX, DeadManTimer, timer_prefix
from proxy.store.unreported import decode_unreported, unreported_arguments, unreported_field
from proxy.store.view import HoldRequest, Look, View
from proxy.store.voiding import Voiding
from rules.policy import Policy
from rules.snapshot import HeldOrder, Market, UnreportedOrder

log = logging.getLogger("perpguard.gate")

_BREAKER_S: Final = 1.0

Record = Mapping[str, Any] | msgspec.Raw
"""A record of the audit, or its bytes."""


class StoreUnavailable(Exception):
    """The store did not answer in time, or refused. The reason is for logs, never for bots.

    ``asked`` is false when nothing was sent, so that nothing can have happened.
    """

    def __init__(self, reason: str, *, asked: bool = True) -> None:
        super().__init__(reason)
        self.asked = asked


class RequestReplayed(Exception):
    """The same signed request was seen before."""


class KeyOff(Exception):
    """The guard key was switched off."""


class StoreFull(Exception):
    """The audit stream, the account's holds or the bot's timers are at their bound; nothing new may be kept."""


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """What cannot be decoded is as good as no answer: exits go on the last picture, nothing that adds risk does.

    A warden of another version may write words that this gate does not know.
    """
    try:
        yield
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        log.error("the store's answer cannot be read, so entries are refused: %s", type(error).__name__)
        raise StoreUnavailable("unreadable") from error


class GateStore:
    """One gate process's access to the store."""

    def __init__(
        self,
        url: str,
        desk: str,
        *,
        policy_of: Callable[[str], Policy | None] = lambda _text: None,
        timeout_s: float = HOT_TIMEOUT_S,
    ) -> None:
        """``policy_of`` makes a policy of its text, ``None`` of a text that is none."""
        self._timeout_s = timeout_s
        # The socket's own time-out is only the last resort: it cannot tell a silent store from a busy process.
        self._redis: redis.asyncio.Redis = connect(
            url, timeout_s=timeout_s * HOT_PATIENCE, connections_max=HOT_CONNECTIONS_MAX
        )
        self._keys = Keys(desk)
        self._scripts = {
            "hold": Script.named("hold", "archive"),
            "look": Script.named("look", "archive"),
            "settle": Script.named("settle", "convert"),
            "shrink": Script.named("shrink", "convert"),
            "refuse": Script.named("refuse"),
            "arm": Script.named("arm"),
            "share_budget": Script.named("share_budget"),
            "lease": Script.named("lease"),
        }
        self._voiding = Voiding(self._redis, self._keys)
        self._documents = Documents(self._keys, policy_of)
        self._budgets: dict[str, str] = {}
        self._broken_until = 0.0
        self._heard_at = float("-inf")

    @property
    def broken(self) -> bool:
        """Whether the last call failed less than a second ago; exits then do not ask again."""
        return time.monotonic() < self._broken_until

    async def warm(self) -> None:
        """Open the connections the first burst of orders will need. A store that is away is found out later."""

        async def greet() -> None:
            await self._redis.ping()

        await asyncio.gather(*(within(1.0, greet()) for _ in range(HOT_CONNECTIONS)), return_exceptions=True)

    async def hold(self, request: HoldRequest) -> View:
        """Reserve, spend, write ahead and look, in one step.

        Raises ``StoreUnavailable``, ``RequestReplayed`` or ``StoreFull``. A call without an answer may have reserved
        all the same: that hold is undone in the background.
        """
        try:
            return await self._hold(request)
        except StoreUnavailable as trouble:
            if request.reserve and trouble.asked:
                self._voiding.soon(request.account, request.hold_id)
            raise

    async def _hold(self, request: HoldRequest) -> View:
        documents = self._documents.concerning(request.account, request.venue, request.bot)
        known = {key: self._documents[key] for key in documents}
        reply = await self._call(
            "hold",
            hold_keys(self._keys, request, documents),
            hold_arguments(request, [document.version for document in known.values()]),
        )
        match reply[0]:
            case "REPLAYED":
                raise RequestReplayed
            case "AUDIT_FULL" | "HOLDS_FULL":
                raise StoreFull(reply[0])
            case "VOID":
                raise StoreUnavailable("the hold was given up")
        with _readable():
            told = {
                key: self._documents.told(known[key], key, version, body, decode)
                for (key, decode), (version, body) in zip(documents.items(), documents_of(reply), strict=True)
            }
            return view_of(self._documents.view(request.account, request.venue, request.bot, told=told), request, reply)

    async def look(self, account: str, guard_key: str = "") -> Look:
        """The account and its holds as they are at one moment, and what stops orders. Raises ``StoreUnavailable``.

        All in one step: what releases a hold brings what it held as an order or a position.
        """
        keys = self._keys
        key = keys.account(account)
        known = self._documents[key]
        holds, version, body, controls, disabled, policy_version = await self._call(
            "look",
            [key, keys.holds(account), keys.audit, keys.controls, keys.disabled, keys.policy],
            [known.version, guard_key],
            heed_breaker=False,
        )
        with _readable():
            return Look(
                holds=decode_holds(holds),
                account=self._documents.told(known, key, version, body, decode_account).value,
                controls=dict(zip(controls[::2], controls[1::2], strict=True)),
                key_disabled=bool(disabled),
                policy_version=policy_version,
            )

    async def venue_time(self, venue: str) -> datetime | None:
        """The venue's time at this moment, as the warden last measured it. ``None`` when it has not.

        Raises ``StoreUnavailable``. Off the order path: a slow answer neither counts as an outage nor is acted on.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.get(self._keys.clock(venue))
        try:
            (seconds, micros), offset_us = await within(self._timeout_s, pipeline.execute())
        except STORE_TROUBLE as error:
            raise StoreUnavailable(type(error).__name__) from error
        if offset_us is None:
            return None
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros + int(offset_us))

    async def settle(
        self,
        account: str,
        hold_id: str,
        action: str,
        records: Sequence[Record],
        orders: tuple[HeldOrder, ...] | None = None,
        unreported: Sequence[UnreportedOrder] = (),
    ) -> None:
        """Say what became of a hold: ``RELEASE``, ``ACCEPTED``, ``UNKNOWN`` or ``KEEP``, with the audit records.

        ``orders`` replaces what is held, when a venue took only a part; ``unreported`` are those whose bot gets no
        answer that says what became of them. Raises ``StoreUnavailable``; then the hold
        stays as it was, which is the safe side, and the caller spools the records.
        """
        await self._call(
            "settle",
            [self._keys.holds(account), self._keys.audit, self._keys.unreported(account)],
            [
                hold_id,
                action,
                dump(orders) if orders is not None else "",
                *unreported_arguments(unreported),
                *(dump(record) for record in records),
            ],
        )

    async def refuse(
        self, account: str, bot: str, hold_id: str, records: Sequence[Record], size: Decimal | None
    ) -> None:
        """Release a hold whose entries were all refused, and remember the attempt as refused.

        ``size`` is the quantity that would have passed, ``None`` where size was not the matter. Raises
        ``StoreUnavailable``; then the hold stays and the warden releases it.
        """
        keys = [self._keys.holds(account), self._keys.audit, self._keys.attempts(account, bot)]
        told = "" if size is None else f"{size:f}"
        await self._call("refuse", keys, [hold_id, told, ATTEMPTS_MAX, *(dump(record) for record in records)])

    async def use_override(self, override_id: str) -> bool:
        """Take an override away for good. True for one caller at most, however many ask at once.

        Raises ``StoreUnavailable``, and then nobody knows whether it is still there.
        """
        taken = await self._ask(lambda: self._redis.hdel(self._keys.overrides, override_id))
        return bool(taken)

    async def shrink(self, account: str, hold_id: str, orders: tuple[HeldOrder, ...]) -> bool:
        """Hold no more than ``orders``; false when the hold is gone. Raises ``StoreUnavailable``."""
        found = await self._call("shrink", [self._keys.holds(account)], [hold_id, dump(orders)])
        return bool(found)

    async def set_timer(self, account: str, timer: DeadManTimer, countdown_ms: int) -> None:
        """Keep a bot's dead-man timer, due in ``countdown_ms``; 0 takes it away. Safe to repeat.

        Raises ``StoreUnavailable``, and then nobody knows whether it is kept; or ``StoreFull``.
        """
        reply = await self._call(
            "arm",
            [self._keys.timers(account)],
            [timer.field, timer_prefix(timer.bot), countdown_ms * 1000, TIMERS_MAX],
        )
        if reply == "FULL":
            raise StoreFull("TIMERS_FULL")

    async def keep_lease(self, request: LeaseRequest) -> None:
        """Take, renew or give back a bot's lease. Safe to ask again with a request of its own.

        Raises ``StoreUnavailable``, and then nobody knows whether it is kept; ``RequestReplayed`` or ``KeyOff``.
        """
        reply = await self._call(
            "lease",
            [self._keys.leases, self._keys.seen(request.replay_digest), self._keys.disabled],
            [
                lease_field(request.account, request.bot),
                request.ttl_s * 1_000_000,
                request.replay_window_ms,
                request.guard_key,
            ],
        )
        if reply == "REPLAYED":
            raise RequestReplayed
        if reply == "DISABLED":
            raise KeyOff

    async def unreported(self, account: str) -> tuple[UnreportedOrder, ...]:
        """An account's orders whose answer was lost and whose bot has not read them. Raises ``StoreUnavailable``."""
        key = self._keys.unreported(account)
        return decode_unreported(await self._ask(lambda: self._redis.hvals(key)))

    async def forget_unreported(self, account: str, orders: Sequence[UnreportedOrder]) -> None:
        """Their bot knows these orders now. Raises ``StoreUnavailable``."""
        key = self._keys.unreported(account)
        await self._ask(lambda: self._redis.hdel(key, *map(unreported_field, orders)))

    async def markets(self, venue: str) -> Mapping[str, Market]:
        """The venue's prices as the warden published them last. Raises ``StoreUnavailable``."""
        key = self._keys.markets(venue)
        version, body = await self._ask(lambda: self._redis.hmget(key, ["version", "body"]))
        known = self._documents[key]
        if version is not None and known.version != version:
            with _readable():
                self._documents.told(known, key, version, body, decode_markets)
        markets: Mapping[str, Market] = self._documents[key].value or {}
        return markets

    @property
    def policy(self) -> Policy | None:
        """The policy in force as last told, ``None`` when there is none or it cannot be read."""
        return self._documents.policy

    async def read_policy(self) -> None:
        """Ask what is in force. Off the order path. Raises ``StoreUnavailable``."""

        async def read() -> Any:
            return await self._redis.hmget(self._keys.policy, ["version", "body"])

        try:
            version, body = await within(self._timeout_s, read())
        except STORE_TROUBLE as error:
            # No order waits for this answer, so no order is made to suffer for it: the breaker stays as it is.
            raise StoreUnavailable(type(error).__name__) from error
        self._documents.remember_policy(version or "", body or "")

    async def share_budget(self, venue: str, seen: Seen) -> tuple[Budget | None, Seen]:
        """Tell what this process heard of the venue's counters; the budget when it is a new one, and what all heard.

        Raises ``StoreUnavailable``. Off the order path.
        """
        keys, script = [self._keys.budget_used(venue), self._keys.budget(venue)], self._scripts["share_budget"]
        arguments = budget_arguments(self._budgets.get(venue, ""), seen)
        try:
            reply = await within(self._timeout_s, run_script(self._redis, script, keys, arguments))
        except STORE_TROUBLE as error:
            # No order waits for this answer, so no order is made to suffer for it: the breaker stays as it is.
            raise StoreUnavailable(type(error).__name__) from error
        with _readable():
            shared = read_shared(reply)
        self._budgets[venue] = reply[1]
        return shared

    async def owners(self, account: str, fields: Sequence[str]) -> dict[str, str]:
        """Whose these orders and trades are (``proxy.store.owners``); unknown ones are left out.

        Raises ``StoreUnavailable``.
        """
        if not fields:
            return {}
        key = self._keys.owners(account)
        bots = await self._ask(lambda: self._redis.hmget(key, list(fields)))
        return {field: bot for field, bot in zip(fields, bots, strict=True) if bot is not None}

    def last_known(self, account: str, venue: str) -> View:
        """What this process last saw, for exits judged while the store is away. May know nothing at all."""
        return self._documents.view(account, venue)

    async def disabled_keys(self) -> frozenset[str]:
        """The guard keys that the warden has published as off. Raises ``StoreUnavailable``."""

        async def read() -> frozenset[str]:
            return frozenset(map(str, await self._redis.hkeys(self._keys.disabled)))

        if self.broken:
            raise StoreUnavailable("the store failed less than a second ago")
        try:
            return await within(self._timeout_s, read())
        except STORE_TROUBLE as error:
            # No order waits for this answer, so no order is made to suffer for it: the breaker stays as it is.
            raise StoreUnavailable(type(error).__name__) from error

    async def aclose(self) -> None:
        """Close the connections. Holds still to be undone are left to the warden, which asks about old ones."""
        await self._voiding.aclose()
        await self._redis.aclose()

    async def voided(self) -> None:
        """Wait until every hold that was given up is undone, or its attempts are spent."""
        await self._voiding.done()

    async def _call(self, name: str, keys: list[str], arguments: list[Any], *, heed_breaker: bool = True) -> Any:
        script = self._scripts[name]
        return await self._ask(lambda: run_script(self._redis, script, keys, arguments), heed_breaker=heed_breaker)

    async def _ask(self, question: Callable[[], Any], *, heed_breaker: bool = True) -> Any:
        if heed_breaker and self.broken:
            raise StoreUnavailable("the store failed less than a second ago", asked=False)
        try:
            answer = await within(self._timeout_s, question(), lambda: self._heard_at)
            self._heard_at = asyncio.get_running_loop().time()
            return answer
        except STORE_TROUBLE as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StoreUnavailable:
        self._broken_until = time.monotonic() + _BREAKER_S
        return StoreUnavailable(type(error).__name__)
