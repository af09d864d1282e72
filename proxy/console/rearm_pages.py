"""The console's pages of re-arming and of rehearsals: what must hold, the forms, and how far it is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console.answers import Page, Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import read_query, scope_of
from proxy.console.door import Door
from proxy.console.drills import drill_report
from proxy.console.plane import ControlPlane
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.console.sessions import Session
from proxy.kill.rearm_plane import RearmView
from proxy.people.roles import Role

_ASK = ("scope", "name", "reason", "typed", "proof")


class RearmPages:
    """One method a route. For signed-in people only."""

    def __init__(self, plane: ControlPlane, door: Door, render: Rendering) -> None:
        self._plane = plane
        self._door = door
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/rearm", self.rearm_page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/rearm", self.rearm_part, method="GET", role=Role.VIEWER)
        add(routes, "/console/rearm", self.request, method="POST", role=Role.RISK)
        add(routes, "/console/rearm/approve", self.approve, method="POST", role=Role.RISK)
        add(routes, "/console/rearm/withdraw", self.withdraw, method="POST", role=Role.TRADER)
        add(routes, "/drills", self.drills_page, method="GET", role=Role.VIEWER)
        add(routes, "/drills/{drill_id}", self.drill_page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/drill", self.drill_part, method="GET", role=Role.VIEWER)
        add(routes, "/console/drill", self.drill, method="POST", role=Role.TRADER)
        return routes

    async def rearm_page(self, request: Request) -> Response:
        """Every stopped scope, what must hold, and the three forms."""
        session = session_of(request)
        read_query(request)
        status, seen = await self._seen()
        return self._render.page("rearm.html", status, session=session, **seen)

    async def rearm_part(self, request: Request) -> Response:
        """The same, renewed: how long a request still waits, how far limits have grown."""
        read_query(request)
        status, seen = await self._seen()
        return self._render.page("_rearming.html", status, **seen)

    async def request(self, request: Request) -> Response:
        """A person asks: named, with a reason, the scope's name and the policy's digest typed, a proof besides."""
        try:
            session, fields = await form_of(request, *_ASK, "policy", "acknowledged")
            await self._check(request, session, fields)
            scope = scope_of(fields)
            view = await act(
                self._plane.rearming.request(
                    scope=scope,
                    name=session.person,
                    reason=fields["reason"].strip(),
                    typed=fields["typed"],
                    policy=fields["policy"].strip(),
                    acknowledged=fields["acknowledged"].strip(),
                )
            )
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._said(_asked(view))

    async def approve(self, request: Request) -> Response:
        """Somebody else agrees."""
        try:
            session, fields = await form_of(request, *_ASK)
            await self._check(request, session, fields)
            scope = scope_of(fields)
            agreed = self._plane.rearming.approve(
                scope=scope, name=session.person, reason=fields["reason"].strip(), typed=fields["typed"]
            )
            await act(agreed)
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._said(f"{scope} is back, reduce-only for now.")

    async def withdraw(self, request: Request) -> Response:
        """Anybody may take a request back."""
        try:
            session, fields = await form_of(request, "scope", "reason")
            scope = scope_of(fields)
            taken = self._plane.rearming.withdraw(scope=scope, name=session.person, reason=fields["reason"].strip())
            await act(taken)
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._said(f"Nobody asks for {scope} any more; it stays stopped.")

    async def drills_page(self, request: Request) -> Response:
        """The reports, and the form that begins a rehearsal."""
        session = session_of(request)
        read_query(request)
        drills = self._plane.drills
        return self._render.page(
            "drills.html", session=session, reports=await read(drills.reports()), progress=await read(drills.progress())
        )

    async def drill_page(self, request: Request) -> Response:
        """One report."""
        read_query(request)
        report = await drill_report(request, self._plane)
        return self._render.page("drill.html", session=session_of(request), report=report)

    async def drill_part(self, request: Request) -> Response:
        """How far a rehearsal is, and the newest reports."""
        read_query(request)
        drills = self._plane.drills
        return self._render.page(
            "_drills.html", reports=await read(drills.reports()), progress=await read(drills.progress())
        )

    async def drill(self, request: Request) -> Response:
        """A person begins one."""
        try:
            session, fields = await form_of(request, "kind")
            await act(self._plane.drills.start(kind=fields["kind"], by=session.person))
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._said("The drill runs; it stops nobody.")

    async def _seen(self) -> tuple[int, dict[str, Any]]:
        """The scopes; where they cannot be read, why, in their place: what stood there before is not so any more."""
        try:
            return 200, {"scopes": await read(self._plane.rearming.all()), "trouble": ""}
        except Refusal as refusal:
            return refusal.status, {"scopes": (), "trouble": refusal.message}

    async def _check(self, request: Request, session: Session, fields: dict[str, str]) -> None:
        await self._door.check_again(request, session, fields["proof"])
        if fields["name"].strip() != session.person:
            raise Refusal(422, "NAME", "type the name you signed in with")

    def _refused(self, request: Request, refusal: Refusal) -> Response:
        return self._render.page("_notice.html", status=refusal.status, good=False, text=refusal.message)

    def _said(self, text: str) -> Page:
        return self._render.page("_notice.html", good=True, text=text)


def _asked(view: RearmView) -> str:
    if view.simple:
        return f"{view.scope} may trade again."
    if view.due:
        return f"{view.scope} is asked for. It comes back at {view.due}, or when somebody else approves."
    return f"{view.scope} is asked for. Somebody else must approve."
