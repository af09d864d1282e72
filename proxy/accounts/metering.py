"""Meters what the warden's own requests use of a venue's budget, and holds its reads back when the rest is the kill's.

It hangs on the HTTP client, where every request passes and every reply has its headers. What is held back is not sent
and reads as the venue's own demand to wait, so whoever surveys slows down as it would for a 429.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from proxy.accounts.troubles import VenueThrottled
from proxy.budget.meter import Charge, Meter, Payer
from proxy.venues.binance.route import BUDGET_HOST
from proxy.venues.binance.routes import find_route
from proxy.venues.binance.usage import read_usage, weight_of
from rules.kill.budget import Spend

SMALL_WEIGHT: Final = 1
"""Reads of one order or symbol are never held back: cancels and dead-man timers rest on them."""


class KeptForTheKill(VenueThrottled):
    """Not sent: the rest of the venue's budget is the kill's until the venue counts anew."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(429, retry_after)
        self.args = (f"the rest of the venue's budget is kept for the kill, for {retry_after:g} s",)


def metering(meter: Meter, payer: Payer, *, spares_the_kill: bool) -> aiohttp.TraceConfig:
    """A trace for the client session of one account. With ``spares_the_kill`` its reads leave the kill its part.

    The kill's own client is metered without: what it uses, the others must know of.
    """

    async def started(_: Any, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
        context.charge = None
        spend = _spend(params)
        if spend is None:
            return
        if spares_the_kill and params.method == "GET" and spend.weight > SMALL_WEIGHT:
            kept = meter.kept(payer, spend)
            if kept is not None:
                raise KeptForTheKill(kept.retry_after_s)
        context.charge = meter.begin(payer, spend)

    async def ended(_: Any, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        _end(context, read_usage(params.response.headers))

    async def failed(_: Any, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
        _end(context, {})

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    return trace


def _end(context: SimpleNamespace, reported: dict[Any, int]) -> None:
    charge: Charge | None = context.charge
    context.charge = None
    if charge is not None:
        charge.end(reported)


def _spend(params: aiohttp.TraceRequestStartParams) -> Spend | None:
    """What a request costs; ``None`` when it is for a host that counts another budget."""
    path = params.url.path
    route = find_route(params.method, path)
    host = route.host if route is not None else path.split("/")[1]
    if host != BUDGET_HOST:
        return None
    # Reads name what they ask about in the query; a cancel has one weight.
    orders = int(params.method in ("POST", "PUT") and path.endswith(("/order", "/algoOrder")))
    return Spend(weight=weight_of(params.method, path, symbol="symbol" in params.url.query), orders=orders)
