"""The control API of the smaller stop: nothing in that adds risk, while exits and cancels go on."""

from __future__ import annotations

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json
from proxy.console.asking import act
from proxy.console.bodies import scope_of
from proxy.console.plane import ControlPlane
from proxy.console.routing import add
from proxy.console.sender import pressed_by
from proxy.people.roles import Role


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
        fields, by = await pressed_by(request, named=True)
        return Json(await act(self._plane.reduce(scope=scope_of(fields), by=by, reason=fields["reason"])))
