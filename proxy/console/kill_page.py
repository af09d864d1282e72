"""The page of the button: what a press would do, the button, its two neighbours, and how far a kill is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proxy.certificate.plane import Certificates
from proxy.console import operations_record as operations
from proxy.console.answers import Json, Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import read_query, scope_of
from proxy.console.desk_views import DeskView
from proxy.console.looking import PRESSED_SECONDS_MAX, desk_seen, progress_seen
from proxy.console.plane import ControlPlane
from proxy.console.rendering import Rendering
from proxy.console.routing import add, form_of, session_of
from proxy.people.roles import Role

WORD: Final = "STOP"
"""What somebody types who cannot hold a button."""

_DESK: Final = "desk"


class KillPage:
    """One method a route. The button itself is ``/console/kill``, as on the overview."""

    def __init__(
        self, plane: ControlPlane, certificates: Certificates, render: Rendering, now: Callable[[], datetime]
    ) -> None:
        self._plane = plane
        self._certificates = certificates
        self._render = render
        self._now = now

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/kill", self.page, method="GET", role=Role.VIEWER)
        add(routes, "/partials/scopes", self.scopes_part, method="GET", role=Role.VIEWER)
        add(routes, "/partials/kill-preview", self.preview_part, method="GET", role=Role.VIEWER)
        add(routes, "/control/kill/preview", self.preview, method="GET", role=Role.VIEWER, **operations.PREVIEW)
        add(routes, "/console/kill/typed", self.typed, method="POST", role=Role.TRADER)
        add(routes, "/console/reduce", self.reduce, method="POST", role=Role.TRADER)
        return routes

    async def page(self, request: Request) -> Response:
        """The page, with the scope of the address chosen. It waits for no venue: what lies ahead loads by itself."""
        asked = read_query(request, ("scope",))
        chosen = scope_of({"scope": asked.get("scope", _DESK)})
        desk, progress = await asyncio.gather(desk_seen(self._plane), progress_seen(self._plane, self._certificates))
        return self._render.page(
            "kill.html",
            session=session_of(request),
            scopes=_scopes(desk, chosen),
            chosen=chosen,
            progress=progress,
            word=WORD,
        )

    async def scopes_part(self, request: Request) -> Response:
        """What can be stopped by now, for a page whose list was made before; nothing while the desk cannot be read."""
        read_query(request)
        desk = await desk_seen(self._plane)
        return self._render.page("_scope_choices.html", scopes=None if desk is None else _scopes(desk, _DESK))

    async def preview_part(self, request: Request) -> Response:
        """What a press of the scope would do. Trouble in looking is said here, and the button beside it works."""
        scope = read_query(request, ("scope",)).get("scope", _DESK)
        try:
            ahead = await read(self._plane.ahead.preview(scope_of({"scope": scope})))
        except Refusal as refusal:
            return self._render.page("_kill_preview.html", scope=scope, ahead=None, trouble=refusal.message)
        return self._render.page("_kill_preview.html", scope=scope, ahead=ahead, trouble="")

    async def preview(self, request: Request) -> Json:
        """The same for machines."""
        scope = scope_of({"scope": read_query(request, ("scope",)).get("scope", _DESK)})
        return Json(await read(self._plane.ahead.preview(scope)))

    async def typed(self, request: Request) -> Response:
        """The same press as the held button's, by a typed word: for a hand, or a device, that cannot hold."""
        try:
            session, fields = await form_of(request, "scope", "reason", "typed")
            if fields["typed"].strip().upper() != WORD:
                raise Refusal(422, "TYPED", f"type {WORD} to stop; nothing was stopped")
            reason = fields["reason"].strip() or "typed the word on the console"
            pressed = await act(self._plane.kill(scope=scope_of(fields), by=session.person, reason=reason))
        except Refusal as refusal:
            return self._refused(refusal)
        if "hx-request" not in request.headers:
            return RedirectResponse("/kill", status_code=303)  # Without script the page itself tells how far it is.
        progress = await progress_seen(self._plane, self._certificates, PRESSED_SECONDS_MAX)
        return self._render.page("_pressed.html", 202, pressed=pressed, progress=progress, at=self._now())

    async def reduce(self, request: Request) -> Response:
        """Let nothing in that adds risk, and close nothing."""
        try:
            session, fields = await form_of(request, "scope", "reason")
            reason = fields["reason"].strip() or "reduce-only from the console"
            done = await act(self._plane.reduce(scope=scope_of(fields), by=session.person, reason=reason))
        except Refusal as refusal:
            return self._refused(refusal)
        reduced = ", ".join(done.reduced)
        said = f"Reduce-only now: {reduced}." if reduced else "All of it was reduce-only, or stopped, before."
        return self._render.page("_notice.html", good=True, text=said)

    def _refused(self, refusal: Refusal) -> Response:
        return self._render.page("_notice.html", refusal.status, good=False, text=refusal.message)


def _scopes(desk: DeskView | None, chosen: str) -> dict[str, str]:
    """What can be stopped, with its name. The chosen scope is among them in any case, so that no other is pressed."""
    found = {_DESK: "Whole desk"}
    if desk is not None:
        found |= {f"venue:{each.venue}": f"Venue {each.venue}" for each in desk.accounts}
        found |= {f"account:{each.name}": f"Account {each.name}" for each in desk.accounts}
        found |= {f"bot:{each.name}": f"Bot {each.name}" for each in desk.bots}
    return {chosen: chosen, **found}
