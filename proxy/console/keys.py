"""The keys at the control door: everything for machines, and the page for admins. No key is ever shown whole."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console import operations_record as operations
from proxy.console.answers import Json, Page, Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import read_query
from proxy.console.door import Door
from proxy.console.plane import ControlPlane
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.people.roles import Role


class KeysDoor:
    """One method a route. Switching a key on again takes a proof; switching it off does not."""

    def __init__(self, plane: ControlPlane, door: Door, render: Rendering) -> None:
        self._plane = plane
        self._door = door
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/api/keys", self.told, method="GET", role=Role.ADMIN, **operations.KEYS)
        add(routes, "/keys", self.page, method="GET", role=Role.ADMIN)
        add(routes, "/partials/keys", self.part, method="GET", role=Role.ADMIN)
        add(routes, "/console/keys/disable", self.disable, method="POST", role=Role.ADMIN)
        add(routes, "/console/keys/enable", self.enable, method="POST", role=Role.ADMIN)
        return routes

    async def told(self, request: Request) -> Json:
        """Every key in the vault, without the key."""
        read_query(request)
        return Json(await read(self._plane.keys.keys()))

    async def page(self, request: Request) -> Response:
        """The page."""
        read_query(request)
        shown = await read(self._plane.keys.keys())
        return self._render.page("keys.html", session=session_of(request), keys=shown)

    async def part(self, request: Request) -> Response:
        """The tables, renewed."""
        read_query(request)
        return self._render.page("_keys.html", keys=await read(self._plane.keys.keys()))

    async def disable(self, request: Request) -> Response:
        """Refuse a guard key from now on."""
        try:
            session, fields = await form_of(request, "key")
            key = await act(self._plane.keys.switch(fields["key"], on=False, by=session.person))
        except Refusal as refusal:
            return self._said(refusal.message, good=False, status=refusal.status)
        return self._said(f"The key of {key.bot} is refused from now on; what the bot has open stays open.")

    async def enable(self, request: Request) -> Response:
        """Obey it again."""
        try:
            session, fields = await form_of(request, "key", "proof")
            await self._door.check_again(request, session, fields["proof"])
            key = await act(self._plane.keys.switch(fields["key"], on=True, by=session.person))
        except Refusal as refusal:
            return self._said(refusal.message, good=False, status=refusal.status)
        return self._said(f"The key of {key.bot} is obeyed again.")

    def _said(self, text: str, *, good: bool = True, status: int = 200) -> Page:
        return self._render.page("_notice.html", status, good=good, text=text)
