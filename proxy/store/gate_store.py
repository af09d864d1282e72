"""The gate's side of the store: hold and look, settle. One round trip each, 50 ms of silence at most, never retried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from proxy.store.attempts import ATTEMPTS_MAX, NO_ATTEMPTS, KnownAttempts
from proxy.store.client import HOT_TIMEOUT_S, Script
from proxy.store.codec import dump
from proxy.store.documents import decode_account
from proxy.store.hold_script import attempts_of, documents_of, hold_arguments, hold_keys, view_of
from proxy.store.holds import KnownHolds
from proxy.store.leases import LeaseRequest, lease_field
from proxy.store.settling_again import SettlingAgain
from proxy.store.side_questions import SideQuestions
from proxy.store.timers import TIMERS_MAX, DeadManTimer, timer_prefix
from proxy.store.trouble import KeyDisabled, RequestReplayed, StoreFull, StoreUnavailable, readable
from proxy.store.unreported import unreported_arguments
from proxy.store.view import HoldRequest, Look, View
from proxy.store.voiding import Voiding
from rules.account import HeldOrder, UnreportedOrder
from rules.policy import Policy

AuditRecord = Mapping[str, Any] | msgspec.Raw
"""A record of the audit, or its bytes."""


class GateStore(SideQuestions):
    """One gate process's access to the store."""

    def __init__(
        self,
        url: str,
        desk: str,
        *,
        policy_of: Callable[[str], Policy | None] = lambda _text: None,
        timeout_s: float = HOT_TIMEOUT_S,
    ) -> None:
        """``policy_of`` makes a policy of its text, ``None`` of a text that is none. An entry waits ``timeout_s``
        seconds for the store, and is refused then."""
        super().__init__(url, desk, policy_of=policy_of, timeout_s=timeout_s)
        self._scripts = {
            "hold": Script.named("hold", "archive"),
            "look": Script.named("look", "archive"),
            "settle": Script.named("settle", "convert"),
            "shrink": Script.named("shrink", "convert"),
            "refuse": Script.named("refuse"),
            "arm": Script.named("arm"),
            "lease": Script.named("lease"),
        }
        self._holds = KnownHolds()
        self._attempts = KnownAttempts()
        self._voiding = Voiding(self._redis, self._keys)
        self._settling_again = SettlingAgain(self._redis, self._scripts["settle"], lambda: self.taken())

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
        tried = self._attempts.of(request.account, request.bot) if request.attempts_window_s else NO_ATTEMPTS
        reply = await self._call(
            "hold",
            hold_keys(self._keys, request, documents),
            hold_arguments(request, [document.version for document in known.values()], tried),
        )
        with readable():
            match reply[0]:
                case "REPLAYED":
                    raise RequestReplayed
                case "AUDIT_FULL" | "HOLDS_FULL":
                    raise StoreFull(reply[0])
                case "VOID":
                    raise StoreUnavailable("the hold was given up")
            told = {
                key: self._documents.told(known[key], key, version, body, decode)
                for (key, decode), (version, body) in zip(documents.items(), documents_of(reply), strict=True)
            }
            view = self._documents.view(request.account, request.venue, request.bot, told=told)
            if request.attempts_window_s:
                tried = self._attempts.read(request.account, request.bot, tried, *attempts_of(reply))
            return view_of(view, self._holds, tried, request, reply)

    async def look(self, account: str, guard_key: str = "") -> Look:
        """The account and its holds as they are at one moment, and what stops orders. Raises ``StoreUnavailable``.

        All in one step: what releases a hold brings what it held as an order or a position.
        """
        keys = self._keys
        key = keys.account(account)
        known = self._documents[key]
        reply = await self._call(
            "look",
            [key, keys.holds(account), keys.audit, keys.controls, keys.disabled, keys.policy],
            [known.version, guard_key],
            heed_breaker=False,
        )
        with readable():
            holds, version, body, controls, disabled, policy_version = reply
            return Look(
                holds=self._holds.read(account, holds),
                account=self._documents.told(known, key, version, body, decode_account).value,
                controls=dict(zip(controls[::2], controls[1::2], strict=True)),
                key_disabled=bool(disabled),
                policy_version=policy_version,
            )

    def settle(
        self,
        account: str,
        hold_id: str,
        action: str,
        records: Sequence[AuditRecord],
        orders: tuple[HeldOrder, ...] | None = None,
        unreported: Sequence[UnreportedOrder] = (),
    ) -> Awaitable[object]:
        """Say what became of a hold: ``RELEASE``, ``ACCEPTED``, ``UNKNOWN`` or ``KEEP``, with the audit records.

        It is said at once, before whatever this process asks the store next; awaited is that the store has heard it.
        ``orders`` replaces what is held, when a venue took only a part; ``unreported`` are those whose bot gets no
        answer that says what became of them. Raises ``StoreUnavailable``; then the hold stays as it was, which is the
        safe side, the caller spools the records, and the rest is told again in the background.
        """
        keys = [self._keys.holds(account), self._keys.audit, self._keys.unreported(account)]
        told = [hold_id, action, dump(orders) if orders is not None else "", *unreported_arguments(unreported)]
        asked = self._call("settle", keys, [*told, *(dump(record) for record in records)])
        return asked if action == "KEEP" else self._settled(asked, keys, told)

    async def _settled(self, asked: Awaitable[object], keys: list[str], told: list[Any]) -> object:
        try:
            return await asked
        except StoreUnavailable:
            self._settling_again.soon(keys, told)
            raise

    async def refuse(
        self, account: str, bot: str, hold_id: str, records: Sequence[AuditRecord], size: Decimal | None
    ) -> None:
        """Release a hold whose entries were all refused, and remember the attempt as refused.

        ``size`` is the quantity that would have passed, ``None`` where size was not the matter. Raises
        ``StoreUnavailable``; then the hold stays and the warden releases it.
        """
        keys = [self._keys.holds(account), self._keys.audit, self._keys.attempts(account, bot)]
        told = "" if size is None else f"{size:f}"
        await self._call("refuse", keys, [hold_id, told, ATTEMPTS_MAX, *(dump(record) for record in records)])

    async def shrink(self, account: str, bot: str, hold_id: str, order: HeldOrder) -> bool:
        """Hold no more than ``order``, and remember the attempt as sized down to it; false when the hold is gone.

        Raises ``StoreUnavailable``.
        """
        keys = [self._keys.holds(account), self._keys.attempts(account, bot)]
        found = await self._call("shrink", keys, [hold_id, dump((order,)), f"{order.quantity:f}", ATTEMPTS_MAX])
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

        Raises ``StoreUnavailable``, and then nobody knows whether it is kept; ``RequestReplayed`` or ``KeyDisabled``.
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
            raise KeyDisabled

    def last_known(self, account: str, venue: str) -> View:
        """What this process last saw, for exits judged while the store is away. May know nothing at all."""
        return self._documents.view(account, venue)

    async def aclose(self) -> None:
        """Close the connections. Holds still to be undone or settled are the warden's, which asks about old ones."""
        await self._voiding.aclose()
        await self._settling_again.aclose()
        await self._lean.aclose()
        await self._redis.aclose()

    def _call(
        self, name: str, keys: list[str], arguments: list[Any], *, heed_breaker: bool = True
    ) -> Coroutine[Any, Any, Any]:
        return self._run(self._scripts[name], keys, arguments, heed_breaker=heed_breaker)
