"""Coming in by a link: the first admin, somebody invited, somebody whose password was reset.

The link's token stands in the path, is good once and for a day, and is in no log: this port keeps none of its requests.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from proxy.console.answers import Refusal
from proxy.console.bodies import read_form, read_query
from proxy.console.changing import changed
from proxy.console.door import Door
from proxy.console.rendering import Rendering
from proxy.console.routing import add
from proxy.people import codes
from proxy.people.register import Register
from proxy.people.roles import Role
from proxy.people.users import LINKS_MAX, Link

_FIELDS: Final = ("name", "password", "again", "code")


class Welcome:
    """One method a route. Which secret an open page shows is remembered here: it is nobody's until a code proves it."""

    def __init__(self, people: Register, door: Door, render: Rendering) -> None:
        self._people = people
        self._door = door
        self._render = render
        self._shown: OrderedDict[str, str] = OrderedDict()

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/welcome/{token}", self.page, method="GET", role=None)
        add(routes, "/welcome/{token}", self.join, method="POST", role=None)
        return routes

    async def page(self, request: Request) -> Response:
        """What to set: a name if it is the first admin's, a password, an authenticator app."""
        read_query(request)
        link = self._link(request)
        return self._gone() if link is None else self._form(link)

    async def join(self, request: Request) -> Response:
        """In, with a session; or the form again with the reason."""
        link = None
        try:
            self._door.check_own_origin(request)
            fields = await read_form(request, _FIELDS)
            link = self._link(request)
            if link is None:
                return self._gone()
            if fields["password"] != fields["again"]:
                raise Refusal(422, "PASSWORD", "the two passwords differ")
            secret, joining = self._secret(link), link
            user = await self._door.in_turn(
                lambda: changed(
                    lambda: self._people.join(
                        joining,
                        name=fields["name"],
                        password=fields["password"],
                        code_secret=secret,
                        code=fields["code"].strip(),
                    )
                )
            )
        except Refusal as refusal:
            return self._gone(refusal) if link is None else self._form(link, refusal, name=fields["name"])
        self._shown.pop(link.digest, None)
        answer = RedirectResponse("/", status_code=303)
        self._door.give_cookie(answer, self._door.let_in(request, user))
        return answer

    def _link(self, request: Request) -> Link | None:
        return self._people.link(request.path_params["token"])

    def _secret(self, link: Link) -> str:
        while len(self._shown) > LINKS_MAX:
            self._shown.popitem(last=False)
        return self._shown.setdefault(link.digest, codes.new_secret())

    def _form(self, link: Link, refusal: Refusal | None = None, name: str = "") -> Response:
        user = self._people.people.find(link.name) if link.name else None
        role = Role.ADMIN if user is None else user.role
        secret = self._secret(link)
        return self._render.page(
            "welcome.html",
            200 if refusal is None else refusal.status,
            trouble="" if refusal is None else refusal.message,
            name=name if user is None else user.name,
            first=user is None,
            role=role,
            needs_code=self._people.needs_code(role),
            secret=secret,
            # Ours: black squares, and nothing of what a person typed.
            picture=Markup(codes.picture(secret, name=user.name if user is not None else "admin")),  # noqa: S704
        )

    def _gone(self, refusal: Refusal | None = None) -> Response:
        text = (
            "This link was used, is older than a day, or was replaced by another."
            if refusal is None
            else refusal.message
        )
        return self._render.page("refused.html", 404 if refusal is None else refusal.status, text=text)
