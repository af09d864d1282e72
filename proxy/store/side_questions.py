"""What a gate asks the store beside an order's own calls: prices, policy, budget, owners, reports. By redis-py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from proxy.budget.published import Budget
from proxy.store.asking import Asking
from proxy.store.budget import Seen, budget_arguments, read_shared
from proxy.store.client import Script, run_script
from proxy.store.documents import Documents, decode_markets
from proxy.store.gate_report import GateReport, encode_report
from proxy.store.keys import Keys
from proxy.store.trouble import readable
from proxy.store.unreported import decode_unreported, unreported_field
from rules.account import UnreportedOrder
from rules.policy import Policy
from rules.snapshot import Market


@dataclass(frozen=True, slots=True)
class VenueTime:
    """The venue's time when it was asked for, and the offset from the store's clock that it was reckoned with, in
    microseconds: no two measurements come to the same one."""

    at: datetime
    offset_us: int


class SideQuestions(Asking):
    """The questions of one gate process that are no step of an order."""

    def __init__(self, url: str, desk: str, *, policy_of: Callable[[str], Policy | None], timeout_s: float) -> None:
        keys = Keys(desk)
        super().__init__(url, keys, timeout_s=timeout_s)
        self._keys = keys
        self._documents = Documents(self._keys, policy_of)
        self._share_budget = Script.named("share_budget")
        self._budgets: dict[str, str] = {}

    async def venue_time(self, venue: str) -> VenueTime | None:
        """The venue's time at this moment, as the warden last measured it. ``None`` when it has not.

        It is wrong by as much as the store's clock was set, or another store's differs, since the measurement.

        Raises ``StoreUnavailable``. Off the order path: a slow answer neither counts as an outage nor is acted on.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.get(self._keys.clock(venue))
        (seconds, micros), published = await self._aside(pipeline.execute())
        if published is None:
            return None
        offset_us = int(published)
        return VenueTime(datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros + offset_us), offset_us)

    async def use_override(self, override_id: str) -> bool:
        """Take an override away for good. True for one caller at most, however many ask at once.

        Raises ``StoreUnavailable``, and then nobody knows whether it is still there.
        """
        taken = await self._ask(lambda: self._redis.hdel(self._keys.overrides, override_id))
        return bool(taken)

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
            with readable():
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

        version, body = await self._aside(read())
        self._documents.remember_policy(version or "", body or "")

    async def share_budget(self, venue: str, seen: Seen) -> tuple[Budget | None, Seen]:
        """Tell what this process heard of the venue's counters; the budget when it is a new one, and what all heard.

        Raises ``StoreUnavailable``. Off the order path.
        """
        keys = [self._keys.budget_used(venue), self._keys.budget(venue), self._keys.silences(venue)]
        arguments = budget_arguments(self._budgets.get(venue, ""), seen)
        reply = await self._aside(run_script(self._redis, self._share_budget, keys, arguments))
        with readable():
            shared = read_shared(reply)
        self._budgets[venue] = reply[1]
        return shared

    async def tell(self, place: str, report: GateReport) -> None:
        """Leave what this gate counted in place of what it told last. Raises ``StoreUnavailable``.

        Off the order path.
        """

        async def leave() -> None:
            await self._redis.hset(self._keys.reports, place, encode_report(report).decode())

        await self._aside(leave())

    async def owners(self, account: str, fields: Sequence[str]) -> dict[str, str]:
        """Whose these orders and trades are (``proxy.store.owners``); unknown ones are left out.

        Raises ``StoreUnavailable``.
        """
        if not fields:
            return {}
        key = self._keys.owners(account)
        bots = await self._ask(lambda: self._redis.hmget(key, list(fields)))
        return {field: bot for field, bot in zip(fields, bots, strict=True) if bot is not None}

    async def disabled_keys(self) -> frozenset[str]:
        """The guard keys that the warden has published as off. Raises ``StoreUnavailable``."""

        async def read() -> frozenset[str]:
            return frozenset(map(str, await self._redis.hkeys(self._keys.disabled)))

        self._heed_breaker()
        return await self._aside(read())
