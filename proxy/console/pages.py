"""The console: one page, the parts of it that renew themselves, and the two forms. For signed-in people only."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proxy.console import words
from proxy.console.answers import Page, Refusal, error
from proxy.console.api import decision_id, no_such_decision
from proxy.console.asking import act, read
from proxy.console.bodies import person_of, read_form, read_query, scope_of
from proxy.console.certificates import certificate_of, printed
from proxy.console.door import Door
from proxy.console.plane import Certificates, ControlPlane, DeskView
from proxy.console.progress import Progress, progress_of, rows_of
from proxy.console.rearm_pages import sign_in_again
from proxy.console.rendering import Rendering
from proxy.console.sessions import Session

log = logging.getLogger("perpguard.console")

_HERE: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_BLOCKED_SHOWN: Final = 50


class Console:
    """One method a route. Files are read at start: nothing in a request can name another."""

    def __init__(self, plane: ControlPlane, certificates: Certificates, door: Door, render: Rendering) -> None:
        self._plane = plane
        self._certificates = certificates
        self._door = door
        self._static = {
            path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
            for path in (_HERE / "static").iterdir()
            if path.suffix in _MEDIA_TYPES
        }
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        routes.add_api_route("/", self.page, methods=["GET"], response_model=None)
        routes.add_api_route("/static/{name}", self.static, methods=["GET"])
        routes.add_api_route("/certificates", self.certificates, methods=["GET"], response_model=None)
        routes.add_api_route("/certificates/{certificate_id}", self.certificate, methods=["GET"], response_model=None)
        routes.add_api_route("/sign-in", self.sign_in_page, methods=["GET"])
        routes.add_api_route("/sign-in", self.sign_in, methods=["POST"])
        routes.add_api_route("/sign-out", self.sign_out, methods=["POST"])
        routes.add_api_route("/partials/desk", self.desk_part, methods=["GET"])
        routes.add_api_route("/partials/kill", self.kill_part, methods=["GET"])
        routes.add_api_route("/partials/blocked", self.blocked_part, methods=["GET"])
        routes.add_api_route("/partials/decisions/{decision_id}", self.decision_part, methods=["GET"])
        routes.add_api_route("/console/kill", self.kill, methods=["POST"])
        return routes

    async def page(self, request: Request) -> Response:
        """The page. Whoever is not signed in is sent to do so."""
        try:
            session = self._door.person(request)
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        read_query(request)
        desk = await self._desk()
        return self._page("page.html", session=session, desk=desk, progress=await self._progress())

    async def certificates(self, request: Request) -> Response:
        """What ended kills left behind, newest first."""
        try:
            self._door.person(request)
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        read_query(request)
        return self._page("certificates.html", rows=await read(self._certificates.certificates()))

    async def certificate(self, request: Request) -> Response:
        """One certificate, to be read and printed."""
        try:
            self._door.person(request)
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        read_query(request)
        found = await certificate_of(request, self._certificates)
        return self._page("certificate.html", certificate=printed(found))

    async def static(self, request: Request) -> Response:
        """A stylesheet, a script or the mark."""
        name: str = request.path_params["name"]
        if name not in self._static:
            return error(404, "NOT_FOUND", "there is nothing here")
        content, media_type = self._static[name]
        return Response(content, media_type=media_type)

    async def sign_in_page(self, request: Request) -> Response:
        """The form."""
        read_query(request)
        return self._page("sign_in.html", trouble="")

    async def sign_in(self, request: Request) -> Response:
        """A new session, or the form again with the reason."""
        try:
            fields = await read_form(request, ("name", "token"))
            session_id = self._door.sign_in(request, person_of(fields["name"]), fields["token"])
        except Refusal as refusal:
            return self._page("sign_in.html", status=refusal.status, trouble=refusal.message)
        answer = RedirectResponse("/", status_code=303)
        self._door.give_cookie(answer, session_id)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Close the session, here and in the browser."""
        await self._form_of(request)
        self._door.sign_out(request)
        answer = RedirectResponse("/sign-in", status_code=303)
        self._door.give_cookie(answer, "")
        return answer

    async def desk_part(self, request: Request) -> Response:
        """State, accounts and bots."""
        if not self._watching(request):
            return sign_in_again()
        return self._page("_desk.html", desk=await self._desk())

    async def kill_part(self, request: Request) -> Response:
        """How far the newest kill is."""
        if not self._watching(request):
            return sign_in_again()
        return self._page("_progress.html", progress=await self._progress(), swap_elsewhere=False)

    async def blocked_part(self, request: Request) -> Response:
        """The newest refusals, filtered."""
        if not self._watching(request):
            return sign_in_again()
        wanted = read_query(request, ("bot", "rule"))
        rows = await read(
            self._plane.blocked(bot=wanted.get("bot"), rule=wanted.get("rule"), account=None, limit=_BLOCKED_SHOWN)
        )
        return self._page("_blocked.html", rows=rows_of(rows, _BLOCKED_SHOWN))

    async def decision_part(self, request: Request) -> Response:
        """One decision, line by line."""
        try:
            self._door.person(request)
        except Refusal:
            return sign_in_again()
        read_query(request)
        found = await read(self._plane.decision(decision_id(request)))
        if found is None:
            raise no_such_decision()
        return self._page("_decision.html", decision_id=decision_id(request), lines=words.lines_of(found))

    async def kill(self, request: Request) -> Response:
        """The button was held. A reason is asked for but never waited for."""
        try:
            session, fields = await self._form_of(request, "scope", "reason")
            reason = fields["reason"].strip() or "held the button on the console"
            pressed = await act(self._plane.kill(scope=scope_of(fields), by=session.person, reason=reason))
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._page("_pressed.html", status=202, pressed=pressed, progress=await self._progress())

    async def _form_of(self, request: Request, *names: str) -> tuple[Session, dict[str, str]]:
        session = self._door.person(request)
        fields = await read_form(request, ("csrf", *names))
        self._door.check_own_page(request, session, fields["csrf"])
        return session, fields

    def _watching(self, request: Request) -> bool:
        """Whether a session is there. The page asks by itself, so this does not keep the session alive."""
        try:
            self._door.person(request, touch=False)
        except Refusal:
            return False
        return True

    async def _desk(self) -> DeskView | None:
        try:
            return await read(self._plane.desk())
        except Exception:  # The edge: whatever breaks in looking, the page with the button must still come up.
            log.exception("the desk could not be read")
            return None

    async def _progress(self) -> Progress | None:
        try:
            return progress_of(await read(self._plane.kill_progress()), self._certificates.has_certificate)
        except Exception:  # The edge, as above.
            log.exception("the kill's progress could not be read")
            return None

    def _refused(self, request: Request, refusal: Refusal) -> Response:
        if refusal.status == 401 and refusal.code == "UNAUTHENTICATED" and not self._watching(request):
            return sign_in_again()
        return self._page("_notice.html", status=refusal.status, good=False, text=refusal.message)

    def _page(self, template: str, status: int = 200, **values: Any) -> Page:
        return self._render.page(template, status, **values)
