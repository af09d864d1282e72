"""Why a decision was made, over the control API: every rule's part, and the same command at another size."""

from __future__ import annotations

from fastapi import APIRouter, Request

from proxy.console import operations_record as operations
from proxy.console.answers import Json
from proxy.console.api import decision_id, no_such_decision
from proxy.console.asking import read
from proxy.console.blocked import what_if_of
from proxy.console.bodies import read_json, read_query
from proxy.console.plane import ControlPlane
from proxy.console.routing import add
from proxy.people.roles import Role


class ReasonsApi:
    """One method a route. Nothing here changes anything: a what-if is judged, and no order is sent."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(
            routes, "/api/decisions/{decision_id}/rules", self.rules, method="GET", role=Role.VIEWER, **operations.RULES
        )
        add(
            routes,
            "/api/decisions/{decision_id}/what-if",
            self.what_if,
            method="POST",
            role=Role.VIEWER,
            **operations.WHAT_IF,
        )
        return routes

    async def rules(self, request: Request) -> Json:
        """A decision taken again from its record: every rule in its order, and all they could look at."""
        read_query(request)
        found = await read(self._plane.reasons.rules(decision_id(request)))
        if found is None:
            raise no_such_decision()
        return Json(found)

    async def what_if(self, request: Request) -> Json:
        """The same command at another ``quantity`` (and ``price``), under the policy of then and the one in force."""
        wanted = decision_id(request)
        asked = await read_json(request, ("quantity",), ("price", "item"))
        return Json(await what_if_of(self._plane, wanted, asked))
