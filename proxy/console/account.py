"""A person's own page: another password, another authenticator app. Either ends every session but the new one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from proxy.console.answers import Refusal
from proxy.console.bodies import read_query
from proxy.console.changing import changed
from proxy.console.door import Door
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.console.sessions import SESSIONS_MAX, Session
from proxy.people import codes
from proxy.people.register import Register
from proxy.people.roles import Role

_PASSWORD: Final = ("proof", "password", "again")
_CODE: Final = ("proof", "code")


class Account:
    """One method a route."""

    def __init__(self, people: Register, door: Door, render: Rendering) -> None:
        self._people = people
        self._door = door
        self._render = render
        self._shown: OrderedDict[str, str] = OrderedDict()

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/account", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/console/account/password", self.password, method="POST", role=Role.VIEWER)
        add(routes, "/console/account/code", self.code, method="POST", role=Role.VIEWER)
        return routes

    async def page(self, request: Request) -> Response:
        """Who one is, and the two forms."""
        read_query(request)
        return self._page(session_of(request))

    async def password(self, request: Request) -> Response:
        """Another password."""
        try:
            session, fields = await form_of(request, *_PASSWORD)
            if fields["password"] != fields["again"]:
                raise Refusal(422, "PASSWORD", "the two passwords differ")
            await self._door.check_again(request, session, fields["proof"])
            return await self._renewed(
                request, session, lambda: self._people.set_password(session.person, fields["password"])
            )
        except Refusal as refusal:
            return self._page(session_of(request), refusal)

    async def code(self, request: Request) -> Response:
        """Another authenticator app, in place of the one there was."""
        try:
            session, fields = await form_of(request, *_CODE)
            secret = self._secret(session)
            await self._door.check_again(request, session, fields["proof"])
            answer = await self._renewed(
                request, session, lambda: self._people.set_code(session.person, secret, fields["code"].strip())
            )
        except Refusal as refusal:
            return self._page(session_of(request), refusal)
        self._shown.pop(session.person, None)
        return answer

    async def _renewed(self, request: Request, session: Session, change: Callable[[], None]) -> Response:
        """Make the change and give a session of the new credentials; those of before are over."""
        await self._door.in_turn(lambda: changed(change))
        user = self._people.people.find(session.person)
        answer = RedirectResponse("/account", status_code=303)
        if user is not None:
            self._door.give_cookie(answer, self._door.let_in(request, user))
        return answer

    def _secret(self, session: Session) -> str:
        while len(self._shown) > SESSIONS_MAX:
            self._shown.popitem(last=False)
        return self._shown.setdefault(session.person, codes.new_secret())

    def _page(self, session: Session, refusal: Refusal | None = None) -> Response:
        user = self._people.people.find(session.person)
        secret = self._secret(session)
        return self._render.page(
            "account.html",
            200 if refusal is None else refusal.status,
            session=session,
            trouble="" if refusal is None else refusal.message,
            has_code=user is not None and user.has_code,
            secret=secret,
            picture=Markup(codes.picture(secret, name=session.person)),  # noqa: S704 - ours: squares, nothing typed
        )
