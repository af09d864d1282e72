"""A bot's reads: forwarded as they were parsed, under the real key, and answered in the bot's own ids."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

from proxy.clock import milliseconds
from proxy.gate.identity import Identity
from proxy.gate.orders import Answer, passed_headers, refusal
from proxy.gate.upstream import NotSent, OutboundRequest, OutcomeUnknown, Upstream
from proxy.venues.binance import rejections
from proxy.venues.binance.client_ids import restore
from proxy.venues.binance.encode import build
from proxy.venues.binance.naming import outward_request
from proxy.venues.binance.requests import VenueRequest

log = logging.getLogger("perpguard.gate")

_NAMING_ORDERS: Final = frozenset(
    f"/fapi/v1/{name}"
    for name in ("order", "openOrder", "openOrders", "allOrders", "algoOrder", "openAlgoOrders", "allAlgoOrders")
)
"""Reads whose answer carries the client order ids of orders: what a bot that lost an answer asks."""


class ReadDesk:
    """Answers reads of one venue, for both doors."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        hosts: Mapping[str, str],
        now: Callable[[], datetime],
        told: Callable[[Identity, bytes], Awaitable[None]],
    ) -> None:
        """``told`` hears every answer in which the venue names orders, before the bot does."""
        self._upstream = upstream
        self._hosts = hosts
        self._now = now
        self._told = told

    async def read(self, request: VenueRequest, identity: Identity | None) -> Answer:
        """The venue's answer to one read; ``identity`` is ``None`` for a public one.

        Raises ``MalformedRequest`` for a client order id that is too long. Never raises for trouble outside.
        """
        if identity is None:
            return await self._ask(request, None)
        answer = await self._ask(outward_request(request, identity.tag), identity)
        if answer.status == 200 and request.route.path in _NAMING_ORDERS:
            await self._told(identity, answer.body)
        return Answer(status=answer.status, body=restore(answer.body, identity.tag), headers=answer.headers)

    async def _ask(self, request: VenueRequest, identity: Identity | None) -> Answer:
        """Forward a read, rebuilt, with the real credentials where the venue wants them."""
        outbound = build(
            request.route,
            request.reads,
            secret=identity.exchange_key.api_secret.reveal() if identity is not None else "",
            timestamp_ms=milliseconds(self._now()),
        )
        url = self._hosts[outbound.host] + outbound.path + (f"?{outbound.query}" if outbound.query else "")
        try:
            reply = await self._upstream.send(
                OutboundRequest(
                    method=outbound.method,
                    url=url,
                    body=outbound.body,
                    api_key=identity.exchange_key.api_key if identity is not None else None,
                ),
                None,
            )
        except (NotSent, OutcomeUnknown) as trouble:
            log.warning("reading %s failed: %s", request.route.path, trouble)
            return refusal(rejections.venue_unreachable())
        return Answer(status=reply.status, body=reply.body, headers=passed_headers(reply))
