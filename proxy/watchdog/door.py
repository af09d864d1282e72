"""``POST /watchdog``: where watchdogs ask whether the guard lives. The seal is who they are; no token opens this."""

from __future__ import annotations

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json, Refusal
from proxy.console.bodies import read_json
from proxy.console.routing import add
from proxy.watchdog.beat import SealBroken
from proxy.watchdog.heart import Heart


def watchdog_routes(heart: Heart) -> APIRouter:
    """The route."""

    async def ask(request: Request) -> Json:
        """A sealed call for a sealed answer."""
        fields = await read_json(request, ("call",))
        try:
            return Json({"answer": heart.answer(fields["call"])})
        except SealBroken:
            raise Refusal(401, "UNAUTHENTICATED", "that is not a call of one of our watchdogs") from None

    routes = APIRouter()
    add(routes, "/watchdog", ask, method="POST", role=None, **operations.WATCHDOG)
    return routes
