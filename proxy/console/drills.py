"""The control API of rehearsals: begin one, see how far it is, read the reports."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json, Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import read_json, read_query
from proxy.console.door import Door
from proxy.console.plane import ControlPlane
from proxy.console.routing import add, caller_of
from proxy.console.sender import sender_fields, sender_of
from proxy.drill.plane import DRILL_KINDS
from proxy.drill.shelf import DrillReport
from proxy.people.roles import Role

_ID: Final = re.compile(r"[0-9T]{1,32}")


class DrillApi:
    """One method a route."""

    def __init__(self, plane: ControlPlane, door: Door) -> None:
        self._plane = plane
        self._door = door

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/api/drills", self.reports, method="GET", role=Role.VIEWER, **operations.DRILLS)
        add(routes, "/api/drills/{drill_id}", self.report, method="GET", role=Role.VIEWER, **operations.DRILL_REPORT)
        add(routes, "/control/drill", self.progress, method="GET", role=Role.VIEWER, **operations.DRILL_PROGRESS)
        add(routes, "/control/drill", self.start, method="POST", role=Role.TRADER, **operations.DRILL)
        return routes

    async def reports(self, request: Request) -> Json:
        """Every report that is kept, newest first."""
        read_query(request)
        return Json({"drills": await read(self._plane.drills.reports())})

    async def report(self, request: Request) -> Json:
        """One report."""
        read_query(request)
        return Json(await drill_report(request, self._plane))

    async def progress(self, request: Request) -> Json:
        """The newest drill of this warden, or null."""
        read_query(request)
        return Json({"drill": await read(self._plane.drills.progress())})

    async def start(self, request: Request) -> Json:
        """202: it runs. It stops nobody: the practice exchange is another one, and a dry run sends nothing."""
        caller = caller_of(request)
        fields = await read_json(request, ("kind", *sender_fields(caller, loosens=False)))
        by = await sender_of(self._door, request, caller, fields)
        if fields["kind"] not in DRILL_KINDS:
            raise Refusal(422, "DRILL_KIND", f"a drill is one of {', '.join(DRILL_KINDS)}")
        return Json(await act(self._plane.drills.start(kind=fields["kind"], by=by)), status_code=202)


async def drill_report(request: Request, plane: ControlPlane) -> DrillReport:
    """The report named in the path, or Refusal 404: an id we never gave names nothing."""
    name: str = request.path_params["drill_id"]
    found = await read(plane.drills.report(name)) if _ID.fullmatch(name) else None
    if found is None:
        raise Refusal(404, "NO_SUCH_DRILL", "there is no report of that id")
    return found
