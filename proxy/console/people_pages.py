"""The page of people, for admins: who there is, and what may become of them. Every change is typed for once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.console.answers import Page, Refusal
from proxy.console.bodies import read_query
from proxy.console.changing import changed
from proxy.console.door import Door
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.people.register import Register
from proxy.people.roles import Role

_FIELDS: Final = ("name", "proof")


class PeoplePages:
    """One method a route."""

    def __init__(self, people: Register, door: Door, render: Rendering) -> None:
        self._people = people
        self._door = door
        self._render = render

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/people", self.page, method="GET", role=Role.ADMIN)
        add(routes, "/console/people/invite", self.invite, method="POST", role=Role.ADMIN)
        add(routes, "/console/people/role", self.role, method="POST", role=Role.ADMIN)
        add(routes, "/console/people/disable", self.disable, method="POST", role=Role.ADMIN)
        add(routes, "/console/people/enable", self.enable, method="POST", role=Role.ADMIN)
        add(routes, "/console/people/reset", self.reset, method="POST", role=Role.ADMIN)
        return routes

    async def page(self, request: Request) -> Response:
        """Everybody, and the forms."""
        read_query(request)
        return self._render.page(
            "people.html",
            session=session_of(request),
            users=self._people.people.users,
            roles=tuple(Role),
            trouble=self._people.trouble,
        )

    async def invite(self, request: Request) -> Response:
        """A new person; the link is shown once, here."""
        return await self._change(
            request,
            lambda by, fields: self._people.invite(fields["name"], _role(fields), by=by),
            "Give them this link; it is good once, for a day:",
            "role",
        )

    async def role(self, request: Request) -> Response:
        """Another role."""
        return await self._change(
            request,
            lambda by, fields: self._people.set_role(fields["name"], _role(fields), by=by),
            "It counts from their next request on.",
            "role",
        )

    async def disable(self, request: Request) -> Response:
        """No way in any more."""
        return await self._change(
            request,
            lambda by, fields: self._people.set_disabled(fields["name"], disabled=True, by=by),
            "Their sessions are over.",
        )

    async def enable(self, request: Request) -> Response:
        """The way in of before."""
        return await self._change(
            request,
            lambda by, fields: self._people.set_disabled(fields["name"], disabled=False, by=by),
            "They can sign in again.",
        )

    async def reset(self, request: Request) -> Response:
        """Password and authenticator app forgotten; the link to set both anew is shown once, here."""
        return await self._change(
            request,
            lambda by, fields: self._people.reset(fields["name"], by=by),
            "Their password and app are void. Give them this link; it is good once, for a day:",
        )

    async def _change(
        self, request: Request, change: Callable[[str, dict[str, str]], str | None], said: str, *more: str
    ) -> Page:
        try:
            session, fields = await form_of(request, *_FIELDS, *more)
            await self._door.check_again(request, session, fields["proof"])
            token = await asyncio.to_thread(lambda: changed(lambda: change(session.person, fields)))
        except Refusal as refusal:
            return self._render.page("_notice.html", refusal.status, good=False, text=refusal.message)
        link = "" if token is None else f"{self._door.base_url(request)}/welcome/{token}"
        return self._render.page("_people_changed.html", text=said, link=link, users=self._people.people.users)


def _role(fields: dict[str, str]) -> Role:
    try:
        return Role(fields["role"])
    except ValueError:
        raise Refusal(422, "ROLE_NAME", f"a role is one of {', '.join(Role)}") from None
