"""The console's overview, the parts of it that renew themselves, the button, and the certificates' pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.certificate.plane import Certificates
from proxy.console import operations, words
from proxy.console.answers import Json, Page, Refusal, error
from proxy.console.api import decision_id, no_such_decision
from proxy.console.asking import act, read
from proxy.console.attention import attention_of
from proxy.console.bodies import read_query, scope_of
from proxy.console.certificates import certificate_of, printed
from proxy.console.charts import Chart, charts_of
from proxy.console.looking import LOOK_SECONDS_MAX, PRESSED_SECONDS_MAX, desk_seen, progress_seen
from proxy.console.plane import ControlPlane
from proxy.console.progress import rows_of
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.people.roles import Role
from proxy.store.codec import plain

log = logging.getLogger("perpguard.console")

_HERE: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_BLOCKED_SHOWN: Final = 50


class Console:
    """One method a route. Files are read at start: nothing in a request can name another."""

    def __init__(
        self, plane: ControlPlane, certificates: Certificates, render: Rendering, now: Callable[[], datetime]
    ) -> None:
        self._plane = plane
        self._certificates = certificates
        self._static = {
            path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
            for path in (_HERE / "static").iterdir()
            if path.suffix in _MEDIA_TYPES
        }
        self._render = render
        self._now = now

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/static/{name}", self.static, method="GET", role=None)
        add(routes, "/certificates", self.certificates, method="GET", role=Role.VIEWER)
        add(routes, "/certificates/{certificate_id}", self.certificate, method="GET", role=Role.VIEWER)
        add(routes, "/partials/desk", self.desk_part, method="GET", role=Role.VIEWER)
        add(routes, "/partials/charts", self.charts_part, method="GET", role=Role.VIEWER)
        add(routes, "/partials/history", self.history, method="GET", role=Role.VIEWER)
        add(routes, "/api/history", self.history, method="GET", role=Role.VIEWER, **operations.HISTORY)
        add(routes, "/partials/kill", self.kill_part, method="GET", role=Role.VIEWER)
        add(routes, "/partials/blocked", self.blocked_part, method="GET", role=Role.VIEWER)
        add(routes, "/partials/decisions/{decision_id}", self.decision_part, method="GET", role=Role.VIEWER)
        add(routes, "/console/kill", self.kill, method="POST", role=Role.TRADER)
        return routes

    async def page(self, request: Request) -> Response:
        """The overview."""
        read_query(request)
        overview, charts = await asyncio.gather(self._overview(), self._charts())
        return self._page("page.html", session=session_of(request), **overview, charts=charts)

    async def certificates(self, request: Request) -> Response:
        """What ended kills left behind, newest first."""
        read_query(request)
        session = session_of(request)
        return self._page("certificates.html", session=session, rows=await read(self._certificates.certificates()))

    async def certificate(self, request: Request) -> Response:
        """One certificate, to be read and printed."""
        read_query(request)
        found = await certificate_of(request, self._certificates)
        return self._page("certificate.html", session=session_of(request), certificate=printed(found))

    async def static(self, request: Request) -> Response:
        """A stylesheet, a script or the mark."""
        name: str = request.path_params["name"]
        if name not in self._static:
            return error(404, "NOT_FOUND", "there is nothing here")
        content, media_type = self._static[name]
        return Response(content, media_type=media_type)

    async def desk_part(self, request: Request) -> Response:
        """What needs attention, state, accounts and bots."""
        read_query(request)
        return self._page("_desk_renewed.html", **await self._overview())

    async def charts_part(self, request: Request) -> Response:
        """The last day in words and tables."""
        read_query(request)
        return self._page("_charts.html", charts=await self._charts())

    async def history(self, request: Request) -> Json:
        """The last day in numbers."""
        read_query(request)
        return Json(await read(self._plane.history.history()))

    async def kill_part(self, request: Request) -> Response:
        """How far the newest kill is."""
        progress = await progress_seen(self._plane, self._certificates)
        return self._page("_progress.html", progress=progress, swap_elsewhere=False)

    async def blocked_part(self, request: Request) -> Response:
        """The newest refusals, filtered; why there are none to show where the archive cannot be read."""
        wanted = read_query(request, ("bot", "rule"))
        try:
            found = await read(
                self._plane.blocked(bot=wanted.get("bot"), rule=wanted.get("rule"), account=None, limit=_BLOCKED_SHOWN)
            )
        except Refusal as refusal:
            return self._page("_blocked.html", refusal.status, rows=(), trouble=refusal.message)
        rows = rows_of(found.blocked, _BLOCKED_SHOWN)
        return self._page("_blocked.html", rows=rows, ended=found.next is None, trouble="")

    async def decision_part(self, request: Request) -> Response:
        """One decision, line by line."""
        read_query(request)
        found = await read(self._plane.decision(decision_id(request)))
        if found is None:
            raise no_such_decision()
        return self._page("_decision.html", decision_id=decision_id(request), lines=words.lines_of(plain(found)))

    async def kill(self, request: Request) -> Response:
        """The button was held. A reason is asked for but never waited for."""
        try:
            session, fields = await form_of(request, "scope", "reason")
            reason = fields["reason"].strip() or "held the button on the console"
            pressed = await act(self._plane.kill(scope=scope_of(fields), by=session.person, reason=reason))
        except Refusal as refusal:
            return self._refused(request, refusal)
        progress = await progress_seen(self._plane, self._certificates, PRESSED_SECONDS_MAX)
        return self._page("_pressed.html", status=202, pressed=pressed, progress=progress, at=self._now())

    async def _overview(self) -> dict[str, Any]:
        desk, progress = await asyncio.gather(desk_seen(self._plane), progress_seen(self._plane, self._certificates))
        attention = attention_of(desk, progress) if desk is not None else None
        return {"desk": desk, "progress": progress, "attention": attention}

    async def _charts(self) -> tuple[Chart, ...] | None:
        """``None`` when the last day cannot be read: that is not the same as nothing kept yet."""
        try:
            return charts_of(await read(self._plane.history.history(), LOOK_SECONDS_MAX))
        except Exception:  # The edge: whatever breaks in looking, the page with the button must still come up.
            log.exception("the last day could not be read")
            return None

    def _refused(self, request: Request, refusal: Refusal) -> Response:
        return self._page("_notice.html", status=refusal.status, good=False, text=refusal.message)

    def _page(self, template: str, status: int = 200, **values: Any) -> Page:
        return self._render.page(template, status, **values)
