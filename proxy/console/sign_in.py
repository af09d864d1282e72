"""Signing in and out."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proxy.console.answers import Json, Refusal
from proxy.console.bodies import read_form, read_query
from proxy.console.door import Door
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.people.roles import Role


class SignIn:
    """One method a route."""

    def __init__(self, door: Door, render: Rendering) -> None:
        self._door = door
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/sign-in", self.page, method="GET", role=None)
        add(routes, "/sign-in", self.sign_in, method="POST", role=None)
        add(routes, "/partials/session", self.session, method="GET", role=Role.VIEWER)
        add(routes, "/sign-out", self.sign_out, method="POST", role=Role.VIEWER)
        return routes

    async def page(self, request: Request) -> Response:
        """The form."""
        read_query(request)
        return self._render.page("sign_in.html", trouble="")

    async def sign_in(self, request: Request) -> Response:
        """A new session, or the form again with the reason."""
        try:
            fields = await read_form(request, ("name", "password", "code"))
            session_id = await self._door.sign_in(request, fields["name"], fields["password"], fields["code"])
        except Refusal as refusal:
            return self._render.page("sign_in.html", status=refusal.status, trouble=refusal.message)
        answer = RedirectResponse("/", status_code=303)
        self._door.give_cookie(answer, session_id)
        return answer

    async def session(self, request: Request) -> Json:
        """Whose session the browser's cookie opens, and the token that its forms take.

        An open page asks when it was not looked at, or when its own session is over: after a change of password in
        another tab the cookie is a new one, and the forms of this page are those of the old.
        """
        read_query(request)
        session = session_of(request)
        return Json({"person": session.person, "csrf": session.csrf})

    async def sign_out(self, request: Request) -> Response:
        """Close the session, here and in the browser."""
        session, _ = await form_of(request)
        self._door.sign_out(request, session)
        answer = RedirectResponse("/sign-in", status_code=303)
        self._door.give_cookie(answer, "")
        return answer
