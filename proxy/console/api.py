"""The control API: what a machine, or a signed-in person's script, may ask."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request

from proxy.console.answers import Json, Refusal
from proxy.console.asking import act, read
from proxy.console.bodies import person_of, read_json, read_query, scope_of
from proxy.console.door import Door
from proxy.console.plane import ControlPlane
from proxy.console.sessions import Session

BLOCKED_MAX: Final = 500
_BLOCKED_DEFAULT: Final = "100"
_DECISION_ID: Final = re.compile(r"[A-Za-z0-9._:~-]{1,128}")


class Api:
    """One method a route."""

    def __init__(self, plane: ControlPlane, door: Door) -> None:
        self._plane = plane
        self._door = door

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        routes.add_api_route("/healthz", self.healthz, methods=["GET"])
        routes.add_api_route("/api/desk", self.desk, methods=["GET"])
        routes.add_api_route("/api/blocked", self.blocked, methods=["GET"])
        routes.add_api_route("/api/decisions/{decision_id}", self.decision, methods=["GET"])
        routes.add_api_route("/control/kill", self.kill, methods=["POST"])
        routes.add_api_route("/control/kill", self.kill_progress, methods=["GET"])
        return routes

    async def healthz(self, request: Request) -> Json:
        """Whether this port answers; nothing else, to anyone."""
        return Json({"status": "ok"})

    async def desk(self, request: Request) -> Json:
        """The state of everything."""
        self._door.caller(request)
        read_query(request)
        return Json(await read(self._plane.desk()))

    async def blocked(self, request: Request) -> Json:
        """The newest refusals."""
        self._door.caller(request)
        wanted = read_query(request, ("bot", "rule", "account", "limit"))
        rows = await read(
            self._plane.blocked(
                bot=wanted.get("bot"), rule=wanted.get("rule"), account=wanted.get("account"), limit=_limit(wanted)
            )
        )
        return Json({"blocked": rows})

    async def decision(self, request: Request) -> Json:
        """Everything the archive holds of one request."""
        self._door.caller(request)
        read_query(request)
        found = await read(self._plane.decision(decision_id(request)))
        if found is None:
            raise no_such_decision()
        return Json(found)

    async def kill(self, request: Request) -> Json:
        """Press the button. 202 as soon as trading is blocked; the job runs on."""
        caller = self._door.actor(request)
        if isinstance(caller, Session):
            fields, by = await read_json(request, ("scope", "reason")), caller.person
        else:
            fields = await read_json(request, ("scope", "reason"), ("by",))
            by = person_of(fields["by"]) if fields.get("by") else "holder of the control token"
        pressed = await act(self._plane.kill(scope=scope_of(fields), by=by, reason=fields["reason"]))
        return Json(pressed, status_code=202)

    async def kill_progress(self, request: Request) -> Json:
        """The newest job, or null."""
        self._door.caller(request)
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
    text = wanted.get("limit", _BLOCKED_DEFAULT)
    if re.fullmatch(r"[1-9][0-9]{0,2}", text) is None or int(text) > BLOCKED_MAX:
        raise Refusal(422, "LIMIT", f"limit is a whole number from 1 to {BLOCKED_MAX}")
    return int(text)
