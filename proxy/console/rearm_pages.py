"""The console's pages of re-arming and of rehearsals: what must hold, the forms, and how far it is."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proxy.console.answers import Page, Refusal, error
from proxy.console.asking import act, read
from proxy.console.bodies import read_form, read_query, scope_of
from proxy.console.door import Door
from proxy.console.drills import drill_report
from proxy.console.plane import ControlPlane
from proxy.console.rearm_plane import RearmView
from proxy.console.rendering import Rendering
from proxy.console.sessions import Session

_ASK = ("scope", "name", "reason", "typed", "token")


class RearmPages:
    """One method a route. For signed-in people only."""

    def __init__(self, plane: ControlPlane, door: Door, render: Rendering) -> None:
        self._plane = plane
        self._door = door
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        routes.add_api_route("/rearm", self.rearm_page, methods=["GET"], response_model=None)
        routes.add_api_route("/partials/rearm", self.rearm_part, methods=["GET"])
        routes.add_api_route("/console/rearm", self.request, methods=["POST"])
        routes.add_api_route("/console/rearm/approve", self.approve, methods=["POST"])
        routes.add_api_route("/console/rearm/withdraw", self.withdraw, methods=["POST"])
        routes.add_api_route("/drills", self.drills_page, methods=["GET"], response_model=None)
        routes.add_api_route("/drills/{drill_id}", self.drill_page, methods=["GET"], response_model=None)
        routes.add_api_route("/partials/drill", self.drill_part, methods=["GET"])
        routes.add_api_route("/console/drill", self.drill, methods=["POST"])
        return routes

    async def rearm_page(self, request: Request) -> Response:
        """Every stopped scope, what must hold, and the three forms."""
        try:
            session = self._door.person(request)
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        read_query(request)
        scopes = await read(self._plane.rearming.all())
        return self._render.page("rearm.html", session=session, scopes=scopes)

    async def rearm_part(self, request: Request) -> Response:
        """The same, renewed: how long a request still waits, how far limits have grown."""
        if not self._watching(request):
            return sign_in_again()
        read_query(request)
        return self._render.page("_rearming.html", scopes=await read(self._plane.rearming.all()))

    async def request(self, request: Request) -> Response:
        """A person asks: named, with a reason, the scope's name and the policy's digest typed, the token again."""
        try:
            session, fields = await self._form(request, *_ASK, "policy", "acknowledged")
            self._check(request, session, fields)
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
            session, fields = await self._form(request, *_ASK)
            self._check(request, session, fields)
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
            session, fields = await self._form(request, "scope", "reason")
            scope = scope_of(fields)
            taken = self._plane.rearming.withdraw(scope=scope, name=session.person, reason=fields["reason"].strip())
            await act(taken)
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._said(f"Nobody asks for {scope} any more; it stays stopped.")

    async def drills_page(self, request: Request) -> Response:
        """The reports, and the form that begins a rehearsal."""
        try:
            session = self._door.person(request)
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        read_query(request)
        drills = self._plane.drills
        return self._render.page(
            "drills.html", session=session, reports=await read(drills.reports()), progress=await read(drills.progress())
        )

    async def drill_page(self, request: Request) -> Response:
        """One report."""
        try:
            self._door.person(request)
        except Refusal:
            return RedirectResponse("/sign-in", status_code=303)
        read_query(request)
        return self._render.page("drill.html", report=await drill_report(request, self._plane))

    async def drill_part(self, request: Request) -> Response:
        """How far a rehearsal is, and the newest reports."""
        if not self._watching(request):
            return sign_in_again()
        read_query(request)
        drills = self._plane.drills
        return self._render.page(
            "_drills.html", reports=await read(drills.reports()), progress=await read(drills.progress())
        )

    async def drill(self, request: Request) -> Response:
        """A person begins one."""
        try:
            session, fields = await self._form(request, "kind")
            await act(self._plane.drills.start(kind=fields["kind"], by=session.person))
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._said("The drill runs; it stops nobody.")

    async def _form(self, request: Request, *names: str) -> tuple[Session, dict[str, str]]:
        session = self._door.person(request)
        fields = await read_form(request, ("csrf", *names))
        self._door.check_own_page(request, session, fields["csrf"])
        return session, fields

    def _check(self, request: Request, session: Session, fields: dict[str, str]) -> None:
        self._door.check_token(request, fields["token"])
        if fields["name"].strip() != session.person:
            raise Refusal(422, "NAME", "type the name you signed in with")

    def _watching(self, request: Request) -> bool:
        """Whether a session is there. The page asks by itself, so this does not keep the session alive."""
        try:
            self._door.person(request, touch=False)
        except Refusal:
            return False
        return True

    def _refused(self, request: Request, refusal: Refusal) -> Response:
        if refusal.status == 401 and refusal.code == "UNAUTHENTICATED" and not self._watching(request):
            return sign_in_again()
        return self._render.page("_notice.html", status=refusal.status, good=False, text=refusal.message)

    def _said(self, text: str) -> Page:
        return self._render.page("_notice.html", good=True, text=text)


def sign_in_again() -> Response:
    """What a part of a page answers to nobody."""
    answer = error(401, "UNAUTHENTICATED", "sign in")
    answer.headers["HX-Redirect"] = "/sign-in"
    return answer


def _asked(view: RearmView) -> str:
    if view.simple:
        return f"{view.scope} may trade again."
    if view.due:
        return f"{view.scope} is asked for. It comes back at {view.due}, or when somebody else approves."
    return f"{view.scope} is asked for. Somebody else must approve."
