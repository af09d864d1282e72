"""Every route of the console and the control API says who may use it, and is asked for it before its handler runs.

A handler is only ever called for somebody who may: it finds who that is by ``caller_of``, ``session_of`` or
``form_of``. Machines, which hold the control token, are let in at ``/api/`` and ``/control/`` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from proxy.console.answers import Refusal, error
from proxy.console.bodies import read_form
from proxy.console.door import Caller, Door, check_csrf
from proxy.console.rendering import Rendering
from proxy.console.sessions import Session
from proxy.people.roles import Role

ROLE_KEY: Final = "x-perpguard-role"
PUBLIC: Final = "public"
_SAFE: Final = frozenset({"GET", "HEAD"})


class Kind(Enum):
    """What a route is to whoever asks."""

    API = "api"
    """For machines, and for people's scripts: a change needs the session's ``X-CSRF-Token``."""
    PAGE = "page"
    """For people. Nobody is sent to sign in."""
    PART = "part"
    """A part of a page that renews itself; it does not keep a session alive."""
    FORM = "form"
    """For people, sent from a page of ours. Its handler reads it with ``form_of``."""


class TurnedAway(Refusal):
    """Refusal 401 or 403, before the handler of a route."""

    def __init__(self, refusal: Refusal, kind: Kind) -> None:
        super().__init__(refusal.status, refusal.code, refusal.message)
        self.kind = kind


def add(
    routes: APIRouter,
    path: str,
    handler: Callable[..., Awaitable[Response]],
    *,
    method: str,
    role: Role | None,
    kind: Kind | None = None,
    **openapi: Any,
) -> None:
    """Add a route for whoever has ``role``; ``None`` is for everybody, signed in or not.

    ``kind`` follows from the path unless it is given. ``openapi`` is what FastAPI can be told of an operation; the
    operation says its role as ``x-perpguard-role``.
    """
    extra = {**openapi.pop("openapi_extra", {}), ROLE_KEY: PUBLIC if role is None else role.value}
    dependencies = [*openapi.pop("dependencies", ())]
    if role is not None:
        dependencies.insert(0, Depends(_asked(role, kind or _kind(path, method), changes=method not in _SAFE)))
    routes.add_api_route(
        path,
        handler,
        methods=[method],
        dependencies=dependencies,
        response_model=openapi.pop("response_model", None),
        openapi_extra=extra,
        **openapi,
    )


def caller_of(request: Request) -> Caller:
    """Whoever the route was opened for."""
    caller: Caller = request.state.caller
    return caller


def role_of(request: Request) -> Role:
    """The role the route takes."""
    role: Role = request.state.role
    return role


def session_of(request: Request) -> Session:
    """The signed-in person a page, a part of one or a form was opened for."""
    caller = caller_of(request)
    if not isinstance(caller, Session):
        raise TypeError("a machine came through a route for people alone")
    return caller


async def form_of(request: Request, *names: str) -> tuple[Session, dict[str, str]]:
    """The person and the form's texts under exactly these names. Refusal 403 when it is not of the person's session."""
    session = session_of(request)
    fields = await read_form(request, ("csrf", *names))
    check_csrf(session, fields["csrf"])
    return session, fields


def turned_away_by(render: Rendering) -> Callable[[Request, Any], Coroutine[Any, Any, Response]]:
    """How those who may not are answered: in the words of what they asked for."""

    async def answer(_: Request, turned: TurnedAway) -> Response:
        if turned.kind is Kind.API:
            return error(turned.status, turned.code, turned.message)
        if turned.status == 401:
            return RedirectResponse("/sign-in", 303) if turned.kind is Kind.PAGE else _sign_in_first(turned)
        if turned.kind is Kind.PAGE:
            return render.page("refused.html", turned.status, text=turned.message)
        return render.page("_notice.html", turned.status, good=False, text=turned.message)

    return answer


def _sign_in_first(turned: TurnedAway) -> Response:
    answer = error(turned.status, turned.code, turned.message)
    answer.headers["HX-Redirect"] = "/sign-in"
    return answer


def _kind(path: str, method: str) -> Kind:
    if path.startswith(("/api/", "/control/")):
        return Kind.API
    if path.startswith("/partials/"):
        return Kind.PART
    return Kind.PAGE if method in _SAFE else Kind.FORM


def _asked(role: Role, kind: Kind, *, changes: bool) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        door: Door = request.app.state.door
        try:
            caller = _identity(door, request, kind, changes=changes)
            if not caller.role.covers(role):
                raise Refusal(403, "ROLE", f"this takes the role {role}; yours is {caller.role}")
        except Refusal as refusal:
            raise TurnedAway(refusal, kind) from None
        request.state.caller, request.state.role = caller, role

    return check


def _identity(door: Door, request: Request, kind: Kind, *, changes: bool) -> Caller:
    if kind is Kind.API:
        return door.actor(request) if changes else door.caller(request)
    session = door.person(request, touch=kind is not Kind.PART)
    if changes:
        door.check_own_origin(request)
    return session
