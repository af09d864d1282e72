"""The control API of rehearsals: begin one, see how far it is, read the reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request

from proxy.console.answers import Json, Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import person_of, read_json, read_query
from proxy.console.door import Door
from proxy.console.plane import ControlPlane
from proxy.console.sessions import Session

_ID: Final = re.compile(r"[0-9T]{1,32}")


class DrillApi:
    """One method a route."""

    def __init__(self, plane: ControlPlane, door: Door) -> None:
        self._plane = plane
        self._door = door

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        routes.add_api_route("/api/drills", self.reports, methods=["GET"])
        routes.add_api_route("/api/drills/{drill_id}", self.report, methods=["GET"])
        routes.add_api_route("/control/drill", self.progress, methods=["GET"])
        routes.add_api_route("/control/drill", self.start, methods=["POST"])
        return routes

    async def reports(self, request: Request) -> Json:
        """Every report that is kept, newest first."""
        self._door.caller(request)
        read_query(request)
        return Json({"drills": await read(self._plane.drills.reports())})

    async def report(self, request: Request) -> Json:
        """One report."""
        self._door.caller(request)
        read_query(request)
        return Json(await drill_report(request, self._plane))

    async def progress(self, request: Request) -> Json:
        """The newest drill of this warden, or null."""
        self._door.caller(request)
        read_query(request)
        return Json({"drill": await read(self._plane.drills.progress())})

    async def start(self, request: Request) -> Json:
        """202: it runs. It stops nobody: the practice exchange is another one, and a dry run sends nothing."""
        caller = self._door.actor(request)
        if isinstance(caller, Session):
            fields, by = await read_json(request, ("kind",)), caller.person
        else:
            fields = await read_json(request, ("kind", "name"))
            by = person_of(fields["name"])
        return Json(await act(self._plane.drills.start(kind=fields["kind"], by=by)), status_code=202)


async def drill_report(request: Request, plane: ControlPlane) -> Mapping[str, Any]:
    """The report named in the path, or Refusal 404: an id we never gave names nothing."""
    name: str = request.path_params["drill_id"]
    found = await read(plane.drills.report(name)) if _ID.fullmatch(name) else None
    if found is None:
        raise Refusal(404, "NO_SUCH_DRILL", "there is no report of that id")
    return found
