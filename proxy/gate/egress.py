"""Sends each account's requests from the source address that is set for it, and meters what they use of the budget.

While the venue wants to hear nothing from an address (429, 418), nothing leaves by it, the way out neither: the venue
would refuse it all the same, and each request more would prolong the silence. Else it refuses nothing: whoever may not
spend the kill's part asks ``VenueBudget.refusal`` first, with no await between the question and the send.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Final

from proxy.budget.meter import Meter, Payer
from proxy.budget.silence import Way
from proxy.gate.upstream import (
    HttpxUpstream,
    NotSent,
    OutboundRequest,
    Turnstile,
    Upstream,
    UpstreamReply,
    VenueSilent,
)
from proxy.gate.wire.client import WireUpstream
from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable
from proxy.venues.binance.route import BUDGET_HOST
from proxy.venues.binance.usage import read_throttle, read_usage
from rules.decision import Breach
from rules.kill.budget import Spend

log = logging.getLogger("perpguard.gate")

WARM_WITHIN_S: Final = 2.0

FOLLOW_EVERY_S: Final = 0.25
"""How late a gate learns what the others heard: what they spend in a quarter of a second is not seen."""


class Egress:
    """An ``Upstream`` over three connection pools for each source address. ``addresses`` are by account.

    Orders have a client of their own, the fast one. Exits and cancels have a pool of it to themselves: entries that
    hang at the venue, as many as there are connections, would else keep them from leaving. So have reads.
    """

    def __init__(
        self,
        meter: Meter,
        addresses: Mapping[str, str],
    ) -> None:
        self._meter = meter
        self._addresses = addresses
        usual = {"", *addresses.values()}
        self._reads = {address: HttpxUpstream(address or None) for address in usual}
        self._orders = {
            (address, way_out): WireUpstream(address or None) for address in usual for way_out in (False, True)
        }

    def payer(self, account: str) -> Payer:
        """Whose budget an account's requests are charged to; nobody's go out by the usual address."""
        return Payer(account, self._addresses.get(account, ""))

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        """See ``Upstream.send``. Raises ``VenueSilent`` while the venue wants to hear nothing from this address."""
        payer = self.payer(request.account)
        way = Way(request.host, payer.address, request.limit_group)
        leaving = _Leaving(self._meter, way, fence)
        leaving.look()
        pool: Upstream = self._reads[payer.address]
        if request.order:
            pool = self._orders[payer.address, request.way_out]
        if request.cost is None:
            return self._heeded(await pool.send(request, leaving), leaving, payer)
        charge = self._meter.begin(payer, request.cost)
        try:
            reply = await pool.send(request, leaving)
        except NotSent:
            charge.undo()
            raise
        except BaseException:  # Cancelled, too: what has left is counted, whoever still waits for the answer.
            charge.end({})
            raise
        charge.end(read_usage(reply.headers))
        return self._heeded(reply, leaving, payer)

    def silent(self, account: str) -> bool:
        """Whether the venue's futures want to hear nothing from the address of this account."""
        return self._meter.silence(Way(BUDGET_HOST, self.payer(account).address)) is not None

    def _heeded(self, reply: UpstreamReply, sent: _Leaving, payer: Payer) -> UpstreamReply:
        """The reply as it came, once it is known what it demands of the next."""
        throttle = read_throttle(reply.status, reply.headers, reply.body)
        if throttle is None:
            return reply
        if throttle.of_orders:
            self._meter.orders_used_up(payer.account, throttle.retry_after_s, sent.at_s)
            return reply
        way = sent.way
        news = self._meter.silenced(way, reply.status, throttle.retry_after_s, sent.at_s)
        if news and (silence := self._meter.silence(way)) is not None:
            address, of_what = way.address or "this host's usual address", silence.group and f" on {silence.group}"
            log.warning(
                "the exchange demands silence (%d) of %s for %d s; bots are answered here until then",
                reply.status,
                address + of_what,
                silence.left_s,
            )
        return reply

    async def warm(self, url: str) -> None:
        """Have connections for orders to this host ready, on every way out, if that is soon done."""
        with contextlib.suppress(TimeoutError):  # Far or away: that is found out by the first order.
            async with asyncio.timeout(WARM_WITHIN_S):
                await asyncio.gather(*(pool.warm(url) for pool in self._orders.values()))

    async def keep_warm(self, url: str) -> None:
        """Keep connections for orders to this host ready, for ever. A venue that is away is no error."""
        async with asyncio.TaskGroup() as group:
            for pool in self._orders.values():
                group.create_task(pool.keep_warm(url))

    async def aclose(self) -> None:
        """Close all connections."""
        pools: list[Upstream] = [*self._reads.values(), *self._orders.values()]
        for pool in pools:
            await pool.aclose()


class _Leaving:
    """The fence of one request by one way: the silence that was heard while it waited for a connection, then its own.

    ``at_s`` is when it left, by the meter's clock that never steps.
    """

    __slots__ = ("_fence", "_meter", "at_s", "way")

    def __init__(self, meter: Meter, way: Way, fence: Turnstile | None) -> None:
        self._meter = meter
        self._fence = fence
        self.way = way
        self.at_s = meter.steady_s()

    def __call__(self) -> Callable[[], None]:
        """See ``Turnstile``."""
        self.look()
        self.at_s = self._meter.steady_s()
        return self._fence() if self._fence is not None else _nothing

    def look(self) -> None:
        """Raises ``VenueSilent`` while the venue wants to hear nothing by this way."""
        if (silence := self._meter.silence(self.way)) is not None:
            raise VenueSilent(silence)


def _nothing() -> None:
    """After a request that no fence of its own held."""


class VenueBudget:
    """What of the budget bots may spend, as one gate knows it; and the loop that keeps that knowledge fresh."""

    def __init__(self, meter: Meter, egress: Egress, store: GateStore, venue: str) -> None:
        self._meter = meter
        self._egress = egress
        self._store = store
        self._venue = venue

    def refusal(self, account: str, cost: Spend | None) -> tuple[Breach, int] | None:
        """The breach, and the seconds until the venue counts anew, when the rest of the budget is the kill's."""
        if cost is None or self._egress.silent(account):
            return None  # The way out says so itself, of exits as well, and for how long.
        kept = self._meter.kept(self._egress.payer(account), cost)
        if kept is None:
            return None
        breach = Breach(
            rule_id="venue_budget",
            code="VENUE_BUDGET_RESERVED",
            message="what is left of the exchange's request budget is kept for the kill switch",
            observed=f"{kept.used} {kept.counter.limit}",
            limit=f"{kept.limit - kept.reserve} of {kept.limit}",
            advice=f"try again in {kept.retry_after_s} s; reduce-only orders and cancels pass unless a kill runs",
        )
        return breach, kept.retry_after_s

    async def follow(self) -> None:
        """Tell the other gates what the venue said here, and hear what it said there, for ever.

        A store that is away changes nothing: the last reserve stands, and what is used is counted by this gate alone.
        """
        while True:
            try:
                budget, seen = await self._store.share_budget(self._venue, self._meter.seen())
            except StoreUnavailable as trouble:
                log.debug("the venue's budget was not shared: %s", trouble)
            else:
                self._meter.budget = budget or self._meter.budget
                self._meter.told(seen)
            await asyncio.sleep(FOLLOW_EVERY_S)
