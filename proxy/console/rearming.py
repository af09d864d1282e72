"""The control API of re-arming: ask, agree to what somebody else asked for, take it back, see what must hold."""

from __future__ import annotations

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json
from proxy.console.asking import act, read
from proxy.console.bodies import read_json, read_query, scope_of
from proxy.console.door import Door
from proxy.console.plane import ControlPlane
from proxy.console.routing import add, caller_of
from proxy.console.sender import sender_fields, sender_of
from proxy.people.roles import Role


class RearmApi:
    """One method a route. A person types password or code once more: an unlocked screen is not enough."""

    def __init__(self, plane: ControlPlane, door: Door) -> None:
        self._plane = plane
        self._door = door

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/control/rearm", self.state, method="GET", role=Role.VIEWER, **operations.REARM_STATE)
        add(routes, "/control/rearm", self.request, method="POST", role=Role.RISK, **operations.REARM)
        add(routes, "/control/rearm/approve", self.approve, method="POST", role=Role.RISK, **operations.REARM_APPROVE)
        add(
            routes,
            "/control/rearm/withdraw",
            self.withdraw,
            method="POST",
            role=Role.TRADER,
            **operations.REARM_WITHDRAW,
        )
        return routes

    async def state(self, request: Request) -> Json:
        """Every scope that is stopped, asked for or coming back, or the one asked about, with what must hold."""
        wanted = read_query(request, ("scope",))
        if "scope" in wanted:
            return Json({"scopes": [await read(self._plane.rearming.seen(scope_of(wanted)))]})
        return Json({"scopes": await read(self._plane.rearming.all())})

    async def request(self, request: Request) -> Json:
        """202 with a request that waits; 200 when a bot that a rule stopped goes on at once."""
        caller = caller_of(request)
        needed = ("scope", "reason", "typed", *sender_fields(caller, loosens=True))
        fields = await read_json(request, needed, ("policy", "acknowledged"))
        name = await sender_of(self._door, request, caller, fields)
        asked = await act(
            self._plane.rearming.request(
                scope=scope_of(fields),
                name=name,
                reason=fields["reason"],
                typed=fields["typed"],
                policy=fields.get("policy", ""),
                acknowledged=fields.get("acknowledged", ""),
            )
        )
        return Json(asked, status_code=200 if asked.simple else 202)

    async def approve(self, request: Request) -> Json:
        """The second person."""
        caller = caller_of(request)
        fields = await read_json(request, ("scope", "reason", "typed", *sender_fields(caller, loosens=True)))
        name = await sender_of(self._door, request, caller, fields)
        scope = scope_of(fields)
        asked = self._plane.rearming.approve(scope=scope, name=name, reason=fields["reason"], typed=fields["typed"])
        return Json(await act(asked))

    async def withdraw(self, request: Request) -> Json:
        """Anybody may: the scope stays stopped."""
        caller = caller_of(request)
        fields = await read_json(request, ("scope", "reason", *sender_fields(caller, loosens=False)))
        name, scope = await sender_of(self._door, request, caller, fields), scope_of(fields)
        return Json(await act(self._plane.rearming.withdraw(scope=scope, name=name, reason=fields["reason"])))
