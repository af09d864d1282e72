"""The control API: what a machine, or a signed-in person's script, may ask."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request

from proxy.console import operations
from proxy.console.answers import Json, Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import read_query, scope_of
from proxy.console.plane import ControlPlane
from proxy.console.routing import add
from proxy.console.sender import pressed_by
from proxy.console.texts import BLOCKED_DEFAULT, BLOCKED_MAX
from proxy.people.roles import Role

_DECISION_ID: Final = re.compile(r"[A-Za-z0-9._:~-]{1,128}")


class Api:
    """One method a route."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/healthz", self.healthz, method="GET", role=None, **operations.HEALTH)
        add(routes, "/api/desk", self.desk, method="GET", role=Role.VIEWER, **operations.DESK)
        add(routes, "/api/blocked", self.blocked, method="GET", role=Role.VIEWER, **operations.BLOCKED)
        add(
            routes, "/api/decisions/{decision_id}", self.decision, method="GET", role=Role.VIEWER, **operations.DECISION
        )
        add(routes, "/control/kill", self.kill, method="POST", role=Role.TRADER, **operations.KILL)
        add(routes, "/control/kill", self.kill_progress, method="GET", role=Role.VIEWER, **operations.KILL_PROGRESS)
        return routes

    async def healthz(self, request: Request) -> Json:
        """Whether this port answers; nothing else, to anyone."""
        return Json({"status": "ok"})

    async def desk(self, request: Request) -> Json:
        """The state of everything."""
        read_query(request)
        return Json(await read(self._plane.desk()))

    async def blocked(self, request: Request) -> Json:
        """The newest refusals."""
        wanted = read_query(request, ("bot", "rule", "account", "before"), numbers=("limit",))
        page = self._plane.blocked(
            bot=wanted.get("bot"),
            rule=wanted.get("rule"),
            account=wanted.get("account"),
            before=wanted.get("before"),
            limit=_limit(wanted),
        )
        return Json(await read(page))

    async def decision(self, request: Request) -> Json:
        """Everything the archive holds of one request."""
        read_query(request)
        found = await read(self._plane.decision(decision_id(request)))
        if found is None:
            raise no_such_decision()
        return Json(found)

    async def kill(self, request: Request) -> Json:
        """Press the button. 202 as soon as trading is blocked; the job runs on."""
        fields, by = await pressed_by(request, named=False)
        pressed = await act(self._plane.kill(scope=scope_of(fields), by=by, reason=fields["reason"]))
        return Json(pressed, status_code=202)

    async def kill_progress(self, request: Request) -> Json:
        """The newest job, or null. From the press on: `job_id` is empty as long as the job is not on disk."""
        read_query(request)
        return Json({"kill": await read(self._plane.kill_progress())})


def decision_id(request: Request) -> str:
    """The id in the path, or Refusal 404: an id we never gave names nothing."""
    text: str = request.path_params["decision_id"]
    if _DECISION_ID.fullmatch(text) is None:
        raise no_such_decision()
    return text


def no_such_decision() -> Refusal:
    """Refusal 404."""
    return Refusal(404, "NO_SUCH_DECISION", "the archive holds no decision of that id")


def _limit(wanted: dict[str, str]) -> int:
    text = wanted.get("limit", str(BLOCKED_DEFAULT))
    if re.fullmatch(r"[1-9][0-9]{0,2}", text) is None or int(text) > BLOCKED_MAX:
        raise Refusal(422, "LIMIT", f"limit is a whole number from 1 to {BLOCKED_MAX}")
    return int(text)
