"""The audit at the control door: where its chains end, who keeps its anchors, and a verification for whoever asks."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console import operations_record as operations
from proxy.console.answers import Json, Refusal
from proxy.console.asking import read
from proxy.console.bodies import read_query
from proxy.console.plane import ControlPlane
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.people.roles import Role


class AuditDoor:
    """One method a route."""

    def __init__(self, plane: ControlPlane, render: Rendering) -> None:
        self._plane = plane
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/api/audit", self.told, method="GET", role=Role.VIEWER, **operations.AUDIT)
        add(routes, "/audit", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/audit", self.part, method="GET", role=Role.VIEWER)
        add(routes, "/console/audit/verify", self.verify, method="POST", role=Role.TRADER)
        return routes

    async def told(self, request: Request) -> Json:
        """Everything the page shows."""
        read_query(request)
        return Json(await read(self._plane.auditing.audit()))

    async def page(self, request: Request) -> Response:
        """The page."""
        session = session_of(request)
        read_query(request)
        view = await read(self._plane.auditing.audit())
        return self._render.page("audit.html", session=session, view=view)

    async def part(self, request: Request) -> Response:
        """What changes while one looks: heads, anchors, how far a verification is."""
        read_query(request)
        return self._render.page("_audit.html", view=await read(self._plane.auditing.audit()))

    async def verify(self, request: Request) -> Response:
        """A person asks for a verification; there is one at a time, whoever asks."""
        try:
            await form_of(request)
            began = await read(self._plane.auditing.verify())
        except Refusal as refusal:
            return self._render.page("_notice.html", status=refusal.status, good=False, text=refusal.message)
        text = "Every record is being hashed again." if began else "One is running; this is it."
        return self._render.page("_notice.html", good=True, text=text)
