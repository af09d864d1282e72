"""A bot's reads: forwarded as they were parsed, under the real key, and answered in the bot's own ids."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from typing import Final

from proxy.clock import milliseconds
from proxy.gate.answers import Answer, passed_headers, refusal
from proxy.gate.counting import Counting, Kind, Stage, TurnedAway, clock_ns
from proxy.gate.egress import VenueBudget
from proxy.gate.identity import Identity
from proxy.gate.unreported import told
from proxy.gate.upstream import NotSent, OutboundRequest, OutcomeUnknown, Upstream, VenueSilent
from proxy.gate.views import NotShown, Reader, Views
from proxy.gate.withholding import come_again, not_sent
from proxy.store.gate_store import GateStore
from proxy.venues.binance import rejections
from proxy.venues.binance.client_ids import restore
from proxy.venues.binance.encode import build
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.naming import outward_request
from proxy.venues.binance.requests import VenueRequest

log = logging.getLogger("perpguard.gate")

_NAMING_ORDERS: Final = frozenset(
    f"/fapi/v1/{name}"
    for name in ("order", "openOrder", "openOrders", "allOrders", "algoOrder", "openAlgoOrders", "allAlgoOrders")
)
"""Reads whose answer carries the client order ids of orders: what a bot that lost an answer asks."""


_SAME_FOR_ALL: Final = frozenset({"/fapi/v1/exchangeInfo"})
"""Public reads of what changes once in days. Every bot asks for it as it starts, and so can everybody else: it is the
largest answer there is. Whoever asks while it is under way gets the same; prices are never shared, they have an age."""


class VenueReads:
    """Asks the venue; nothing of the bot's bytes goes out, and the answer comes back as it is."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        hosts: Mapping[str, str],
        now: Callable[[], datetime],
        counting: Counting,
    ) -> None:
        self._counting = counting
        self._upstream = upstream
        self._hosts = hosts
        self._now = now
        self._under_way: dict[Hashable, asyncio.Task[Answer]] = {}

    async def ask(self, request: VenueRequest, identity: Identity | None) -> Answer:
        """The venue's answer to a read in its own names, under the real credentials where it wants them.

        Never raises for trouble outside.
        """
        if identity is not None or request.route.path not in _SAME_FOR_ALL:
            return await self._ask(request, identity)
        asked = (request.route.path, request.reads)
        under_way = self._under_way.get(asked)
        if under_way is None:
            under_way = self._under_way[asked] = asyncio.create_task(self._ask(request, None))
            under_way.add_done_callback(lambda _: self._under_way.pop(asked))
        return await asyncio.shield(under_way)

    async def _ask(self, request: VenueRequest, identity: Identity | None) -> Answer:
        outbound = build(
            request.route,
            request.reads,
            secret=identity.exchange_key.api_secret.reveal() if identity is not None else "",
            timestamp_ms=milliseconds(self._now()),
        )
        url = self._hosts[outbound.host] + outbound.path + (f"?{outbound.query}" if outbound.query else "")
        began_ns = clock_ns()
        try:
            reply = await self._upstream.send(
                OutboundRequest(
                    method=outbound.method,
                    url=url,
                    body=outbound.body,
                    api_key=identity.exchange_key.api_key if identity is not None else None,
                    account=identity.account if identity is not None else "",
                    host=outbound.host,
                    limit_group=request.route.limit_group,
                    cost=request.cost(),
                ),
                None,
            )
        except VenueSilent as trouble:
            self._counting.turned_away(TurnedAway.BUDGET)
            return refusal(not_sent(trouble), come_again(trouble))
        except (NotSent, OutcomeUnknown) as trouble:
            log.warning("reading %s failed: %s", request.route.path, trouble)
            return refusal(rejections.venue_unreachable())
        finally:
            self._counting.took(Kind.READ, Stage.SEND, began_ns, clock_ns())
        return Answer(status=reply.status, body=reply.body, headers=passed_headers(reply))


class ReadDesk:
    """Answers reads of one venue, for both doors."""

    def __init__(
        self,
        *,
        store: GateStore,
        views: Views,
        venue: VenueReads,
        budget: VenueBudget,
        counting: Counting,
    ) -> None:
        self._store = store
        self._views = views
        self._venue = venue
        self._budget = budget
        self._counting = counting

    async def read(self, request: VenueRequest, identity: Identity | None) -> Answer:
        """The venue's answer to one read; ``identity`` is ``None`` for a public one.

        Never raises for trouble outside, nor for a client order id that is too long.
        """
        if (kept := self.kept(request, identity)) is not None:
            return kept
        if identity is None:
            return await self._venue.ask(request, None)
        isolated = self._views.isolates(identity.account, identity.bot)
        if isolated and self._views.withholds(request):
            return refusal(rejections.account_wide("everybody's history"))
        try:
            request = outward_request(request, identity.tag)
        except MalformedRequest as error:
            return refusal(rejections.malformed(error))
        answer = await self._venue.ask(request, identity)
        if answer.status != 200:
            return answer
        if request.route.path in _NAMING_ORDERS:
            await told(self._store, identity.account, identity.bot, answer.body)
        try:
            body = await self._own(request, answer.body, identity) if isolated else answer.body
        except NotShown as trouble:
            log.warning("the bot's part of %s cannot be told: %s", request.route.path, trouble)
            return refusal(rejections.venue_unreachable())
        if body is None:
            return refusal(rejections.no_such_order(), answer.headers)
        return Answer(status=answer.status, body=restore(body, identity.tag), headers=answer.headers)

    def kept(self, request: VenueRequest, identity: Identity | None) -> Answer | None:
        """The answer when the rest of the venue's budget is the kill's. No await may lie between this and the send."""
        refused = self._budget.refusal(identity.account if identity is not None else "", request.cost())
        if refused is None:
            return None
        breach, retry_after_s = refused
        self._counting.turned_away(TurnedAway.BUDGET)
        return refusal(rejections.for_breach(breach), {"Retry-After": str(retry_after_s)})

    async def _own(self, request: VenueRequest, body: bytes, identity: Identity) -> bytes | None:
        return await self._views.show(
            request, body, Reader(account=identity.account, bot=identity.bot, tag=identity.tag)
        )
