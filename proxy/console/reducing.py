"""The control API of the smaller stop: nothing in that adds risk, while exits and cancels go on."""

from __future__ import annotations

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json
from proxy.console.asking import act
from proxy.console.bodies import person_of, read_json, scope_of
from proxy.console.plane import ControlPlane
from proxy.console.roles import Role
from proxy.console.routing import add, caller_of
from proxy.console.sessions import Session


class ReduceApi:
    """One route."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def router(self) -> APIRouter:
        """The route."""
        routes = APIRouter()
        add(routes, "/control/reduce", self.reduce, method="POST", role=Role.TRADER, **operations.REDUCE)
        return routes

    async def reduce(self, request: Request) -> Json:
        """Make every account of a scope reduce-only; says which were not so before."""
        caller = caller_of(request)
        if isinstance(caller, Session):
            fields, by = await read_json(request, ("scope", "reason")), caller.person
        else:
            fields = await read_json(request, ("scope", "reason", "by"))
            by = person_of(fields["by"])
        return Json(await act(self._plane.reduce(scope=scope_of(fields), by=by, reason=fields["reason"])))
