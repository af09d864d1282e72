"""Meters what the warden's own requests use of a venue's budget, and holds its reads back when the rest is the kill's.

It hangs on the HTTP client, where every request passes and every reply has its headers. What is held back is not sent
and reads as the venue's own demand to wait, so whoever surveys slows down as it would for a 429. So is everything while
the venue wants to hear nothing from the address, by what any process of the guard heard; but to ask again costs nothing
here, so it is soon asked again: the silence may be over before its time.

The kill is held back by neither. It keeps the silence that it was told itself, has addresses of its own to go to, and
must not wait on the word of a gate: where a gate is right, the kill learns it by one request. Where the exchange
answers it after all, the silence is over for everybody.
"""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from proxy.budget.meter import Charge, Meter, Payer
from proxy.budget.silence import BANNED, THROTTLED, Silence, Way
from proxy.exchange.troubles import VenueThrottled
from proxy.venues.binance.route import BUDGET_HOST
from proxy.venues.binance.routes import find_route
from proxy.venues.binance.usage import read_retry_after, read_throttle, read_usage, weight_of
from rules.kill.budget import Spend

log = logging.getLogger("perpguard.accounts")

SMALL_WEIGHT: Final = 1
"""Reads of one order or symbol are never held back: cancels and dead-man timers rest on them."""

_FIREWALL: Final = 403
"""Binance's firewall ("General Info", "HTTP return codes", seen 2026-11). It does not prove that the exchange hears an
address, nor does a 5xx, which may be of a proxy in between."""


ASK_AGAIN_S: Final = 10
"""Who is held back by a silence asks again within this time, however long the silence is."""


class KeptSilent(VenueThrottled):
    """Not sent: the venue wants to hear nothing from this address."""

    said_every_s = 600.0
    """A ban may last for days, and every loop of every account is held back by it: see ``log_repeats``."""

    def __init__(self, silence: Silence) -> None:
        super().__init__(silence.status, min(silence.left_s, ASK_AGAIN_S))
        self.args = (f"the exchange demands silence ({silence.status}); nothing is sent until it is over",)


class KeptForTheKill(VenueThrottled):
    """Not sent: the rest of the venue's budget is the kill's until the venue counts anew."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(429, retry_after)
        self.args = (f"the rest of the venue's budget is kept for the kill, for {retry_after:g} s",)


def metering(meter: Meter, payer: Payer, *, spares_the_kill: bool) -> aiohttp.TraceConfig:
    """A trace for the client session of one account. With ``spares_the_kill`` its reads leave the kill its part.

    The kill's own client is metered without: what it uses, and what it is told, the others must know of.
    """

    async def started(_: Any, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        context.charge = context.throttled = None
        context.begun_s = meter.steady_s()
        context.way = way = _way(params.method, params.url.path, payer)
        silence = meter.silence(way) if spares_the_kill else None
        if silence is not None:
            raise KeptSilent(silence)
        spend = _spend(params, way.host)
        if spend is None:
            return
        if spares_the_kill and params.method == "GET" and spend.weight > SMALL_WEIGHT:
            kept = meter.kept(payer, spend)
            if kept is not None:
                raise KeptForTheKill(kept.retry_after_s)
        context.charge = meter.begin(payer, spend)
        if not spares_the_kill:
            meter.by_kill(payer, spend)

    async def ended(_: Any, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        reply = params.response
        _end(context, read_usage(reply.headers))
        way = context.way
        if reply.status == THROTTLED and _orders(params.method, params.url.path):
            # Too many orders (-1015) is said to orders alone, and by a code in the body, which is not read yet.
            context.throttled = reply.headers
        elif reply.status in (THROTTLED, BANNED):
            meter.silenced(way, reply.status, read_retry_after(reply.headers), context.begun_s)
        elif reply.status < 500 and reply.status != _FIREWALL and meter.answered(way, context.begun_s):
            log.info(
                "the exchange answers %s again, before the silence that it demanded was over",
                way.address or "this host's usual address",
            )

    async def read(_: Any, context: SimpleNamespace, params: aiohttp.TraceResponseChunkReceivedParams) -> None:
        """A whole body: ccxt reads none by parts."""
        if context.throttled is None:
            return
        throttle = read_throttle(THROTTLED, context.throttled, params.chunk)
        if throttle is not None and not throttle.of_orders:
            meter.silenced(context.way, THROTTLED, throttle.retry_after_s, context.begun_s)

    async def failed(_: Any, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
        _end(context, {})

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    trace.on_request_end.append(ended)
    trace.on_response_chunk_received.append(read)
    trace.on_request_exception.append(failed)
    return trace


def _end(context: SimpleNamespace, reported: dict[Any, int]) -> None:
    charge: Charge | None = context.charge
    context.charge = None
    if charge is not None:
        charge.end(reported)


def _spend(params: aiohttp.TraceRequestStartParams, host: str) -> Spend | None:
    """What a request costs; ``None`` when it is for a host that counts another budget."""
    method, path = params.method, params.url.path
    if host != BUDGET_HOST:
        return None
    # Reads name what they ask about in the query; a cancel has one weight.
    return Spend(weight=weight_of(method, path, symbol="symbol" in params.url.query), orders=int(_orders(method, path)))


def _way(method: str, path: str, payer: Payer) -> Way:
    route = find_route(method, path)
    if route is None:
        return Way(path.split("/")[1], payer.address)
    return Way(route.host, payer.address, route.limit_group)


def _orders(method: str, path: str) -> bool:
    return method in ("POST", "PUT") and path.endswith(("/order", "/algoOrder"))
